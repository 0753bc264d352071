"""A language server on standard input and output that renames ``old_name`` and finishes ``tot``; for pytest-lsp."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from daemon.engine.scripted import ScriptedEngine, replacing
from daemon.lsp.session import serve
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.settings_store import SettingsStore
from daemon.status import StatusBoard


async def main() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    status = StatusBoard()
    rename, finish = replacing("old_name", "new_name"), replacing("tot", "total = 0")
    scheduler = Scheduler(ScriptedEngine(lambda inputs: rename(inputs) or finish(inputs)), status=status)
    settings = SettingsStore(Path(tempfile.gettempdir()) / "no-such-settings.toml")
    try:
        return await serve(reader, writer, Services(scheduler, settings, status))
    finally:
        await scheduler.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
