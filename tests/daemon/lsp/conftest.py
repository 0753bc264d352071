"""An editor window in the test's own process: real streams, real session, an engine with written-down answers."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from daemon.engine.scripted import ScriptedEngine, completing, replacing
from daemon.lsp.session import serve
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.settings_store import SettingsStore
from daemon.status import StatusBoard

PATIENCE_SECONDS = 5.0  # a test waits this long for what should come at once
URI = "file:///home/ada/project/main.py"
WORKSPACE = {"workspaceFolders": [{"uri": "file:///home/ada/project", "name": "project"}]}


class RpcError(Exception):
    """The server answered with an error."""

    def __init__(self, error):
        self.code = error["code"]
        super().__init__(f"{error['code']}: {error['message']}")


def where(line, start, end=None):
    """A range on one line in LSP's shape."""
    end = start if end is None else end
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


class Editor:
    """One editor window. Every reply and notification is kept; ``exit_code`` is the session's."""

    def __init__(self, services):
        self.services = services
        self.messages = []
        self._replies = {}
        self._arrived = asyncio.Condition()
        self._last_id = 0

    async def connect(self):
        ours, theirs = socket.socketpair()
        self.reader, self.writer = await asyncio.open_connection(sock=ours)
        self.session_reader, self._session_writer = await asyncio.open_connection(sock=theirs)
        self.session = asyncio.create_task(serve(self.session_reader, self._session_writer, self.services))
        self._listening = asyncio.create_task(self._listen())
        return self

    async def start(self, **params):
        await self.connect()
        self.initialized = await self.request("initialize", {"capabilities": {}, **WORKSPACE, **params})
        self.notify("initialized", {})
        return self

    async def _listen(self):
        try:
            while True:
                header = await self.reader.readuntil(b"\r\n\r\n")
                message = json.loads(await self.reader.readexactly(int(header.split(b":")[1])))
                async with self._arrived:
                    self.messages.append(message)
                    self._arrived.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError):
            async with self._arrived:
                self._arrived.notify_all()

    def raw(self, data):
        self.writer.write(data)

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.raw(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    def ask(self, method, params):
        """Send a request; returns its id."""
        self._last_id += 1
        self.send({"id": self._last_id, "method": method, "params": params})
        return self._last_id

    async def until(self, wanted):
        """The first message for which ``wanted`` is true, now or later."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._arrived:
            while True:
                for message in self.messages:
                    if wanted(message):
                        return message
                await self._arrived.wait()

    async def reply(self, message_id):
        """The whole reply to ``message_id``."""
        return await self.until(lambda m: m.get("id") == message_id and "method" not in m)

    async def answer(self, message_id):
        """The result of ``message_id``; raises RpcError."""
        reply = await self.reply(message_id)
        if "error" in reply:
            raise RpcError(reply["error"])
        return reply["result"]

    async def request(self, method, params):
        return await self.answer(self.ask(method, params))

    async def alive(self):
        """A round trip: everything sent before has been handled."""
        assert (await self.request("getVersion", {}))["version"]

    def notifications(self, method):
        return [message["params"] for message in self.messages if message.get("method") == method]

    # What editors do

    def open(self, text, uri=URI, version=1, language_id="python"):
        self.notify(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": language_id, "version": version, "text": text}},
        )

    def change(self, version, *changes, uri=URI):
        self.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": version}, "contentChanges": list(changes)},
        )

    def ask_inline_edit(self, line, character, version=1, uri=URI, **more):
        return self.ask(
            "textDocument/copilotInlineEdit",
            {
                "textDocument": {"uri": uri, "version": version},
                "position": {"line": line, "character": character},
                **more,
            },
        )

    async def inline_edits(self, line, character, version=1, uri=URI, **more):
        result = await self.answer(self.ask_inline_edit(line, character, version, uri, **more))
        return result["edits"]

    async def ghost_texts(self, line, character, uri=URI, context=None):
        result = await self.request(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": uri},
                "position": {"line": line, "character": character},
                "context": context or {"triggerKind": 2},
            },
        )
        return result["items"]

    async def code_actions(self, line, character, uri=URI, **context):
        return await self.request(
            "textDocument/codeAction",
            {
                "textDocument": {"uri": uri},
                "range": where(line, character),
                "context": {"diagnostics": [], **context},
            },
        )

    @property
    def status(self):
        """This window's entry on the status board, when there is one window."""
        return next(iter(self.services.status.snapshot()["sessions"].values()))

    async def exit_code(self):
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.shield(self.session)

    async def close(self):
        self.writer.close()
        await asyncio.wait([self.session], timeout=PATIENCE_SECONDS)
        self._listening.cancel()
        await asyncio.wait([self._listening])
        self._session_writer.close()


@pytest.fixture
def engine():
    """Renames ``old_name`` to ``new_name``."""
    return ScriptedEngine(replacing("old_name", "new_name"))


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('work_ahead = "accepted"\n')  # "keys" would ask the engine about texts that no test mentions
    store = SettingsStore(path)
    store.reload()
    return store


@pytest.fixture
def set_settings(settings):
    def write(text):
        Path(settings.path).write_text(text)
        settings.reload()
        assert settings.error is None

    return write


@pytest.fixture
def reading_seconds():
    return 0


@pytest.fixture
def keeper():
    """Nothing is captured, unless a test file says otherwise."""


@pytest.fixture
async def services(engine, settings, reading_seconds, keeper):
    status = StatusBoard()
    scheduler = Scheduler(engine, status=status)
    services = Services(scheduler, settings, status, reading_seconds, keeper=keeper)
    yield services
    await services.ignored.close()
    await scheduler.close()


@pytest.fixture
async def window(services):
    """Makes editor windows: ``await window()``, or ``await window(connect_only=True)`` before initialize."""
    opened = []

    async def make(*, connect_only=False, **initialize):
        editor = Editor(services)
        opened.append(editor)
        return await (editor.connect() if connect_only else editor.start(**initialize))

    yield make
    for editor in opened:
        await editor.close()


@pytest.fixture
async def editor(window):
    return await window()


@pytest.fixture
async def completed(editor, engine):
    """``x = `` is open and its completion was given: ``editor.edit``."""
    engine.script = completing("x = compute(items)")
    editor.open("x = \n")
    [editor.edit] = await editor.inline_edits(0, 4)
    assert editor.edit["text"] == "compute(items)"
    return editor
