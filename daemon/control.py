"""What the command line asks a running hub, and how: one JSON object per line, over the hub's own socket.

Used by commands only; the hub's side is a table in ``daemon.hub_server``. Blocking, because each command asks one
thing; ``follow`` is for the request to which the hub goes on answering.
"""

from __future__ import annotations

import json
import socket
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon import bridge, handshake, paths
from daemon.errors import HubRefused, HubUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

ANSWER_SECONDS = 10.0
NO_HUB = "no hub is running; an editor starts it, see `foretype doctor`"
STOP_SECONDS = 20.0  # sessions end, the worker ends, files are closed


@dataclass(frozen=True, slots=True)
class RunningHub:
    """A hub that answered."""

    socket_path: str
    version: str
    pid: int


class Following:
    """A conversation in which the hub goes on talking."""

    def __init__(self, connection: socket.socket, lines: BinaryIO) -> None:
        self._connection = connection
        self._lines = lines

    def lines(self) -> Iterator[bytes]:
        """What the hub says, line by line, until it ends or ``hang_up`` is called; half a line is none."""
        with suppress(ConnectionResetError):
            while (line := self._lines.readline()).endswith(b"\n"):
                yield line

    def hang_up(self) -> None:
        """End ``lines``, wherever it waits; may be called by a signal handler."""
        with suppress(OSError):  # the hub was faster
            self._connection.shutdown(socket.SHUT_RDWR)


def ask(path: str, request: str) -> tuple[RunningHub, dict[str, Any]] | None:
    """One request's result, or None when no hub listens at ``path``; raises HubRefused, HubUnreachable."""
    connection = bridge.connect(path)
    if connection is None:
        return None
    with closing(connection):
        greeted = _greet(connection, path)
        return None if greeted is None else (greeted, _request(connection, request, ANSWER_SECONDS))


def ask_ours(request: str) -> tuple[RunningHub, dict[str, Any]]:
    """One request to the hub of this version; raises HubUnreachable when there is none."""
    answer = ask(paths.socket_path(), request)
    if answer is None:
        raise HubUnreachable(NO_HUB)
    return answer


@contextmanager
def follow(request: str, **details: str) -> Iterator[Following]:
    """A request to the hub of this version that it goes on answering; raises HubUnreachable, HubRefused."""
    connection = bridge.connect(paths.socket_path())
    if connection is None:
        raise HubUnreachable(NO_HUB)
    with closing(connection), connection.makefile("rb") as lines:
        if _greet(connection, paths.socket_path()) is None:
            raise HubUnreachable(NO_HUB)
        _exchange(connection, lines, {"request": request, **details}, ANSWER_SECONDS)
        connection.settimeout(None)
        yield Following(connection, lines)


def running_hubs() -> Iterator[RunningHub]:
    """The hubs of this user that answer, of whatever version."""
    for path in paths.hub_sockets():
        answer = ask(path, "ping")
        if answer is not None:
            yield answer[0]


def stop(path: str, greeting_seconds: float = bridge.HANDSHAKE_SECONDS) -> RunningHub | None:
    """Stop the hub at ``path`` and wait until it is gone; None when there was none.

    Raises HubUnreachable when it does not answer within ``greeting_seconds``, or does not end.
    """
    connection = bridge.connect(path)
    if connection is None:
        return None
    with closing(connection):
        greeted = _greet(connection, path, greeting_seconds)
        if greeted is None:
            return None
        _request(connection, "stop", ANSWER_SECONDS)
        connection.settimeout(STOP_SECONDS)
        try:
            while connection.recv(handshake.LINE_LIMIT_BYTES):
                continue  # nothing more is said on it; it closes when the process ends
        except TimeoutError as error:
            raise HubUnreachable(f"the hub (process {greeted.pid}) does not end; run: kill -9 {greeted.pid}") from error
        except ConnectionResetError:
            return greeted
    return greeted


def _greet(connection: socket.socket, path: str, seconds: float = bridge.HANDSHAKE_SECONDS) -> RunningHub | None:
    welcome = bridge.greet(connection, handshake.hello_line(handshake.PURPOSE_CONTROL), seconds)
    if welcome is None:
        return None
    if not welcome.accepted:
        raise HubRefused(f"the hub (process {welcome.pid}, version {welcome.version}) refused: {welcome.detail}")
    return RunningHub(path, welcome.version, welcome.pid)


def _request(connection: socket.socket, request: str, seconds: float) -> dict[str, Any]:
    with connection.makefile("rb") as lines:
        return _exchange(connection, lines, {"request": request}, seconds)


def _exchange(connection: socket.socket, lines: BinaryIO, asked: dict[str, str], seconds: float) -> dict[str, Any]:
    request = asked["request"]
    connection.settimeout(seconds)
    try:
        connection.sendall(json.dumps(asked).encode() + b"\n")
        line = lines.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
    except TimeoutError as error:
        raise HubUnreachable(f"the hub did not answer `{request}` within {seconds:g} seconds") from error
    except (OSError, ValueError) as error:
        raise HubUnreachable(f"the hub broke off while asked for `{request}`") from error
    if "error" in answer:
        raise HubRefused(f"the hub refused: {answer['error']}")
    if "result" not in answer:
        raise HubUnreachable(f"the hub ended while asked for `{request}`")
    result: dict[str, Any] = answer["result"]
    return result
