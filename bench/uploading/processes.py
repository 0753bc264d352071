"""Processes that are measured: started, spoken to by lines of JSON, watched, and gone at the end.

Knows nothing of what they do.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import psutil

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

END_SECONDS = 30.0
SAMPLE_SECONDS = 0.05
LAST_LINES = 15


class ProcessFailed(Exception):
    """A process ended or did not speak in time; the message has the last lines that it logged."""


class Child:
    """One running process; made by ``running``."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, name: str) -> None:
        self.process_id = process.pid
        self._process = process
        self._log = log
        self._name = name

    async def line(self, within_seconds: float) -> dict[str, Any]:
        """The next line that it prints; raises ProcessFailed."""
        if self._process.stdout is None:
            raise TypeError("its standard output is not read here")
        try:
            async with asyncio.timeout(within_seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise self._failed(f"said nothing for {within_seconds:g} s") from None
        if not line:
            raise self._failed("ended")
        found: dict[str, Any] = orjson.loads(line)
        return found

    async def tell(self) -> None:
        """The word that a sender waits for."""
        if self._process.stdin is None:
            raise TypeError("its standard input is not written here")
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()

    async def end(self) -> None:
        """Ask it to end, and see that it does; raises ProcessFailed when it has to be killed or ends with an error."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise self._failed(f"did not end within {END_SECONDS:g} s of SIGTERM") from None
        if self._process.returncode:
            raise self._failed(f"ended with {self._process.returncode}")

    async def ended(self) -> None:
        """Wait until it has ended by itself; raises ProcessFailed when that was with an error."""
        if await self._process.wait():
            raise self._failed(f"ended with {self._process.returncode}")

    async def kill(self) -> None:
        """Whatever it is doing, it is gone when this returns."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def _failed(self, what: str) -> ProcessFailed:
        last = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
        return ProcessFailed("\n".join([f"{self._name} {what}", *last]))


@asynccontextmanager
async def running(arguments: Sequence[str | Path], log: Path, env: Mapping[str, str]) -> AsyncIterator[Child]:
    """A Python of ours with these arguments; what it logs goes to a file. Killed at the end, if it still runs."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=env,
        )
    child = Child(process, log, str(arguments[1]))
    try:
        yield child
    finally:
        await child.kill()


@dataclass(slots=True)
class Usage:
    """What one process took while it was watched; the peak is that of samples ``SAMPLE_SECONDS`` apart."""

    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0


@asynccontextmanager
async def watching(process_ids: Sequence[int]) -> AsyncIterator[list[Usage]]:
    """For each process what it took, complete once the block has ended."""
    processes = [psutil.Process(number) for number in process_ids]
    usages = [Usage() for _ in processes]
    before = [_cpu_seconds(process) for process in processes]

    async def sample() -> None:
        while True:
            _note_rss(processes, usages)
            await asyncio.sleep(SAMPLE_SECONDS)

    sampling = asyncio.create_task(sample())
    try:
        yield usages
        _note_rss(processes, usages)
        for usage, process, started_with in zip(usages, processes, before, strict=True):
            usage.cpu_seconds = _cpu_seconds(process) - started_with
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _note_rss(processes: Sequence[psutil.Process], usages: Sequence[Usage]) -> None:
    for process, usage in zip(processes, usages, strict=True):
        usage.peak_rss_bytes = max(usage.peak_rss_bytes, process.memory_info().rss)
