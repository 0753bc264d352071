"""Keeps the threads that help with a pass off the core of the one that wakes them, where they would only take turns.

llama.cpp's helpers (OpenMP's pool) fall asleep a few milliseconds after a pass. Whoever begins the next one wakes them,
and Linux may put them on the waker's own core, on a virtual machine more often than not: a core at rest can look taken
there. Both threads then spin for each other in turns until the kernel's balancer parts them, which costs up to ten
milliseconds of a keystroke. Nothing is pinned beyond the pass that wakes them: what else the machine does may need
that core. Knows threads and cores; nothing of llama.cpp.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAUSE_SECONDS = 0.001  # between passes; helpers are awake for longer than that, and passes of one answer follow sooner
THREADS = "/proc/self/task"


class Placing:
    """Where this process's other threads may run while the calling one evaluates."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ended = -float("inf")  # the last pass

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Run the block, which is a pass; if it is the first after a pause, the others leave this thread's core to it.

        Threads whose cores somebody else has chosen stay there. Without effect where a process cannot place its
        threads (elsewhere than on Linux), or has one core.
        """
        moved: list[int] = []
        everywhere: set[int] = set()
        if sys.platform == "linux" and self._clock() - self._ended > PAUSE_SECONDS:
            everywhere = os.sched_getaffinity(0)
            others = everywhere - {_core()}
            if others:
                moved = [thread for thread in _other_threads(everywhere) if _allow(thread, others)]
        try:
            yield
        finally:
            for thread in moved:
                _allow(thread, everywhere)
            self._ended = self._clock()


if sys.platform == "linux":
    _core: Callable[[], int] = ctypes.CDLL(None).sched_getcpu

    def _other_threads(cores: set[int]) -> list[int]:
        """The process's threads that may run on just these cores, without the calling one."""
        own = threading.get_native_id()
        with os.scandir(THREADS) as entries:
            threads = [int(entry.name) for entry in entries]
        return [thread for thread in threads if thread != own and _cores(thread) == cores]

    def _cores(thread: int) -> set[int]:
        try:
            return os.sched_getaffinity(thread)
        except ProcessLookupError:  # it has ended
            return set()

    def _allow(thread: int, cores: set[int]) -> bool:
        """Let ``thread`` run on ``cores``; False where it has ended or the system forbids it: that only costs time."""
        try:
            os.sched_setaffinity(thread, cores)
        except (ProcessLookupError, PermissionError):
            return False
        return True
