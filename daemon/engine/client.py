"""The engine as the hub sees it: loads lazily, answers one prediction at a time, survives its worker.

Whatever happens to a prediction (cancelled, too slow, worker killed), ``predict`` returns only when the
worker owes nothing any more: the next request finds a free engine, and an abort never reaches it. Knows
nothing of llama.cpp, prompts or LSP.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from daemon.engine.abort import AbortCause
from daemon.engine.api import EngineState
from daemon.engine.errors import EngineError, ModelRefused, StillLoading, WorkerDied
from daemon.engine.exchange import exchange
from daemon.engine.messages import EngineAnswer, ModelInfo, ModelSettings, ReplyKind
from daemon.engine.process import WORKER_COMMAND, WorkerProcess
from daemon.engine.restarts import RestartPolicy, Restarts

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Sequence

    from capture.inputs import PredictionInputs

HARD_DEADLINE_GRACE_SECONDS = 2.0  # from the abort flag to the kill


class EngineClient:
    """An ``Engine`` in a worker process.

    ``log`` takes what the worker prints (no text of the user's); ``clock`` and ``sleep`` are for the
    restarts alone.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        log: logging.Logger,
        command: Sequence[str] = WORKER_COMMAND,
        restart_policy: RestartPolicy | None = None,
        hard_deadline_grace_seconds: float = HARD_DEADLINE_GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._command = command
        self._policy = restart_policy or RestartPolicy()
        self._restarts = Restarts(self._policy)
        self._grace_seconds = hard_deadline_grace_seconds
        self._clock = clock
        self._sleep = sleep
        self._log = log
        self._state = EngineState.UNLOADED
        self._failure: EngineError | None = None
        self._model: ModelInfo | None = None
        self._worker: WorkerProcess | None = None  # one that holds a model
        self._loading: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # held by whoever talks to the worker
        self._last_id = 0
        self._subscribers: list[Callable[[EngineState], None]] = []

    @property
    def state(self) -> EngineState:
        """Where the engine is in its life."""
        return self._state

    @property
    def failure(self) -> str:
        """Why the state is FAILED, with the cure, or an empty string."""
        return "" if self._failure is None else str(self._failure)

    @property
    def model(self) -> ModelInfo | None:
        """The loaded model, None while there is none."""
        return self._model

    @property
    def settings(self) -> ModelSettings:
        """What is loaded, or would be."""
        return self._settings

    @property
    def process_id(self) -> int | None:
        """The process id of the worker that holds the model, None while there is none."""
        return None if self._worker is None else self._worker.process_id

    def subscribe(self, callback: Callable[[EngineState], None]) -> Callable[[], None]:
        """Call ``callback`` with every new state; the returned function ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def ready(self) -> ModelInfo:
        """Load the model now if it is not; raises EngineError as ``predict`` does, StillLoading never."""
        while self._model is None:
            self._check_usable()
            if self._loading is None:
                self._begin_loading()
            else:
                await asyncio.wait({self._loading})
        return self._model

    async def predict(self, inputs: PredictionInputs, *, deadline_seconds: float) -> EngineAnswer:
        """Predict; cancelling the awaiting task aborts the decoding within milliseconds.

        ``deadline_seconds`` bounds the wait for the model and, counted anew, the prediction. One that
        reaches it is answered with ``StopReason.DEADLINE``; a worker that does not answer even then is
        ended. Raises ModelRefused, WorkerDied, StillLoading, DeadlineExceeded or, for a single request that
        cannot be served, EngineError itself.
        """
        while True:
            try:
                async with asyncio.timeout(deadline_seconds):
                    await self.ready()
            except TimeoutError:
                raise StillLoading("the model is still being loaded") from None
            async with self._turn:
                self._check_usable()
                if self._worker is not None:  # else it died while others had their turn
                    return await self._ask(self._worker, inputs, deadline_seconds)

    async def reload(self, settings: ModelSettings) -> None:
        """Load by other settings (or, after FAILED, try the same again); waits for a running prediction."""
        async with self._turn:
            if self._state is EngineState.CLOSED:
                return
            await self._end_worker()
            self._settings = settings
            self._restarts.forget()
            self._failure = None
            self._enter(EngineState.UNLOADED)
            self._begin_loading()

    async def unload(self) -> None:
        """Give the model's memory back; the next prediction loads it again."""
        async with self._turn:
            if self._state in (EngineState.LOADING, EngineState.READY):
                await self._end_worker()
                self._enter(EngineState.UNLOADED)

    async def close(self) -> None:
        """Abort what runs, unload the model and end the worker."""
        if self._state is EngineState.CLOSED:
            return
        self._enter(EngineState.CLOSED)
        if self._worker is not None:
            self._worker.flag.set(AbortCause.CANCELLED)
        async with self._turn:
            await self._end_worker()

    def _enter(self, state: EngineState) -> None:
        self._state = state
        for callback in tuple(self._subscribers):
            callback(state)

    def _check_usable(self) -> None:
        if self._state is EngineState.CLOSED:
            raise EngineError("the engine is closed")
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))

    # Asking

    async def _ask(self, worker: WorkerProcess, inputs: PredictionInputs, deadline_seconds: float) -> EngineAnswer:
        self._last_id += 1
        message = {
            "id": self._last_id,
            "op": "predict",
            "inputs": inputs.to_json(),
            "deadline_seconds": deadline_seconds,
        }
        reply = await exchange(worker, message, deadline_seconds=deadline_seconds, grace_seconds=self._grace_seconds)
        if reply["kind"] == ReplyKind.ANSWER:
            return EngineAnswer.from_json(reply["value"])
        raise EngineError(reply["value"])

    # Loading and dying

    def _begin_loading(self, pause_seconds: float = 0.0) -> None:
        self._enter(EngineState.LOADING)
        self._loading = asyncio.create_task(self._load(pause_seconds))

    async def _load(self, pause_seconds: float) -> None:
        """Start a worker and have it load; a death on the way is a reason to try again, a refusal is not."""
        worker = None
        try:
            if pause_seconds:
                await self._sleep(pause_seconds)
            worker = await WorkerProcess.start(self._command, self._log)
            reply = await worker.request({"id": 0, "op": "load", "settings": self._settings.to_json()})
            if reply["kind"] == ReplyKind.MODEL:
                self._adopt(worker, ModelInfo(**reply["value"]))
            else:
                refused = ModelRefused if reply["kind"] == ReplyKind.REFUSED else EngineError
                self._fail(refused(reply["value"]))
        except WorkerDied as death:
            self._loading = None
            self._restart(str(death))
        except OSError as error:
            self._fail(EngineError(f"the engine worker could not be started: {error}"))
        finally:
            if self._loading is asyncio.current_task():
                self._loading = None
            if worker is not None and worker is not self._worker:
                worker.kill()
                await worker.ended

    def _adopt(self, worker: WorkerProcess, model: ModelInfo) -> None:
        self._worker = worker
        self._model = model
        # Registered before any request waits for the end: the state is right when a request hears of it.
        worker.ended.add_done_callback(lambda ended: self._note_death(worker, ended.result()))
        self._enter(EngineState.READY)

    def _note_death(self, worker: WorkerProcess, how: str) -> None:
        if worker is self._worker:  # else it was ended on purpose
            self._worker = None
            self._model = None
            self._restart(how)

    def _restart(self, how: str) -> None:
        pause_seconds = self._restarts.record(self._clock())
        if pause_seconds is None:
            self._fail(
                WorkerDied(
                    f"{how}; that was death {self._policy.fatal_deaths} within"
                    f" {self._policy.window_seconds:g} s, so predictions are off until the model settings"
                    " change or foretype is restarted"
                )
            )
        else:
            self._begin_loading(pause_seconds)

    def _fail(self, failure: EngineError) -> None:
        self._failure = failure
        self._enter(EngineState.FAILED)

    async def _end_worker(self) -> None:
        """End loading or the loaded worker."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})
        worker, self._worker, self._model = self._worker, None, None
        if worker is not None:
            await worker.close()
