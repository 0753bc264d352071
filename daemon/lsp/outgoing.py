"""The bounded way out of a session: a peer that stops reading ends its own session and no other.

asyncio's StreamWriter buffers without limit, and pygls writes into it without waiting. Here what a peer takes at once
is written at once, and for the rest one task writes and waits; when the peer takes nothing for ``STALL_SECONDS`` or too
much is waiting, the connection is given up. Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum

STALL_SECONDS = 5.0  # after this long without the peer reading, its editor is taken for dead
MAX_WAITING_BYTES = 16 * 1024 * 1024  # our messages are small; so much waits only for a peer that is not there


class OutgoingState(Enum):
    """The life of the way out."""

    OPEN = "open"
    CLOSING = "closing"  # what waits is still written
    LOST = "lost"  # the peer went away or stopped reading; nothing is written any more


class Outgoing:
    """Owns the writer of one connection."""

    def __init__(self, writer: asyncio.StreamWriter, *, stall_seconds: float = STALL_SECONDS) -> None:
        self._writer = writer
        self._stall_seconds = stall_seconds
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_drained = True
        self._changed = asyncio.Event()
        self.state = OutgoingState.OPEN

    def send(self, data: bytes) -> None:
        """Write ``data``, or queue it where something waits; dropped once the way out is not open any more."""
        if self.state is not OutgoingState.OPEN:
            return
        if not self._waiting and not self._writer.transport.get_write_buffer_size():
            self._writer.write(data)
            self._is_drained = False
            self._changed.set()
            return
        if self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
            self._lose()
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._changed.set()

    def finish(self) -> None:
        """Write what waits and then let ``run`` return."""
        if self.state is OutgoingState.OPEN:
            self.state = OutgoingState.CLOSING
            self._changed.set()

    async def run(self) -> None:
        """Write until ``finish`` was called and all is written, or until the peer is lost."""
        while self.state is not OutgoingState.LOST:
            if not self._waiting and self._is_drained:
                if self.state is OutgoingState.CLOSING:
                    return
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                if self._waiting:
                    data = self._waiting.popleft()
                    self._waiting_bytes -= len(data)
                    self._writer.write(data)
                self._is_drained = True
                async with asyncio.timeout(self._stall_seconds):
                    await self._writer.drain()
            except (TimeoutError, ConnectionError):
                self._lose()

    def _lose(self) -> None:
        self.state = OutgoingState.LOST
        self._waiting.clear()
        self._waiting_bytes = 0
        self._writer.transport.abort()
        self._changed.set()
