"""One run of a language server: its process, the messages to and from it, and its end.

This is the client's side of LSP's base protocol, on the framing that sessions use. A request has a time limit and is
taken back when nobody waits for it any more; what the server asks is answered from a table. Knows nothing of documents,
definitions or restarts.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from daemon.lsp.framing import FrameParser, decode_body, encode_message
from daemon.lsp.outgoing import Outgoing, OutgoingState
from daemon.lsp.params import member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Answers = Mapping[str, Callable[[Any], Any]]  # method of the server's request -> its params -> our result
    OnNotification = Callable[[str, Any], None]

# `python -m` puts the folder it starts in first on the import path, so that must not be a folder of the user's.
WORKING_FOLDER = "/"
READ_BYTES = 64 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024  # diagnostics of a large broken file are a hundredth of it
# A server that let so many requests in a row be given up is not asked more for a while, else they pile up.
MAX_OWED = 64
SILENCE_SECONDS = 30.0  # that while; any answer ends it
SHUTDOWN_SECONDS = 2.0  # for the answer to `shutdown`
EXIT_SECONDS = 2.0  # from `exit`, or from the end of the connection, to the end of the process; it then is killed
METHOD_NOT_FOUND = -32601


class ServerGone(Exception):
    """The server ended, or takes nothing any more."""


class RequestRefused(Exception):
    """The server answered with an error; its message may quote the user's text and is not kept."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        super().__init__(f"error {'without a code' if code is None else code}")


class CompanionProcess:
    """A running server. ``ended`` is done, with how it came about, once nothing of it is left."""

    def __init__(self, process: Process, answers: Answers, on_notification: OnNotification) -> None:
        assert process.stdin is not None  # noqa: S101  asked for in ``start``; tells mypy
        self._process = process
        self._stdin = process.stdin
        self._answers = answers
        self._on_notification = on_notification
        self._in_flight: dict[int, asyncio.Future[Any]] = {}
        self._owed = 0  # requests given up since the server last answered one
        self._silent_until = 0.0  # by the loop's clock
        self._last_id = 0
        self._is_over = False
        self._outgoing = Outgoing(self._stdin)
        self._writing = asyncio.create_task(self._outgoing.run())
        self._reading = asyncio.create_task(self._read())
        self.ended = asyncio.create_task(self._until_end())

    @classmethod
    async def start(cls, command: Sequence[str], answers: Answers, on_notification: OnNotification) -> CompanionProcess:
        """Start ``command``; raises OSError.

        Its standard error goes nowhere, because it may hold the user's text. It gets a process group of its own, so
        that what it starts itself can be ended with it.
        """
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=WORKING_FOLDER, start_new_session=True
        )
        return cls(process, answers, on_notification)

    @property
    def process_id(self) -> int:
        """The server's process id."""
        return self._process.pid

    async def request(self, method: str, params: Any, *, limit_seconds: float) -> Any:
        """The result of a request; cancelling takes it back.

        Raises ServerGone, RequestRefused, or TimeoutError: after ``limit_seconds``, and at once for
        ``SILENCE_SECONDS`` after ``MAX_OWED`` requests in a row were given up.
        """
        loop = asyncio.get_running_loop()
        if self._is_over:
            raise ServerGone
        if loop.time() < self._silent_until:
            raise TimeoutError
        self._last_id += 1
        message_id = self._last_id
        answer: asyncio.Future[Any] = loop.create_future()
        self._in_flight[message_id] = answer
        self._send({"id": message_id, "method": method}, params)
        try:
            async with asyncio.timeout(limit_seconds):
                return await answer
        except (TimeoutError, asyncio.CancelledError):
            if answer.cancelled():  # else the answer came in the same moment
                self._give_up(message_id)
            raise
        finally:
            del self._in_flight[message_id]

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification; dropped once the server is gone."""
        self._send({"method": method}, params)

    async def close(self) -> None:
        """End an initialized server as the specification says, and by force where it does not follow."""
        with suppress(ServerGone, RequestRefused, TimeoutError):
            await self.request("shutdown", None, limit_seconds=SHUTDOWN_SECONDS)
        self.notify("exit")
        self._outgoing.finish()
        await asyncio.wait({self.ended}, timeout=EXIT_SECONDS)
        self.kill()
        await asyncio.wait({self.ended})

    def kill(self) -> None:
        """End the process and all of its group now; ``ended`` is done soon after."""
        # The group's number is not given away while one of its processes lives. macOS says EPERM for ESRCH.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    # What arrives

    async def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  asked for in ``start``
        frames = FrameParser(MAX_BODY_BYTES)
        while data := await self._process.stdout.read(READ_BYTES):
            for frame in frames.feed(data):
                if isinstance(frame, bytes):  # else the server printed what is no message
                    self._receive(frame)
                await asyncio.sleep(0)  # a server that floods us keeps nobody waiting

    def _receive(self, body: bytes) -> None:
        try:
            message = decode_body(body)
        except ValueError:
            return
        method, message_id = member(message, "method"), member(message, "id")
        if isinstance(method, str):
            if message_id is None:
                self._on_notification(method, member(message, "params"))
            else:
                self._answer(message_id, method, member(message, "params"))
            return
        if isinstance(message_id, float) and message_id.is_integer():
            message_id = int(message_id)  # servers in a language that knows one kind of number
        if isinstance(message_id, int) and not isinstance(message_id, bool):
            self._take_answer(message_id, message)

    def _take_answer(self, message_id: int, message: dict[str, Any]) -> None:
        self._owed, self._silent_until = 0, 0.0
        answer = self._in_flight.get(message_id)
        if answer is None or answer.done():
            return
        if message.get("error") is not None:
            code = member(message, "error", "code")
            answer.set_exception(RequestRefused(code if isinstance(code, int) else None))
        else:
            answer.set_result(message.get("result"))

    def _answer(self, message_id: Any, method: str, params: Any) -> None:
        answer = self._answers.get(method)
        if answer is None:
            refusal = {"code": METHOD_NOT_FOUND, "message": f"this client has no {method}"}
            self._send({"id": message_id, "error": refusal})
        else:
            self._send({"id": message_id, "result": answer(params)})

    # What leaves

    def _give_up(self, message_id: int) -> None:
        self.notify("$/cancelRequest", {"id": message_id})
        self._owed += 1
        if self._owed >= MAX_OWED:
            self._owed = 0
            self._silent_until = asyncio.get_running_loop().time() + SILENCE_SECONDS

    def _send(self, message: dict[str, Any], params: Any = None) -> None:
        # Absent parameters are left out: some servers refuse null.
        given = {} if params is None else {"params": params}
        self._outgoing.send(encode_message({"jsonrpc": "2.0", **message, **given}))

    # The end

    async def _until_end(self) -> str:
        """Wait until one side of the connection is gone, see to it that the process goes too, and say how it went."""
        exiting = asyncio.create_task(self._process.wait())
        tasks: set[asyncio.Task[Any]] = {exiting, self._reading, self._writing}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        is_deaf = self._outgoing.state is OutgoingState.LOST
        self._is_over = True
        for answer in self._in_flight.values():
            if not answer.done():
                answer.set_exception(ServerGone())
        self._stdin.close()
        await asyncio.wait({exiting}, timeout=EXIT_SECONDS)
        code = self._process.returncode
        self.kill()
        # Bounded, because a process that left the group can hold the pipes, and Python's ``wait`` may wait for these.
        await asyncio.wait({exiting}, timeout=EXIT_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if not self._reading.cancelled():
            self._reading.result()  # a defect of ours is not to be mistaken for an end
        return _how(code, is_deaf=is_deaf)


def _how(code: int | None, *, is_deaf: bool) -> str:
    if code is None:
        return "it stopped reading what it was sent" if is_deaf else "it closed its output"
    return f"it ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"
