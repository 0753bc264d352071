"""Finds the way in which a model runs best here: asks a worker to measure, one choice after the other.

Threads first, then attention kernels, then the batch in which prompts are read: each with the best of those before it.
The grid of all of them would take many times as long and find nothing else. The worker is one of its own and ends
with the measuring, however that ends; nothing is written here. Knows nothing of llama.cpp and of where results are
kept.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from daemon.engine.errors import EngineError, ModelRefused
from daemon.engine.exchange import exchange
from daemon.engine.messages import ReplyKind
from daemon.engine.process import WORKER_COMMAND, WorkerProcess
from daemon.engine.ways import (
    FlashAttention,
    KvType,
    Measured,
    MeasureRequest,
    Opened,
    Tuning,
    Way,
    default_threads,
)
from daemon.errors import TuningFailed
from daemon.tuning import choice

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.engine.messages import ModelSettings

    Measure = Callable[[MeasureRequest], Awaitable[list[Measured]]]
    Step = Callable[[str], None]

GRACE_SECONDS = 2.0  # for a pass to end once its time is up; the worker is killed then
THREADS_SHARE, KERNELS_SHARE = 0.3, 0.45  # of the seconds; what one choice leaves over the next ones may use
BUSY_BELOW = 0.8  # of the time that measuring took, the share that it had a core


@dataclass(frozen=True, slots=True)
class Found:
    """The way that was chosen, everything that was measured in its order, and what a person should know about it."""

    tuning: Tuning
    measured: tuple[Measured, ...]
    notes: tuple[str, ...]


async def tune(
    settings: ModelSettings,
    cores: int,
    *,
    seconds: float,
    kv_type: KvType | None = None,
    log: logging.Logger,
    step: Step = lambda _what: None,
    command: Sequence[str] = WORKER_COMMAND,
) -> Found:
    """Load the model in a worker, and measure for at most ``seconds`` once it is loaded.

    ``kv_type`` is the one to use, else the best for which there is memory. ``step`` is told what is being done. Raises
    ModelRefused, another EngineError when the worker dies, and TuningFailed when the time is too short for anything.
    """
    try:
        worker = await WorkerProcess.start(command, log)
    except OSError as error:
        raise EngineError(f"the engine worker could not be started: {error}") from None
    try:
        reply = await worker.request({"id": 0, "op": "open", "settings": settings.to_json()})
        opened = Opened.from_json(_value(reply, ReplyKind.OPENED))

        async def measure(request: MeasureRequest) -> list[Measured]:
            message = {"id": 0, "op": "measure", "what": asdict(request)}
            reply = await exchange(
                worker, message, deadline_seconds=max(0.0, request.seconds), grace_seconds=GRACE_SECONDS
            )
            return [Measured.from_json(one) for one in _value(reply, ReplyKind.MEASURED)]

        search = Search(measure, opened, settings, cores, seconds, step)
        return await search.run(kv_type)
    finally:
        await worker.close()


class Search:
    """One way after the other, until the time is up."""

    def __init__(
        self,
        measure: Measure,
        opened: Opened,
        settings: ModelSettings,
        cores: int,
        seconds: float,
        step: Step,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._measure = measure
        self._opened = opened
        self._settings = settings
        self._cores = cores
        self._seconds = seconds
        self._step = step
        self._clock = clock
        self._ends = clock() + seconds
        self._measured: list[Measured] = []
        self._notes: list[str] = []

    async def run(self, asked_for: KvType | None = None) -> Found:
        """Choose everything; raises TuningFailed where not even one number of threads could be measured."""
        way = await self._threads(self._kv_type(asked_for))
        way = await self._kernels(way)
        read_batch = await self._read_batch(way)
        if self._settings.threads:
            self._notes.append(
                f"`threads = {self._settings.threads}` in the settings: all was measured with that; without it, the"
                " number of threads is measured, too"
            )
        self._note_what_disturbed()
        tuning = Tuning(
            threads=way.threads,
            flash_attention=way.flash_attention,
            kv_type=way.kv_type,
            read_batch_tokens=read_batch,
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
            system_info=self._opened.system_info,
            threads_were_set=bool(self._settings.threads),
        )
        return Found(tuning, tuple(self._measured), tuple(self._notes))

    def _kv_type(self, asked_for: KvType | None) -> KvType:
        best = self._opened.fitting[0]
        if asked_for is None and best is not KvType.F16:
            self._notes.append(f"a cache of {KvType.F16} does not fit into the memory that is free, so it is {best}")
        if asked_for is not None and asked_for not in self._opened.fitting:
            raise ModelRefused(f"there is not enough free memory for a cache of {asked_for}; try --kv-type {best}")
        return asked_for or best

    async def _threads(self, kv_type: KvType) -> Way:
        if self._settings.threads:
            counts = [self._settings.threads]
            self._step(f"measuring with `threads = {counts[0]}`, as the settings say")
        else:
            counts = choice.thread_counts(self._cores, default_threads())
            self._step(f"measuring with {_listed(counts)} threads")
        ways = [Way(count, kv_type=kv_type) for count in counts]
        measured = await self._compare(ways, self._seconds * THREADS_SHARE)
        if not any(one.rounds for one in measured):
            refusals = [one.refused for one in measured if one.refused]
            if refusals:
                raise ModelRefused(f"llama.cpp cannot run {self._settings.path} with a {kv_type} cache: {refusals[0]}")
            raise TuningFailed(
                f"{self._seconds:g} s are too few to measure this model once; nothing was changed;"
                f" give it more: foretype model tune --seconds {4 * self._seconds:g}"
            )
        return choice.choose_threads(measured)

    async def _kernels(self, way: Way) -> Way:
        self._step(f"measuring attention kernels and cache types with {way.threads} threads")
        kernels = [(flash, way.kv_type) for flash in (FlashAttention.AUTO, FlashAttention.OFF, FlashAttention.ON)]
        kernels += [(FlashAttention.AUTO, other) for other in self._opened.fitting if other is not way.kv_type]
        measured = await self._compare([Way(way.threads, *kernel) for kernel in kernels], self._seconds * KERNELS_SHARE)
        return choice.choose_kernels(way, measured)

    async def _compare(self, ways: list[Way], seconds: float) -> list[Measured]:
        request = MeasureRequest(
            ways=tuple(ways),
            seconds=min(seconds, self._left_seconds()),
            pass_tokens=tuple(sorted(choice.COMPARED_PASSES)),
            read_tokens=choice.COMPARED_READ_BATCHES,
            keystroke_tokens=choice.KEYSTROKE_TOKENS,
        )
        measured = await self._measure(request)
        self._measured += measured
        return measured

    async def _read_batch(self, way: Way) -> int:
        batches = choice.READ_BATCHES if self._settings.gpu_layers == 0 else choice.GPU_READ_BATCHES
        self._step(f"measuring batches of {_listed(batches)} tokens")
        request = MeasureRequest((way,), self._left_seconds(), choice.PASS_TOKENS, batches, batches)
        measured = await self._measure(request)
        self._measured += measured
        return choice.choose_read_batch(measured[0])

    def _left_seconds(self) -> float:
        return max(0.0, self._ends - self._clock())

    def _note_what_disturbed(self) -> None:
        missing = sum(not one.rounds and not one.refused for one in self._measured)
        if missing:
            self._notes.append(
                f"{self._seconds:g} s were too few for {missing} of {len(self._measured)} rows; for these nothing was"
                " changed. `--seconds` takes more"
            )
        single = [one.processor_share for one in self._measured if one.rounds and one.way.threads == 1]
        if single and min(single) < BUSY_BELOW:
            self._notes.append(
                f"other programs took up to {1 - min(single):.0%} of the time meanwhile, which makes several threads"
                " look slower than they are; measure again when the machine is idle"
            )


def _value(reply: dict[str, Any], kind: ReplyKind) -> Any:
    if reply["kind"] == kind:
        return reply["value"]
    raise (ModelRefused if reply["kind"] == ReplyKind.REFUSED else EngineError)(reply["value"])


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
