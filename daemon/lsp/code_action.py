"""``textDocument/codeAction``: the prediction for editors that have neither inline surface.

Editors ask for code actions at every move of the cursor, so an automatic request gets only what is known
already. A person who asks waits a moment at most; what is not ready by then goes on in the background for
the next time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from daemon.lsp.accept import accept_command
from daemon.lsp.params import member, require_position, require_uri
from daemon.lsp.wire import lsp_edit

if TYPE_CHECKING:
    from daemon.lsp.session import Session
    from daemon.prediction import Prediction

SURFACE = "code action"
KIND = types.CodeActionKind.RefactorRewrite
PATIENCE_SECONDS = 0.3  # what a menu may take to open


async def actions(session: Session, params: Any) -> list[types.CodeAction]:
    """Answer the request; raises JsonRpcInvalidParams when uri or range is missing."""
    uri, position = require_uri(params), require_position(params, "range", "start")
    session.recorded.cursor(uri, None, position)
    if not _wanted(member(params, "context", "only")):
        return []
    prediction = session.predictor.known(uri)
    automatic = member(params, "context", "triggerKind") == types.CodeActionTriggerKind.Automatic.value
    if prediction is None and not automatic:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                prediction = await session.predictor.predict(uri, None, position, lingers=True)
        except TimeoutError:
            return []
    document = session.documents.find(uri)
    if prediction is None or document is None:
        return []
    prediction = session.offers.offer(prediction, document, SURFACE)
    return [
        types.CodeAction(
            title="Apply the predicted edit",
            kind=KIND,
            edit=_workspace_edit(prediction, versioned=session.client.edits_by_version),
            command=types.Command(**accept_command(prediction)),
        )
    ]


def _workspace_edit(prediction: Prediction, *, versioned: bool) -> types.WorkspaceEdit:
    """The edits; where the editor understands versions, with theirs, so that late ones are refused."""
    edits = [lsp_edit(edit) for edit in prediction.edits]
    if not versioned:
        return types.WorkspaceEdit(changes={prediction.uri: edits})
    document = types.OptionalVersionedTextDocumentIdentifier(uri=prediction.uri, version=prediction.version)
    return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(document, list(edits))])


def _wanted(only: Any) -> bool:
    """Whether the kinds asked for include ours; a kind includes its sub-kinds."""
    if not isinstance(only, list) or not only:
        return True
    return any(kind == "" or (isinstance(kind, str) and f"{KIND.value}.".startswith(f"{kind}.")) for kind in only)
