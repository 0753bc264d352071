"""Runs a stage on this machine: chunks of lines out to the workers, what comes of them back in order.

What is in flight is bounded in lines and bytes, so memory stays flat however slow the first line is. Knows nothing of
where lines come from and go to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final

from training_export.example_format.files import Raw, Rejected
from training_export.running.pools import pool
from training_export.running.process_worker import Job
from training_export.running.work import Chunk, ChunkDone, Done, Keep

# Long enough that handing over costs little, short enough that what a kill costs does not matter.
CHUNK_SECONDS: Final = 0.05
MAX_CHUNK_LINES: Final = 64
MAX_KNOWN_LINES: Final = 8
MAX_CHUNK_BYTES: Final = 1 << 20
WINDOW_CHUNKS_PER_WORKER: Final = 64
WINDOW_BYTES: Final = 64 << 20


def run_local(
    job: Job, lines: Iterable[Raw | Rejected], read_bytes: Callable[[], int], workers: int, keep: Keep
) -> Generator[ChunkDone]:
    """What comes of the lines, in their order; findings are handed to ``keep`` as they come, in any order.

    ``keep`` is called from several threads. Raises what the stage raises, and StageBroken.
    """
    size = _ChunkSize()
    chunks = _Chunks(lines, read_bytes, size)
    flight: deque[tuple[Chunk, Future[ChunkDone]]] = deque()
    flight_bytes = 0
    finished: SimpleQueue[Future[ChunkDone]] = SimpleQueue()

    def finish(promise: Future[ChunkDone]) -> None:
        if not promise.cancelled() and promise.exception() is None:
            size.learn(promise.result())
        finished.put(promise)

    with pool(job, workers, keep) as submit:
        while True:
            while len(flight) < workers * WINDOW_CHUNKS_PER_WORKER and flight_bytes < WINDOW_BYTES:
                chunk = chunks.next()
                if chunk is None:
                    break
                promise = submit(chunk)
                promise.add_done_callback(finish)
                flight.append((chunk, promise))
                flight_bytes += _length_bytes(chunk)
                if flight[0][1].done():
                    break
            if not flight:
                return
            while not (flight[0][1].done() and finished.empty()):
                finished.get().result()  # one that has failed ends the run, whether or not it is its turn
            while flight and flight[0][1].done():
                chunk, promise = flight.popleft()
                flight_bytes -= _length_bytes(chunk)
                yield promise.result()


class _ChunkSize:
    """How many lines travel together: one at first, more where a line takes little time.

    Lines whose findings are known say nothing of those that come behind them, so few travel together.
    """

    def __init__(self) -> None:
        self.lines = 1

    def learn(self, done: ChunkDone) -> None:
        """Called from several threads, which may undo each other's step: it is a guess all the same."""
        worked_on = sum(not (isinstance(outcome, Done) and outcome.is_reused) for outcome in done.outcomes)
        most = MAX_CHUNK_LINES if worked_on else MAX_KNOWN_LINES
        per_line = done.seconds / max(1, worked_on)
        fitting = int(CHUNK_SECONDS / per_line) if per_line else most
        self.lines = max(1, min(fitting, self.lines * 2, most))


class _Chunks:
    """Lines put together."""

    def __init__(self, lines: Iterable[Raw | Rejected], read_bytes: Callable[[], int], size: _ChunkSize) -> None:
        self._lines = iter(lines)
        self._read_bytes = read_bytes
        self._size = size

    def next(self) -> Chunk | None:
        """The next chunk; None at the end."""
        taken: list[Raw | Rejected] = []
        length_bytes = 0
        while len(taken) < self._size.lines and length_bytes < MAX_CHUNK_BYTES:
            line = next(self._lines, None)
            if line is None:
                break
            taken.append(line)
            length_bytes += len(line.data) if isinstance(line, Raw) else 0
        return Chunk(tuple(taken), self._read_bytes()) if taken else None


def _length_bytes(chunk: Chunk) -> int:
    return sum(len(line.data) for line in chunk.lines if isinstance(line, Raw))
