"""Every method a session answers or hears: one table for requests, one for notifications.

A method in neither is answered with -32601, or dropped when it is a notification. Some methods are in both,
because clients differ in how they send them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.lsp import (
    accept,
    code_action,
    compatibility,
    consent,
    definitions,
    diagnostics,
    inline_completion,
    inline_edit,
    lifecycle,
    partial_accept,
    status_request,
    text_sync,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.lsp.session import Session

REQUESTS: Mapping[str, Callable[[Session, Any], Awaitable[Any]]] = {
    "initialize": lifecycle.initialize,
    "shutdown": lifecycle.shutdown,
    "textDocument/inlineCompletion": inline_completion.complete,
    "textDocument/copilotInlineEdit": inline_edit.suggest,
    "textDocument/codeAction": code_action.actions,
    "workspace/executeCommand": accept.execute_command,
    "notifyNextEditRejected": accept.next_edit_rejected,
    "foretype/part": partial_accept.part,
    "foretype/status": status_request.status,
    "foretype/consent": consent.consent,
    # Copilot's, with nothing behind them
    "checkStatus": compatibility.check_status,
    "signIn": compatibility.sign_in,
    "signInInitiate": compatibility.sign_in,
    "signInConfirm": compatibility.check_status,
    "signOut": compatibility.sign_out,
    "getVersion": compatibility.get_version,
    "setEditorInfo": compatibility.set_editor_info,
    "copilot/models": compatibility.models,
    "getCompletions": compatibility.no_completions,
    "getCompletionsCycling": compatibility.no_completions,
    "getPanelCompletions": compatibility.no_items,
    "textDocument/copilotPanelCompletion": compatibility.no_items,
    "notifyShown": compatibility.acknowledge,
    "notifyAccepted": compatibility.acknowledge,
    "notifyRejected": compatibility.acknowledge,
}

NOTIFICATIONS: Mapping[str, Callable[[Session, Any], None]] = {
    "initialized": lifecycle.ignore,
    "exit": lifecycle.exit_session,
    "textDocument/didOpen": text_sync.did_open,
    "textDocument/didChange": text_sync.did_change,
    "textDocument/didClose": text_sync.did_close,
    "textDocument/didFocus": text_sync.did_focus,
    "textDocument/didShowInlineEdit": accept.did_show,
    "textDocument/didShowCompletion": accept.did_show,
    "textDocument/didPartiallyAcceptCompletion": accept.did_partially_accept,
    "notifyNextEditRejected": accept.note_next_edit_rejected,
    "workspace/executeCommand": accept.note_command,
    "workspace/didChangeConfiguration": lifecycle.did_change_configuration,
    "workspace/didChangeWorkspaceFolders": lifecycle.did_change_workspace_folders,
    "foretype/didChangeDiagnostics": diagnostics.did_change_diagnostics,
    "foretype/didChangeDefinitions": definitions.did_change_definitions,
}
