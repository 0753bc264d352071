"""Who works on chunks: the caller, several threads, or several processes; each as its stage says.

A pool takes a chunk and promises what comes of it; by then its findings were handed on to be kept, one by one where the
work is done in this process: a line may cost a teacher's answer. Whoever waits for that may be interrupted at any
moment: leaving a pool by an exception ends its threads and processes at once. Knows nothing of order and files.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from training_export.errors import StageBroken
from training_export.running import process_worker
from training_export.running.process_worker import Job
from training_export.running.processes import core_count, worker_processes
from training_export.running.work import Chunk, ChunkDone, Keep, Worker
from training_export.stage import Concurrency, Stage, Work

THREADS: Final = 16  # where nobody says how many; they wait for others
Submit = Callable[[Chunk], "Future[ChunkDone]"]
_Tasks = queue.SimpleQueue["tuple[Chunk, Future[ChunkDone]] | None"]


def worker_count(stage: Stage, asked: int) -> int:
    """How many work side by side where ``asked`` (0: nobody asked) is the user's wish."""
    if stage.concurrency is Concurrency.ALONE:
        return 1
    if asked:
        return asked
    if stage.concurrency is Concurrency.THREADS:
        return THREADS
    return core_count()


@contextmanager
def pool(job: Job, workers: int, keep: Keep) -> Iterator[Submit]:
    """The pool for a stage, open while the block runs; ``keep`` is called from several threads."""
    if job.stage.concurrency is Concurrency.PROCESSES and workers > 1:
        with _processes(job, workers, keep) as submit:
            yield submit
    elif job.stage.concurrency is Concurrency.THREADS and workers > 1:
        with _threads(job, workers, keep) as submit:
            yield submit
    else:
        with _caller(job, keep) as submit:
            yield submit


@contextmanager
def _caller(job: Job, keep: Keep) -> Iterator[Submit]:
    with process_worker.opened(job, keep) as worker:

        def submit(chunk: Chunk) -> Future[ChunkDone]:
            done: Future[ChunkDone] = Future()
            done.set_result(worker.work(chunk))
            return done

        yield submit


@contextmanager
def _threads(job: Job, workers: int, keep: Keep) -> Iterator[Submit]:
    """Threads that nobody waits for when the work is broken off: they may be waiting for a service themselves."""
    waiting: _Tasks = queue.SimpleQueue()
    with job.stage.opened() as find:
        threads = [
            threading.Thread(target=_work, args=(job, find, waiting, keep), name=f"worker {number}", daemon=True)
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()

        def submit(chunk: Chunk) -> Future[ChunkDone]:
            promise: Future[ChunkDone] = Future()
            waiting.put((chunk, promise))
            return promise

        try:
            yield submit
        except BaseException:
            with suppress(queue.Empty):
                while True:
                    waiting.get_nowait()
            raise
        finally:
            for _ in threads:
                waiting.put(None)
        for thread in threads:
            thread.join()


def _work(job: Job, find: Work, waiting: _Tasks, keep: Keep) -> None:
    """What each thread does."""
    with ExitStack() as stack:
        worker: Worker | None = None
        while (task := waiting.get()) is not None:
            chunk, promise = task
            try:
                worker = worker or stack.enter_context(process_worker.sharing(job, find, keep))
                promise.set_result(worker.work(chunk))
            except Exception as error:  # noqa: BLE001 (it is raised again where the result is waited for)
                promise.set_exception(error)


@contextmanager
def _processes(job: Job, workers: int, keep: Keep) -> Iterator[Submit]:
    arguments, preload = (job,), process_worker.__name__
    with worker_processes(workers, process_worker.begin, arguments, preload=preload) as executor:

        def submit(chunk: Chunk) -> Future[ChunkDone]:
            promise: Future[ChunkDone] = Future()
            try:
                found = executor.submit(process_worker.work, chunk)
            except BrokenProcessPool as error:
                raise StageBroken(_killed(chunk)) from error
            found.add_done_callback(lambda found: _hand_on(found, promise, chunk, keep))
            return promise

        yield submit


def _hand_on(
    found: Future[ChunkDone | process_worker.Broken], promise: Future[ChunkDone], chunk: Chunk, keep: Keep
) -> None:
    if found.cancelled():
        promise.cancel()
        return
    error = found.exception()
    if isinstance(error, BrokenProcessPool):
        promise.set_exception(StageBroken(_killed(chunk)))
    elif error is not None:
        promise.set_exception(error)
    else:
        result = found.result()
        if isinstance(result, ChunkDone):
            keep(result.findings)
            promise.set_result(result)
        else:
            promise.set_exception(result.error())


def _killed(chunk: Chunk) -> str:
    first = chunk.lines[0]
    return (
        f"a worker process was killed, perhaps for lack of memory, around {first.source}:{first.line}; "
        "what was finished is kept: run the same command again, with fewer --workers if it was memory"
    )
