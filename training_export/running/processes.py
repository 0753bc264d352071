"""Processes that work beside this one and end when it does, also where it is killed.

Knows nothing of what they work on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any


def core_count() -> int:
    """How many processors there are for us."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worker_processes(
    count: int, begin: Callable[..., None], arguments: Sequence[Any], *, preload: str
) -> Iterator[ProcessPoolExecutor]:
    """``begin(*arguments, stop)`` is called once in each of them, and calls `end_when_told` with its ``stop``.

    ``preload`` is the module of ``begin``. Where the block is left by an exception, work in progress is broken off.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    stop_reader, stop_writer = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(count, context, begin, (*arguments, stop_reader))
    try:
        yield executor
    except BaseException:
        stop_writer.close()
        executor.shutdown(cancel_futures=True)
        raise
    else:
        executor.shutdown()
        stop_writer.close()
    finally:
        stop_reader.close()


def end_when_told(stop: Connection, end: Callable[[], None] = lambda: os._exit(1)) -> None:
    """Call ``end`` once ``stop`` closes, which it does when the first process wants that or is gone itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first of them decides
    threading.Thread(target=_wait, args=(stop, end), name="waits for the end", daemon=True).start()


def _wait(stop: Connection, end: Callable[[], None]) -> None:
    with suppress(EOFError, OSError):
        stop.recv()
    end()
