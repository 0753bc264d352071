"""The loopback server of the hub: on while ``http_port`` is set, with a token that only this user can read.

Knows nothing of what is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import secrets
import socket
from typing import TYPE_CHECKING, Any, Final

from capture.whole_file import write_whole
from daemon.errors import NotServed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.applications import Starlette

    from daemon.settings import Settings
    from daemon.settings_store import SettingsStore

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
TOKEN_BYTES: Final = 24
BACKLOG: Final = 64
EXTRA: Final = "foretype[http]"


class HttpServer:
    """Follows the settings; ``make_application`` is called with the token when there is something to serve.

    ``problem`` says why there is no server although the settings want one.
    """

    def __init__(self, settings: SettingsStore, token_path: Path, make_application: Callable[[str], Starlette]) -> None:
        self.problem = ""
        self._settings = settings
        self._token_path = token_path
        self._make_application = make_application
        self._port = 0
        self._running: tuple[Any, asyncio.Task[None]] | None = None
        self._turn = asyncio.Lock()
        self._following: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Serve if the settings say so, and follow them."""
        self._settings.subscribe(self._follow)
        self._follow(self._settings.current)

    def status(self) -> dict[str, Any] | None:
        """As JSON takes it, None where the settings want no server."""
        if not self._port:
            return None
        return {
            "url": f"http://{HOST}:{self._port}/v1/completions",
            "token_file": str(self._token_path),
            "problem": self.problem,
        }

    async def settled(self) -> None:
        """Return once what the settings want is done, or cannot be."""
        if self._following:
            await asyncio.wait(self._following)

    async def close(self) -> None:
        """End the server; requests under way are given up."""
        await self.settled()
        async with self._turn:
            await self._stop()

    def _follow(self, settings: Settings) -> None:
        if settings.http_port == self._port:
            return
        self._port = settings.http_port
        task = asyncio.create_task(self._serve(settings.http_port))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _serve(self, port: int) -> None:
        async with self._turn:
            await self._stop()
            self.problem = ""
            if port != self._port or not port:
                return
            try:
                listener = _listen(port)
                token = own_token(self._token_path)
            except OSError as error:
                self.problem = f"cannot serve on port {port}: {error.strerror or error}; choose another `http_port`"
                log.warning("no HTTP server: errno %s", error.errno)
                return
            except NotServed as error:
                self.problem = str(error)
                log.warning("no HTTP server: its packages are missing")
                return
            server = _server(self._make_application(token))
            task = asyncio.create_task(server.serve(sockets=[listener]))
            task.add_done_callback(self._ended)
            self._running = server, task
            log.info("serving HTTP on the loopback")

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.problem = f"the HTTP server ended ({type(error).__name__}); see `foretype logs`"
            log.error("the HTTP server ended", exc_info=error)

    async def _stop(self) -> None:
        if self._running is None:
            return
        server, task = self._running
        self._running = None
        server.should_exit = server.force_exit = True
        await asyncio.wait([task])


def own_token(path: Path) -> str:
    """The token in the file, made where there is none; nobody else can read it. Raises OSError."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(TOKEN_BYTES)
    write_whole(path, token + "\n")  # readable by its owner alone
    return token


def _listen(port: int) -> socket.socket:
    if importlib.util.find_spec("uvicorn") is None or importlib.util.find_spec("starlette") is None:
        raise NotServed(f"`http_port` needs packages that are not installed; install {EXTRA}")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _server(application: Starlette) -> Any:
    import uvicorn  # noqa: PLC0415 (an extra)

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """The hub has its own."""
            yield

    return Server(uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", server_header=False))
