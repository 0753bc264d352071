"""``initialize``, ``initialized``, ``shutdown``, ``exit`` and what an editor says of its configuration.

Positions are UTF-16 whatever the client offers: it is the one encoding every client must have, and two of
Copilot's clients count in it whatever was agreed. ``exit`` closes this connection and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from daemon.handshake import VERSION
from daemon.lsp.accept import VERDICTS
from daemon.lsp.client_traits import ClientTraits
from daemon.lsp.code_action import KIND
from daemon.lsp.params import member
from daemon.lsp.protocol import Lifecycle
from daemon.settings import editor_settings

if TYPE_CHECKING:
    from daemon.lsp.session import Session


async def initialize(session: Session, params: Any) -> types.InitializeResult:
    """Begin; succeeds with whatever part of the parameters is missing or of another type."""
    if params is not None and not isinstance(params, dict):
        raise JsonRpcInvalidParams("the parameters of initialize are an object")
    session.begin(ClientTraits.from_initialize(params), editor_settings(member(params, "initializationOptions")))
    session.protocol.lifecycle = Lifecycle.INITIALIZED
    return types.InitializeResult(
        capabilities=types.ServerCapabilities(
            position_encoding=types.PositionEncodingKind.Utf16,
            text_document_sync=types.TextDocumentSyncOptions(
                open_close=True, change=types.TextDocumentSyncKind.Incremental, save=False
            ),
            workspace=types.WorkspaceOptions(
                workspace_folders=types.WorkspaceFoldersServerCapabilities(supported=True, change_notifications=True)
            ),
            inline_completion_provider=types.InlineCompletionOptions(),
            code_action_provider=types.CodeActionOptions(code_action_kinds=[KIND]),
            execute_command_provider=types.ExecuteCommandOptions(commands=list(VERDICTS)),
        ),
        server_info=types.ServerInfo(name="foretype", version=VERSION),
    )


async def shutdown(session: Session, _params: Any) -> None:
    """End what is under way; after this only ``exit`` counts."""
    session.protocol.lifecycle = Lifecycle.SHUT_DOWN
    session.stop_work()


def exit_session(session: Session, _params: Any) -> None:
    """``exit``: end this session, with 0 after ``shutdown`` and 1 without."""
    session.end()


def ignore(_session: Session, _params: Any) -> None:
    """A notification that is fine and changes nothing here."""


def did_change_configuration(session: Session, params: Any) -> None:
    """``workspace/didChangeConfiguration``; other servers' settings come along and are left alone."""
    session.predictor.follow_editor(editor_settings(params))


def did_change_workspace_folders(session: Session, params: Any) -> None:
    """``workspace/didChangeWorkspaceFolders``."""
    added, removed = member(params, "event", "added"), member(params, "event", "removed")
    gone = {member(folder, "uri") for folder in removed} if isinstance(removed, list) else set()
    new = [member(folder, "uri") for folder in added] if isinstance(added, list) else []
    kept = [uri for uri in session.folders if uri not in gone]
    session.set_folders([*kept, *(uri for uri in new if isinstance(uri, str) and uri not in kept)])
