"""Gives the memory of models back once nothing was asked of them for long enough.

Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.engine.api import EngineState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.engine.api import Engine

LOOK_AGAIN_SECONDS = 1.0  # at a model that is being loaded, where memory is given back sooner


class IdleEngines:
    """The engines that were asked since their memory was given back. ``after_seconds`` is asked each time they rest."""

    def __init__(self, after_seconds: Callable[[], float]) -> None:
        self._after_seconds = after_seconds
        self._asked: set[Engine] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[None] | None = None

    async def engage(self, engine: Engine) -> None:
        """``engine`` is about to be asked; returns once nothing is being unloaded."""
        if self._unloading is not None:
            await asyncio.wait([self._unloading])
        self._asked.add(engine)

    def wake(self) -> None:
        """Something is to do: nothing is unloaded before ``rest``."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def rest(self) -> None:
        """Nothing is to do: begin to count."""
        self.wake()
        self._timer = asyncio.get_running_loop().call_later(self._after_seconds(), self._unload)

    async def close(self) -> None:
        """Unload nothing more; returns once nothing is being unloaded."""
        self.wake()
        if self._unloading is not None:
            await asyncio.wait([self._unloading])

    def _unload(self) -> None:
        self._timer = None
        ready = [engine for engine in self._asked if engine.state is EngineState.READY]
        # Nobody waited until these were loaded, but they will be.
        self._asked = {engine for engine in self._asked if engine.state is EngineState.LOADING}
        if self._asked:
            seconds = max(self._after_seconds(), LOOK_AGAIN_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._unload)
        if ready:
            self._unloading = asyncio.get_running_loop().create_task(_unload_all(ready))
            self._unloading.add_done_callback(self._unloaded)

    def _unloaded(self, _task: asyncio.Task[None]) -> None:
        self._unloading = None


async def _unload_all(engines: Sequence[Engine]) -> None:
    for engine in engines:
        await engine.unload()
