"""``foretype lsp --standalone``, or ``acp``: one session on standard input and output, in this process.

For debugging, and for platforms without unix sockets. The session speaks through a socket pair that the
bridge's own relay feeds, so it works with pipes, files and terminals alike. Standard output is taken away
from everybody else first: what prints by mistake lands on standard error.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading

from daemon import bridge, handshake, logs
from daemon.ownership import refuse_clash

STREAM_LIMIT_BYTES = 1024 * 1024


def run_standalone(purpose: str) -> int:
    """Serve one session (of a purpose of `handshake`) until it ends; returns its exit code. Raises PackageClash."""
    refuse_clash()
    to_editor = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    ours, theirs = socket.socketpair()
    relay = threading.Thread(target=bridge.relay, args=(ours, sys.stdin.fileno(), to_editor), daemon=True)
    relay.start()
    code = asyncio.run(_serve(theirs, purpose))
    relay.join()
    sys.stderr.flush()
    # The thread that reads the editor may be blocked in read() for ever.
    os._exit(code)


async def _serve(connection: socket.socket, purpose: str) -> int:
    from daemon.assembly import build_parts, read_startup_settings  # noqa: PLC0415 (after the clash is ruled out)
    from daemon.lsp.acp import ACP  # noqa: PLC0415
    from daemon.lsp.dialect import LSP  # noqa: PLC0415
    from daemon.lsp.session import serve  # noqa: PLC0415

    settings = read_startup_settings()
    logs.to_standard_error(settings.current.log_level)
    logs.log_uncaught()
    parts = build_parts(settings)
    parts.begin()
    stop = asyncio.Event()
    watching = asyncio.create_task(settings.watch(stop))
    reader, writer = await asyncio.open_connection(sock=connection, limit=STREAM_LIMIT_BYTES)
    try:
        return await serve(reader, writer, parts.services, ACP if purpose == handshake.PURPOSE_ACP else LSP)
    finally:
        writer.close()
        stop.set()
        await watching
        await parts.close()
