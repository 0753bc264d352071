"""Signals about predictions: our three commands, and Copilot's notifications of what was drawn or taken.

A command arrives as a request or as a notification, with an id that may be unknown or long decided; none of
that is an error. Knows nothing of how a verdict is reached (``offers``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from daemon.lsp.offers import OfferState
from daemon.lsp.params import member, require_text

if TYPE_CHECKING:
    from daemon.lsp.session import Session
    from daemon.prediction import Prediction

ACCEPT_COMMAND = "foretype.didAccept"
VERDICTS = {
    ACCEPT_COMMAND: OfferState.ACCEPTED,
    "foretype.didReject": OfferState.REJECTED,
    "foretype.didIgnore": OfferState.IGNORED,
}


def accept_command(prediction: Prediction) -> dict[str, Any]:
    """The command an editor runs when it applied ``prediction``."""
    return {"title": "Accept prediction", "command": ACCEPT_COMMAND, "arguments": [prediction.id]}


async def execute_command(session: Session, params: Any) -> None:
    """``workspace/executeCommand``; raises JsonRpcInvalidParams for a command that is not ours."""
    note_command(session, params)


def note_command(session: Session, params: Any) -> None:
    """``workspace/executeCommand`` as copilot.el sends it: without an id."""
    command = require_text(params, "command")
    verdict = VERDICTS.get(command)
    if verdict is None:
        raise JsonRpcInvalidParams("this command is not one of ours")
    _tell(session, member(params, "arguments"), verdict)


def did_show(session: Session, params: Any) -> None:
    """``textDocument/didShowInlineEdit`` and ``textDocument/didShowCompletion``."""
    session.announcer.hear_copilot()
    arguments = member(params, "item", "command", "arguments")
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], str):
        session.offers.told_shown(arguments[0])


def did_partially_accept(session: Session, params: Any) -> None:
    """``textDocument/didPartiallyAcceptCompletion``: what becomes of the rest, the text tells."""
    session.announcer.hear_copilot()
    arguments = member(params, "item", "command", "arguments")
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], str):
        session.offers.told_shown(arguments[0])
        session.offers.told_partial(arguments[0])


async def next_edit_rejected(session: Session, params: Any) -> None:
    """``notifyNextEditRejected {uuid, reason}``."""
    note_next_edit_rejected(session, params)


def note_next_edit_rejected(session: Session, params: Any) -> None:
    """The same as a notification."""
    _tell(session, [member(params, "uuid")], OfferState.REJECTED)


def _tell(session: Session, arguments: Any, verdict: OfferState) -> None:
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], str):
        session.offers.told(arguments[0], verdict)
    if verdict is OfferState.REJECTED:
        session.next_edits.rejected()
