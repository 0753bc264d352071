"""A great many small snapshots into one collector, and what becomes of its memory: flat, or growing with them.

One client sends as fast as it is answered; the collector seals parts as it always does. Knows nothing of why memory
would grow.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from bench.uploading.processes import running
from bench.uploading.rounds import READY_SECONDS, Lost, collector_command, environment_in
from bench.uploading.trust import Trust
from capture.collector.opening import INDEX_FILE
from capture.collector.parts import FOLDER
from capture.collector.sqlite_tables import SCHEMA
from capture.store import sqlite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOK_SECONDS = 3.0
LINE_SECONDS = 60.0
SILENCE_SECONDS = 120.0
TENTH = 10


@dataclass(frozen=True, slots=True)
class Look:
    """The collector at one moment; ``seconds`` since the sender began."""

    seconds: float
    snapshots: int
    rss_bytes: int
    disk_bytes: int


async def soak(count: int, size_bytes: int, folder: Path, *, delete_sealed: bool) -> dict[str, Any]:
    """Send ``count`` snapshots and print a line a minute; raises ProcessFailed, and Lost where not all arrived.

    With ``delete_sealed`` parts are removed behind the collector's back once they are sealed, as somebody might who
    moves them elsewhere: what grows on the disk then is the index, which remembers every id.
    """
    trust, data = Trust.made_in(folder / "trust"), folder / "data"
    data.mkdir(mode=0o700)
    env = environment_in(folder)
    async with running(collector_command(trust, data, "--log-level", "warning"), folder / "server.log", env) as server:
        address = (await server.line(READY_SECONDS))["listening"]
        to = ("--address", address, "--authority", trust.authority, "--token", trust.token)
        of = ("--snapshots", str(count), "--size-bytes", str(size_bytes))
        async with running(["-m", "bench.uploading.soak_sender", *to, *of], folder / "sender.log", env) as sender:
            progress = Progress(psutil.Process(server.process_id), data, delete_sealed=delete_sealed)
            is_over = asyncio.Event()
            looking = asyncio.create_task(progress.look_on(is_over))
            try:
                while progress.snapshots < count:
                    progress.note((await sender.line(SILENCE_SECONDS))["acknowledged"])
            finally:
                is_over.set()
                await looking
            await asyncio.to_thread(progress.look)
            await sender.ended()
        await server.end()
    [arrived] = _ask_index(data, "SELECT count(*) FROM snapshot")
    if arrived != count:
        raise Lost(f"the collector has {arrived} of {count} snapshots")
    return summarise(progress.looks, progress.removed_bytes)


class Progress:
    """What was seen of one collector so far."""

    def __init__(self, collector: psutil.Process, data: Path, *, delete_sealed: bool) -> None:
        self.snapshots = 0
        self.looks: list[Look] = []
        self.removed_bytes = 0
        self._collector = collector
        self._data = data
        self._delete_sealed = delete_sealed
        self._began: float | None = None

    def note(self, snapshots: int) -> None:
        """So many are acknowledged."""
        if self._began is None:
            self._began = time.monotonic()
            print("minutes   snapshots  collector MiB   disk MiB")
        self.snapshots = snapshots

    async def look_on(self, is_over: asyncio.Event) -> None:
        """Look every `LOOK_SECONDS`, and print every `LINE_SECONDS`."""
        printed = 0.0
        while not is_over.is_set():
            if self._began is not None:
                look = await asyncio.to_thread(self.look)
                if look.seconds >= printed:
                    printed += LINE_SECONDS
                    print(_line(look), flush=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await is_over.wait()

    def look(self) -> Look:
        """One look more."""
        if self._delete_sealed:
            self._remove_sealed()
        files = [path for path in self._data.rglob("*") if path.is_file()]
        seconds = 0.0 if self._began is None else time.monotonic() - self._began
        look = Look(seconds, self.snapshots, self._collector.memory_info().rss, sum(map(_size_bytes, files)))
        self.looks.append(look)
        return look

    def _remove_sealed(self) -> None:
        for name in _ask_index(self._data, "SELECT name FROM part WHERE is_sealed"):
            part = self._data / FOLDER / name
            self.removed_bytes += _size_bytes(part)
            part.unlink(missing_ok=True)


def summarise(looks: Sequence[Look], removed_bytes: int) -> dict[str, Any]:
    """How the memory went; the slope leaves out the first tenth of the snapshots, in which everything is done first."""
    last = looks[-1]
    warm = [look for look in looks if look.snapshots >= last.snapshots / TENTH]
    first_tenth = [look.rss_bytes for look in looks if look.snapshots <= last.snapshots / TENTH]
    last_tenth = [look.rss_bytes for look in looks if look.snapshots >= last.snapshots * (1 - 1 / TENTH)]
    result: dict[str, Any] = {
        "soak_snapshots": last.snapshots,
        "seconds": round(last.seconds, 1),
        "snapshots_per_second": round(last.snapshots / last.seconds, 1),
        "looks": len(looks),
        "rss_first_tenth_median_bytes": _median(first_tenth),
        "rss_last_tenth_median_bytes": _median(last_tenth),
        "rss_peak_bytes": max(look.rss_bytes for look in looks),
        "rss_bytes_per_snapshot": _slope(warm),
        "disk_bytes": last.disk_bytes,
        "removed_bytes": removed_bytes,
    }
    print(_line(last))
    for name, value in result.items():
        print(f"{name:30} {value}")
    return result


def _ask_index(data: Path, query: str) -> list[Any]:
    """The first column of what a collector's index answers; it may be in use."""
    database = sqlite.open_for_reading(data / INDEX_FILE, SCHEMA)
    try:
        with database.reading() as connection:
            return [row[0] for row in connection.execute(query).fetchall()]
    finally:
        database.close()


def _median(values: Sequence[int]) -> float | None:
    return statistics.median(values) if values else None


def _slope(looks: Sequence[Look]) -> float | None:
    """Bytes of memory for each snapshot; None with fewer than two looks at different moments."""
    snapshots = [float(look.snapshots) for look in looks]
    if len(set(snapshots)) < 2:
        return None
    return round(statistics.linear_regression(snapshots, [float(look.rss_bytes) for look in looks]).slope, 3)


def _size_bytes(path: Path) -> int:
    with suppress(FileNotFoundError):  # sealed or removed since it was listed
        return path.stat().st_size
    return 0


def _line(look: Look) -> str:
    return (
        f"{look.seconds / 60:7.1f} {look.snapshots:11} {look.rss_bytes / 2**20:14.1f} {look.disk_bytes / 2**20:10.1f}"
    )
