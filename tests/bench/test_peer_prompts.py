"""What a peer is given to see beside what our own daemon's model sees: the same, context included."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bench.peers.window import PeerWindow, close_services, make_services
from bench.session import read_sessions
from bench.workspaces import workspace_of
from capture.editing.positions import ContentChange, Position, Range
from daemon.engine.api import EngineState
from daemon.engine.messages import Counters, EngineAnswer
from daemon.lsp.framing import FrameParser, encode_message
from daemon.lsp.outgoing import Outgoing, OutgoingState
from daemon.lsp.session import Session
from daemon.lsp.wire import range_json
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.settings_store import SettingsStore
from daemon.status import StatusBoard
from daemon.symbol_indexes import SymbolIndexes

REST_SECONDS = 0.75  # longer than anything that a window waits for when nobody types
PATIENCE_SECONDS = 30.0

# The cursor goes to a name that another file defines, an edit breaks the syntax there, another mends it.
AT, BEHIND = Position(12, 15), Position(12, 16)
KEYS = [
    (None, AT),
    (ContentChange(Range(AT, AT), "("), BEHIND),
    (None, AT),
    (None, Position(30, 4)),
    (None, BEHIND),
    (ContentChange(Range(AT, BEHIND), ""), AT),
]


class NotingEngine:
    """Says that nothing is to be edited, and notes what it was shown."""

    state, failure, model, tokens_evaluated = EngineState.READY, "", None, 0

    def __init__(self):
        self.shown = []

    async def predict(self, inputs, **_limits):
        self.shown.append(inputs)
        return EngineAnswer(id=0, reason="nothing", counters=Counters(prompt_tokens=1, tokens_evaluated=1))

    async def unload(self):
        pass

    async def close(self):
        pass


class Sent(Outgoing):
    """Where a session's messages end."""

    def __init__(self):
        self.state = OutgoingState.OPEN
        self.said = asyncio.Queue()

    def send(self, data):
        self.said.put_nowait(data)


class OurWindow:
    """A session of the daemon as it is, all but the model."""

    def __init__(self, tmp_path):
        path = tmp_path / "settings.toml"
        path.write_text('work_ahead = "off"\n')  # what is shown for a guess is no key's
        settings, status = SettingsStore(path), StatusBoard()
        settings.reload()
        self.engine, self.sent = NotingEngine(), Sent()
        self.indexes = SymbolIndexes(logging.getLogger("test"), lambda: settings.current.exclude, lambda: True)
        self.services = Services(Scheduler(self.engine, status=status), settings, status, indexes=self.indexes)
        self.session = Session(self.services, self.sent)
        self._frames, self._last_id = FrameParser(), 0

    def receive(self, message):
        for frame in self._frames.feed(encode_message({"jsonrpc": "2.0", **message})):
            self.session.protocol.receive(frame)

    async def ask(self, method, params):
        self._last_id += 1
        self.receive({"id": self._last_id, "method": method, "params": params})
        while b'"id":%d,' % self._last_id not in await self.sent.said.get():
            pass

    async def close(self):
        await self.session.close()
        await close_services(self.services)


@pytest.fixture
async def ours(tmp_path):
    window = OurWindow(tmp_path)
    yield window
    await window.close()


@pytest.fixture
async def theirs():
    services = make_services()
    window = PeerWindow(services)
    window.services = services
    yield window
    await window.close()
    await close_services(services)


async def are_ready(*all_services):
    """Wait until the symbol indexes are."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for services in all_services:
            while [one["state"] for one in services.indexes.describe()] != ["ready"]:  # noqa: ASYNC110  workers
                await asyncio.sleep(0.05)


async def settled(ours, theirs, uri):
    """Wait as a person who reads does, and until both have heard the same of their workers."""
    await asyncio.sleep(REST_SECONDS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while ours.session.surroundings.related(uri) != theirs.related(uri):  # noqa: ASYNC110  their workers answer
            await asyncio.sleep(0.05)


async def test_a_peer_sees_what_our_own_model_sees_at_every_key(tmp_path, ours, theirs):
    [session] = read_sessions(["python_tests"])
    root = tmp_path / "project"
    await asyncio.to_thread(workspace_of(session).write, root)
    header, uri = session.header, (root / session.header.path).as_uri()
    folders = [{"uri": root.as_uri(), "name": "project"}]
    await ours.ask("initialize", {"processId": None, "capabilities": {}, "workspaceFolders": folders})
    theirs.set_folders([root.as_uri()])
    item = {"uri": uri, "languageId": header.language_id, "version": 1, "text": header.text}
    ours.receive({"method": "textDocument/didOpen", "params": {"textDocument": item}})
    theirs.opened(uri, header.language_id, 1, header.text)

    async def seen_by_both(version, cursor):
        position = {"line": cursor.line, "character": cursor.character_utf16}
        asked = {"textDocument": {"uri": uri, "version": version}, "position": position}
        await ours.ask("textDocument/copilotInlineEdit", asked)
        theirs.viewed(uri, cursor)
        their = theirs.inputs(uri, version, cursor)
        # Ours asks at other places too where there is nothing at the cursor; that is no part of the comparison.
        our = [seen for seen in ours.engine.shown if seen.cursor_offset_in_excerpt == their.cursor_offset_in_excerpt]
        return our[-1], their

    await are_ready(ours.services, theirs.services)
    await seen_by_both(1, Position(0, 0))
    found, version = [], 1
    for change, cursor in KEYS:
        if change is not None:
            version += 1
            changes = [{"range": range_json(change.range), "text": change.text}]
            params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": changes}
            ours.receive({"method": "textDocument/didChange", "params": params})
            theirs.changed(uri, version, [change])
        found.append(await seen_by_both(version, cursor))
        await settled(ours, theirs, uri)

    assert [our.to_json() for our, _ in found] == [their.to_json() for _, their in found]
    sources = {each.context_source for our, _ in found for file in our.related_files for each in file.excerpts}
    assert sources == {"lsp", "git_log"}, "definitions and files that change together were among it"
    assert any(our.active_buffer_diagnostics for our, _ in found), "and syntax errors"
