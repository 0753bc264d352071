"""The editor of the demo: holds the text, speaks LSP to a session over a stream, applies what it accepts.

Small on purpose, and without any logic of predictions: what it shows came over the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from daemon.lsp.framing import FrameParser, decode_body, encode_message

READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Shown:
    """What a keystroke brought: the text as it would be (None without a prediction), and what it cost."""

    text_after: str | None
    change: ContentChange | None
    command: dict[str, Any] | None
    status: dict[str, Any]
    milliseconds: float


class DemoEditor:
    """One open document and one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uri: str) -> None:
        self._reader, self._writer, self._uri = reader, writer, uri
        self._parser = FrameParser()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self.document = Document("")
        self.cursor = Position(0, 0)
        self._receiving = asyncio.create_task(self._receive())

    async def start(self, text: str, root_uri: str) -> None:
        """Initialise the session and open the document."""
        folders = [{"uri": root_uri, "name": "demo"}]
        await self.request("initialize", {"processId": None, "capabilities": {}, "workspaceFolders": folders})
        self.notify("initialized", {})
        self.document = Document(text, version=1)
        item = {"uri": self._uri, "languageId": "python", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, where: Range, text: str) -> None:
        """Replace a range, tell the daemon, and put the cursor behind the new text."""
        version = (self.document.version or 0) + 1
        change = ContentChange(where, text)
        start = self.document.offset_bytes(where.start)
        self.document.change(version, [change])
        self.cursor = self.document.position_at(start + len(text.encode()))
        changes = [{"range": _range_json(where), "text": text}]
        identifier = {"uri": self._uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": changes})

    async def ask(self) -> Shown:
        """Ask for the next edit at the cursor."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        identifier = {"uri": self._uri, "version": self.document.version}
        position = {"line": self.cursor.line, "character": self.cursor.character_utf16}
        reply = await self.request("textDocument/copilotInlineEdit", {"textDocument": identifier, "position": position})
        milliseconds = 1000 * (loop.time() - started)
        status = await self.request("foretype/status", {})
        if not reply["edits"]:
            return Shown(None, None, None, status, milliseconds)
        edit = reply["edits"][0]
        change = ContentChange(_range(edit["range"]), edit["text"])
        preview = Document(self.document.text)
        preview.apply(change)
        return Shown(preview.text, change, edit["command"], status, milliseconds)

    async def accept(self, shown: Shown) -> None:
        """Apply a prediction and say so, as an editor does."""
        if shown.change is None or shown.change.range is None or shown.command is None:
            return
        self.change(shown.change.range, shown.change.text)
        await self.request("workspace/executeCommand", shown.command)

    async def close(self) -> None:
        """Shut the session down."""
        await self.request("shutdown", None)
        self.notify("exit", None)
        self._writer.close()
        self._receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._receiving

    async def request(self, method: str, params: Any) -> Any:
        """Send a request and wait for its result; raises RuntimeError on an error response."""
        self._last_id += 1
        answer = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = answer
        self._send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        return await answer

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        self._writer.write(encode_message(message))

    async def _receive(self) -> None:
        while data := await self._reader.read(READ_BYTES):
            for body in self._parser.feed(data):
                message = decode_body(body) if isinstance(body, bytes) else {}
                if "method" in message and "id" in message:  # the daemon asks; nothing here needs an answer
                    self._send({"jsonrpc": "2.0", "id": message["id"], "result": None})
                elif "id" in message and message["id"] in self._waiting:
                    self._settle(message)

    def _settle(self, message: dict[str, Any]) -> None:
        answer = self._waiting.pop(message["id"])
        if "error" in message:
            answer.set_exception(RuntimeError(message["error"]["message"]))
        else:
            answer.set_result(message.get("result"))


def _range_json(where: Range) -> dict[str, Any]:
    return {
        "start": {"line": where.start.line, "character": where.start.character_utf16},
        "end": {"line": where.end.line, "character": where.end.character_utf16},
    }


def _range(value: dict[str, Any]) -> Range:
    start, end = value["start"], value["end"]
    return Range(Position(start["line"], start["character"]), Position(end["line"], end["character"]))
