"""One workspace folder as the hub's symbol indexes know it: which windows have it, what is open in it, and its index.

A document may be open in several windows: it counts as open until the last has closed it, and the text of the window
that opened it last is the one that is indexed. Knows nothing of when an index begins or ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capture.context.index.client import IndexState

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from capture.context.index.client import SymbolIndex

    Window = Callable[[str], None]  # hears the path of a folder whose index has something new to say


class IndexedFolder:
    """``path`` is absolute. ``refusal`` says why there is no index, empty where there may be one."""

    def __init__(self, path: str, refusal: str) -> None:
        self.path = path
        self.refusal = refusal
        self.windows: set[Window] = set()
        self.timer: asyncio.TimerHandle | None = None  # until the end, where no window has the folder
        self.index: SymbolIndex | None = None
        self._readers: dict[str, dict[Window, Callable[[], str]]] = {}  # by document; who opened it last stands last

    @property
    def has_documents(self) -> bool:
        """Whether anything is open in it."""
        return bool(self._readers)

    def begin(self, index: SymbolIndex) -> None:
        """Start ``index``, which is the folder's from now on."""
        self.index = index
        for document in self._readers:
            self._tell(document)
        index.start()

    def opened(self, window: Window, document: str, read_text: Callable[[], str]) -> None:
        """``document`` was opened, by the text that ``read_text`` gives from now on."""
        self._readers.setdefault(document, {})[window] = read_text
        self._tell(document)

    def changed(self, window: Window, document: str) -> None:
        """Its text changed there."""
        if next(reversed(self._readers[document])) == window:
            self._tell(document)

    def closed(self, window: Window, document: str) -> None:
        """It was closed there."""
        del self._readers[document][window]
        if not self._readers[document]:
            del self._readers[document]
        self._tell(document)

    def report(self) -> None:
        """The index has something new to say."""
        for window in tuple(self.windows):
            window(self.path)

    def stop_timer(self) -> None:
        """A window has the folder again, or it ends now."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def describe(self, why_off: str) -> dict[str, Any]:
        """What status shows; ``why_off`` says why there are no indexes at all, empty where there are."""
        index = self.index
        failure = why_off or self.refusal or (None if index is None else index.failure)
        return {
            "folder": self.path,
            "state": _state(index, failure),
            "files": 0 if index is None else index.progress.files_done,
            "symbols": 0 if index is None else index.progress.symbols,
            "notes": [] if index is None else list(index.progress.notes),
            "failure": failure,
            "process_id": None if index is None else index.process_id,
        }

    def _tell(self, document: str) -> None:
        readers = self._readers.get(document)
        if self.index is not None and readers:
            self.index.note_open(document, next(reversed(readers.values())))
        elif self.index is not None:
            self.index.note_closed(document)


def _state(index: SymbolIndex | None, failure: str | None) -> str:
    if failure:
        return "off"
    if index is None:
        return "not needed yet"
    if index.state is IndexState.RUNNING:
        return "ready" if index.progress.is_ready else "reading"
    return "starting"
