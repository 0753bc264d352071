"""One worker: an opened stage and what is known, as they are used in this process or in one of a pool's.

In a pool's process it ends when it is told to, or when the process that started it is gone, and closes the stage before
that: an orphan would work on what others do again. Knows nothing of order and outputs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from daemon.engine.errors import EngineError
from daemon.errors import ForetypeError
from training_export.errors import RunInterrupted, StageBroken
from training_export.example import Example
from training_export.running.processes import end_when_told
from training_export.running.results import Reader
from training_export.running.work import Chunk, ChunkDone, Keep, Worker
from training_export.stage import Findings, Stage, Work

CLOSING_SECONDS: Final = 5.0  # to a stage that is told to end; then its process ends without


@dataclass(frozen=True, slots=True)
class Job:
    """A stage, where findings of earlier runs are (None: nowhere), and which of what is known does not count."""

    stage: Stage
    results_path: Path | None = None
    is_fresh: bool = False
    retries_failed: bool = False


@contextmanager
def opened(job: Job, keep: Keep | None = None) -> Iterator[Worker]:
    """A worker for this thread, whose stage is opened with the first example that is not known."""
    with _LateWork(job.stage) as find, sharing(job, find, keep) as worker:
        yield worker


@contextmanager
def sharing(job: Job, find: Work, keep: Keep | None = None) -> Iterator[Worker]:
    """A worker for this thread, with a stage that others have opened."""
    with ExitStack() as stack:
        known = None
        if job.results_path is not None:
            known = Reader(job.results_path)
            stack.callback(known.close)
        yield Worker(job.stage, find, known, keep=keep, is_fresh=job.is_fresh, retries_failed=job.retries_failed)


class _LateWork(AbstractContextManager["_LateWork"]):
    """A stage's function: a model is not loaded, and a service not signed in to, where all is known."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stack = ExitStack()
        self._find: Work | None = None

    def __call__(self, example: Example) -> Findings:
        if self._find is None:
            self._find = self._stack.enter_context(self._stage.opened())
        return self._find(example)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


@dataclass(frozen=True, slots=True)
class Broken:
    """What a stage raised, in a form that always reaches the other process: not every exception can be pickled."""

    message: str
    exit_code: int | None
    details: str = ""

    def error(self) -> ForetypeError:
        """For the person: the stage's own words where they name the cure, else the whole trace."""
        error = StageBroken(self.message + self.details)
        if self.exit_code is not None:
            error.exit_code = self.exit_code
        return error


class _Stopped(BaseException):
    """The process is to end, whatever it does."""


class _Process:
    """What this process holds."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._stack = ExitStack()
        self._worker: Worker | None = None
        self.is_working = False
        self.is_told_to_end = False
        # Run at the end of a process of multiprocessing, where atexit is not.
        Finalize(None, self.close, exitpriority=1)

    def work(self, chunk: Chunk) -> ChunkDone:
        """Raises _Stopped as soon as the process is told to end."""
        try:
            self.is_working = True
            if self.is_told_to_end:
                raise _Stopped
            if self._worker is None:
                self._worker = self._stack.enter_context(opened(self._job))
            return self._worker.work(chunk)
        finally:
            self.is_working = False

    def close(self) -> None:
        self._stack.close()


_process: _Process | None = None


def begin(job: Job, stop: Connection) -> None:
    """Called once in each process of a pool; ``stop`` closes when it is to end."""
    global _process  # noqa: PLW0603 (a pool gives its initializer and its functions nothing else in common)
    signal.signal(signal.SIGTERM, _stop)
    _process = _Process(job)
    end_when_told(stop, _end_soon)


def work(chunk: Chunk) -> ChunkDone | Broken:
    """Called in a process of a pool."""
    if _process is None:
        raise RuntimeError("begin() comes first")
    try:
        return attempt(_process.work, chunk)
    except _Stopped:
        _end(_process)
        return Broken("a worker process was told to end", RunInterrupted.exit_code)


def attempt(work: Callable[[Chunk], ChunkDone], chunk: Chunk) -> ChunkDone | Broken:
    """What comes of a chunk, or what was raised."""
    try:
        return work(chunk)
    except (ForetypeError, EngineError) as error:
        return Broken(str(error), getattr(error, "exit_code", 1))
    except Exception as error:  # noqa: BLE001 (it goes to the other process with its trace)
        return Broken(f"{type(error).__name__}: {error}", None, f"\n{''.join(traceback.format_exception(error))}")


def _stop(_signal: int, _frame: Any) -> None:
    """Breaks the work off. Where there is none, nothing is: the process may be handing over what it has found."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if _process is None:
        return
    _process.is_told_to_end = True
    if _process.is_working:
        raise _Stopped
    _end(_process)


def _end(process: _Process) -> None:
    """Close the stage. The pool ends the process then; where it is gone, the process ends itself."""
    process.close()
    pool = multiprocessing.parent_process()
    if pool is None or not pool.is_alive():
        os._exit(1)


def _end_soon() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(CLOSING_SECONDS)
    os._exit(1)
