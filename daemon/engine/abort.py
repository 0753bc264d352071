"""The abort flag: one byte of shared memory that ends a running ``llama_decode``.

llama.cpp asks a C callback between graph nodes whether to stop. A Python callback would wait for the GIL
each time, so the callback is libc's ``strlen`` and its argument the flag: ``[0, 0]`` is the empty string
(length 0, go on), ``[cause, 0]`` a string of length 1 (stop).

The hub is the flag's only writer. It clears the flag before it sends a request, raises it only while that
request is unanswered, and sends nothing more until the answer is there: an abort can therefore reach no
request but its own, and the worker needs no locks. Knows nothing of requests.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from enum import IntEnum

FLAG_BYTES = 2  # the cause and the terminating zero that strlen needs


class AbortCause(IntEnum):
    """Why the hub wants decoding to end; the value of the flag byte."""

    NONE = 0
    CANCELLED = 1  # a newer keystroke, or nobody waits any more
    DEADLINE = 2


class AbortFlag:
    """Both ends of the flag: the hub makes it with ``create``, the worker maps it with ``open``."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, FLAG_BYTES)

    @classmethod
    def create(cls) -> AbortFlag:
        """A cleared flag in memory that has no name in any file system; raises OSError without memory."""
        if hasattr(os, "memfd_create"):  # Linux
            descriptor = os.memfd_create("foretype-abort")
        else:  # macOS: a file that is unlinked at once
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, FLAG_BYTES)
        return cls(descriptor)

    @classmethod
    def open(cls, descriptor: int) -> AbortFlag:
        """The flag behind an inherited descriptor; raises OSError or ValueError when it is none."""
        return cls(descriptor)

    @property
    def cause(self) -> AbortCause:
        """What the flag says now."""
        return AbortCause(self._memory[0])

    def set(self, cause: AbortCause) -> None:
        """Raise the flag, or clear it with ``NONE``; the hub's business alone. Without effect once closed."""
        if not self._memory.closed:
            self._memory[0] = cause

    def address(self) -> int:
        """Where the flag lies in this process, for C; it stays there until ``close``."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._memory))

    def close(self) -> None:
        """Give the memory and the descriptor back; nobody may use the address any more."""
        self._memory.close()
        os.close(self.descriptor)
