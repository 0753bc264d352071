"""Copilot's requests that have nothing to do here but must be answered, so that its clients go on.

Nobody signs in to a local model: whoever asks is told that all is well. Knows nothing of predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.handshake import VERSION

if TYPE_CHECKING:
    from daemon.lsp.session import Session

USER = "local"


async def check_status(session: Session, _params: Any) -> dict[str, Any]:
    """``checkStatus``."""
    session.announcer.hear_copilot()
    return {"status": "OK", "user": USER}


async def sign_in(session: Session, _params: Any) -> dict[str, Any]:
    """``signIn`` and ``signInInitiate``."""
    session.announcer.hear_copilot()
    return {"status": "AlreadySignedIn", "user": USER}


async def sign_out(_session: Session, _params: Any) -> dict[str, Any]:
    """``signOut``; there is nothing to leave."""
    return {"status": "OK", "user": USER}


async def get_version(_session: Session, _params: Any) -> dict[str, Any]:
    """``getVersion``."""
    return {"version": VERSION}


async def set_editor_info(session: Session, _params: Any) -> str:
    """``setEditorInfo``."""
    session.announcer.hear_copilot()
    return "OK"


async def models(_session: Session, _params: Any) -> list[Any]:
    """``copilot/models``: none to choose from here, `foretype model` does that."""
    return []


async def no_completions(_session: Session, _params: Any) -> dict[str, Any]:
    """``getCompletions`` and ``getCompletionsCycling``, older than inline completion."""
    return {"completions": []}


async def no_items(_session: Session, _params: Any) -> dict[str, Any]:
    """``textDocument/copilotPanelCompletion`` and ``getPanelCompletions``."""
    return {"items": []}


async def acknowledge(_session: Session, _params: Any) -> str:
    """``notifyShown``, ``notifyAccepted``, ``notifyRejected``: about completions we never gave."""
    return "OK"
