"""The hub's side of a recording: which file is listened to, and what still has to be sent to who listens.

There is at most one recording. While there is none, ``Recordings.feed`` is None and nothing here costs anything. Writes
nothing and keeps nothing but what is not sent yet. Knows nothing of messages or sockets: the windows
(``daemon.lsp.recorded_window``) say what happens, and the hub takes the lines away.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from daemon.errors import NotRecorded
from daemon.recording.events import Ended, Event, Opened, to_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MAX_WAITING_BYTES = 64 * 1024 * 1024  # a few whole texts of the largest size; who lags behind that does not listen
FILE_SCHEME = "file"


class RecordedWindow(Protocol):
    """What a feed wants of an editor window when it begins."""

    def look_for(self, feed: Feed) -> None:
        """Tell the feed where the file is open here."""


class Feed:
    """What one listener is told about one file. ``on_end`` is called once, when nothing more will be told."""

    def __init__(self, path: str, on_end: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.clock = clock
        self.followed: tuple[str, str] | None = None  # the window and the uri that changed first
        self.ended_for = ""
        self._resolved = _resolved(path)
        self._on_end = on_end
        self._open_in: set[tuple[str, str]] = set()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()

    def is_about(self, uri: str, path: str) -> bool:
        """Whether a document is the file: the same path, or another way to it."""
        if uri.partition(":")[0].lower() != FILE_SCHEME:
            return False
        return path == self.path or _resolved(path) == self._resolved

    def opened(self, window: str, uri: str) -> None:
        """The file is open in a window."""
        self._open_in.add((window, uri))

    def tell_windows(self) -> None:
        """Say in how many windows the file is open."""
        self.tell(Opened(len(self._open_in)))

    def closed(self, window: str, uri: str | None = None) -> None:
        """A window closed the file, or (without ``uri``) is gone; the end, if that window was followed."""
        gone = {place for place in self._open_in if place[0] == window and uri in (None, place[1])}
        if not gone:
            return
        self._open_in -= gone
        if self.followed in gone:
            self.end("the file was closed in the editor" if uri else "the editor's window is gone")
        else:
            self.tell_windows()

    def listens_to(self, window: str, uri: str) -> bool:
        """Whether what happens in this document is to be told: it is the one followed, or none is followed yet."""
        place = (window, uri)
        return place == self.followed if self.followed is not None else place in self._open_in

    def tell(self, event: Event) -> None:
        """Send an event once there is time; nothing after the end."""
        if self.ended_for:
            return
        line = to_line(event)
        if self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
            self._waiting.clear()
            self._waiting_bytes = 0
            self.end("the recording command did not keep up")
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self._news.set()

    def end(self, reason: str) -> None:
        """Say why, and nothing more after that."""
        if self.ended_for:
            return
        self.tell(Ended(reason))
        self.ended_for = reason
        self._on_end()

    async def lines(self) -> AsyncIterator[bytes]:
        """The events as lines, until the end."""
        while True:
            while self._waiting:
                line = self._waiting.popleft()
                self._waiting_bytes -= len(line)
                yield line
            if self.ended_for:
                return
            self._news.clear()
            await self._news.wait()


class Recordings:
    """Owns the one feed there may be, and knows the windows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.feed: Feed | None = None
        self._clock = clock
        self._windows: dict[str, RecordedWindow] = {}

    def join(self, name: str, window: RecordedWindow) -> None:
        """An editor window is there."""
        self._windows[name] = window

    def leave(self, name: str) -> None:
        """An editor window is gone."""
        self._windows.pop(name, None)
        if self.feed is not None:
            self.feed.closed(name)

    def begin(self, path: str) -> Feed:
        """Listen to the file at ``path`` (absolute); raises NotRecorded when that is not possible now."""
        if self.feed is not None:
            raise NotRecorded(
                f"{self.feed.path} is being recorded; end that first (Ctrl-C where `foretype record` runs)"
            )
        feed = self.feed = Feed(path, self._forget, self._clock)
        for window in self._windows.values():
            window.look_for(feed)
        if feed.ended_for:
            raise NotRecorded(f"{path} is not recorded: {feed.ended_for}")
        feed.tell_windows()
        return feed

    def end(self, reason: str) -> None:
        """End the recording, if there is one."""
        if self.feed is not None:
            self.feed.end(reason)

    def _forget(self) -> None:
        self.feed = None


def _resolved(path: str) -> str:
    """The path without links; a name that no file can have stays as it is."""
    return path if "\0" in path else os.path.realpath(path)
