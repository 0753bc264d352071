"""Editor windows that type in many places at once, as fast as they are answered, and note what is announced to them.

They speak to the hub over the hub's own socket, as the bridge does.
"""

from __future__ import annotations

import asyncio
import itertools
import json

from daemon import handshake

PATIENCE_SECONDS = 60.0  # hundreds of snapshots, on a busy machine
ROWS = 12
STEP = 5  # rows from one key to the next; no divisor of ROWS, so that every row has its turn
REQUEST_CANCELLED = -32800
INITIALIZE = {
    "processId": None,
    "clientInfo": {"name": "a test"},
    "capabilities": {"experimental": {"foretype": {"snapshotStored": True}}},
}


def text_of_file(number):
    """A small Python file in which every row is unlike every other."""
    return "".join(f"value_{number}_{row} = compute(items[{row}], rate={number})\n" for row in range(ROWS))


class Announcements:
    """What all windows were told: the SHA-256 of each stored snapshot by its id, and the ids that came twice.

    ``notice`` is called with each at the moment it is read.
    """

    def __init__(self, notice=lambda _snapshot_id, _sha256: None):
        self.found = {}
        self.doubled = []
        self._notice = notice
        self._changed = asyncio.Event()

    def add(self, snapshot_id, sha256):
        if snapshot_id in self.found:
            self.doubled.append(snapshot_id)
        self.found[snapshot_id] = sha256
        self._notice(snapshot_id, sha256)
        self._changed.set()

    async def until(self, count):
        """Return once there are so many."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.found) < count:
                self._changed.clear()
                await self._changed.wait()


class TypingWindow:
    """One window. ``edits`` counts the answers that held one, ``complaints`` are the server's words to the person."""

    def __init__(self, socket_path, folder, announcements):
        self._socket_path = str(socket_path)
        self._folder = folder
        self._announcements = announcements
        self._numbers = itertools.count(1)
        self._waiting = {}
        self._is_over = False
        self._typing = []
        self.edits = 0
        self.complaints = []

    async def open(self):
        self._reader, self._writer = await asyncio.open_unix_connection(self._socket_path)
        self._writer.write(handshake.hello_line(handshake.PURPOSE_LSP))
        assert handshake.parse_welcome(await self._reader.readline()).accepted
        self._reading = asyncio.create_task(self._read())
        folders = [{"uri": self._folder.as_uri(), "name": self._folder.name}]
        await self.request("initialize", {**INITIALIZE, "workspaceFolders": folders})
        self.notify("initialized", {})
        return self

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    async def request(self, method, params):
        """The result; raises ConnectionError when the hub ends first, AssertionError when the answer is an error.

        A hub that leaves in order may say before it does that it gave the request up.
        """
        if self._is_over:
            raise ConnectionResetError("the hub is gone")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.send({"id": number, "method": method, "params": params})
        message = await answer
        if message.get("error", {}).get("code") == REQUEST_CANCELLED:
            raise ConnectionAbortedError("the hub leaves")
        assert "error" not in message, message
        return message["result"]

    def begin_to_type_in(self, paths):
        """In all of these files at once, until the hub is gone."""
        self._typing += [asyncio.create_task(self._type_on(self.opened(path))) for path in paths]

    def opened(self, path):
        """A file that is open now, to be typed in."""
        return OpenFile(self, path)

    async def over(self):
        """Return once the hub has gone and all that it said is read; nothing may have gone wrong before that."""
        await self._reading
        outcomes = await asyncio.gather(*self._typing, return_exceptions=True)
        assert all(isinstance(outcome, ConnectionError) for outcome in outcomes), outcomes
        self._writer.close()

    def break_off(self):
        """The editor dies."""
        self._writer.transport.abort()

    async def _type_on(self, file):
        while True:
            await file.key()

    async def _read(self):
        try:
            while True:
                header = await self._reader.readuntil(b"\r\n\r\n")
                self._take(json.loads(await self._reader.readexactly(int(header.split(b":")[1]))))
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the hub was killed, or has ended
        finally:
            self._is_over = True
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError("the hub is gone"))

    def _take(self, message):
        method = message.get("method")
        if method is None:
            self._waiting.pop(message["id"]).set_result(message)
        elif method == "foretype/snapshotStored":
            self._announcements.add(message["params"]["id"], message["params"]["sha256"])
        elif method.startswith("window/"):
            self.complaints.append(message)


class OpenFile:
    """A file in a window; each key goes to the end of another row, and after each the next edit is asked for.

    ``keys`` counts them.
    """

    def __init__(self, window, path):
        self._window = window
        self._uri = path.as_uri()
        self.keys = 0
        text = path.read_text()
        self._lengths = [len(row) for row in text.split("\n")[:-1]]
        document = {"uri": self._uri, "languageId": "python", "version": 0, "text": text}
        window.notify("textDocument/didOpen", {"textDocument": document})

    async def key(self):
        """Press one; whether an edit was predicted."""
        self.keys += 1
        row = STEP * self.keys % len(self._lengths)
        where = {"line": row, "character": self._lengths[row]}
        self._lengths[row] += 1
        document = {"uri": self._uri, "version": self.keys}
        change = {"range": {"start": where, "end": where}, "text": chr(ord("a") + self.keys % 26)}
        self._window.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        asked = {"textDocument": document, "position": {"line": row, "character": self._lengths[row]}}
        answer = await self._window.request("textDocument/copilotInlineEdit", asked)
        self._window.edits += bool(answer["edits"])
        return bool(answer["edits"])
