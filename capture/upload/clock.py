"""Time as the uploader has it: what it is, how much of it has passed, and waiting for an event or for some of it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tests have one that is not waited for."""

    def monotonic(self) -> float:
        """Seconds since some moment; nobody sets it."""

    def now(self) -> float:
        """Seconds since the epoch; people set it, so it is shown and never waited by."""

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """Returns once the event is set or so many seconds have passed; None: only with the event."""


class SystemClock:
    """The machine's."""

    def monotonic(self) -> float:
        """As `Clock` says."""
        return time.monotonic()

    def now(self) -> float:
        """As `Clock` says."""
        return time.time()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """As `Clock` says."""
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
