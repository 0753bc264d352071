"""The symbol indexes of the hub: one for each workspace folder, shared by all windows that have the folder.

An index starts with the first open document inside its folder. One that no window has any more stays a little while: a
window that reloads finds it again. Knows nothing of how an index works, nor of what becomes of its answers.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from capture.context.index.client import TEXT_SECONDS, SymbolIndex
from daemon.engine.restarts import RestartPolicy, Restarts
from daemon.indexed_folder import IndexedFolder

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from capture.context.definitions import Definition, Identifier
    from daemon.indexed_folder import Window

GRACE_SECONDS = 30.0
RESTARTS = RestartPolicy(fatal_deaths=4)  # three restarts in a minute
WHY_OFF = "the symbol index is switched off in your settings"


class SymbolIndexes:
    """Owns the indexes. Must be used on one event loop.

    ``exclude`` gives the user's globs and ``enabled`` says whether there are to be indexes: the settings of the moment,
    asked at once and by ``follow_settings``. ``home`` is the user's home folder.
    """

    def __init__(
        self,
        log: logging.Logger,
        exclude: Callable[[], Sequence[str]],
        enabled: Callable[[], bool],
        *,
        grace_seconds: float = GRACE_SECONDS,
        text_seconds: float = TEXT_SECONDS,
        home: Path | None = None,
    ) -> None:
        self._log = log
        self._exclude = exclude
        self._enabled = enabled
        self._grace_seconds = grace_seconds
        self._text_seconds = text_seconds
        self._home = os.path.realpath(Path.home() if home is None else home)
        self._globs = self._globs_now()  # None: no indexes
        self._is_closed = False
        self._folders: dict[str, IndexedFolder] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def window(self, on_progress: Callable[[str], None]) -> WindowIndexes:
        """The indexes as one window sees them.

        ``on_progress`` hears the folder of each that has something new to say.
        """
        return WindowIndexes(self, on_progress)

    def follow_settings(self) -> None:
        """The settings changed: where that is of consequence all indexes end, and begin anew if there are to be any."""
        globs = None if self._is_closed else self._globs_now()
        if globs == self._globs:
            return
        self._globs = globs
        for folder in self._folders.values():
            self._end(folder)
            if folder.has_documents:
                self._begin(folder)

    def describe(self) -> list[dict[str, Any]]:
        """What status shows of each folder; no text of the user's files is in it."""
        return [folder.describe(WHY_OFF if self._globs is None else "") for folder in self._folders.values()]

    async def close(self) -> None:
        """End all indexes at once; returns when no process of theirs is left. None starts any more."""
        self._is_closed = True
        self.follow_settings()
        for folder in tuple(self._folders.values()):
            if not folder.windows:
                self._drop(folder)
        if self._ending:
            await asyncio.wait(self._ending)

    # What windows do

    def acquire(self, path: str, window: Window) -> IndexedFolder:
        """``window`` has the workspace folder at ``path``."""
        folder = self._folders.get(path)
        if folder is None:
            folder = self._folders[path] = IndexedFolder(path, self._refusal(path))
        folder.windows.add(window)
        folder.stop_timer()
        return folder

    def release(self, folder: IndexedFolder, window: Window) -> None:
        """It no longer has that folder, and nothing open in it."""
        folder.windows.discard(window)
        if folder.windows:
            return
        if folder.index is None or self._is_closed:
            self._drop(folder)
        else:
            folder.timer = asyncio.get_running_loop().call_later(self._grace_seconds, self._drop, folder)

    def want(self, folder: IndexedFolder) -> None:
        """A document was opened there."""
        if folder.index is None:
            self._begin(folder)

    # Beginning and end of an index

    def _globs_now(self) -> tuple[str, ...] | None:
        return tuple(self._exclude()) if self._enabled() else None

    def _refusal(self, path: str) -> str:
        """Why a folder gets no index, empty where it gets one."""
        real = os.path.realpath(path)
        if not (Path(path).is_absolute() and Path(path).is_dir()):
            return f"{path} is no directory"
        if real == "/":
            return "the whole file system is too large for a symbol index: open a project's folder"
        if real == self._home:
            return "your home folder is too large for a symbol index: open a project's folder"
        return ""

    def _begin(self, folder: IndexedFolder) -> None:
        folder.refusal = self._refusal(folder.path)
        if self._globs is None or folder.refusal:
            return
        folder.begin(
            SymbolIndex(
                folder.path,
                log=self._log,
                pause_after_death=Restarts(RESTARTS).record,
                exclude_globs=self._globs,
                on_progress=lambda _progress: folder.report(),
                text_seconds=self._text_seconds,
            )
        )

    def _end(self, folder: IndexedFolder) -> None:
        index, folder.index = folder.index, None
        if index is not None:
            task = asyncio.create_task(index.close())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _drop(self, folder: IndexedFolder) -> None:
        folder.stop_timer()
        del self._folders[folder.path]
        self._end(folder)


class WindowIndexes:
    """The indexes of one window's folders; a ``DefinitionSource``. Of nested folders the innermost counts."""

    def __init__(self, indexes: SymbolIndexes, on_progress: Callable[[str], None]) -> None:
        self._indexes = indexes
        self._on_progress = on_progress
        self._folders: tuple[IndexedFolder, ...] = ()  # innermost first
        self._open: dict[str, Callable[[], str]] = {}  # by the path of the document
        self._folder_of: dict[str, IndexedFolder] = {}  # of those that are in one

    def set_folders(self, folders: Sequence[str]) -> None:
        """The window has these workspace folders now (absolute paths)."""
        before = self._folders
        paths = sorted({str(PurePosixPath(path)) for path in folders}, key=len, reverse=True)
        self._folders = tuple(self._indexes.acquire(path, self._report) for path in paths)
        for document, read_text in self._open.items():
            if self._folder_of.get(document) is not self._innermost(document):
                self._leave(document)
                self._enter(document, read_text)
        for folder in before:
            if folder not in self._folders:
                self._indexes.release(folder, self._report)

    def opened(self, path: str, read_text: Callable[[], str]) -> None:
        """The document at ``path`` (absolute) was opened; until ``closed``, ``read_text`` gives its text."""
        self._leave(path)
        self._open[path] = read_text
        self._enter(path, read_text)

    def changed(self, path: str) -> None:
        """Its text changed."""
        if path in self._folder_of:
            self._folder_of[path].changed(self._report, path)

    def closed(self, path: str) -> None:
        """It was closed. The index stays: the next document is opened soon."""
        self._leave(path)
        self._open.pop(path, None)

    async def definitions(self, path: str, identifiers: Sequence[Identifier]) -> Mapping[str, Sequence[Definition]]:
        """What the index of the innermost folder around ``path`` answers; nothing where there is none."""
        folder = self._innermost(path)
        return {} if folder is None or folder.index is None else await folder.index.definitions(path, identifiers)

    async def close(self) -> None:
        """The window is gone, and its documents with it."""
        for path in tuple(self._open):
            self.closed(path)
        self.set_folders(())

    def _report(self, folder: str) -> None:
        self._on_progress(folder)

    def _innermost(self, path: str) -> IndexedFolder | None:
        whole = PurePosixPath(path)
        return next((folder for folder in self._folders if whole.is_relative_to(folder.path)), None)

    def _enter(self, document: str, read_text: Callable[[], str]) -> None:
        folder = self._innermost(document)
        if folder is not None:
            self._folder_of[document] = folder
            folder.opened(self._report, document, read_text)
            self._indexes.want(folder)

    def _leave(self, document: str) -> None:
        folder = self._folder_of.pop(document, None)
        if folder is not None:
            folder.closed(self._report, document)
