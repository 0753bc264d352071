"""An open-loop editor: presses a session's keys when they are due, whether or not the last one was answered.

Speaks LSP on a server's standard input and output. With each key it sends the change and asks for the next edit; a
question that the next key overtakes is cancelled, as editors do, and its answer counts as superseded even if it
comes. Knows nothing of which system answers, nor of how figures are made of the records.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from bench.session import Keystroke, Session, sha256
from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from daemon.lsp.framing import FrameParser, decode_body, encode_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

READ_BYTES = 65_536
LOAD_SECONDS = 600.0  # for the first answer, which loads the model
LAST_ANSWER_SECONDS = 120.0  # for the answer to the last key
LEAVE_SECONDS = 10.0
SECONDS_BEFORE_FIRST_KEY = 2.0  # the person looks at the file; meanwhile what is around it is found
NOWHERE = Path("/bench")  # a workspace that is not there
REPOSITORY = Path(__file__).parent.parent

Outcome = Literal["edit", "none", "superseded", "refused", "failed"]


@dataclass(slots=True)
class Record:
    """What became of one keystroke. Times are milliseconds after the session's start.

    ``due_ms`` is the schedule, ``sent_ms`` when the key left the client, ``answered_ms`` None while no answer came.
    ``counters`` are what the system says of the answer; ``reused`` whether it was given without the model;
    ``accepted`` whether an ``accept`` key found its change predicted. An outcome ``refused`` is an empty answer that no
    model gave: an engine that failed, a file that is excluded; ``reason`` says which.
    """

    session: str
    kind: str
    due_ms: float
    sent_ms: float
    answered_ms: float | None = None
    outcome: Outcome = "superseded"
    reused: bool = False
    accepted: bool = False
    reason: str = ""
    counters: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One line of the records."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Record:
        """Read ``to_json``."""
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a server's processes used: seconds of processor time, and the largest resident memory in bytes."""

    cpu_seconds: float
    rss_bytes: int


class ServerEnded(Exception):
    """The server closed its output while something was expected of it."""


class OpenLoopClient:
    """One server process and the connection to it; ``leave_seconds`` is its time to leave before it is killed.

    ``root`` is the workspace folder it is told of.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, root: Path = NOWHERE, *, leave_seconds: float = LEAVE_SECONDS
    ) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the server was not started with pipes")
        self.root = root
        self._process = process
        self._leave_seconds = leave_seconds
        self._stdin, self._stdout = process.stdin, process.stdout
        self._waiting: dict[int, Callable[[dict[str, Any] | None], None]] = {}
        self._last_id = 0
        self._receiving = asyncio.create_task(self._receive())

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        root: Path = NOWHERE,
        *,
        leave_seconds: float = LEAVE_SECONDS,
    ) -> OpenLoopClient:
        """Start the server in the repository, its standard error behind what is in ``log``, and initialise it."""
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                cwd=REPOSITORY,
            )
        client = cls(process, root, leave_seconds=leave_seconds)
        folders = [{"uri": root.as_uri(), "name": "bench"}]
        try:
            await client.request("initialize", {"processId": None, "capabilities": {}, "workspaceFolders": folders})
        except (ServerEnded, TimeoutError, RuntimeError):
            await client.leave()  # or its process would be left to the garbage collector
            raise
        client.notify("initialized", {})
        return client

    def cost(self) -> Cost:
        """What the server and the processes it started have used until now."""
        seconds, resident = 0.0, 0
        server = psutil.Process(self._process.pid)
        for process in (server, *server.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended between the two lines; its parent has its time
                times, memory = process.cpu_times(), process.memory_info()
                seconds += times.user + times.system + times.children_user + times.children_system
                resident += memory.rss
        return Cost(seconds, resident)

    async def request(self, method: str, params: Any, *, patience_seconds: float = LOAD_SECONDS) -> Any:
        """The result of a request; raises ServerEnded, TimeoutError, or RuntimeError on an error response."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def settle(message: dict[str, Any] | None) -> None:
            if answer.done():
                return
            if message is None:
                answer.set_exception(ServerEnded(f"the server ended before it answered {method}"))
            else:
                answer.set_result(message)

        self.ask(method, params, settle)
        message = await asyncio.wait_for(answer, patience_seconds)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message.get("result")

    def ask(self, method: str, params: Any, settle: Callable[[dict[str, Any] | None], None]) -> int:
        """Send a request; ``settle`` gets the response when it comes, None when the server ends. Returns its id."""
        self._last_id += 1
        if self._receiving.done():
            settle(None)
            return self._last_id
        self._waiting[self._last_id] = settle
        self._send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        return self._last_id

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def leave(self) -> None:
        """Shut the server down in the proper order; one that does not leave is killed, with all that it started."""
        with contextlib.suppress(ServerEnded, TimeoutError, ConnectionError):
            await self.request("shutdown", None, patience_seconds=self._leave_seconds)
            self.notify("exit", None)
            self._stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), self._leave_seconds)
        except TimeoutError:
            started = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for process in started:
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended with its parent
                    process.kill()
            await self._process.wait()
        self._receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._receiving

    def _send(self, message: dict[str, Any]) -> None:
        self._stdin.write(encode_message(message))

    async def _receive(self) -> None:
        parser = FrameParser()
        while data := await self._stdout.read(READ_BYTES):
            for body in parser.feed(data):
                message = decode_body(body) if isinstance(body, bytes) else {}
                if "method" in message and "id" in message:  # the server asks; nothing here needs an answer
                    self._send({"jsonrpc": "2.0", "id": message["id"], "result": None})
                elif message.get("id") in self._waiting:
                    self._waiting.pop(message["id"])(message)
        for settle in list(self._waiting.values()):
            settle(None)
        self._waiting.clear()


class Typing:
    """One session being typed into a server.

    ``last_answer_seconds`` is how long the answer to the last key is waited for, ``rest_seconds`` how long the person
    looks at the file before the first.
    """

    def __init__(
        self,
        client: OpenLoopClient,
        session: Session,
        *,
        last_answer_seconds: float = LAST_ANSWER_SECONDS,
        rest_seconds: float = SECONDS_BEFORE_FIRST_KEY,
    ) -> None:
        self.records: list[Record] = []
        self.shown: dict[str, Any] | None = None  # the edit on the screen, as the server sent it
        self._last_answer_seconds = last_answer_seconds
        self._rest_seconds = rest_seconds
        self._client = client
        self._session = session
        self._uri = (client.root / session.header.path).as_uri()
        self._document = Document(session.header.text, version=1)
        self._loop = asyncio.get_running_loop()
        self._started = 0.0
        self._asked: int | None = None  # the question that is not answered yet
        self._last: dict[str, Any] = {}  # what the server said of its latest answer
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._idle = asyncio.Event()

    async def open(self) -> None:
        """Open the document and ask once, which loads the model and is not measured."""
        header = self._session.header
        item = {"uri": self._uri, "languageId": header.language_id, "version": 1, "text": header.text}
        self._client.notify("textDocument/didOpen", {"textDocument": item})
        await self._client.request(*self._question(Position(0, 0)))
        self._last = (await self._client.request("foretype/status", {})).get("last") or {}

    async def run(self) -> list[Record]:
        """Press every key at its time; raises ServerEnded when the server does not live that long.

        ValueError when the text at the end is not the session's: the session is damaged.
        """
        self._started = self._loop.time() + self._rest_seconds
        for keystroke in self._session.keystrokes:
            await asyncio.sleep(self._started + keystroke.at_ms / 1000 - self._loop.time())
            self._raise_if_ended()
            self._press(keystroke)
        with contextlib.suppress(TimeoutError):  # the last question then stays unanswered, and counts as that
            await asyncio.wait_for(self._idle.wait(), self._last_answer_seconds)
        self._raise_if_ended()
        self._ended.cancel()  # from here on the server may leave
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})
        header = self._session.header
        if len(self.records) == header.keystrokes and sha256(self._document.text) != header.final_text_sha256:
            raise ValueError(f"{self._session.name} does not lead to the text it should")
        return self.records

    def is_shown(self, change: ContentChange | None) -> bool:
        """Whether what is shown leads to the same text as ``change``."""
        if self.shown is None or change is None:
            return False
        start, end = self.shown["range"]["start"], self.shown["range"]["end"]
        where = Range(Position(start["line"], start["character"]), Position(end["line"], end["character"]))
        texts = []
        for wanted in (ContentChange(where, self.shown["text"]), change):
            preview = Document(self._document.text)
            preview.apply(wanted)
            texts.append(preview.text)
        return texts[0] == texts[1]

    def _raise_if_ended(self) -> None:
        if self._ended.done():
            self._ended.result()

    def _press(self, keystroke: Keystroke) -> None:
        if self._asked is not None:
            self._client.notify("$/cancelRequest", {"id": self._asked})
            self._asked = None
        accepted = keystroke.kind == "accept" and self.is_shown(keystroke.change)
        shown, self.shown = self.shown, None
        if keystroke.change is not None:
            self._change(keystroke.change)
        if accepted and shown is not None:
            self._client.ask("workspace/executeCommand", shown["command"], lambda _: None)
        record = Record(self._session.name, keystroke.kind, keystroke.at_ms, self._now_ms(), accepted=accepted)
        self.records.append(record)
        self._idle.clear()
        self._asked = asked = self._client.ask(
            *self._question(keystroke.cursor), lambda message: self._answered(asked, record, message)
        )

    def _answered(self, asked: int, record: Record, message: dict[str, Any] | None) -> None:
        if message is None:
            if not self._ended.done():
                self._ended.set_exception(ServerEnded("the server ended in the middle of a session"))
            self._idle.set()
            return
        record.answered_ms = self._now_ms()
        if asked != self._asked:
            return
        self._asked = None
        if "error" in message:
            record.outcome, record.reason = "failed", message["error"]["message"]
            self._idle.set()
            return
        edits = message["result"]["edits"]
        record.outcome = "edit" if edits else "none"
        if edits:
            self.shown = edits[0]
            self._client.notify("textDocument/didShowInlineEdit", {"item": {"command": edits[0]["command"]}})
        self._client.ask("foretype/status", {}, lambda status: self._explained(record, status))

    def _explained(self, record: Record, message: dict[str, Any] | None) -> None:
        """Take what the server says of the answer; its last answer being an older one means that this was none."""
        status = (message or {}).get("result") or {}
        record.reason = status.get("reason", "")
        earlier, self._last = self._last, status.get("last") or {}
        if self._last and self._last != earlier:
            record.counters = self._last.get("counters") or {}
            record.reused = bool(self._last.get("reused"))
        by_model = record.counters.get("tokens_evaluated", 0) > 0
        if record.outcome == "edit":
            record.reused = record.reused or not by_model
        elif not (by_model or record.reused):  # a prompt that is too long, an engine that failed
            record.outcome = "refused"
        self._idle.set()

    def _change(self, change: ContentChange) -> None:
        version = self._document.version + 1
        self._document.change(version, [change])
        identifier = {"uri": self._uri, "version": version}
        changes = [{"range": _range_json(change.range), "text": change.text}]
        self._client.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": changes})

    def _question(self, cursor: Position) -> tuple[str, dict[str, Any]]:
        identifier = {"uri": self._uri, "version": self._document.version}
        return "textDocument/copilotInlineEdit", {"textDocument": identifier, "position": _position_json(cursor)}

    def _now_ms(self) -> float:
        return round(1000 * (self._loop.time() - self._started), 3)


def _position_json(position: Position) -> dict[str, int]:
    return {"line": position.line, "character": position.character_utf16}


def _range_json(where: Range | None) -> dict[str, Any] | None:
    return None if where is None else {"start": _position_json(where.start), "end": _position_json(where.end)}
