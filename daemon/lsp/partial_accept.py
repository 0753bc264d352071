"""``foretype/part``: the first word or line of the edit that the editor shows, so that no editor need cut it itself.

The editor applies what it gets as it would the whole, and asks again: the answer is the rest, without the model. Knows
nothing of how an edit is cut (``parts``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from daemon.lsp.params import require_text
from daemon.lsp.wire import range_json
from daemon.parts import Unit, parted

if TYPE_CHECKING:
    from daemon.lsp.session import Session


async def part(session: Session, params: Any) -> dict[str, Any]:
    """Answer the request; no edit where the prediction is not about the text as it is any more.

    Raises JsonRpcInvalidParams when the id is missing or the unit is none.
    """
    prediction_id, wanted = require_text(params, "id"), require_text(params, "unit")
    if wanted not in list(Unit):
        raise JsonRpcInvalidParams(f"unit must be one of {', '.join(Unit)}")
    prediction = session.offers.on_screen(prediction_id)
    document = None if prediction is None else session.documents.find(prediction.uri)
    if prediction is None or document is None or prediction.version != document.version:
        return {"edits": []}
    found = parted(prediction.edits[0], prediction.replaced[0], Unit(wanted))
    session.offers.expect_part(prediction_id, found.part)
    session.predictor.expect_part(prediction, found)
    return {
        "edits": [
            {
                "text": found.part.text,
                "range": range_json(found.part.range),
                "textDocument": {"uri": prediction.uri, "version": prediction.version},
            }
        ]
    }
