"""The first line each side says on the hub's socket, before any byte of the editor's.

A client opens with ``foretype/1 <its version> <purpose> [argument]``; the hub answers ``foretype/1 <its
version> <pid> ok <detail>`` or ``... refused <reason>``. What follows depends on the purpose: a session's bytes,
one exit code, or one JSON request and its reply. Kept free of every import that the bridge would have to wait
for. Knows nothing of sockets.
"""

from __future__ import annotations

from typing import NamedTuple

VERSION = "0.1.0"  # equals the distribution's version (a test compares them); reading metadata costs 30 ms
PROTOCOL = "foretype/1"
LINE_LIMIT_BYTES = 1024

PURPOSE_LSP = "lsp"  # the connection becomes a session; the answer's detail is the session's id
PURPOSE_ACP = "acp"  # the same, in the Agent Client Protocol
PURPOSE_EXIT_CODE = "exit-code"  # argument: a session's id; its exit code is sent once the session is over
PURPOSE_CONTROL = "control"  # one JSON request per line, one JSON reply per line; any version may ask
PURPOSES = (PURPOSE_LSP, PURPOSE_ACP, PURPOSE_EXIT_CODE, PURPOSE_CONTROL)


class HandshakeError(ValueError):
    """A first line that is not ours."""


class Hello(NamedTuple):
    """What a client opens with."""

    version: str
    purpose: str
    argument: str = ""


class Welcome(NamedTuple):
    """What the hub answers; ``detail`` is the session's id, or the reason of the refusal."""

    version: str
    pid: int
    accepted: bool
    detail: str = ""


def hello_line(purpose: str, argument: str = "") -> bytes:
    """The client's first line."""
    return _line(PROTOCOL, VERSION, purpose, argument)


def welcome_line(pid: int, detail: str = "", *, accepted: bool = True) -> bytes:
    """The hub's first line."""
    return _line(PROTOCOL, VERSION, str(pid), "ok" if accepted else "refused", detail)


def parse_hello(line: bytes) -> Hello:
    """Read a client's first line; raises HandshakeError when it is not one."""
    words = _words(line, 3)
    if len(words) < 3 or words[2] not in PURPOSES:
        raise HandshakeError("the first line names no purpose this hub knows")
    return Hello(words[1], words[2], words[3] if len(words) > 3 else "")


def parse_welcome(line: bytes) -> Welcome:
    """Read the hub's first line; raises HandshakeError when it is not one."""
    words = _words(line, 4)
    if len(words) < 4 or not words[2].isdecimal() or words[3] not in ("ok", "refused"):
        raise HandshakeError("the other end of the socket is not a foretype hub")
    return Welcome(words[1], int(words[2]), words[3] == "ok", words[4] if len(words) > 4 else "")


def _line(*words: str) -> bytes:
    return (" ".join(word for word in words if word).replace("\n", " ") + "\n").encode()


def _words(line: bytes, separators: int) -> list[str]:
    if not line.endswith(b"\n") or len(line) > LINE_LIMIT_BYTES:
        raise HandshakeError("the first line is cut short or too long")
    try:
        words = line[:-1].decode().split(" ", separators)
    except UnicodeDecodeError as error:
        raise HandshakeError("the first line is not UTF-8") from error
    if words[0] != PROTOCOL:
        raise HandshakeError(f"the first line does not open with {PROTOCOL}")
    return words
