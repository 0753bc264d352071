"""Typing, asking and cancelling in any order: an answer is about the version it was asked for, or it is empty."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.engine.scripted import ScriptedEngine
from daemon.lsp.framing import FrameParser, decode_body, encode_message
from daemon.lsp.session import serve
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.settings_store import SettingsStore
from daemon.status import StatusBoard

URIS = ("file:///w/a.py", "file:///w/b.py")
LINE_ENDS = ("\n", "\r\n", "\r")

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("type"),
            st.sampled_from(URIS),
            st.integers(0, 30),
            st.sampled_from(["x", "\n", "é\U0001f600", ""]),
        ),
        st.tuples(
            st.just("ask"),
            st.sampled_from(URIS),
            st.integers(0, 30),
            st.sampled_from(["edit", "ghost", "action"]),
        ),
        st.tuples(st.just("ask old"), st.sampled_from(URIS), st.integers(0, 30), st.just("edit")),
        st.tuples(st.just("cancel"), st.integers(0, 3)),
        st.tuples(st.just("hold")),
        st.tuples(st.just("release")),
        st.tuples(st.just("breathe")),
    ),
    max_size=25,
)


def position_of(text, index):
    """Line and UTF-16 column of a character index, by counting."""
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    line, _, column = before.rpartition("\n")
    return {"line": before.count("\n"), "character": len(column.encode("utf-16-le")) // 2} | {"_": line and None}


def index_of(text, position):
    """The inverse, by trying; fails when there is no such place."""
    wanted = (position["line"], position["character"])
    for index in range(len(text) + 1):
        if index and text[index - 1 : index + 1] == "\r\n":
            continue
        found = position_of(text, index)
        if (found["line"], found["character"]) == wanted:
            return index
    raise AssertionError(f"{wanted} is not in {text!r}")


class Script:
    """Marks each line that has no mark yet, so that every text has a prediction that shows what it was made for."""

    def __call__(self, inputs):
        lines = inputs.cursor_excerpt.split("\n")
        return "\n".join(line if line.endswith("#") else line + "#" for line in lines)


class World:
    """A session, and a plain model of what the editor knows."""

    def __init__(self, services, engine, line_end):
        self.services, self.engine = services, engine
        self.texts = {uri: [f"one{line_end}two{line_end}"] for uri in URIS}  # the text of every version
        self.asked = {}

    async def run(self, script):
        ours, theirs = socket.socketpair()
        reader, self.writer = await asyncio.open_connection(sock=ours)
        session_reader, session_writer = await asyncio.open_connection(sock=theirs)
        session = asyncio.create_task(serve(session_reader, session_writer, self.services))
        self.send("initialize", {"capabilities": {}}, 0)
        for uri in URIS:
            document = {"uri": uri, "languageId": "python", "version": 0, "text": self.texts[uri][0]}
            self.send("textDocument/didOpen", {"textDocument": document})
        for step in script:
            await self.take(*step)
        self.engine.release()
        frames, replies = FrameParser(), {}
        while len(replies) < 1 + len(self.asked):  # every request is answered
            for frame in frames.feed(await reader.read(65536)):
                message = decode_body(frame)
                if "id" in message:
                    assert message["id"] not in replies, "answered twice"
                    replies[message["id"]] = message
        self.writer.write_eof()
        assert await session == 1
        session_writer.close()
        self.writer.close()
        return replies

    def send(self, method, params, message_id=None):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        self.writer.write(encode_message(message | ({} if message_id is None else {"id": message_id})))

    async def take(self, what, *arguments):
        if what == "hold":
            self.engine.hold()
        elif what == "release":
            self.engine.release()
        elif what == "breathe":
            await asyncio.sleep(0.001)
        elif what == "cancel":
            self.send("$/cancelRequest", {"id": len(self.asked) - arguments[0]})
        elif what == "type":
            self.type(*arguments)
        else:
            self.ask(what, *arguments)

    def type(self, uri, index, typed):
        text = self.texts[uri][-1]
        index = min(index, len(text))
        if text[index - 1 : index + 1] == "\r\n":
            index += 1
        end = index if typed else min(index + 1, len(text))
        if text[end - 1 : end + 1] == "\r\n":
            end += 1
        self.texts[uri].append(text[:index] + typed + text[end:])
        change = {"range": {"start": position_of(text, index), "end": position_of(text, end)}, "text": typed}
        document = {"uri": uri, "version": len(self.texts[uri]) - 1}
        self.send("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def ask(self, what, uri, index, surface):
        version = len(self.texts[uri]) - (2 if what == "ask old" else 1)
        text = self.texts[uri][version]
        place = position_of(text, min(index, len(text)))
        message_id = len(self.asked) + 1
        self.asked[message_id] = (what, uri, version, surface)
        document = {"uri": uri, "version": version}
        if surface == "edit":
            self.send("textDocument/copilotInlineEdit", {"textDocument": document, "position": place}, message_id)
        elif surface == "ghost":
            self.send("textDocument/inlineCompletion", {"textDocument": document, "position": place}, message_id)
        else:
            where = {"start": place, "end": place}
            self.send(
                "textDocument/codeAction",
                {"textDocument": document, "range": where, "context": {}},
                message_id,
            )

    def edits_in(self, message_id, reply):
        """The edits of a reply, as (range, text)."""
        what, uri, version, surface = self.asked[message_id]
        result = reply["result"]
        if surface == "edit":
            for edit in result["edits"]:
                assert edit["textDocument"] == {"uri": uri, "version": version}
                assert what == "ask"
            return [(edit["range"], edit["text"]) for edit in result["edits"]]
        if surface == "ghost":
            return [(item["range"], item["insertText"]) for item in result["items"]]
        changes = [action["edit"]["changes"][uri] for action in result]
        return [(edit["range"], edit["newText"]) for edits in changes for edit in edits]

    def check(self, replies):
        for message_id, (_, uri, version, _) in self.asked.items():
            reply = replies[message_id]
            if "error" in reply:
                assert reply["error"]["code"] == -32800
                continue
            text = self.texts[uri][version]
            for where, new_text in self.edits_in(message_id, reply):
                start, end = index_of(text, where["start"]), index_of(text, where["end"])
                after = text[:start] + new_text + text[end:]
                assert after != text
                # made for exactly this text: marks were added at ends of its lines, and nothing else changed
                assert after.replace("#", "") == text.replace("#", "")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.sampled_from(LINE_ENDS))
def test_an_answer_is_about_the_version_it_was_asked_for_or_empty(script, line_end):
    async def play():
        engine, status = ScriptedEngine(Script()), StatusBoard()
        scheduler = Scheduler(engine, status=status)
        services = Services(scheduler, SettingsStore(Path(tempfile.gettempdir()) / "no-such-settings.toml"), status)
        world = World(services, engine, line_end)
        async with asyncio.timeout(20):
            world.check(await world.run(script))
            await scheduler.close()
        snapshot = status.snapshot()
        assert snapshot["sessions"] == {}

    asyncio.run(play())
