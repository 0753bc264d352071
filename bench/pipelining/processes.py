"""One command as processes of its own: how long it took, and how much memory and processor all of them had.

Memory is the resident set summed over the command's process and all it started, looked at every 0.1 s: pages that
processes share count once in each, and what lasted shorter may be missed. So may the last 0.1 s of each process's work.
Knows nothing of what the command does.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_SECONDS = 0.1
LAST_LINES = 15


class CommandFailed(Exception):
    """It ended with an error; the message has the last lines that it printed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """``seconds`` from its start to its end, ``processor_seconds`` of all its processes."""

    seconds: float
    processor_seconds: float
    peak_rss_bytes: int


def measured(command: Sequence[str], folder: Path, environment: Mapping[str, str], within_seconds: float) -> Usage:
    """Run it to its end; raises CommandFailed where that is an error, or does not come in time."""
    with (folder / "stderr").open("w+b") as errors, (folder / "stdout").open("wb") as printed:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=errors)
        watch = _Watch(process.pid)
        try:
            process.wait(within_seconds)
            how = f"ended with {process.returncode}"
        except subprocess.TimeoutExpired:
            how = f"did not end within {within_seconds:g} s"
        finally:
            seconds = time.perf_counter() - started
            if process.returncode is None:
                _kill_all(process)
            watch.end()
        if process.returncode:
            errors.seek(0)
            last = errors.read().decode(errors="replace").splitlines()[-LAST_LINES:]
            raise CommandFailed("\n".join([f"{' '.join(command)} {how}", *last]))
        return Usage(seconds, watch.processor_seconds, watch.peak_bytes)


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """It, and what it started."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.kill()
    process.wait()


class _Watch:
    """Looks at a process and its children until it is told to end."""

    def __init__(self, process_id: int) -> None:
        self.peak_bytes = 0
        self._processor_seconds: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(process_id,), daemon=True)
        self._thread.start()

    @property
    def processor_seconds(self) -> float:
        """Of all processes that were seen."""
        return sum(self._processor_seconds.values())

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self, process_id: int) -> None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(process_id)
            while not self._ended.wait(LOOK_SECONDS):
                self._look([process, *process.children(recursive=True)])

    def _look(self, processes: Sequence[psutil.Process]) -> None:
        rss_bytes = 0
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                rss_bytes += process.memory_info().rss
                times = process.cpu_times()
                self._processor_seconds[process.pid] = times.user + times.system
        self.peak_bytes = max(self.peak_bytes, rss_bytes)
