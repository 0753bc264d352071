"""Next edits over the Agent Client Protocol; what is sent is built and read with the models of its Python SDK."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from acp import schema

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from daemon.lsp.acp import ACP
from daemon.lsp.session import serve

PATIENCE_SECONDS = 5.0
URI = "file:///home/ada/project/main.py"
TEXT = "old_name = 1\nprint(old_name)\n"


class Client:
    """A client whose every message is one of the schema's."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.last_id = 0

    def send(self, message):
        self.writer.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def ask(self, method, params):
        self.last_id += 1
        self.send({"id": self.last_id, "method": method, "params": _json(params)})
        return self.last_id

    async def reply(self):
        async with asyncio.timeout(PATIENCE_SECONDS):
            return json.loads(await self.reader.readline())

    async def request(self, method, params, wanted):
        """The result, read as ``wanted``, which must understand all of it."""
        asked = self.ask(method, params)
        reply = await self.reply()
        assert reply["id"] == asked
        result = wanted.model_validate(reply["result"])
        assert _json(result) == reply["result"]
        return result

    async def error(self, method, params):
        self.ask(method, params)
        return (await self.reply())["error"]["code"]

    def notify(self, method, params):
        self.send({"method": method, "params": _json(params)})

    async def start(self):
        await self.request("initialize", schema.InitializeRequest(protocol_version=1), schema.InitializeResponse)
        started = await self.request(
            "nes/start", schema.StartNesRequest(workspace_uri="file:///home/ada/project"), schema.StartNesResponse
        )
        self.session_id = started.session_id

    def open(self, text=TEXT, version=0):
        opened = schema.DidOpenDocumentNotification(
            session_id=self.session_id, uri=URI, language_id="python", version=version, text=text
        )
        self.notify("document/didOpen", opened)

    def change(self, version, start, end, text):
        where = schema.Range(start=_position(*start), end=_position(*end))
        event = schema.TextDocumentContentChangeEvent(range=where, text=text)
        changed = schema.DidChangeDocumentNotification(
            session_id=self.session_id, uri=URI, version=version, content_changes=[event]
        )
        self.notify("document/didChange", changed)

    def question(self, version=0, line=0, character=0, **more):
        return schema.SuggestNesRequest(
            session_id=self.session_id,
            uri=URI,
            version=version,
            position=_position(line, character),
            trigger_kind="automatic",
            **more,
        )

    async def suggestions(self, *position, **more):
        asked = self.question(*position, **more)
        return (await self.request("nes/suggest", asked, schema.SuggestNesResponse)).suggestions


def _json(model):
    return model if isinstance(model, dict) else model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _position(line, character):
    return schema.Position(line=line, character=character)


def after(text, suggestion):
    """``text`` once the suggestion is taken."""
    document = Document(text)
    for edit in suggestion.edits:
        start, end = (Position(at.line, at.character) for at in (edit.range.start, edit.range.end))
        assert document.apply(ContentChange(Range(start, end), edit.new_text)) is not None
    return document.text


@pytest.fixture
async def connection(services):
    """A client that has said nothing yet, and its session, which ends with an exit code."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=theirs)
    session = asyncio.create_task(serve(reader, writer, services, ACP))
    client = Client(*await asyncio.open_connection(sock=ours))
    yield client, session
    client.writer.close()
    await asyncio.wait([session], timeout=PATIENCE_SECONDS)
    writer.close()


@pytest.fixture
async def client(connection):
    client, _ = connection
    await client.start()
    return client


async def test_what_it_can_do_is_said_in_the_schemas_words(connection):
    client, _ = connection
    answer = await client.request("initialize", schema.InitializeRequest(protocol_version=1), schema.InitializeResponse)
    assert answer.protocol_version == 1
    assert answer.agent_capabilities.position_encoding == "utf-16"
    nes = answer.agent_capabilities.nes
    assert nes.events.document.did_change.sync_kind == "incremental"
    assert nes.context.diagnostics is not None
    assert nes.context.edit_history is None


async def test_an_edit_is_suggested_and_follows_what_is_typed(client):
    client.open()
    (first,) = await client.suggestions()
    assert (first.kind, first.uri) == ("edit", URI)
    assert after(TEXT, first).startswith("new_name = 1\n")
    client.change(1, (0, 0), (0, 0), "\u20ac\U0001f600 = ")
    changed = f"\u20ac\U0001f600 = {TEXT}"
    (second,) = await client.suggestions(1, 0, 3)
    assert second.id != first.id
    assert after(changed, second).startswith("\u20ac\U0001f600 = new_name = 1\n")


async def test_nothing_is_suggested_for_another_version_or_an_unknown_document(client):
    assert await client.suggestions() == []
    client.open(version=4)
    assert await client.suggestions(3) == []
    assert len(await client.suggestions(4)) == 1


async def test_what_became_of_a_suggestion_is_counted(client, services):
    client.open()
    (first,) = await client.suggestions()
    client.notify("nes/accept", schema.AcceptNesNotification(session_id=client.session_id, id=first.id))
    (second,) = await client.suggestions()
    client.notify(
        "nes/reject", schema.RejectNesNotification(session_id=client.session_id, id=second.id, reason="rejected")
    )
    assert await client.suggestions() == []  # the same edit was rejected here
    counts = next(iter(services.status.snapshot()["sessions"].values()))["counts"]
    assert (counts["accepted"], counts["rejected"]) == (1, 1)


@pytest.mark.parametrize("reason", ["ignored", "replaced", "cancelled"])
async def test_what_was_not_refused_may_come_again(client, reason):
    client.open()
    (first,) = await client.suggestions()
    client.notify("nes/reject", schema.RejectNesNotification(session_id=client.session_id, id=first.id, reason=reason))
    assert len(await client.suggestions()) == 1


async def test_diagnostics_of_the_context_reach_the_model(client, engine):
    client.open()
    where = schema.Range(start=_position(1, 6), end=_position(1, 14))
    found = [
        schema.NesDiagnostic(uri=URI, range=where, severity="error", message="old_name is not defined"),
        schema.NesDiagnostic(uri="file:///elsewhere.py", range=where, severity="error", message="of another file"),
    ]
    await client.suggestions(context=schema.NesSuggestContext(diagnostics=found))
    (seen,) = engine.asked[-1].active_buffer_diagnostics
    assert (seen.message, seen.severity) == ("old_name is not defined", 1)


async def test_a_cancelled_question_is_answered_as_such_and_the_next_one_as_usual(client, engine):
    client.open()
    engine.hold()
    asked = client.ask("nes/suggest", client.question())
    client.notify("$/cancel_request", schema.CancelRequestNotification(request_id=asked))
    reply = await client.reply()
    assert (reply["id"], reply["error"]["code"]) == (asked, -32800)
    engine.release()
    assert len(await client.suggestions()) == 1


async def test_only_its_own_session_is_heard(client):
    assert await client.error("nes/start", schema.StartNesRequest()) == -32600
    client.open()
    own, client.session_id = client.session_id, "another"
    client.change(1, (0, 0), (1, 0), "")
    assert await client.error("nes/suggest", client.question()) == -32602
    client.session_id = own
    assert len(await client.suggestions()) == 1  # the change was not heard


async def test_after_the_end_of_a_session_another_begins_with_nothing_open(client):
    client.open()
    await client.request("nes/close", schema.CloseNesRequest(session_id=client.session_id), schema.CloseNesResponse)
    assert await client.error("nes/suggest", client.question()) == -32602
    before = client.session_id
    started = await client.request("nes/start", schema.StartNesRequest(), schema.StartNesResponse)
    client.session_id = started.session_id
    assert client.session_id != before
    assert await client.suggestions() == []
    client.open()
    assert len(await client.suggestions()) == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"session/new","params":{}}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"nes/suggest","params":7}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"nes/suggest","params":{"sessionId":null,"uri":1}}', -32602),
    ],
)
async def test_a_bad_message_costs_that_message(client, line, code):
    client.writer.write(line + b"\n")
    assert (await client.reply())["error"]["code"] == code
    client.open()
    assert len(await client.suggestions()) == 1


async def test_initialize_comes_first(connection):
    client, _ = connection
    assert await client.error("nes/start", schema.StartNesRequest()) == -32002


async def test_the_end_of_its_input_is_the_right_end(connection):
    client, session = connection
    await client.start()
    client.writer.close()
    assert await asyncio.wait_for(session, PATIENCE_SECONDS) == 0
