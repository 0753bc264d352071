"""The server as a process of its own, driven by pytest-lsp with what real editors say of themselves.

pytest-lsp checks each answer against the specification and against what the editor claims to support.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
import pytest_lsp
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

HERE = Path(__file__).parent
URI = "file:///home/ada/project/main.py"
EDITORS = ["neovim@v0.11.0", "visual-studio-code@v1.65.2"]


@pytest_lsp.fixture(
    params=EDITORS,
    config=ClientServerConfig(
        server_command=[sys.executable, str(HERE / "scripted_server.py")],
        server_env={**os.environ, "PYTHONPATH": str(HERE.parents[2])},
    ),
)
async def client(request, lsp_client: LanguageClient):
    capabilities = client_capabilities(request.param)
    capabilities.text_document.inline_completion = types.InlineCompletionClientCapabilities()
    lsp_client.initialize_result = await lsp_client.initialize_session(
        types.InitializeParams(capabilities=capabilities, process_id=os.getpid(), root_uri="file:///home/ada/project")
    )
    yield
    await lsp_client.shutdown_session()


def opened(client, text="x = old_name\n"):
    document = types.TextDocumentItem(uri=URI, language_id="python", version=1, text=text)
    client.text_document_did_open(types.DidOpenTextDocumentParams(text_document=document))


@pytest.mark.asyncio
async def test_the_capabilities_are_what_was_promised(client: LanguageClient):
    capabilities = client.initialize_result.capabilities
    assert capabilities.position_encoding == "utf-16"
    assert capabilities.text_document_sync.change == types.TextDocumentSyncKind.Incremental
    assert capabilities.text_document_sync.open_close
    assert capabilities.inline_completion_provider is not None
    assert capabilities.workspace.workspace_folders.supported
    assert set(capabilities.execute_command_provider.commands) == {
        "foretype.didAccept",
        "foretype.didReject",
        "foretype.didIgnore",
    }


@pytest.mark.asyncio
async def test_inline_edit_accept_and_the_next_one(client: LanguageClient):
    opened(client, "x = old_name\n" + "\n" * 9 + "y = old_name\n")
    ask = {"textDocument": {"uri": URI, "version": 1}, "position": {"line": 0, "character": 4}}
    answer = await client.protocol.send_request_async("textDocument/copilotInlineEdit", ask)
    [edit] = answer.edits
    assert (edit.textDocument.uri, edit.textDocument.version, edit.text) == (URI, 1, "new")
    client.protocol.notify(
        "textDocument/didShowInlineEdit", {"item": {"command": {"arguments": edit.command.arguments}}}
    )
    where = types.Range(types.Position(0, 4), types.Position(0, 7))
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            text_document=types.VersionedTextDocumentIdentifier(uri=URI, version=2),
            content_changes=[types.TextDocumentContentChangePartial(range=where, text=edit.text)],
        )
    )
    command = types.ExecuteCommandParams(command=edit.command.command, arguments=list(edit.command.arguments))
    assert await client.workspace_execute_command_async(command) is None
    ask["textDocument"]["version"] = 2
    answer = await client.protocol.send_request_async("textDocument/copilotInlineEdit", ask)
    assert answer.edits[0].range.start.line == 10


@pytest.mark.asyncio
async def test_inline_completion(client: LanguageClient):
    opened(client, "x = 1\ntot\n")
    answer = await client.text_document_inline_completion_async(
        types.InlineCompletionParams(
            context=types.InlineCompletionContext(trigger_kind=types.InlineCompletionTriggerKind.Automatic),
            text_document=types.TextDocumentIdentifier(uri=URI),
            position=types.Position(1, 3),
        )
    )
    [item] = answer.items
    assert item.insert_text.startswith("tot"[item.range.start.character :])
    assert item.insert_text.endswith("al = 0")
    assert item.range.end == types.Position(1, 3)
    assert item.command.command == "foretype.didAccept"


@pytest.mark.asyncio
async def test_code_action(client: LanguageClient, monkeypatch):
    # lsprotocol takes a code action that carries a command for a bare command, so the answer is read untyped.
    monkeypatch.setattr(client.protocol, "get_result_type", lambda _method: None)
    opened(client)
    [action] = await client.text_document_code_action_async(
        types.CodeActionParams(
            text_document=types.TextDocumentIdentifier(uri=URI),
            range=types.Range(types.Position(0, 0), types.Position(0, 0)),
            context=types.CodeActionContext(diagnostics=[], trigger_kind=types.CodeActionTriggerKind.Invoked),
        )
    )
    assert action["kind"] == types.CodeActionKind.RefactorRewrite
    if "documentChanges" in action["edit"]:  # the editor said that it understands versions
        [change] = action["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": URI, "version": 1}
        edits = change["edits"]
    else:
        edits = action["edit"]["changes"][URI]
    assert [edit["newText"] for edit in edits] == ["new"]


@pytest.mark.asyncio
async def test_copilots_stubs_and_unknown_methods(client: LanguageClient):
    status = await client.protocol.send_request_async("checkStatus", {"localChecksOnly": True})
    assert status.status == "OK"
    with pytest.raises(JsonRpcException) as refusal:
        await client.protocol.send_request_async("no/such/method", {})
    assert refusal.value.code == -32601


@pytest.mark.asyncio
async def test_cancelled_requests_are_answered(client: LanguageClient):
    opened(client)
    ask = {"textDocument": {"uri": URI, "version": 1}, "position": {"line": 0, "character": 4}}
    answer = client.protocol.send_request_async("textDocument/copilotInlineEdit", ask, msg_id="to-cancel")
    client.cancel_request(types.CancelParams(id="to-cancel"))
    async with asyncio.timeout(5):
        try:
            assert isinstance((await answer).edits, list)
        except JsonRpcException as error:
            assert error.code == -32800  # noqa: PT017  (either is right: the answer may be on its way already)
