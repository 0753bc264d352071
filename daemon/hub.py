"""The hub's process: detaches itself, takes the hub's lock, listens, and serves until it is time to leave.

Started by a bridge (``python -m daemon.hub --report FD``), or by hand to stay in the foreground. What it serves
and when it leaves is ``hub_server``'s affair.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import handshake, logs, paths
from daemon.errors import ForetypeError, HubUnreachable
from daemon.ownership import refuse_clash

if TYPE_CHECKING:
    from typing import BinaryIO

    from starlette.applications import Starlette

    from daemon.hub_server import Serve
    from daemon.settings_store import SettingsStore

log = logging.getLogger("daemon.hub")  # not __name__: this module runs as __main__

OLD_HUB_END_SECONDS = 15  # a new hub waits this long for one of its version that is just leaving


def main(arguments: list[str] | None = None) -> int:
    """Run the hub. ``--report FD`` detaches it and says ``ready``, or what is wrong, on that descriptor."""
    words = sys.argv[1:] if arguments is None else arguments
    report = int(words[words.index("--report") + 1]) if "--report" in words else None
    if report is not None:
        detach()
    try:
        _run(report)
    except ForetypeError as error:
        log.warning("could not start: %s", type(error).__name__)  # the message goes to whoever started us
        _say(report, str(error))
        return error.exit_code
    return 0


def detach() -> None:
    """Leave the starter's process tree: editors that kill a server's descendants must not reach the hub."""
    if os.fork():
        os._exit(0)


def _run(report: int | None) -> None:
    os.umask(0o077)
    paths.make_runtime_directory()
    refuse_clash()
    from daemon.assembly import read_startup_settings  # noqa: PLC0415 (after the clash is ruled out)

    settings = read_startup_settings()
    logs.to_file(paths.hub_log_path(), settings.current.log_level)
    logs.log_uncaught()
    lock = take_hub_lock()
    listener = listen(paths.socket_path())
    try:
        asyncio.run(_serve_until_stopped(listener, report, settings))
    finally:
        # The lock is still held, so the socket is ours: nobody of this version can have replaced it.
        Path(paths.socket_path()).unlink(missing_ok=True)
        listener.close()
        lock.close()


async def _serve_until_stopped(listener: socket.socket, report: int | None, settings: SettingsStore) -> None:
    from daemon.assembly import build_parts  # noqa: PLC0415 (after the clash is ruled out)
    from daemon.http.server import HttpServer  # noqa: PLC0415
    from daemon.hub_server import Hub  # noqa: PLC0415
    from daemon.lsp.acp import ACP  # noqa: PLC0415
    from daemon.lsp.session import serve  # noqa: PLC0415

    parts = build_parts(settings)

    def application(token: str) -> Starlette:
        from daemon.http.completions import completions_application  # noqa: PLC0415 (an extra, and only where asked)

        return completions_application(parts.services.scheduler, lambda: settings.current, token)

    http = HttpServer(settings, paths.http_token_path(), application)
    serving: dict[str, Serve] = {handshake.PURPOSE_LSP: serve, handshake.PURPOSE_ACP: partial(serve, dialect=ACP)}
    retiring = asyncio.create_task(asyncio.to_thread(retire_others))
    await Hub(parts, serving, http).run(listener, lambda: _say(report, "ready"))
    await retiring


def take_hub_lock() -> BinaryIO:
    """The lock of the hub of this version, with our process id in it.

    Raises HubUnreachable when it stays taken.
    A hub that is leaving holds it until its socket is gone, so waiting a little is right; a living one keeps
    it.
    """
    lock = Path(paths.hub_lock_path()).open("a+b")  # noqa: SIM115 (held for the hub's life)

    def give_up(_number: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(OLD_HUB_END_SECONDS)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except TimeoutError:
        lock.seek(0)
        holder = lock.read().decode(errors="replace").strip() or "unknown"
        lock.close()
        raise HubUnreachable(f"a hub of this version is running already (process {holder})") from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    lock.truncate(0)
    lock.write(str(os.getpid()).encode())
    lock.flush()
    return lock


def listen(path: str) -> socket.socket:
    """A listening socket at ``path``. The hub's lock is held, so one that is there already is stale."""
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    return listener


def retire_others() -> None:
    """Ask the hubs of other versions to leave with their last window."""
    from daemon import control  # noqa: PLC0415 (brings the bridge, which a hub needs only here)

    for path in paths.hub_sockets():
        if path == paths.socket_path():
            continue
        try:
            control.ask(path, "retire")
        except ForetypeError as error:
            log.warning("a hub of another version does not answer: %s", type(error).__name__)


def _say(report: int | None, message: str) -> None:
    if report is None:
        sys.stderr.write(f"foretype: {message}\n")
        return
    try:
        os.write(report, message.replace("\n", " ").encode() + b"\n")
        os.close(report)
    except OSError as error:
        log.warning("the bridge that started us is gone: errno %s", error.errno)


if __name__ == "__main__":
    raise SystemExit(main())
