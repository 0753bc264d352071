"""Which files git ignores, as far as that is known: asked in a thread, so that no keystroke waits for a disk.

What is not known yet counts as ignored. An answer serves for some seconds; then it is asked for again while it still
serves. Knows nothing of what depends on it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from capture.gate.ignored import GitIgnored, Standing

if TYPE_CHECKING:
    from collections.abc import Callable

AGAIN_SECONDS = 5.0  # somebody adds a line to .gitignore while they work
MAX_FILES = 4096  # that are remembered


class IgnoredFiles:
    """Owns what is known. For one event loop; ``clock`` gives seconds that never go backwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._git: GitIgnored | None = None  # the thread's alone
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ignored-files")
        # Seen by git or outside of it; asked when; where the path leads.
        self._known: OrderedDict[str, tuple[bool, float, str]] = OrderedDict()
        self._asked: dict[str, asyncio.Future[tuple[bool, str]]] = {}
        self._subscribers: list[Callable[[], None]] = []
        self._telling: asyncio.Handle | None = None

    def is_visible(self, path: str) -> bool:
        """Whether git is known not to ignore the file at ``path``; if nothing is known, that changes soon."""
        if not os.path.isabs(path):  # noqa: PTH117 (with every keystroke); an untitled text is in no working tree
            return True
        known = self._known.get(path)
        if known is None or self._clock() - known[1] > AGAIN_SECONDS:
            self._ask(path)
        return known is not None and known[0]

    def is_ignored(self, path: str) -> bool:
        """Whether git is known to ignore the file at ``path``; if nothing is known, that changes soon."""
        return not self.is_visible(path) and path in self._known

    async def find_out(self, path: str) -> bool:
        """``is_visible`` once it is known."""
        if self.is_visible(path) or path in self._known:
            return self.is_visible(path)
        return (await asyncio.shield(self._asked[path]))[0]

    def real_path(self, path: str) -> str:
        """Where links lead from ``path``, as far as that is known: it is, of what was found to be visible."""
        known = self._known.get(path)
        return path if known is None else known[2]

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` after answers that change what was said; returns what ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def close(self) -> None:
        """Answer what was asked, and ask nothing more."""
        if self._asked:
            await asyncio.wait(self._asked.values())
        self._thread.shutdown(wait=False)

    def _ask(self, path: str) -> None:
        if path in self._asked:
            return
        asked = asyncio.get_running_loop().run_in_executor(self._thread, self._standing, path)
        self._asked[path] = asked
        asked.add_done_callback(lambda done: self._answered(path, *done.result()))

    def _answered(self, path: str, is_visible: bool, real_path: str) -> None:
        del self._asked[path]
        before = self._known.get(path, (False, 0.0, path))
        self._known[path] = (is_visible, self._clock(), real_path)
        self._known.move_to_end(path)
        if len(self._known) > MAX_FILES:
            self._known.popitem(last=False)
        if (is_visible, real_path) != (before[0], before[2]) and self._telling is None:
            # Many answers come at once: whoever chooses among files chooses once.
            self._telling = asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = None
        for callback in tuple(self._subscribers):
            callback()

    # In the thread

    def _standing(self, path: str) -> tuple[bool, str]:
        if self._git is None:
            self._git = GitIgnored()
        # Notebook cells and careless clients put more after the path.
        bare = path.split("#", 1)[0].split("?", 1)[0] or path
        is_visible = all(self._git.standing(name) is not Standing.IGNORED for name in {path, bare})
        return is_visible, os.path.realpath(bare) if is_visible else path
