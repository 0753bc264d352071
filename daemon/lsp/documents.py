"""The documents of one session, by the URI the editor uses, and which of them may be seen.

Wraps ``EditingState``: URIs become paths to display and to hold against the exclude patterns, and the
history handed to a model never contains events of a file that is excluded itself. Knows nothing of messages
or predictions.
"""

from __future__ import annotations

import posixpath
import re
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from capture.editing.document import SyncState
from capture.editing.positions import ContentChange
from capture.editing.state import EditingState
from capture.gate.exclude import PathGate, text_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from capture.editing.document import AppliedEdit, Document
    from capture.editing.positions import Position
    from capture.editing.state import EditObserver
    from capture.inputs import ActiveBufferDiagnostic, EditEvent, PredictionInputs, RelatedFile
    from daemon.prediction import Prediction
    from daemon.settings import Settings


# A file on this machine; a cell of a notebook stands in one. Plain paths are what careless clients send.
_IS_LOCAL = re.compile(r"(?:file:(?://(?:localhost)?)?|vscode-notebook-cell:(?://)?)?/(?!/[^/])", re.IGNORECASE)
_HAS_ODD_PARTS = re.compile(r"//|/\.{1,2}(?:[/#?]|$)|./$")


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """One open document. ``path`` is the URI's, absolute for files, whatever the scheme."""

    uri: str
    path: str
    language_id: str
    text: Document

    @property
    def version(self) -> int:
        """The version of the text as it is now."""
        return self.text.version


class Documents:
    """Owns the editing state of one session.

    ``clock`` gives seconds that never go backwards; ``observer`` hears of every change; ``real_path`` says where links
    lead, as far as that is known without asking the disk.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        observer: EditObserver | None = None,
        real_path: Callable[[str], str] = lambda path: path,
    ) -> None:
        self._editing = EditingState(clock, observer)
        self._real_path = real_path
        self._open: dict[str, OpenDocument] = {}
        self._folders: tuple[str, ...] = ()
        self._folders_ever: tuple[str, ...] = ()
        # Path shown to models -> the paths behind it: two workspace folders may hold files of one name.
        self._paths_displayed: dict[str, set[str]] = {}

    def set_folders(self, uris: Sequence[str]) -> None:
        """The workspace's folders; paths are shown relative to the innermost one."""
        self._folders = tuple(sorted((path_of(uri) for uri in uris), key=len, reverse=True))
        # Edits outlive the folder they were made in: what is excluded there stays so where they would be shown.
        self._folders_ever = tuple(sorted({*self._folders_ever, *self._folders}, key=len, reverse=True))

    def find(self, uri: str) -> OpenDocument | None:
        """The open document, None when there is none."""
        return self._open.get(uri)

    @property
    def all_open(self) -> tuple[OpenDocument, ...]:
        """Every open document."""
        return tuple(self._open.values())

    def open(self, uri: str, language_id: str, version: int, text: str) -> OpenDocument:
        """Start following a text; opening again replaces it."""
        path = path_of(uri)
        shown = self.displayed(path)
        if not _IS_LOCAL.match(uri):  # then nobody knows which file of this machine it is, if it is one
            self._paths_displayed[shown].add(uri)
        document = self._editing.open(uri, text, path=shown, version=version, language_id=language_id)
        opened = self._open[uri] = OpenDocument(uri, path, language_id, document)
        return opened

    def change(self, uri: str, version: int | None, changes: Sequence[ContentChange]) -> list[AppliedEdit]:
        """Apply one notification's changes; raises KeyError when the document is not open."""
        return self._editing.change(uri, version, changes)

    def supposing(
        self, document: OpenDocument, change: ContentChange, *, predicted: bool = False
    ) -> AbstractContextManager[Position | None]:
        """The text and its history as ``change`` would make them: see ``EditingState.supposing``."""
        return self._editing.supposing(document.uri, change, predicted=predicted)

    def distrust(self, uri: str) -> None:
        """A change could not be read: our text is not the editor's until a whole text comes."""
        self._open[uri].text.sync_state = SyncState.UNSYNCED

    def close(self, uri: str) -> None:
        """Stop following a text; its events stay in the history."""
        if self._open.pop(uri, None) is not None:
            self._editing.close(uri)

    @property
    def newest_event(self) -> EditEvent | None:
        """The newest edit of the history, whatever file it is about; no model sees it by this way."""
        events = self._editing.events
        return events[-1] if events else None

    def accepted(self, prediction: Prediction) -> None:
        """Mark the change that a prediction makes as predicted, whether it came already or comes next."""
        if prediction.uri in self._open:
            changes = [ContentChange(edit.range, edit.text) for edit in prediction.edits]
            self._editing.mark_accepted(prediction.uri, changes, version=prediction.version)

    def inputs(
        self,
        document: OpenDocument,
        position: Position,
        diagnostics: tuple[ActiveBufferDiagnostic, ...],
        related_files: tuple[RelatedFile, ...],
        settings: Settings,
        shown_elsewhere: Callable[[str], bool] = lambda _path: True,
    ) -> PredictionInputs:
        """Everything a model may see with the cursor at ``position``.

        ``shown_elsewhere`` is asked for the files of other documents' edits, by their absolute paths.
        """
        inputs = self._editing.inputs(document.uri, position, related_files=related_files, diagnostics=diagnostics)
        # An excluded file must not be seen through its edits either.
        seen = [
            event
            for event in inputs.events
            if all(
                self.may_be_seen(path, settings) and (path == document.path or shown_elsewhere(path))
                for shown in {event.path, event.old_path}
                for path in self.paths_behind(shown)
            )
        ]
        return inputs if len(seen) == len(inputs.events) else replace(inputs, events=tuple(seen))

    def refusal(self, document: OpenDocument, settings: Settings) -> str:
        """Why there is no prediction in this document, empty when there may be."""
        if document.text.sync_state is SyncState.UNSYNCED:
            return _switched_off(document, settings) or "the editor's text and ours may differ; reopen the file"
        return self.exclusion(document, settings)

    def exclusion(self, document: OpenDocument, settings: Settings) -> str:
        """Why this document is left alone whether or not we know its text, empty when it is not."""
        return (
            _switched_off(document, settings)
            or _path_reason(document.path, self._innermost(document.path), settings.disabled_folders, settings.exclude)
            or text_reason(
                document.text,
                max_file_bytes=settings.max_file_bytes,
                max_line_characters=settings.max_line_characters,
            )
            or ""
        )

    def path_in_workspace(self, document: OpenDocument) -> str:
        """Relative to its workspace folder, outside of one only its name: for who need not know where that is."""
        folder, path = self.folder_of(document.path), PurePosixPath(document.path)
        return path.name if folder is None else str(path.relative_to(folder))

    def may_be_seen(self, path: str, settings: Settings) -> bool:
        """Whether a model may see the file at ``path`` (absolute), by its path and the one that links lead to.

        Patterns count from every folder that the window has or had. Asked from other threads too.
        """
        folders, disabled, exclude = self._folders_ever, settings.disabled_folders, settings.exclude
        return not any(_path_reason(name, folders, disabled, exclude) for name in {path, self._real_path(path)})

    def displayed(self, path: str) -> str:
        """The path as models see it: relative to its workspace folder; outside of one the whole path, so that names
        stay apart.
        """
        folder = self.folder_of(path)
        shown = path.lstrip("/") if folder is None else str(PurePosixPath(path).relative_to(folder))
        self._paths_displayed.setdefault(shown, set()).add(path)
        return shown

    def paths_behind(self, shown: str) -> frozenset[str]:
        """The paths that a path was displayed for: several where workspace folders hold files of one name.

        Of what is no file on this machine the URI is among them.
        """
        return frozenset(self._paths_displayed.get(shown, (shown,)))

    def folder_of(self, path: str) -> str | None:
        """The innermost workspace folder that the file is in, None outside of all."""
        return next(iter(self._innermost(path)), None)

    def _innermost(self, path: str) -> tuple[str, ...]:
        return tuple(folder for folder in self._folders if PurePosixPath(path).is_relative_to(folder))[:1]


def _switched_off(document: OpenDocument, settings: Settings) -> str:
    if not settings.enabled:
        return "predictions are switched off"
    if document.language_id and document.language_id in settings.disabled_languages:
        return f"predictions are off for the language {document.language_id}"
    return ""


def path_of(uri: str) -> str:
    """The path in a URI of any scheme (``file``, ``untitled``, remote ones), percent signs decoded."""
    _, colon, rest = uri.partition(":")
    if not colon:
        return plain_path(unquote(uri))
    if rest.startswith("//"):
        authority, slash, rest = rest[2:].partition("/")
        rest = slash + rest if slash else authority
    return plain_path(unquote(rest))


def plain_path(path: str) -> str:
    """An absolute path in the one spelling that patterns and folders are held against, without dots and twin slashes.

    Any other stays what it is, and so does what stands behind ``#`` or ``?``.
    """
    if not path.startswith("/") or not _HAS_ODD_PARTS.search(path):
        return path
    length = len(_bare(path))
    return "/" + posixpath.normpath(path[:length]).lstrip("/") + path[length:]


def _bare(path: str) -> str:
    """Without what notebook cells and careless clients put behind the path."""
    return path.split("#", 1)[0].split("?", 1)[0]


@lru_cache(maxsize=512)  # asked for the file and for those of ten events with every keystroke
def _path_reason(path: str, folders: tuple[str, ...], disabled: tuple[str, ...], exclude: tuple[str, ...]) -> str:
    """Why a path may not be predicted from, empty when it may.

    Anchored patterns count from each of the ``folders`` that it is in.
    """
    for folder in disabled:
        if PurePosixPath(path).is_relative_to(folder):
            return f"predictions are off under {folder}"
    try:
        gate = _path_gate(exclude)
    except ValueError as error:
        return f"an exclude pattern is not valid: {error}"
    # Neither with what follows the path nor without it may an excluded file be opened.
    inside = [folder for folder in folders if PurePosixPath(path).is_relative_to(folder)]
    roots: list[str | None] = [*inside] or [None]
    reasons = (gate.reason(name, root) for name in (path, _bare(path) or path) for root in roots)
    return next(filter(None, reasons), "")


@lru_cache(maxsize=16)
def _path_gate(exclude: tuple[str, ...]) -> PathGate:
    return PathGate(exclude)
