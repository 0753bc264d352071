"""Broken and hostile clients: each gets the right error or a quiet drop, and the session goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import orjson
import pytest

from daemon.lsp import editor_process, outgoing
from daemon.lsp.session import serve

URI = "file:///home/ada/project/main.py"


def framed(message):
    body = orjson.dumps({"jsonrpc": "2.0", **message})
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def code_of(reply):
    return reply["error"]["code"]


@pytest.mark.parametrize("name", ["content-length", "CONTENT-LENGTH", "Content-length "])
async def test_header_names_are_read_in_any_case(editor, name):
    body = b'{"jsonrpc":"2.0","id":77,"method":"getVersion"}'
    editor.raw(b"%s: %d\r\n\r\n%s" % (name.encode(), len(body), body))
    assert (await editor.reply(77))["result"]["version"]


async def test_other_headers_may_come_along_in_any_order(editor):
    body = b'{"jsonrpc":"2.0","id":77,"method":"getVersion"}'
    editor.raw(
        b"content-type: application/vscode-jsonrpc; charset=utf8\r\nContent-Length:%d\r\nX: y\r\n\r\n" % len(body)
    )
    editor.raw(body)
    assert (await editor.reply(77))["result"]["version"]


async def test_packets_may_be_split_anywhere_and_merged(editor):
    stream = framed({"id": 70, "method": "getVersion"}) + framed({"id": 71, "method": "checkStatus", "params": {}})
    for byte in stream:
        editor.raw(bytes([byte]))
        await asyncio.sleep(0)
    editor.raw(framed({"id": 72, "method": "getVersion"}) * 1 + framed({"id": 73, "method": "getVersion"}))
    for message_id in (70, 71, 72, 73):
        assert "result" in await editor.reply(message_id)


@pytest.mark.parametrize("length", [b"99999999999", b"99999999", b"9" * 5000, b"-5", b"x", b""])
async def test_an_absurd_content_length_gets_a_parse_error_and_reading_resumes(editor, length):
    editor.raw(b"Content-Length: " + length + b'\r\n\r\n{"some":"bytes"}')
    assert code_of(await editor.reply(None)) == -32700
    await editor.alive()


async def test_a_header_block_without_end_gets_a_parse_error_and_reading_resumes(editor):
    editor.raw(b"x" * 20_000)
    assert code_of(await editor.reply(None)) == -32700
    await editor.alive()


async def test_reading_resumes_after_a_body_of_the_wrong_length(editor):
    body = b'{"jsonrpc":"2.0","id":5,"method":"getVersion"}'
    editor.raw(b"Content-Length: %d\r\n\r\n%s" % (len(body) - 3, body))
    assert code_of(await editor.reply(None)) == -32700
    await editor.alive()


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}', b'"\\ud800'])
async def test_a_body_that_is_not_json_gets_a_parse_error(editor, body):
    editor.raw(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    assert code_of(await editor.reply(None)) == -32700
    await editor.alive()


@pytest.mark.parametrize("message", [b"[]", b"3", b"null", b"{}", b'{"jsonrpc":"2.0","method":7}'])
async def test_json_that_is_no_message_gets_invalid_request(editor, message):
    editor.raw(b"Content-Length: %d\r\n\r\n%s" % (len(message), message))
    assert code_of(await editor.reply(None)) == -32600
    await editor.alive()


async def test_half_a_surrogate_pair_keeps_its_column(editor):
    editor.raw(
        b"Content-Length: %d\r\n\r\n%s"
        % (
            len(
                body := b'{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":'
                b'"file:///s.py","languageId":"python","version":1,"text":"\\ud800 old_name"}}}'
            ),
            body,
        )
    )
    [edit] = await editor.inline_edits(0, 2, uri="file:///s.py")
    assert edit["range"]["start"]["character"] == 2


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/inlineCompletion", None),
        ("textDocument/inlineCompletion", []),
        (
            "textDocument/inlineCompletion",
            {"textDocument": {"uri": 3}, "position": {"line": 0, "character": 0}},
        ),
        (
            "textDocument/inlineCompletion",
            {"textDocument": {"uri": URI}, "position": {"line": -1, "character": 0}},
        ),
        (
            "textDocument/inlineCompletion",
            {"textDocument": {"uri": URI}, "position": {"line": True, "character": 0}},
        ),
        (
            "textDocument/copilotInlineEdit",
            {"textDocument": {"uri": URI, "version": "1"}, "position": {"line": 0, "character": 0}},
        ),
        ("textDocument/copilotInlineEdit", {"textDocument": {"uri": URI, "version": 1}}),
        ("textDocument/codeAction", {"textDocument": {"uri": URI}, "range": None}),
        ("workspace/executeCommand", {"command": None}),
        ("workspace/executeCommand", {"command": "somebody.elses"}),
        ("workspace/executeCommand", {}),
    ],
)
async def test_a_request_with_bad_params_gets_invalid_params_never_silence_never_a_pop_up(editor, method, params):
    message_id = editor.ask(method, params)
    assert code_of(await editor.reply(message_id)) == -32602
    assert not editor.notifications("window/showMessage")
    await editor.alive()


@pytest.mark.parametrize("context", [{}, {"context": None}, {"context": {"triggerKind": 9}}, {"context": []}])
async def test_inline_completion_is_served_whatever_its_context(editor, engine, context):
    editor.open("old_name = 1\n")
    await editor.request(
        "textDocument/inlineCompletion",
        {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 0}, **context},
    )
    assert len(engine.asked) == 1


async def test_a_request_without_params_member_is_answered(editor):
    editor.send({"id": "text-id", "method": "textDocument/inlineCompletion"})
    assert code_of(await editor.reply("text-id")) == -32602
    editor.send({"id": 0, "method": "getVersion"})
    assert (await editor.reply(0))["result"]["version"]


@pytest.mark.parametrize("method", ["foo/bar", "$/foo", "textDocument/hover", "workspace/symbol"])
async def test_unknown_requests_get_method_not_found_and_unknown_notifications_nothing(editor, method):
    message_id = editor.ask(method, {"x": 1})
    assert code_of(await editor.reply(message_id)) == -32601
    count = len(editor.messages)
    editor.notify(method, {"x": 1})
    await editor.alive()
    assert len(editor.messages) == count + 1


async def test_requests_before_initialize_are_refused_and_notifications_dropped(window):
    editor = await window(connect_only=True)
    editor.open("old_name\n")
    assert code_of(await editor.reply(editor.ask("textDocument/inlineCompletion", {}))) == -32002
    assert code_of(await editor.reply(editor.ask("shutdown", None))) == -32002
    await editor.request("initialize", {"capabilities": {}})
    assert await editor.inline_edits(0, 0) == []  # the didOpen above never happened
    assert code_of(await editor.reply(editor.ask("initialize", {}))) == -32600


async def test_requests_after_shutdown_are_refused_and_exit_ends_with_zero(editor):
    assert await editor.request("shutdown", None) is None
    assert code_of(await editor.reply(editor.ask("getVersion", {}))) == -32600
    editor.notify("exit", None)
    assert await editor.exit_code() == 0


async def test_shutdown_ends_what_is_under_way(editor, engine):
    engine.hold()
    editor.open("old_name\n")
    asked = editor.ask_inline_edit(0, 0)
    await engine.begun(1)
    assert await editor.request("shutdown", None) is None
    assert code_of(await editor.reply(asked)) == -32800
    assert engine.aborted == 1


@pytest.mark.parametrize("bad_id", [None, 1.5, True, [1], {"a": 1}, 10**30])
async def test_a_request_with_an_impossible_id_gets_invalid_request(editor, bad_id):
    editor.send({"id": bad_id, "method": "getVersion", "params": {}})
    assert code_of(await editor.reply(None)) in (-32600, -32700)
    await editor.alive()


async def test_a_notification_with_a_null_id_counts(editor):
    editor.send(
        {
            "id": None,
            "method": "textDocument/didOpen",
            "params": {"textDocument": {"uri": URI, "languageId": "python", "version": 1, "text": "old_name\n"}},
        }
    )
    assert len(await editor.inline_edits(0, 0)) == 1


async def test_a_notification_sent_as_a_request_is_obeyed_and_answered(editor):
    assert await editor.request("textDocument/didFocus", {}) is None
    message_id = editor.ask("textDocument/didOpen", {"textDocument": {}})
    assert code_of(await editor.reply(message_id)) == -32602


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/didOpen", None),
        ("textDocument/didOpen", {"textDocument": {"uri": URI}}),
        ("textDocument/didChange", {}),
        (
            "textDocument/didChange",
            {"textDocument": {"uri": "file:///never.py", "version": 2}, "contentChanges": []},
        ),
        ("textDocument/didClose", {"textDocument": {"uri": "file:///never.py"}}),
        ("textDocument/didClose", 3),
        ("textDocument/didFocus", {}),
        ("textDocument/didFocus", None),
        ("textDocument/didShowInlineEdit", {"item": None}),
        ("textDocument/didShowCompletion", {"item": {"command": {"arguments": 3}}}),
        ("workspace/didChangeConfiguration", {}),
        ("workspace/didChangeConfiguration", {"settings": None}),
        (
            "workspace/didChangeConfiguration",
            {"settings": {"foretype": {"min_confidence": "high", "nope": 1}}},
        ),
        ("workspace/didChangeWorkspaceFolders", {"event": {"added": None, "removed": [3, {}]}}),
        ("workspace/didChangeWorkspaceFolders", None),
        ("$/setTrace", {"value": "verbose"}),
        ("$/cancelRequest", {"id": 987}),
        ("$/cancelRequest", {"id": None}),
        ("$/cancelRequest", None),
        ("foretype/didChangeDiagnostics", {"uri": URI}),
        ("foretype/didChangeDiagnostics", {"uri": 3, "diagnostics": []}),
        ("notifyNextEditRejected", {"uuid": None}),
        ("workspace/executeCommand", {"command": "somebody.elses"}),
    ],
)
async def test_malformed_and_pointless_notifications_are_dropped_in_silence(editor, method, params):
    editor.notify(method, params)
    await editor.alive()
    assert len(editor.messages) == 2  # initialize and the round trip


async def test_params_that_embed_lsp_traffic_are_just_data(editor):
    embedded = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": 3}
    assert await editor.request("checkStatus", {"options": embedded}) == {"status": "OK", "user": "local"}


@pytest.mark.parametrize("change", [{"text": 3}, {"range": {"start": 1}, "text": "x"}, 7, {"range": 3, "text": "x"}])
async def test_after_an_unreadable_change_nothing_is_predicted_until_the_whole_text_comes(editor, change):
    editor.open("old_name = 1\n")
    editor.change(2, change)
    assert await editor.inline_edits(0, 0, version=2) == []
    assert await editor.ghost_texts(0, 0) == []
    editor.change(3, {"range": None, "text": "old_name = 2\n"})
    assert len(await editor.inline_edits(0, 0, version=3)) == 1


async def test_versions_may_be_null(editor):
    editor.open("x\n", version=None)
    editor.change(None, {"text": "old_name\n"})
    [edit] = await editor.inline_edits(0, 0, version=None)
    assert isinstance(edit["textDocument"]["version"], int)


async def test_a_ten_megabyte_document_is_taken_and_not_predicted_in(editor):
    editor.open("x = 1\n" * 1_750_000)
    assert await editor.inline_edits(0, 0) == []
    assert "larger than" in editor.status["reason"]
    editor.open("old_name\n", uri="file:///small.py")
    assert len(await editor.inline_edits(0, 0, uri="file:///small.py")) == 1


async def test_a_held_prediction_blocks_no_other_request(editor, engine):
    engine.hold()
    editor.open("old_name\n")
    editor.ask_inline_edit(0, 0)
    await engine.begun(1)
    await editor.alive()


async def test_eof_ends_the_session_without_shutdown_as_an_error(editor):
    editor.writer.write_eof()
    assert await editor.exit_code() == 1


async def test_eof_in_the_middle_of_a_message_ends_the_session(editor):
    editor.raw(b'Content-Length: 100\r\n\r\n{"half":')
    editor.writer.write_eof()
    assert await editor.exit_code() == 1


async def test_eof_aborts_what_the_engine_does_for_it(editor, engine):
    engine.hold()
    editor.open("old_name\n")
    editor.ask_inline_edit(0, 0)
    await engine.begun(1)
    editor.writer.write_eof()
    await editor.exit_code()
    assert engine.aborted == 1
    assert editor.services.status.snapshot()["sessions"] == {}


@pytest.mark.parametrize("requests", [60, 100_000], ids=["waits", "floods"])
async def test_a_peer_that_stops_reading_ends_its_own_session_only(services, window, monkeypatch, requests):
    monkeypatch.setattr(outgoing.Outgoing.__init__, "__kwdefaults__", {"stall_seconds": 0.2})
    staying = await window()
    ours, theirs = socket.socketpair()
    _, deaf_writer = await asyncio.open_connection(sock=ours, limit=1)
    deaf_writer.transport.pause_reading()
    reader, writer = await asyncio.open_connection(sock=theirs)
    session = asyncio.create_task(serve(reader, writer, services))
    request = framed({"id": "x" * 60_000, "method": "getVersion"})

    async def ask_and_never_read():
        try:
            for _ in range(requests):
                deaf_writer.write(request)
                await deaf_writer.drain()
        except ConnectionError:
            pass

    asking = asyncio.create_task(ask_and_never_read())
    async with asyncio.timeout(10):
        assert await session == 1
        await asking
    await staying.alive()
    deaf_writer.close()
    writer.close()


async def test_the_death_of_the_editors_process_ends_the_session(window, monkeypatch):
    monkeypatch.setattr(editor_process.wait_for_death, "__kwdefaults__", {"poll_seconds": 0.05})
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    editor = await window(processId=process.pid)
    await editor.alive()
    process.send_signal(signal.SIGKILL)
    assert await editor.exit_code() == 1
    await process.wait()
    process.stdin.close()


async def test_a_process_id_never_seen_alive_is_ignored(window, monkeypatch):
    monkeypatch.setattr(editor_process.wait_for_death, "__kwdefaults__", {"poll_seconds": 0.01})
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await gone.wait()
    for process_id in (gone.pid, 0, 1, -7, 2**40, "4", os.getpid()):
        editor = await window(processId=process_id)
        await asyncio.sleep(0.05)
        await editor.alive()
