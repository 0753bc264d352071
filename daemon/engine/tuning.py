"""Measures what passes cost in different ways to run a model. Lives in a worker process of its own.

Knows models, contexts and clocks; nothing of which way is the best (``daemon/tuning/choice.py``) and nothing of files
but the model's.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.engine import guard
from daemon.engine.errors import ModelRefused
from daemon.engine.llama import Context, DecodeStatus, LlamaError, Model, system_info
from daemon.engine.loaded import context_sizes, probe
from daemon.engine.ways import LARGEST_READ_BATCH_TOKENS, FlashAttention, KvType, Measured, Opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.engine.abort import AbortFlag
    from daemon.engine.llama import Log
    from daemon.engine.loaded import ChooseFormat
    from daemon.engine.messages import ModelSettings
    from daemon.engine.ways import MeasureRequest, Way

ROUNDS = 11  # of everything; medians of more change little
DEPTH_TOKENS = 512  # of prompt before what is measured: attention looks at all of it
DEPTH_SHARE = 0.1  # of a request's seconds, for reading that prompt the first time; a slow model gets a shorter one
FILLING_TOKENS = 32  # of that prompt in one pass
PROCESSOR_PASS_TOKENS = 128  # larger ones save a processor nothing
PAUSE_SECONDS = 0.06  # before a keystroke; typists leave more, but caches are cold and threads asleep after less
LEAST_CONTEXT_TOKENS = 128  # a smaller context leaves nothing to choose

Kernels = tuple[FlashAttention, KvType]  # what a context is made for; threads it takes as they come


class Tuner:
    """One loaded model, and a context for each way that is asked about."""

    def __init__(self, model: Model, log: Log, abort: AbortFlag, opened: Opened, *, is_on_processor: bool) -> None:
        self.opened = opened
        self._model = model
        self._log = log
        self._abort = abort
        self._is_on_processor = is_on_processor
        facts = model.facts()
        self._context_tokens = context_sizes(facts)[0]
        self._vocabulary_tokens = facts.vocabulary_tokens
        self._largest_pass_tokens = PROCESSOR_PASS_TOKENS if is_on_processor else LARGEST_READ_BATCH_TOKENS
        self._depth_tokens: int | None = None  # the same for all ways, found out with the first
        self._benches: dict[Kernels, _Bench | str] = {}  # kept for later requests: a prompt takes long to read

    @classmethod
    def open(cls, settings: ModelSettings, choose_format: ChooseFormat, log: Log, abort: AbortFlag) -> Tuner:
        """Load the model; raises ModelRefused, or whatever ``choose_format`` refuses with."""
        path = Path(settings.path)
        guard.check_file(path)
        try:
            facts = probe(settings.path, log)
            choose_format(settings.prompt_format, facts.metadata, path.name)  # else nobody could use it
            context_tokens, cells = context_sizes(facts)
            if context_tokens < LEAST_CONTEXT_TOKENS:
                raise ModelRefused(f"{path} has a context of {context_tokens} tokens: too few for a choice to matter")
            fitting = tuple(KvType)
            if settings.gpu_layers == 0:
                fitting = _fitting(path, facts.metadata, cells)
            model = Model.load(settings.path, log, gpu_layers=settings.gpu_layers)
        except LlamaError as error:
            raise ModelRefused(f"llama.cpp cannot run {path}: {error}; choose another model") from None
        opened = Opened(system_info(settings.gpu_layers), fitting)
        return cls(model, log, abort, opened, is_on_processor=settings.gpu_layers == 0)

    def measure(self, request: MeasureRequest) -> list[Measured]:
        """What was measured of each way, in the order asked for; an abort ends it like the end of its time.

        The ways take turns, so that whatever else the machine does disturbs all of them. Raises ModelRefused for a
        model that cannot be evaluated.
        """
        ends = time.perf_counter() + request.seconds
        taken = [_Taken() for _ in request.ways]
        try:
            for way in request.ways:
                self._bench(way, request.seconds, ends)
            for _ in range(ROUNDS):
                for way, samples in zip(request.ways, taken, strict=True):
                    bench = self._benches[_kernels(way)]
                    if isinstance(bench, _Bench):
                        bench.go_round(way.threads, request, samples, ends)
        except _OutOfTimeError:
            pass
        except LlamaError as error:
            raise ModelRefused(f"llama.cpp cannot run this model: {error}; choose another model") from None
        return [self._result(way, samples) for way, samples in zip(request.ways, taken, strict=True)]

    def close(self) -> None:
        """Free the model and everything that was made from it."""
        for bench in self._benches.values():
            if isinstance(bench, _Bench):
                bench.context.close()
        self._benches.clear()
        self._model.close()

    def _bench(self, way: Way, seconds: float, ends: float) -> None:
        """See to it that there is a context for ``way`` that holds a prompt, or the reason why there is none."""
        kernels = _kernels(way)
        if kernels in self._benches:
            return
        most = min(DEPTH_TOKENS, self._context_tokens // 2) if self._depth_tokens is None else self._depth_tokens
        room = min(self._largest_pass_tokens, self._context_tokens - most)
        try:
            context = Context(
                self._model,
                self._log,
                context_tokens=most + room,
                batch_tokens=room,
                threads=way.threads,
                abort=self._abort,
                flash_attention=way.flash_attention,
                kv_type=way.kv_type,
            )
        except LlamaError as refusal:
            self._benches[kernels] = str(refusal)
            return
        bench = _Bench(
            context,
            self._vocabulary_tokens,
            room,
            can_forget=self._model.can_forget,
            is_on_processor=self._is_on_processor,
        )
        until = ends if self._depth_tokens is not None else time.perf_counter() + seconds * DEPTH_SHARE
        try:
            bench.fill(most, until, ends)
        except (_OutOfTimeError, LlamaError):
            context.close()
            raise
        self._depth_tokens = bench.depth_tokens
        self._benches[kernels] = bench

    def _result(self, way: Way, samples: _Taken) -> Measured:
        bench = self._benches.get(_kernels(way))
        if not isinstance(bench, _Bench):
            return Measured(way, refused=bench or "")
        return Measured(
            way,
            samples.rounds,
            bench.depth_tokens,
            statistics.median(samples.keystroke_seconds) if samples.keystroke_seconds else 0.0,
            pass_seconds=_medians(samples.pass_seconds),
            read_seconds=_medians(samples.read_seconds),
            gap_seconds=_medians(samples.gap_seconds),
            processor_share=samples.processor_share() if self._is_on_processor else 1.0,
        )


class _OutOfTimeError(Exception):
    """The time is up, or the hub raised the abort flag."""


Samples = defaultdict[int, list[float]]  # seconds, by tokens of the pass


@dataclass(slots=True)
class _Taken:
    """What was measured of one way; the last round may be cut short."""

    rounds: int = 0
    keystroke_seconds: list[float] = field(default_factory=list)
    pass_seconds: Samples = field(default_factory=lambda: defaultdict(list))
    read_seconds: Samples = field(default_factory=lambda: defaultdict(list))
    gap_seconds: Samples = field(default_factory=lambda: defaultdict(list))
    elapsed_seconds: float = 0.0
    processor_seconds: float = 0.0

    def processor_share(self) -> float:
        return min(1.0, self.processor_seconds / self.elapsed_seconds) if self.elapsed_seconds else 1.0


class _Bench:
    """One context with a prompt of ``depth_tokens`` in it, behind which passes are timed and forgotten.

    With one thread it is its processor time that counts, which other programs do not stretch. Several threads wait for
    one another, and a device is waited for: that is part of what a pass costs, so then it is real time.
    """

    def __init__(
        self,
        context: Context,
        vocabulary_tokens: int,
        room_tokens: int,
        *,
        can_forget: bool,
        is_on_processor: bool,
    ) -> None:
        self.context = context
        self.depth_tokens = 0
        self._can_forget = can_forget
        self._is_on_processor = is_on_processor
        self._clock = time.perf_counter
        self._room_tokens = room_tokens
        self._ends = math.inf
        choose = random.Random(0)  # noqa: S311  any tokens do, but experts are chosen by token: not all the same
        self._tokens = [choose.randrange(vocabulary_tokens) for _ in range(context.batch_tokens)]

    def fill(self, most_tokens: int, until: float, ends: float) -> None:
        """Read a prompt of ``most_tokens``, or of as many as can be read ``until`` then (at least one pass's).

        A memory that cannot forget a part holds none: it is of one size, and passes cost the same at any depth. Raises
        _OutOfTimeError when it ``ends`` first.
        """
        self._ends = ends
        while self.depth_tokens + FILLING_TOKENS <= most_tokens:
            self._decode(FILLING_TOKENS, logits=1)
            self.context.logits()  # a model without any says so here
            if not self._can_forget:
                self._forget()
                return
            self.depth_tokens += FILLING_TOKENS
            if time.perf_counter() > until:
                return

    def go_round(self, threads: int, request: MeasureRequest, taken: _Taken, ends: float) -> None:
        """Measure everything once, a keystroke and small passes first: where time runs out, they show most.

        Raises _OutOfTimeError.
        """
        self._ends = ends
        self.context.use_threads(threads)
        self._clock = time.thread_time if threads == 1 and self._is_on_processor else time.perf_counter
        self._decode(1, logits=1)  # threads come and go here, which is no pass's fault
        self._forget()
        if request.keystroke_tokens and sum(request.keystroke_tokens) <= self._room_tokens:
            taken.keystroke_seconds.append(self._keystroke(taken, request.keystroke_tokens))
        for tokens in sorted({*request.pass_tokens, *request.read_tokens, *request.gap_tokens}):
            if tokens > self._room_tokens:
                break
            if tokens in request.pass_tokens:
                taken.pass_seconds[tokens].append(self._timed(taken, tokens, logits=tokens))
            if tokens in request.read_tokens:
                taken.read_seconds[tokens].append(self._timed(taken, tokens, logits=0))
            if tokens in request.gap_tokens:
                taken.gap_seconds[tokens].append(self._longest_gap(tokens))
        taken.rounds += 1

    def _keystroke(self, taken: _Taken, passes: tuple[int, ...]) -> float:
        time.sleep(min(PAUSE_SECONDS, max(0.0, self._ends - time.perf_counter())))
        try:
            with self._timing(taken) as seconds:
                start = self.depth_tokens
                for tokens in passes:
                    self._decode(tokens, logits=tokens, start=start)
                    start += tokens
        finally:
            self._forget()  # also where time runs out between two passes: a later request goes on behind the prompt
        return seconds[0]

    def _timed(self, taken: _Taken, tokens: int, *, logits: int) -> float:
        with self._timing(taken) as seconds:
            self._decode(tokens, logits=logits)
        self._forget()
        return seconds[0]

    @contextmanager
    def _timing(self, taken: _Taken) -> Iterator[list[float]]:
        """The list holds the seconds that the block took once it is done."""
        seconds: list[float] = []
        started, elapsed_from, processor_from = self._clock(), time.perf_counter(), time.thread_time()
        yield seconds
        seconds.append(self._clock() - started)
        taken.processor_seconds += time.thread_time() - processor_from
        taken.elapsed_seconds += time.perf_counter() - elapsed_from

    def _longest_gap(self, tokens: int) -> float:
        with self.context.noting_checks(self._clock) as looks:
            started = self._clock()
            self._decode(tokens, logits=0)
            ended = self._clock()
        self._forget()
        moments = [started, *looks, ended]
        return max(later - earlier for earlier, later in pairwise(moments))

    def _decode(self, tokens: int, *, logits: int, start: int | None = None) -> None:
        """One pass, behind the prompt unless ``start`` says where; raises _OutOfTimeError."""
        if time.perf_counter() > self._ends:
            raise _OutOfTimeError
        status = self.context.decode(
            self._tokens[:tokens], self.depth_tokens if start is None else start, logits=logits
        )
        self.context.finish()
        if status is DecodeStatus.ABORTED:
            self._forget()
            raise _OutOfTimeError

    def _forget(self) -> None:
        """Back to the prompt alone."""
        if self._can_forget:
            self.context.keep(self.depth_tokens)
        else:
            self.context.clear()


def _kernels(way: Way) -> Kernels:
    return way.flash_attention, way.kv_type


def _medians(samples: Samples) -> dict[int, float]:
    return {tokens: statistics.median(seconds) for tokens, seconds in samples.items() if seconds}


def _fitting(path: Path, metadata: dict[str, str], cells: int) -> tuple[KvType, ...]:
    """The KV types for which there is memory; raises ModelRefused when there is none."""
    size_bytes, available = path.stat().st_size, guard.available_bytes()
    needed = {kv_type: guard.needed_bytes(size_bytes, metadata, cells, kv_type) for kv_type in KvType}
    guard.check_memory(path, min(needed.values()), available)
    return tuple(kv_type for kv_type in KvType if needed[kv_type] <= available)
