"""How much longer a key waits while the symbol index of a large workspace is built: a real hub, the embedded student.

    python -m bench.keys_while_indexing [--files N] [--sessions NAME ...] [--threads N]

For each session a hub is started in a workspace of thousands of files and the session typed at once, then another hub
whose index is ready before the first key. Keys that came before the first index was ready are compared with the same
keys of the second. Prints a table for people and one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bench.client import OpenLoopClient, Typing
from bench.report import PERCENTILES, percentile, waits_ms
from bench.session import Session, read_sessions
from bench.symbol_index import FILES, copy_library
from bench.systems import SYSTEMS
from daemon import control
from daemon.engine.ways import default_threads
from daemon.registry import EMBEDDED_PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SESSIONS = ("python_routes", "python_parser", "python_readings")  # quick typists: many keys while it is built
LOOK_SECONDS = 0.25  # between two looks at the hub's index
REST_SECONDS = 0.3  # between the first answer and the first key


@dataclass(slots=True)
class Waits:
    """Milliseconds, the same keys in both lists; ``ready_seconds`` are those that each first index took."""

    indexing: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    ready_seconds: list[float] = field(default_factory=list)


@asynccontextmanager
async def window(folder: Path, threads: int) -> AsyncIterator[tuple[OpenLoopClient, Path]]:
    """A window on ``folder`` in a hub of its own, and the hub's socket."""
    with tempfile.TemporaryDirectory(prefix="ft") as name:
        home = Path(name)
        env = SYSTEMS["foretype"].environment(home, EMBEDDED_PATH, threads)
        command = [sys.executable, "-m", "daemon.main", "lsp", "--stdio"]
        client = await OpenLoopClient.start(command, env, home / "log", folder)
        [socket] = await asyncio.to_thread(lambda: list(home.rglob("*.sock")))
        try:
            yield client, socket
        finally:
            await client.leave()
            await asyncio.to_thread(control.stop, str(socket))


async def is_ready(socket: Path) -> bool:
    """Whether the hub's one index is."""
    answer = await asyncio.to_thread(control.ask, str(socket), "status")
    return answer is not None and [one["state"] for one in answer[1]["indexes"]] == ["ready"]


async def when_ready(socket: Path) -> float:
    """Seconds of the monotonic clock at which the index was seen ready first."""
    while not await is_ready(socket):  # noqa: ASYNC110  it is another process that is waited for
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic()


async def measure(session: Session, folder: Path, threads: int, waits: Waits) -> None:
    """Type the session in both states and add the keys that can be compared."""
    async with window(folder, threads) as (client, socket):
        typing = Typing(client, session, rest_seconds=REST_SECONDS)
        opened = time.monotonic()
        looking = asyncio.create_task(when_ready(socket))
        await typing.open()
        first_key = time.monotonic() + REST_SECONDS
        records = await typing.run()
        ready = await looking
    during = [record for record in records if first_key + record.sent_ms / 1000 < ready]
    waits.ready_seconds.append(ready - opened)
    waits.indexing += waits_ms(records)[: len(during)]
    async with window(folder, threads) as (client, socket):
        typing = Typing(client, session, rest_seconds=REST_SECONDS)
        await typing.open()
        await when_ready(socket)
        looking_on = asyncio.create_task(_look_on(socket))
        waits.idle += waits_ms(await typing.run())[: len(during)]
        looking_on.cancel()


async def _look_on(socket: Path) -> None:
    """What the looks cost, both states have."""
    while True:
        await is_ready(socket)
        await asyncio.sleep(LOOK_SECONDS)


def result(waits: Waits, files: int, threads: int) -> dict[str, Any]:
    """The figures; a wait that did not end is None."""
    found: dict[str, Any] = {
        "bench": "keys_while_indexing",
        "files": files,
        "threads": threads,
        "keys": len(waits.idle),
        "ready_seconds": [round(seconds, 1) for seconds in waits.ready_seconds],
    }
    for name, values in (("indexing", waits.indexing), ("idle", waits.idle)):
        found |= {f"{name}_p{percent}_ms": _finite(percentile(values, percent)) for percent in PERCENTILES}
    both = [found[f"{name}_p99_ms"] for name in ("indexing", "idle")]
    found["p99_difference_ms"] = None if None in both else round(both[0] - both[1], 2)
    return found


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else round(value, 2)


def main() -> None:
    """Parse the arguments, type, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=FILES, help="how many files to copy (default: %(default)s)")
    parser.add_argument("--sessions", nargs="+", default=list(SESSIONS))
    parser.add_argument("--threads", type=int, default=default_threads())
    options = parser.parse_args()
    waits = Waits()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "workspace").resolve()
        copy_library(folder, options.files)
        for session in read_sessions(options.sessions):
            asyncio.run(measure(session, folder, options.threads, waits))
            shown = result(waits, options.files, options.threads)
            print(f"{session.name}: {shown['keys']} keys so far, index ready after {waits.ready_seconds[-1]:.1f} s")
    for what, value in shown.items():
        print(f"{what:20} {value}")
    print(orjson.dumps(shown).decode())


if __name__ == "__main__":
    main()
