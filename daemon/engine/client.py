"""The engine as the hub sees it: loads lazily, answers one prediction at a time, survives its worker.

Whatever happens to a prediction (cancelled, too slow, worker killed), ``predict`` returns only when the
worker owes nothing any more: the next request finds a free engine, and an abort never reaches it. Knows
nothing of llama.cpp, prompts or LSP.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.engine.abort import AbortCause
from daemon.engine.api import EngineState
from daemon.engine.errors import EngineError, ModelRefused, StillLoading, WorkerDied
from daemon.engine.exchange import exchange
from daemon.engine.messages import (
    Completion,
    EngineAnswer,
    ModelInfo,
    ModelSettings,
    ReplyKind,
    SampleAnswer,
    SampleRequest,
)
from daemon.engine.process import WORKER_COMMAND, WorkerProcess
from daemon.engine.restarts import RestartPolicy, Restarts

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Sequence

    from capture.inputs import PredictionInputs
    from daemon.prompts.raw_prompt import RawPrompt

HARD_DEADLINE_GRACE_SECONDS = 2.0  # from the abort flag to the kill
# Loading that takes longer hangs: a share on a slow network gives a gigabyte in a minute, and the rest is enough for a
# GPU's driver that compiles its kernels the first time.
LOAD_SECONDS, LOAD_SECONDS_PER_GB = 120.0, 60.0


def load_limit_seconds(settings: ModelSettings) -> float:
    """How long a worker may take to start and load; by the size of the file, where that can be seen."""
    try:
        size_bytes = Path(settings.path).stat().st_size
    except OSError:
        size_bytes = 0  # the worker says what is wrong with it
    return LOAD_SECONDS + round(LOAD_SECONDS_PER_GB * size_bytes / 1e9)


class EngineClient:
    """An ``Engine`` in a worker process.

    ``log`` takes what the worker prints (no text of the user's); ``load_limit`` says after how many seconds loading
    is given up; ``prepare`` completes the settings each time a worker is started, in a thread of its own, and never
    raises; ``clock`` and ``sleep`` are for the restarts alone.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        log: logging.Logger,
        command: Sequence[str] = WORKER_COMMAND,
        restart_policy: RestartPolicy | None = None,
        hard_deadline_grace_seconds: float = HARD_DEADLINE_GRACE_SECONDS,
        load_limit: Callable[[ModelSettings], float] = load_limit_seconds,
        prepare: Callable[[ModelSettings], ModelSettings] = lambda settings: settings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._command = command
        self._policy = restart_policy or RestartPolicy()
        self._restarts = Restarts(self._policy)
        self._grace_seconds = hard_deadline_grace_seconds
        self._load_limit = load_limit
        self._prepare = prepare
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
        self._tokens_evaluated = 0
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
    def tokens_evaluated(self) -> int:
        """See ``Engine.tokens_evaluated``."""
        return self._tokens_evaluated

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

    async def predict(
        self,
        inputs: PredictionInputs,
        *,
        deadline_seconds: float,
        can_be_superseded: bool = True,
        least_confidence: float = 0.0,
    ) -> EngineAnswer:
        """Predict; cancelling the awaiting task aborts the decoding within milliseconds.

        ``deadline_seconds`` bounds the wait for the model and, counted anew, the prediction. One that
        reaches it is answered with ``StopReason.DEADLINE``; a worker that does not answer even then is
        ended. Raises ModelRefused, WorkerDied, StillLoading, DeadlineExceeded or, for a single request that
        cannot be served, EngineError itself.

        ``can_be_superseded`` false is for work that nothing will abort: the prompt is then read in the largest batches,
        which is faster. Batches of another size round otherwise (``docs/LOG.md``): where two tokens are nearly as
        probable, the answer may be another than the one a keystroke would get. ``least_confidence`` is explained at
        ``Engine.predict``.
        """
        message = {
            "op": "predict",
            "inputs": inputs.to_json(),
            "can_be_superseded": can_be_superseded,
            "least_confidence": least_confidence,
        }
        return EngineAnswer.from_json(await self._ask(message, ReplyKind.ANSWER, deadline_seconds))

    async def complete(self, prompt: RawPrompt, *, deadline_seconds: float) -> Completion:
        """What the model writes behind ``prompt``; deadline, cancelling and errors are as in ``predict``."""
        message = {"op": "complete", "prompt": asdict(prompt)}
        return Completion.from_json(await self._ask(message, ReplyKind.COMPLETION, deadline_seconds))

    async def sample(
        self,
        inputs: PredictionInputs,
        *,
        count: int,
        temperature: float,
        seed: int,
        deadline_seconds: float,
        top_p: float = 1.0,
    ) -> SampleAnswer:
        """Draw ``count`` answers to one prompt, which is read once: see ``SampleRequest`` for what the numbers mean.

        Deadline, cancelling and errors are as in ``predict``, but that the samples which had ended by the deadline are
        whole. Nothing supersedes samples: the prompt is read in large batches. Raises ValueError for
        numbers that make no sense.
        """
        request = SampleRequest(count=count, temperature=temperature, seed=seed, top_p=top_p)
        message = {"op": "sample", "inputs": inputs.to_json(), "request": request.to_json()}
        return SampleAnswer.from_json(await self._ask(message, ReplyKind.SAMPLES, deadline_seconds))

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

    async def _ask(self, message: dict[str, Any], wanted: ReplyKind, deadline_seconds: float) -> Any:
        """The value of the worker's reply, once there is a worker and it is its turn."""
        while True:
            try:
                async with asyncio.timeout(deadline_seconds):
                    await self.ready()
            except TimeoutError:
                raise StillLoading("the model is still being loaded") from None
            async with self._turn:
                self._check_usable()
                if self._worker is not None:  # else it died while others had their turn
                    return await self._exchange(self._worker, message, wanted, deadline_seconds)

    async def _exchange(
        self, worker: WorkerProcess, message: dict[str, Any], wanted: ReplyKind, deadline_seconds: float
    ) -> Any:
        self._last_id += 1
        reply = await exchange(
            worker,
            {"id": self._last_id, "deadline_seconds": deadline_seconds, **message},
            deadline_seconds=deadline_seconds,
            grace_seconds=self._grace_seconds,
            on_reply=self._count_tokens,
        )
        if reply["kind"] == wanted:
            return reply["value"]
        raise EngineError(reply["value"])

    def _count_tokens(self, reply: dict[str, Any]) -> None:
        if reply["kind"] in (ReplyKind.ANSWER, ReplyKind.COMPLETION):
            self._tokens_evaluated += reply["value"]["counters"]["tokens_evaluated"]

    # Loading and dying

    def _begin_loading(self, pause_seconds: float = 0.0) -> None:
        self._enter(EngineState.LOADING)
        self._loading = asyncio.create_task(self._load(pause_seconds))

    async def _load(self, pause_seconds: float) -> None:
        """Start a worker and have it load; a death on the way is a reason to try again, a refusal or a hang is not."""
        worker = None
        limit_seconds = self._load_limit(self._settings)
        try:
            if pause_seconds:
                await self._sleep(pause_seconds)
            settings = await asyncio.wait_for(asyncio.to_thread(self._prepare, self._settings), limit_seconds)
            worker = await WorkerProcess.start(self._command, self._log)
            async with asyncio.timeout(limit_seconds):
                reply = await worker.request({"id": 0, "op": "load", "settings": settings.to_json()})
            if reply["kind"] == ReplyKind.MODEL:
                self._adopt(worker, ModelInfo(**reply["value"]))
            else:
                refused = ModelRefused if reply["kind"] == ReplyKind.REFUSED else EngineError
                self._fail(refused(reply["value"]))
        except WorkerDied as death:
            self._loading = None
            self._restart(str(death))
        except TimeoutError:
            self._fail(
                EngineError(
                    f"{self._settings.path} was not loaded within {limit_seconds:g} s and was given up:"
                    " a drive that does not answer, or too little memory; move the file to a local drive or choose a"
                    " smaller model with `foretype model use`. Predictions are off until the model settings change or"
                    " foretype is restarted"
                )
            )
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
