"""``textDocument/copilotInlineEdit``: the next edit anywhere near the cursor, in Copilot's dialect.

The answer is always ``{"edits": [...]}``, with more than one edit, or with one in another document, only for clients
that say that they can show it; an empty list means nothing to show, whatever the cause. Clients compare uri and version
with what they sent, so both go back exactly as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.lsp.accept import accept_command
from daemon.lsp.diagnostics import take_attached
from daemon.lsp.next_edits import Reach
from daemon.lsp.offers import REJECTED_HERE
from daemon.lsp.params import optional_version, require_position, require_uri
from daemon.lsp.wire import range_json
from daemon.prediction import together

if TYPE_CHECKING:
    from capture.editing.positions import Position
    from daemon.lsp.session import Session
    from daemon.prediction import Prediction

SURFACE = "inline edit"


async def suggest(session: Session, params: Any) -> dict[str, Any]:
    """Answer the request; raises JsonRpcInvalidParams when uri or position is missing."""
    uri, version, position = (
        require_uri(params),
        optional_version(params),
        require_position(params, "position"),
    )
    session.announcer.hear_copilot()
    take_attached(session, uri, params)
    prediction = await predicted(session, uri, version, position, SURFACE)
    if prediction is None:
        return {"edits": []}
    return {
        "edits": [
            {
                "text": edit.text,
                "range": range_json(edit.range),
                "textDocument": {"uri": prediction.uri, "version": prediction.version},
                "command": accept_command(prediction),
                "place": prediction.place,
            }
            for edit in prediction.edits
        ]
    }


async def predicted(
    session: Session, uri: str, version: int | None, position: Position, surface: str
) -> Prediction | None:
    """The next edit for an editor that draws it as one, offered on ``surface``; None where there is none to show."""
    session.recorded.cursor(uri, version, position)
    reach = Reach.OPEN_DOCUMENTS if session.client.shows_other_files else Reach.DOCUMENT
    found = await session.predictor.predict(uri, version, position, reach=reach)
    document = None if found is None else session.documents.find(found.uri)
    if found is not None and document is not None and session.offers.was_rejected(found, document):
        session.predictor.explain(REJECTED_HERE, uri)
        found = None
    if found is None or document is None:
        session.offers.nothing(uri, surface, version)
        return None
    whole = together(found, document.text) if session.client.applies_together else found
    prediction = session.offers.offer(whole, document, surface, asked_about=uri)
    session.predictor.given(found)
    return prediction
