"""The texts that a companion language server follows, and the messages that keep it at the editor's text.

A copy of every open text is kept, so that a server that is started again, or that only takes whole texts, can be told
at any time. What an editor said is passed on as whole rows, with ends that exist: servers are less forgiving than the
specification. Knows nothing of processes or definitions.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from capture.editing.document import Document, SyncState
from capture.editing.positions import Position, Range, content_of, utf16_length
from capture.inputs import Span
from daemon.lsp.documents import path_of
from daemon.lsp.params import member
from daemon.lsp.wire import range_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from capture.editing.document import AppliedEdit
    from capture.editing.positions import ContentChange

    Notify = Callable[[str, Any], None]

WHOLE_TEXT_PAUSE_SECONDS = 0.3  # between whole texts for servers that take nothing less; a request sends it at once


class SyncKind(Enum):
    """What a server takes when a text changes; the values are LSP's."""

    NONE = 0
    WHOLE = 1
    INCREMENTAL = 2


@dataclass(slots=True, eq=False)
class FollowedText:
    """One open text. ``text`` is the editor's; the server has it too unless ``is_behind``."""

    uri: str
    path: str
    text: Document
    sent_version: int = 0
    is_behind: bool = False

    @property
    def is_known_to_the_server(self) -> bool:
        """Whether a position in the editor's text means the same to the server."""
        return not self.is_behind and self.text.sync_state is SyncState.SYNCED

    def editors_version(self, said: int | None) -> int | None:
        """The version that the editor knows a text by which the server calls ``said``.

        A change that changes nothing is not sent, so the editor's number may be higher.
        """
        return self.text.version if said == self.sent_version and not self.is_behind else said


class FollowedTexts:
    """Owns the copies; tells the server that is attached, if one is."""

    def __init__(self, language_id: str, *, pause_seconds: float = WHOLE_TEXT_PAUSE_SECONDS) -> None:
        self._language_id = language_id
        self._pause_seconds = pause_seconds
        self._open: dict[str, FollowedText] = {}
        self._notify: Notify | None = None
        self._kind = SyncKind.INCREMENTAL
        self._timer: asyncio.TimerHandle | None = None

    def find(self, path: str) -> FollowedText | None:
        """The open text of the file at ``path``."""
        return next((followed for followed in self._open.values() if followed.path == path), None)

    @property
    def all_open(self) -> tuple[FollowedText, ...]:
        """Every open text."""
        return tuple(self._open.values())

    def attach(self, notify: Notify, kind: SyncKind) -> None:
        """A server is there: it is told of every open text."""
        self._notify, self._kind = notify, kind
        for followed in self._open.values():
            self._tell_open(followed)

    def detach(self) -> None:
        """The server is gone."""
        self._notify = None
        self._stop_timer()

    def open(self, uri: str, version: int, text: str) -> None:
        """Follow a text; opening again replaces it."""
        self.close(uri)
        followed = self._open[uri] = FollowedText(uri, path_of(uri), Document(text, version=version))
        self._tell_open(followed)

    def change(self, uri: str, version: int | None, changes: Iterable[ContentChange]) -> None:
        """Take one notification's changes; nothing where the text is not open."""
        followed = self._open.get(uri)
        if followed is None:
            return
        text = followed.text
        edits: list[dict[str, Any]] = []
        text.change(version, changes, on_edit=lambda edit: edits.append(_row_change(text, edit)))
        if not edits or self._notify is None:
            return
        if self._kind is not SyncKind.INCREMENTAL:
            followed.is_behind = True  # for good where the server takes no changes at all
            self._start_timer()
        elif text.version <= followed.sent_version:  # a whole text came after a version that did not rise
            self._tell_close(followed)
            self._tell_open(followed)
        else:
            self._tell_change(followed, edits)

    def close(self, uri: str) -> None:
        """Stop following a text."""
        followed = self._open.pop(uri, None)
        if followed is not None:
            self._tell_close(followed)

    def send_whole_texts(self) -> None:
        """Send what waits for a pause."""
        self._stop_timer()
        if self._kind is not SyncKind.WHOLE:
            return
        for followed in self._open.values():
            if followed.is_behind:
                followed.is_behind = False
                self._tell_change(followed, [{"text": followed.text.text}])

    def _start_timer(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._pause_seconds, self.send_whole_texts)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell_open(self, followed: FollowedText) -> None:
        if self._notify is None:
            return
        followed.is_behind, followed.sent_version = False, followed.text.version
        document = {
            "uri": followed.uri,
            "languageId": self._language_id,
            "version": followed.text.version,
            "text": followed.text.text,
        }
        self._notify("textDocument/didOpen", {"textDocument": document})

    def _tell_change(self, followed: FollowedText, changes: Sequence[dict[str, Any]]) -> None:
        if self._notify is None:
            return
        # Whole texts wait, so the versions may have gone back meanwhile: the server's numbers have to rise.
        followed.sent_version = max(followed.text.version, followed.sent_version + 1)
        document = {"uri": followed.uri, "version": followed.sent_version}
        self._notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def _tell_close(self, followed: FollowedText) -> None:
        if self._notify is not None:
            self._notify("textDocument/didClose", {"textDocument": {"uri": followed.uri}})


def sync_kind(capabilities: Any) -> SyncKind:
    """What a server says in ``textDocumentSync``, which has two forms; nothing means ``NONE``."""
    said = member(capabilities, "textDocumentSync")
    kind = member(said, "change") if isinstance(said, dict) else said
    return next((known for known in SyncKind if known.value == kind), SyncKind.NONE)


def _row_change(text: Document, edit: AppliedEdit) -> dict[str, Any]:
    """``edit``, which was just applied to ``text``, as a replacement of whole rows."""
    last = edit.old_rows[-1]
    is_last_of_text = content_of(last) == last
    end = Position(edit.old_end_row - 1, utf16_length(last)) if is_last_of_text else Position(edit.old_end_row, 0)
    return {
        "range": range_json(Range(Position(edit.start_row, 0), end)),
        "text": text.text_of_rows(Span(edit.start_row, edit.new_end_row)),
    }
