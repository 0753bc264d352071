"""``textDocument/inlineCompletion`` (LSP 3.18): a prediction as grey text on the cursor's line.

Only what every client can draw is offered: see ``as_ghost_text``. Automatic and invoked requests get the
same single item, because the engine predicts one edit. Copilot's clients add ``textDocument.version``,
which then must match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types

from capture.editing.positions import Range
from daemon.lsp.accept import accept_command
from daemon.lsp.offers import REJECTED_HERE
from daemon.lsp.params import member, optional_version, require_position, require_text, require_uri
from daemon.lsp.wire import lsp_range
from daemon.prediction import as_ghost_text, within

if TYPE_CHECKING:
    from capture.editing.document import Document
    from daemon.lsp.session import Session
    from daemon.prediction import Prediction

SURFACE = "inline completion"
NOT_DRAWABLE = "the predicted edit can not be drawn as ghost text here"


async def complete(session: Session, params: Any) -> types.InlineCompletionList:
    """Answer the request; raises JsonRpcInvalidParams when uri or position is missing."""
    uri, version, position = (
        require_uri(params),
        optional_version(params),
        require_position(params, "position"),
    )
    session.recorded.cursor(uri, version, position)
    selected = _selected(params)
    asked = session.documents.find(uri)
    if version is None and asked is not None:
        version = asked.version
    found = await session.predictor.predict(uri, version, position)
    document = session.documents.find(uri)
    if found is None or document is None:
        session.offers.nothing(uri, SURFACE, version)
        return types.InlineCompletionList(items=[])
    cursor = document.text.clamp(position)
    ghost = as_ghost_text(found, cursor, document.text.line(cursor.line), document.text.line_ending)
    if ghost is not None and selected is not None:
        ghost = _continuing(ghost, document.text, *selected)
    rejected = session.offers.was_rejected(found, document)
    if ghost is None or rejected:
        session.predictor.explain(REJECTED_HERE if rejected else NOT_DRAWABLE, uri)
        session.offers.nothing(uri, SURFACE, version)
        return types.InlineCompletionList(items=[])
    item = _item(session.offers.offer(ghost, document, SURFACE))
    session.predictor.given(found)
    return types.InlineCompletionList(items=[item])


def _item(prediction: Prediction) -> types.InlineCompletionItem:
    edit = prediction.edits[0]
    return types.InlineCompletionItem(
        insert_text=edit.text,
        range=lsp_range(edit.range),
        command=types.Command(**accept_command(prediction)),
    )


def _selected(params: Any) -> tuple[Range, str] | None:
    """``context.selectedCompletionInfo``: the entry picked in the editor's completion list."""
    info = member(params, "context", "selectedCompletionInfo")
    if info is None:
        return None
    where = Range(require_position(info, "range", "start"), require_position(info, "range", "end"))
    return where, require_text(info, "text")


def _continuing(ghost: Prediction, text: Document, where: Range, picked: str) -> Prediction | None:
    """``ghost`` over the range of the picked entry, if it goes on from there."""
    widened = within(ghost, where, text.line(where.start.line))
    return widened if widened is not None and widened.edits[0].text.startswith(picked) else None
