"""``foretype/consent``: an editor asks whether capture is allowed in its workspace, or lets its user decide.

Parameters: ``action`` is ``show``, ``grant`` or ``revoke``; ``workspace`` is the URI of one of the window's folders,
and may be missing where there is only one; ``scope`` (``local`` unless given, or ``upload``) and ``textVersion`` go
with ``grant``, ``purge`` (true: also delete what was captured there) with ``revoke``.

The result of each: ``workspace``; ``granted``, whether capture is allowed now, and ``reason``, why it is not;
``scope`` and ``workspaceId``, None without consent; ``text`` and ``textVersion``, what a person agrees to; ``ended``,
the ids of the workspaces whose consent this request took back; ``purged``, how many snapshots it deleted, None where it
was not asked to.

An editor that showed the text itself says so with ``textVersion``. Where that is missing the question is put with
``window/showMessageRequest``, and only its first button is a yes; an older version is refused.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from capture.consent.book import CONSENT_TEXT, CONSENT_TEXT_VERSION, SCOPES, ConsentRefused
from capture.store.error import StorageError
from capture.store.stored import PurgeRefused
from daemon.lsp.documents import path_of
from daemon.lsp.params import member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.consent.book import Consent, ConsentBook, Scope
    from daemon.lsp.protocol import LenientProtocol

AGREE, DECLINE = "Agree", "Do not remember anything"
_FILE_SCHEME = "file:"
NOTHING_IS_CAPTURED = "nothing is captured in this process, so there is nothing to agree to"


class ConsentingWindow(Protocol):
    """What the request needs of a session."""

    @property
    def consents(self) -> ConsentBook | None:
        """The consents on record, None where nothing is captured whoever agrees."""

    @property
    def folders(self) -> tuple[str, ...]:
        """The URIs of the window's folders."""

    @property
    def protocol(self) -> LenientProtocol:
        """The connection."""

    async def forget(self, workspace_ids: Sequence[str], *, purge: bool) -> int | None:
        """Consent ended there; returns how many snapshots were deleted, None where none were to be."""


async def consent(window: ConsentingWindow, params: Any) -> dict[str, Any]:
    """The result that this module describes; raises JsonRpcException."""
    action, uri = member(params, "action"), _workspace(window.folders, params)
    root = path_of(uri)
    ended: Sequence[Consent] = ()
    purged: int | None = None
    book = window.consents
    if book is None:
        raise JsonRpcException(NOTHING_IS_CAPTURED, types.LSPErrorCodes.RequestFailed)
    try:
        if action == "grant":
            await _grant(window, book, root, params)
        elif action == "revoke":
            ended = await asyncio.to_thread(book.revoke, root)
            purged = await window.forget([one.workspace_id for one in ended], purge=member(params, "purge") is True)
        elif action != "show":
            raise JsonRpcInvalidParams("action must be show, grant or revoke")
    except (ConsentRefused, PurgeRefused, StorageError) as error:
        raise JsonRpcException(str(error), types.LSPErrorCodes.RequestFailed) from error
    decision = book.decide(root)
    return {
        "workspace": uri,
        "granted": decision.consent is not None,
        "reason": decision.reason,
        "scope": None if decision.consent is None else decision.consent.scope,
        "workspaceId": None if decision.consent is None else decision.consent.workspace_id,
        "text": CONSENT_TEXT,
        "textVersion": CONSENT_TEXT_VERSION,
        "ended": [one.workspace_id for one in ended],
        "purged": purged,
    }


async def _grant(window: ConsentingWindow, book: ConsentBook, root: str, params: Any) -> None:
    scope = member(params, "scope")
    scope = "local" if scope is None else scope
    if scope not in SCOPES:
        raise JsonRpcInvalidParams(f"scope must be one of {', '.join(SCOPES)}")
    refusal = book.policy_refusal(scope)
    if refusal:
        raise JsonRpcException(refusal, types.LSPErrorCodes.RequestFailed)
    shown = member(params, "textVersion")
    if shown is not None and shown != CONSENT_TEXT_VERSION:
        raise JsonRpcInvalidParams(f"textVersion is {CONSENT_TEXT_VERSION}: show that text, and ask again")
    if shown is None and not await _agreed(window.protocol, root, scope):
        return
    await asyncio.to_thread(book.grant, root, scope)


async def _agreed(protocol: LenientProtocol, root: str, scope: Scope) -> bool:
    question = types.ShowMessageRequestParams(
        type=types.MessageType.Info,
        message=f"{CONSENT_TEXT}\nFolder: {root}\nScope: {scope}",
        actions=[types.MessageActionItem(AGREE), types.MessageActionItem(DECLINE)],
    )
    answer = await protocol.ask("window/showMessageRequest", question)
    return bool(member(answer, "title") == AGREE)


def _workspace(folders: Sequence[str], params: Any) -> str:
    """The URI of the folder that is meant; an editor speaks for its own folders only."""
    uri = member(params, "workspace")
    if uri is None and len(folders) == 1:
        uri = folders[0]
    if uri not in folders:
        raise JsonRpcInvalidParams("workspace must be the URI of one of this window's folders")
    if not uri.startswith(_FILE_SCHEME):
        raise JsonRpcInvalidParams("workspace must be a folder on this machine, with a file: URI")
    return str(uri)
