"""Asks git, a little later, what repository open snapshots are about: one timer for all that are open in a window.

Most predictions are overtaken within the pause, and then git need not be asked; those that touch the same files share
an answer. Knows nothing of consent, and nothing of what a snapshot holds besides.
"""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from capture.snapshot.repository import repository_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capture.settling.open_snapshot import OpenSnapshot

PAUSE_SECONDS = 0.25


class RepositoryLooks:
    """Made and used on the event loop.

    ``asking_git`` lets one window at a time, whatever is typed in all of them; ``folder_of`` gives the absolute path
    of a snapshot's folder, None for one that is of no interest any more.
    """

    def __init__(self, asking_git: asyncio.Semaphore, folder_of: Callable[[OpenSnapshot], str | None]) -> None:
        self._asking_git = asking_git
        self._folder_of = folder_of
        # By what git is asked about: each snapshot with the loop's time when its pause is over.
        self._waiting: dict[tuple[str, ...], deque[tuple[float, OpenSnapshot]]] = {}
        self._task: asyncio.Task[None] | None = None

    def look_at(self, opened: OpenSnapshot) -> None:
        """Set the snapshot's ``repository`` once it is known, if the snapshot is still open after the pause."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(opened.touched_paths, deque())
        waiting.append((loop.time() + PAUSE_SECONDS, opened))
        if self._task is None:
            self._task = loop.create_task(self._look())

    async def close(self) -> None:
        """Ask nothing more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await asyncio.sleep(min(waiting[0][0] for waiting in self._waiting.values()) - loop.time())
                for (folder, paths), snapshots in self._due(loop.time()).items():
                    await self._ask(folder, paths, snapshots)
        finally:
            self._task = None

    def _due(self, now: float) -> dict[tuple[str, tuple[str, ...]], list[OpenSnapshot]]:
        """What is still open of the snapshots to ask about now, by folder and paths.

        Once one's pause is over, all that wait with the same question share its answer: a question a file, however
        many snapshots there are and however long they took to open.
        """
        found: dict[tuple[str, tuple[str, ...]], list[OpenSnapshot]] = {}
        for paths, waiting in tuple(self._waiting.items()):
            while waiting and waiting[0][1].is_over:
                waiting.popleft()
            if waiting and waiting[0][0] > now:
                continue
            del self._waiting[paths]
            for _, opened in waiting:
                folder = self._folder_of(opened)
                if folder is not None and not opened.is_over:
                    found.setdefault((folder, paths), []).append(opened)
        return found

    async def _ask(self, folder: str, paths: Sequence[str], snapshots: Sequence[OpenSnapshot]) -> None:
        async with self._asking_git:
            if all(opened.is_over for opened in snapshots):
                return
            found = await repository_of(Path(folder), paths)
        for opened in snapshots:
            opened.repository = found
