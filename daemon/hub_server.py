"""What the hub does: serves every editor window of a user with one model, and decides when to leave.

Each connection to the socket says its purpose in the first
line (``handshake``) and becomes a session, a wait for an exit code, or a control conversation. The hub leaves
when it has been idle long enough, when it is told to stop, or, once a newer version has come, with its last
window. Knows nothing of LSP: a session is ``serve(reader, writer, services)``.
"""

from __future__ import annotations

import asyncio
import fcntl
import inspect
import json
import logging
import os
import signal
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon import handshake, logs, paths
from daemon.errors import NotRecorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import BinaryIO

    from daemon.assembly import Parts
    from daemon.http.server import HttpServer
    from daemon.recording.feed import Feed
    from daemon.services import Services
    from daemon.settings import Settings

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Services], Awaitable[int]]

log = logging.getLogger("daemon.hub")

STREAM_LIMIT_BYTES = 1024 * 1024
HANDSHAKE_SECONDS = 5.0  # a connection that says nothing is not ours
SESSION_END_SECONDS = 3.0  # sessions asked to end get this long
EXIT_CODES_KEPT = 256
SESSION_FAILED_EXIT_CODE = 1
RECORD = "record"  # the one request that is answered by more than a line


class HubState(Enum):
    """The life of a hub, in order."""

    SERVING = "serving"
    RETIRING = "retiring"  # a newer version runs: leaves with the last window
    STOPPING = "stopping"


@dataclass(slots=True)
class Window:
    """One editor's session."""

    task: asyncio.Task[int]
    opened_at: float  # seconds, time.monotonic


class Hub:
    """Serves connections until it is time to leave. One per process."""

    def __init__(self, parts: Parts, serving: Mapping[str, Serve], http: HttpServer) -> None:
        """``serving`` says by purpose what serves an editor's session."""
        self._parts = parts
        self._http = http
        self._serving = serving
        self._recordings = parts.services.recordings
        self._state = HubState.SERVING
        self._windows: dict[str, Window] = {}
        self._exit_codes: OrderedDict[str, asyncio.Future[int]] = OrderedDict()
        self._conversations: set[asyncio.Future[None]] = set()  # those that the hub's end waits for
        self._sessions_opened = 0
        self._started_at = time.monotonic()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._stopped = asyncio.Event()
        self._start_lock: BinaryIO | None = None
        self._purposes: Mapping[str, Callable[..., Awaitable[None]]] = {
            **dict.fromkeys(serving, self._session),
            handshake.PURPOSE_EXIT_CODE: self._exit_code,
            handshake.PURPOSE_CONTROL: self._control,
        }
        self._requests: Mapping[str, Callable[[], Any]] = {
            "ping": lambda: None,
            "status": self.status,
            "serve": self.serve,
            "pause": self.pause,
            "resume": lambda: self._parts.settings.set_paused(paused=False),
            "retire": self.retire,
            "stop": self.stop,
        }

    async def run(self, listener: socket.socket, ready: Callable[[], None]) -> None:
        """Serve on ``listener`` until stopped; ``ready`` is called once connections are accepted."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        self._parts.settings.subscribe(self._settings_changed)
        watching = asyncio.create_task(self._parts.settings.watch(self._stopped))
        server = await asyncio.start_unix_server(self._connected, sock=listener, limit=STREAM_LIMIT_BYTES)
        self._parts.begin()
        self._http.begin()
        log.info("serving, version %s", handshake.VERSION)
        ready()
        self._watch_idleness()
        await self._stopped.wait()
        server.close()
        await self._end_sessions()
        await self._http.close()
        await self._parts.close()
        await watching
        if self._start_lock is not None:
            self._start_lock.close()
        log.info("left")

    def status(self) -> dict[str, Any]:
        """What ``foretype status`` shows."""
        settings = self._parts.settings
        now = time.monotonic()
        return {
            "version": handshake.VERSION,
            "pid": os.getpid(),
            "state": self._state.value,
            "uptime_seconds": round(now - self._started_at, 1),
            "memory_bytes": _memory_bytes(),
            "windows": {name: round(now - window.opened_at, 1) for name, window in self._windows.items()},
            "paused": settings.paused,
            "recording": None if self._recordings.feed is None else self._recordings.feed.path,
            "settings": {
                "path": str(settings.path),
                "error": str(settings.error or settings.watch_problem),
                "enabled": settings.current.enabled,
                "model": settings.current.model,
            },
            "predictions": self._parts.status.snapshot(),
            "http": self._http.status(),
            "trial": self._parts.engine.status(),
            "indexes": self._parts.indexes.describe(),
            "capture": self._parts.keeper.status(),
            "upload": self._parts.uploading.status(),
        }

    async def serve(self) -> dict[str, Any] | None:
        """Do now what the settings say of HTTP, and tell what came of it."""
        self._parts.settings.reload()
        await self._http.settled()
        return self._http.status()

    def pause(self) -> None:
        """Turn predictions off; who says that does not want to be recorded either."""
        self._parts.settings.set_paused(paused=True)
        self._recordings.end("predictions were paused")

    def stop(self) -> None:
        """Leave now; every session is ended."""
        if self._state is not HubState.STOPPING:
            log.info("stopping with %d windows", len(self._windows))
        self._state = HubState.STOPPING
        self._stopped.set()

    def retire(self) -> None:
        """Leave with the last window; said by a hub of another version when it starts."""
        if self._state is HubState.SERVING:
            log.info("retiring")
            self._state = HubState.RETIRING
            self._watch_idleness()

    # Connections

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hello = await _read_hello(reader)
            if hello is None or self._state is HubState.STOPPING:
                return
            conversation = asyncio.ensure_future(self._purposes[hello.purpose](hello, reader, writer))
            if hello.purpose != handshake.PURPOSE_CONTROL:
                self._conversations.add(conversation)
                conversation.add_done_callback(self._conversations.discard)
            await conversation
        except ConnectionError:
            log.debug("a peer left in the middle of a conversation")
        finally:
            writer.close()

    async def _session(
        self, hello: handshake.Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if hello.version != handshake.VERSION:
            reason = f"it speaks for version {handshake.VERSION}, the bridge for {hello.version}"
            writer.write(handshake.welcome_line(os.getpid(), reason, accepted=False))
            return
        self._sessions_opened += 1
        name = str(self._sessions_opened)
        writer.write(handshake.welcome_line(os.getpid(), name))
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._exit_codes[name] = ended
        # A task of its own, so that ending the hub can cancel the session and still deliver its exit code.
        task = asyncio.ensure_future(self._serving[hello.purpose](reader, writer, self._parts.services))
        self._windows[name] = Window(task, time.monotonic())
        self._watch_idleness()
        try:
            await asyncio.wait([task])
        finally:
            del self._windows[name]
            ended.set_result(_exit_code_of(task, name))
            while len(self._exit_codes) > EXIT_CODES_KEPT and next(iter(self._exit_codes.values())).done():
                self._exit_codes.popitem(last=False)
            self._watch_idleness()

    async def _exit_code(
        self, hello: handshake.Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ended = self._exit_codes.get(hello.argument)
        if ended is None:
            writer.write(handshake.welcome_line(os.getpid(), "no such session", accepted=False))
            return
        writer.write(handshake.welcome_line(os.getpid()))
        gone = asyncio.ensure_future(reader.read())
        try:
            first: set[asyncio.Future[Any]] = {ended, gone}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                writer.write(b"%d\n" % ended.result())
                await writer.drain()
        finally:
            gone.cancel()

    async def _control(
        self, _hello: handshake.Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(handshake.welcome_line(os.getpid()))
        while line := await reader.readline():
            asked = _asked(line)
            if asked.get("request") == RECORD:
                await self._record(asked, reader, writer)
                return
            writer.write(json.dumps(await self._answer(asked)).encode() + b"\n")
            await writer.drain()
            if self._state is HubState.STOPPING:
                # A second descriptor keeps the connection open until the process ends: `foretype stop` waits
                # for that.
                os.dup(writer.get_extra_info("socket").fileno())
                return

    async def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        request = self._requests.get(str(asked.get("request")))
        if request is None:
            known = ", ".join([*self._requests, RECORD])
            return {"error": f"unknown request; known: {known}"}
        result = request()
        return {"result": await result if inspect.isawaitable(result) else result}

    async def _record(self, asked: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward what happens in one file, line by line, until that ends or the asker says anything or leaves."""
        try:
            feed = self._listen_to(str(asked.get("path")))
        except NotRecorded as error:
            writer.write(json.dumps({"error": str(error)}).encode() + b"\n")
            await writer.drain()
            return
        log.info("a recording begins")
        writer.write(json.dumps({"result": None}).encode() + b"\n")
        left = asyncio.ensure_future(reader.read(1))
        forwarding = asyncio.ensure_future(_forward(feed, writer))
        try:
            both: set[asyncio.Future[Any]] = {left, forwarding}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            feed.end("nobody listens any more")
            left.cancel()
            forwarding.cancel()
            await asyncio.gather(left, forwarding, return_exceptions=True)
            log.info("the recording has ended")

    def _listen_to(self, path: str) -> Feed:
        if self._parts.settings.paused:
            raise NotRecorded("predictions are paused; end that with `foretype resume`")
        return self._recordings.begin(path)

    # Leaving

    def _settings_changed(self, settings: Settings) -> None:
        logs.set_level(settings.log_level)
        log.info("settings changed")
        self._watch_idleness()

    def _watch_idleness(self) -> None:
        """Begin, or call off, the count-down to leaving; called whenever what it depends on has changed."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._windows or self._state is HubState.STOPPING:
            return
        if self._parts.settings.current.http_port and self._state is HubState.SERVING:
            return  # whoever asks over HTTP could not start another hub
        seconds = 0.0 if self._state is HubState.RETIRING else self._parts.settings.current.exit_after_seconds
        self._idle_timer = asyncio.get_running_loop().call_later(seconds, self._leave_if_nobody_comes)

    def _leave_if_nobody_comes(self) -> None:
        """Leave, unless a bridge holds the start lock: it is about to attach, and its session begins the wait
        anew.

        The lock is kept until the end, so a bridge that comes now waits, finds no hub, and starts a new one.
        """
        self._idle_timer = None
        lock = Path(paths.start_lock_path()).open("ab")  # noqa: SIM115 (held until the process ends)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            log.debug("somebody is about to attach")
            self._idle_timer = asyncio.get_running_loop().call_later(1.0, self._leave_if_nobody_comes)
            return
        self._start_lock = lock
        log.info("idle")
        self.stop()

    async def _end_sessions(self) -> None:
        """Cancel the sessions and see their exit codes off; control connections are simply closed."""
        for window in self._windows.values():
            window.task.cancel()
        leaving = {window.task for window in self._windows.values()} | self._conversations
        if leaving:
            await asyncio.wait(leaving, timeout=SESSION_END_SECONDS)


def _asked(line: bytes) -> dict[str, Any]:
    """A request of the control conversation; what is none is an empty one."""
    try:
        asked = json.loads(line)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


async def _forward(feed: Feed, writer: asyncio.StreamWriter) -> None:
    async for line in feed.lines():
        writer.write(line)
        await writer.drain()


def _exit_code_of(task: asyncio.Task[int], name: str) -> int:
    if task.cancelled():
        return SESSION_FAILED_EXIT_CODE
    error = task.exception() if task.done() else None
    if error is not None:
        log.error("session %s failed", name, exc_info=error)
        return SESSION_FAILED_EXIT_CODE
    return task.result() if task.done() else SESSION_FAILED_EXIT_CODE


async def _read_hello(reader: asyncio.StreamReader) -> handshake.Hello | None:
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            return handshake.parse_hello(await reader.readuntil(b"\n"))
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, handshake.HandshakeError):
        log.warning("a connection without a proper first line was closed")
        return None


def _memory_bytes() -> int:
    """What this process holds in memory, without the worker."""
    import psutil  # noqa: PLC0415 (only status asks)

    return int(psutil.Process().memory_info().rss)
