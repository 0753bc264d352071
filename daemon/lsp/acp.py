"""Next edits for clients of the Agent Client Protocol: ``nes/*`` and ``document/did*``, one JSON value a line.

What a client says is put into the shapes of LSP and goes the same way. Positions are UTF-16, whatever a client offers.
A connection has one session of next edits at a time; what names another one is not heard. Of the context that a client
could send along only diagnostics are asked for: edits and open files we see ourselves.

Method names and fields are those of the protocol's unstable schema, version 1; a test reads what is sent with the
models of its Python SDK. Other kinds of suggestion than edits are never made.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams, JsonRpcInvalidRequest

from daemon.handshake import VERSION
from daemon.lsp import text_sync
from daemon.lsp.client_traits import ClientTraits
from daemon.lsp.diagnostics import take_attached
from daemon.lsp.dialect import Dialect
from daemon.lsp.inline_edit import predicted
from daemon.lsp.line_framing import LineParser, encode_line
from daemon.lsp.offers import OfferState
from daemon.lsp.params import member, optional_version, require_position, require_text
from daemon.lsp.protocol import Lifecycle
from daemon.lsp.wire import range_json

if TYPE_CHECKING:
    from daemon.lsp.session import Session
    from daemon.prediction import Prediction

PROTOCOL_VERSION = 1
SURFACE = "ACP"
CAPABILITIES = {
    "positionEncoding": "utf-16",
    "nes": {
        "events": {"document": {"didOpen": {}, "didChange": {"syncKind": "incremental"}, "didClose": {}}},
        "context": {"diagnostics": {}},
    },
}


async def initialize(session: Session, params: Any) -> dict[str, Any]:
    """Begin; which workspace it is about, ``nes/start`` tells."""
    if params is not None and not isinstance(params, dict):
        raise JsonRpcInvalidParams("the parameters of initialize are an object")
    name = member(params, "clientInfo", "name")
    session.begin(ClientTraits(name=name if isinstance(name, str) else ""), {})
    session.protocol.lifecycle = Lifecycle.INITIALIZED
    return {
        "protocolVersion": PROTOCOL_VERSION,
        "agentCapabilities": CAPABILITIES,
        "authMethods": [],
        "agentInfo": {"name": "foretype", "version": VERSION},
    }


async def start(session: Session, params: Any) -> dict[str, Any]:
    """``nes/start``; raises JsonRpcInvalidRequest while another session of next edits is open."""
    if session.nes_id:
        raise JsonRpcInvalidRequest("a session of next edits is open already; nes/close ends it")
    session.nes_id = f"{session.id}-{secrets.token_hex(2)}"
    session.set_folders(_folders(params))
    return {"sessionId": session.nes_id}


async def close(session: Session, params: Any) -> dict[str, Any]:
    """``nes/close``: its documents are closed with it."""
    _require_session(session, params)
    for document in session.documents.all_open:
        text_sync.did_close(session, {"textDocument": {"uri": document.uri}})
    session.set_folders(())
    session.nes_id = ""
    return {}


async def suggest(session: Session, params: Any) -> dict[str, Any]:
    """``nes/suggest``: at most one suggestion, an edit; raises JsonRpcInvalidParams."""
    _require_session(session, params)
    uri, position = require_text(params, "uri"), require_position(params, "position")
    version = optional_version(_in_lsp(params))
    attached = member(params, "context", "diagnostics")
    if isinstance(attached, list):
        take_attached(session, uri, {"diagnostics": [one for one in attached if member(one, "uri") == uri]})
    prediction = await predicted(session, uri, version, position, SURFACE)
    return {"suggestions": [] if prediction is None else [_edit_suggestion(prediction)]}


def accept(session: Session, params: Any) -> None:
    """``nes/accept``."""
    _tell(session, params, OfferState.ACCEPTED)


def reject(session: Session, params: Any) -> None:
    """``nes/reject``; what was replaced, cancelled or ignored was not refused."""
    was_rejected = member(params, "reason") in (None, "rejected")
    _tell(session, params, OfferState.REJECTED if was_rejected else OfferState.IGNORED)


def did_open(session: Session, params: Any) -> None:
    """``document/didOpen``."""
    if _is_ours(session, params):
        document = {key: member(params, key) for key in ("uri", "languageId", "version", "text")}
        text_sync.did_open(session, {"textDocument": document})


def did_change(session: Session, params: Any) -> None:
    """``document/didChange``."""
    if _is_ours(session, params):
        text_sync.did_change(session, {**_in_lsp(params), "contentChanges": member(params, "contentChanges")})


def did_close(session: Session, params: Any) -> None:
    """``document/didClose``."""
    if _is_ours(session, params):
        text_sync.did_close(session, _in_lsp(params))


def _in_lsp(params: Any) -> dict[str, Any]:
    return {"textDocument": {"uri": member(params, "uri"), "version": member(params, "version")}}


def _edit_suggestion(prediction: Prediction) -> dict[str, Any]:
    edits = [{"range": range_json(edit.range), "newText": edit.text} for edit in prediction.edits]
    return {"kind": "edit", "id": prediction.id, "uri": prediction.uri, "edits": edits}


def _folders(params: Any) -> list[str]:
    listed = member(params, "workspaceFolders")
    uris = [member(folder, "uri") for folder in listed] if isinstance(listed, list) else []
    return [uri for uri in uris or [member(params, "workspaceUri")] if isinstance(uri, str)]


def _is_ours(session: Session, params: Any) -> bool:
    return bool(session.nes_id) and member(params, "sessionId") == session.nes_id


def _require_session(session: Session, params: Any) -> None:
    if not _is_ours(session, params):
        raise JsonRpcInvalidParams("sessionId names no open session of next edits; nes/start opens one")


def _tell(session: Session, params: Any, verdict: OfferState) -> None:
    suggestion_id = member(params, "id")
    if _is_ours(session, params) and isinstance(suggestion_id, str):
        session.offers.told(suggestion_id, verdict)


ACP = Dialect(
    parser=LineParser,
    encode=encode_line,
    requests={"initialize": initialize, "nes/start": start, "nes/suggest": suggest, "nes/close": close},
    notifications={
        "nes/accept": accept,
        "nes/reject": reject,
        "document/didOpen": did_open,
        "document/didChange": did_change,
        "document/didClose": did_close,
    },
    cancel_method="$/cancel_request",
    cancel_id="requestId",
    ends_by_request=False,
)
