"""``didOpen``, ``didChange``, ``didClose``, ``didFocus``: keeping our text equal to the editor's.

These run inside the reader's turn, in the order they arrive, so that a request that follows sees its text.
Knows nothing of what predictions are made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from capture.editing.positions import ContentChange, Range
from daemon.lsp.params import (
    member,
    optional_version,
    require_list,
    require_position,
    require_text,
    require_uri,
)

if TYPE_CHECKING:
    from daemon.lsp.session import Session

MAX_CHARACTER_BYTES = 4


def did_open(session: Session, params: Any) -> None:
    """A document was opened, or opened again with another text; raises JsonRpcInvalidParams."""
    uri, text = require_uri(params), require_text(params, "textDocument", "text")
    language_id = member(params, "textDocument", "languageId")
    if session.documents.find(uri) is not None:
        did_close(session, params)
    document = session.documents.open(
        uri, language_id if isinstance(language_id, str) else "", optional_version(params) or 0, text
    )
    session.surroundings.opened(document)
    session.recorded.opened(document)


def did_change(session: Session, params: Any) -> None:
    """Apply the changes; after an unreadable one the document is not trusted until its next full text."""
    uri = require_uri(params)
    document = session.documents.find(uri)
    if document is None:
        return
    try:
        version = optional_version(params)
        changes = [_content_change(value) for value in require_list(params, "contentChanges")]
    except JsonRpcInvalidParams:
        session.documents.distrust(uri)
        session.surroundings.distrusted(uri)
        session.predictor.text_changed(uri, None)
        session.recorded.unreadable(uri)
        raise
    session.typed()
    session.recorded.changes(document, version, changes)
    edits = session.documents.change(uri, version, changes)
    session.surroundings.changed(document, version, changes)
    session.offers.text_changed(document, edits)
    # Where the last change ended is where the cursor most likely is.
    cursor = document.text.position_at(edits[-1].start_bytes + edits[-1].new_bytes) if edits else None
    erased = bool(edits) and edits[-1].new_bytes == 0 and edits[-1].old_bytes <= MAX_CHARACTER_BYTES
    if cursor is not None:
        session.surroundings.edited(uri, cursor)
    session.predictor.text_changed(uri, cursor, erased=erased)


def did_close(session: Session, params: Any) -> None:
    """The document was closed."""
    uri = require_uri(params)
    document = session.documents.find(uri)
    session.offers.closed(uri)
    if document is not None:
        session.surroundings.closed(document)
        session.capturing.closed(document)
    session.predictor.forget(uri)
    session.diagnostics.forget(uri)
    session.recorded.closed(uri)
    session.documents.close(uri)


def did_focus(session: Session, params: Any) -> None:
    """Copilot's ``textDocument/didFocus``, with ``{}`` when nothing has the focus."""
    session.announcer.hear_copilot()
    uri = member(params, "textDocument", "uri")
    if isinstance(uri, str):
        session.predictor.announce(uri)


def _content_change(value: Any) -> ContentChange:
    text = require_text(value, "text")
    if member(value, "range") is None:
        return ContentChange(None, text)
    return ContentChange(
        Range(require_position(value, "range", "start"), require_position(value, "range", "end")), text
    )
