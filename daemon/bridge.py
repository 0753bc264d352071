"""``foretype lsp`` and ``foretype acp``: the process an editor starts, which carries bytes between it and the hub.

It connects to the hub's unix socket, starts the hub when there is none, agrees on the version, and then
copies bytes both ways until one side ends; the session's exit code becomes its own. It never looks into the
bytes, and it imports neither asyncio nor the command line, so that the first byte is under way in tens of
milliseconds. Its own messages go to standard error: standard output belongs to the protocol.
"""
# pathlib would cost the bridge a third of its start.
# ruff: noqa: PTH123, SIM115

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from typing import NamedTuple

from daemon import handshake, paths
from daemon.errors import ForetypeError, HubRefused, HubUnreachable, PathRefused

CHUNK_BYTES = 64 * 1024
HANDSHAKE_SECONDS = 5.0
HUB_START_SECONDS = 60.0  # a cold disk and a busy machine; the usual start takes about one second
EXIT_CODE_SECONDS = 5.0
HUB_LOST_EXIT_CODE = 70  # EX_SOFTWARE: the hub went away without saying how the session ended

LANGUAGES = {
    handshake.PURPOSE_LSP: "LSP",
    handshake.PURPOSE_ACP: "next edits of the Agent Client Protocol (nes/*, one JSON value a line)",
}
USAGE = """usage: foretype {purpose} [--stdio] [--standalone]

Speak {language} on standard input and output, for an editor.

  --stdio       accepted and ignored: there is no other way
  --standalone  run one session in this process instead of using the shared hub
  --version     print the version
  --help        print this
"""


class Attached(NamedTuple):
    """A session in the hub: its bytes, and the connection on which its exit code will come."""

    bytes_connection: socket.socket
    exit_connection: socket.socket
    hub_pid: int


def main(arguments: list[str] | None = None, purpose: str = handshake.PURPOSE_LSP) -> int:
    """Run the bridge; returns the exit code of the session, or 1 when there could be none."""
    words = sys.argv[1:] if arguments is None else arguments
    if "--help" in words or "-h" in words:
        sys.stdout.write(USAGE.format(purpose=purpose, language=LANGUAGES[purpose]))
        return 0
    if "--version" in words:
        sys.stdout.write(f"foretype {handshake.VERSION}\n")
        return 0
    for word in words:
        if word not in ("--stdio", "--standalone"):
            _say(f"ignoring the argument {word!r}")
    # An editor closing the terminal or Ctrl-C there ends the bridge like any other process, without a
    # traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if "--standalone" in words or not hasattr(socket, "AF_UNIX"):
            from daemon.standalone import run_standalone  # noqa: PLC0415 (brings asyncio and the whole daemon)

            return run_standalone(purpose)
        attached = attach_or_start(purpose)
    except ForetypeError as error:
        _say(str(error))
        return error.exit_code
    relay(attached.bytes_connection, sys.stdin.fileno(), sys.stdout.fileno())
    code = _exit_code(attached)
    # The thread that reads the editor may be blocked in read() for ever; nothing of ours is left unflushed.
    sys.stderr.flush()
    os._exit(code)


def attach_or_start(purpose: str) -> Attached:
    """Attach to the hub, starting it under the start lock when none answers; raises ForetypeError."""
    import fcntl  # noqa: PLC0415 (does not exist where there are no unix sockets, and --standalone works there)

    paths.make_runtime_directory()
    attached = attach(paths.socket_path(), purpose)
    if attached is not None:
        return attached
    with open(paths.start_lock_path(), "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        attached = attach(paths.socket_path(), purpose)  # somebody else may have started it while we waited
        if attached is not None:
            return attached
        start_hub()
        attached = attach(paths.socket_path(), purpose)
    if attached is None:
        raise HubUnreachable(f"the hub started but does not answer; its log is {paths.hub_log_path()}")
    return attached


def attach(path: str, purpose: str) -> Attached | None:
    """A new session in the hub at ``path``, or None when no hub answers there; raises HubRefused."""
    connection = connect(path)
    if connection is None:
        return None
    welcome = greet(connection, handshake.hello_line(purpose))
    if welcome is None:
        connection.close()
        return None
    if not welcome.accepted:
        connection.close()
        raise HubRefused(f"the hub (process {welcome.pid}, version {welcome.version}) refused: {welcome.detail}")
    exit_connection = connect(path)
    if exit_connection is None:
        connection.close()
        return None
    exit_connection.sendall(handshake.hello_line(handshake.PURPOSE_EXIT_CODE, welcome.detail))
    return Attached(connection, exit_connection, welcome.pid)


def connect(path: str) -> socket.socket | None:
    """A connection to the socket at ``path``, or None when nobody listens there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise PathRefused(f"cannot connect to {path}: {error.strerror or error}") from error
    return connection


def greet(connection: socket.socket, hello: bytes, seconds: float = HANDSHAKE_SECONDS) -> handshake.Welcome | None:
    """Say the first line and read the answer; None when the hub left instead of answering.

    Raises HubUnreachable after ``seconds`` without an answer, HubRefused when it is no hub that answers.
    """
    connection.settimeout(seconds)
    try:
        connection.sendall(hello)
        line = read_line(connection)
    except TimeoutError as error:
        raise HubUnreachable("the hub is there but does not answer; end it with `foretype stop --force`") from error
    except (BrokenPipeError, ConnectionResetError):
        return None
    finally:
        connection.settimeout(None)
    if not line:
        return None
    try:
        return handshake.parse_welcome(line)
    except handshake.HandshakeError as error:
        raise HubRefused(str(error)) from error


def read_line(connection: socket.socket) -> bytes:
    """One line, not a byte more: what follows it belongs to the session. Empty when the peer closed first."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < handshake.LINE_LIMIT_BYTES:
        # The answer is a single small write, so peeking once and taking up to its newline is two calls.
        waiting = connection.recv(handshake.LINE_LIMIT_BYTES, socket.MSG_PEEK)
        if not waiting:
            return b""
        newline = waiting.find(b"\n")
        line += connection.recv(len(waiting) if newline < 0 else newline + 1)
    return bytes(line)


def start_hub() -> None:
    """Start a detached hub and wait until it listens; raises HubUnreachable with what it said instead.

    The hub reports over a pipe, so there is no polling. It leaves our process tree (see
    ``daemon.hub.detach``): editors that end a server by killing all its descendants must not reach the
    windows of others.
    """
    import subprocess  # noqa: PLC0415 (only the first window after a pause pays for it)

    stderr_path = paths.hub_stderr_path()
    try:
        stderr_path.parent.mkdir(parents=True, exist_ok=True, mode=paths.PRIVATE_MODE)
        stderr = open(stderr_path, "wb")
    except OSError as error:
        raise PathRefused(f"cannot write {stderr_path}: {error.strerror}; make that possible") from error
    report, reporter = os.pipe()
    with stderr:
        starter = subprocess.Popen(
            [sys.executable, "-P", "-m", "daemon.hub", "--report", str(reporter)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=(reporter,),
            start_new_session=True,
            cwd="/",
        )
    os.close(reporter)  # ours; the report ends when the hub's own is closed too
    try:
        starter.wait()
        said = _read_report(report)
    finally:
        os.close(report)
    if said != b"ready\n":
        reason = said.decode(errors="replace").strip() or f"it ended at once; see {stderr_path}"
        raise HubUnreachable(f"the hub could not start: {reason}")


def _read_report(report: int) -> bytes:
    said = b""
    while select.select([report], [], [], HUB_START_SECONDS)[0]:
        chunk = os.read(report, CHUNK_BYTES)
        said += chunk
        if not chunk or said.endswith(b"\n"):
            return said
    return b"it did not come up within a minute"


def relay(connection: socket.socket, from_editor: int, to_editor: int) -> None:
    """Copy bytes both ways until the hub closes its side (or the editor stops listening).

    Each direction has its own thread, so a peer that does not read never holds up the other direction. When
    the editor closes its side the hub is told so (half-close) and may still finish what it is saying.
    """
    threading.Thread(target=_copy_to_hub, args=(from_editor, connection), daemon=True).start()
    try:
        while chunk := connection.recv(CHUNK_BYTES):
            _write_all(to_editor, chunk)
    except OSError:
        # Either the hub was killed or the editor no longer reads; closing tells whichever is left.
        connection.close()


def _copy_to_hub(from_editor: int, connection: socket.socket) -> None:
    try:
        while chunk := _read_some(from_editor):
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the hub is gone: the other direction sees that too and ends the process


def _read_some(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, CHUNK_BYTES)
        except BlockingIOError:  # some editors hand over a pipe that they have set to non-blocking
            select.select([descriptor], [], [])


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def _exit_code(attached: Attached) -> int:
    connection = attached.exit_connection
    connection.settimeout(EXIT_CODE_SECONDS)
    try:
        line = read_line(connection)
        if line and handshake.parse_welcome(line).accepted:
            said = read_line(connection)
            if said:
                return int(said)
    except (OSError, ValueError):
        pass  # said below: whatever came was no exit code
    _say(f"the hub (process {attached.hub_pid}) is gone; start the server again. Its log: {paths.hub_log_path()}")
    return HUB_LOST_EXIT_CODE


def _say(message: str) -> None:
    sys.stderr.write(f"foretype: {message}\n")


if __name__ == "__main__":
    raise SystemExit(main())
