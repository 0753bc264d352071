"""Measures cells, each a model in a system on some sessions, and keeps every result in a file of its own.

What was measured is not measured again, so that a run which was cut goes on where it stopped. Knows nothing of which
cells there are to measure, nor of how results are shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from bench import report
from bench.client import REPOSITORY, OpenLoopClient, Record, ServerEnded, Typing
from bench.models import base_name, model_path
from bench.peers.llama_server_build import build
from bench.session import Session, read_sessions
from bench.settings_search import Tried, search, search_again
from bench.systems import SYSTEMS, Setting, System
from bench.workspaces import workspace_of
from daemon.tuning.record import processor_name

SWEEP_SESSION, SWEEP_KEYSTROKES, WIDENED_SWEEP_KEYSTROKES = "python_basket", 50, 30
TUNE_SECONDS = 60.0  # what `foretype model tune` takes at most unless told


class CannotTune(Exception):
    """`foretype model tune` failed; the message has what it said."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement: a model in a system, on some sessions."""

    model: str
    system: str
    sessions: tuple[Session, ...]

    @property
    def key(self) -> str:
        """The name of its file; other sessions or workspaces, other keys."""
        parts = (part for each in self.sessions for part in (each.to_bytes(), workspace_of(each).to_bytes()))
        typed = hashlib.sha256(b"".join(parts)).hexdigest()
        return file_name(f"{self.model}--{self.system}--{typed[:8]}")

    @property
    def seconds(self) -> float:
        """How long the typing takes."""
        return sum(session.seconds for session in self.sessions)


class Bench:
    """Measures cells one after the other into ``folder``.

    With ``searches`` peers run with the best setting that a search finds, else with their defaults. ``tune_seconds`` is
    what our own daemon's tuning may measure.
    """

    def __init__(
        self, folder: Path, threads: int, *, searches: bool = True, tune_seconds: float = TUNE_SECONDS
    ) -> None:
        self._folder = folder
        self._threads = threads
        self._searches = searches
        self._tune_seconds = tune_seconds

    def known(self, cell: Cell) -> dict[str, Any] | None:
        """The cell's result as it was measured before, its figures made anew of its records; None without one."""
        kept = self._kept(self._path(cell.key))
        if kept is not None:
            kept["summary"] = report.summarise(list(map(Record.from_json, kept["records"])))
        return kept

    def measure(self, cell: Cell) -> dict[str, Any]:
        """The cell's result; raises ServerEnded, BuildFailed, CannotTune, CannotWiden or OSError."""
        if (kept := self.known(cell)) is not None:
            print(f"{cell.model}, {cell.system}: measured before, at {kept['environment']['at']}", flush=True)
            return kept
        system = SYSTEMS[cell.system]
        if system.peer == "llama-server":
            build()
        setting: Setting = self._best_setting(cell.model, system) if self._searches else system.default_setting
        tuning = self._tune(cell.model, system)
        started = time.monotonic()
        print(f"{cell.model}, {cell.system}{_in_brackets(setting)}: {cell.seconds:.0f} s", flush=True)
        result = self._run(cell, system.with_setting(setting))
        shown = dict(setting) | _setting_of(tuning)
        result |= {"setting": shown, "tuning": tuning, "environment": environment(self._threads)}
        result["took_seconds"] = round(time.monotonic() - started, 1)  # the measurement, without what comes before it
        write_json(self._path(cell.key), result)
        return result

    def _best_setting(self, model: str, system: System) -> Setting:
        """Remembered in a file; for a widened model by what was best for the one that it was made of."""
        if not system.choices:
            return {}
        path = self._path(file_name(f"{model}--{system.name}--settings"))
        kept = self._kept(path)
        if kept is None:
            tried = self._search(model, system)
            kept = tried.to_json() | {"environment": environment(self._threads)}
            write_json(path, kept)
        best: Setting = kept["best"]
        return best

    def _search(self, model: str, system: System) -> Tried:
        [session] = read_sessions([SWEEP_SESSION])
        base = base_name(model)
        sessions = (session.first(SWEEP_KEYSTROKES if model == base else WIDENED_SWEEP_KEYSTROKES),)

        def mean_wait(setting: Setting) -> float:
            print(f"{model}, {system.name}: trying{_in_brackets(setting)}", flush=True)
            result = self._run(Cell(model, system.name, sessions), system.with_setting(setting))
            waits = report.waits_ms(map(Record.from_json, result["records"]))
            return sum(waits) / len(waits)

        if model == base:
            return search(system, mean_wait)
        return search_again(self._tried_for_base(base, system), mean_wait)

    def _tried_for_base(self, base: str, system: System) -> Tried:
        self._best_setting(base, system)
        return Tried.from_json(orjson.loads(self._path(file_name(f"{base}--{system.name}--settings")).read_bytes()))

    def _tune(self, model: str, system: System) -> dict[str, Any]:
        """What our own daemon's tuning chose, with its notes; empty for a peer. Not part of what is measured."""
        command = system.tune_command(self._tune_seconds)
        if not command:
            return {}
        print(f"{model}, {system.name}: tuning", flush=True)
        env = system.environment(self._home, model_path(model), self._threads)
        started = time.monotonic()
        done = subprocess.run(command, env=env, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotTune(f"{model}: `{' '.join(command[1:])}` failed: {done.stderr.strip()}")
        found = orjson.loads(done.stdout)
        return {**found["tuning"], "notes": found["notes"], "seconds": round(time.monotonic() - started, 1)}

    def _run(self, cell: Cell, system: System) -> dict[str, Any]:
        model = model_path(cell.model)
        log = self._folder / f"{cell.key}.log"
        log.unlink(missing_ok=True)
        command, env = system.command(model, self._threads), system.environment(self._home, model, self._threads)
        try:
            return asyncio.run(type_sessions(cell, command, env, log))
        except ServerEnded as error:
            raise ServerEnded(f"{cell.model}, {cell.system}: {error}; what it said is in {log}") from error

    def _kept(self, path: Path) -> dict[str, Any] | None:
        """What was written with as many threads."""
        kept: dict[str, Any] | None = orjson.loads(path.read_bytes()) if path.exists() else None
        return kept if kept is not None and kept["environment"]["threads"] == self._threads else None

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    @property
    def _home(self) -> Path:
        return self._folder / "home"


async def type_sessions(cell: Cell, command: Sequence[str], env: dict[str, str], log: Path) -> dict[str, Any]:
    """Type every session into a server of its own, in a copy of its workspace; raises ServerEnded.

    One server for all would show the files of one project beside those of the next. What they say is added to ``log``.
    """
    records: list[Record] = []
    all_totals: list[dict[str, Any]] = []
    cpu_seconds, rss_bytes = 0.0, 0
    for session in cell.sessions:
        with _copied_workspace(session) as root:
            client = await OpenLoopClient.start(command, env, log, root)
            try:
                typing = Typing(client, session)
                await typing.open()
                before = client.cost()
                records += await typing.run()
                after = client.cost()
                all_totals.append((await client.request("foretype/status", {})).get("totals") or {})
            finally:
                await client.leave()
            cpu_seconds += after.cpu_seconds - before.cpu_seconds
            rss_bytes = max(rss_bytes, after.rss_bytes)
    return {
        "key": cell.key,
        "model": cell.model,
        "system": cell.system,
        "sessions": [session.name for session in cell.sessions],
        "recorded": [session.name for session in cell.sessions if not session.header.simulated],
        "summary": report.summarise(records),
        "cost": {"cpu_seconds_per_1000": round(1000 * cpu_seconds / len(records), 2), "rss_bytes": rss_bytes},
        "totals": added(all_totals),
        "records": [record.to_json() for record in records],
    }


@contextmanager
def _copied_workspace(session: Session) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        workspace_of(session).write(root)
        yield root


def added(totals: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several servers' totals together, number by number; what one of them does not know (None) is not known."""
    together: dict[str, Any] = {}
    for name in dict.fromkeys(name for each in totals for name in each):
        values = [each.get(name) for each in totals]
        if all(isinstance(value, dict) for value in values):
            together[name] = added([value for value in values if isinstance(value, dict)])
        else:
            together[name] = None if None in values else sum(values)
    return together


def environment(threads: int) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    describe = ("git", "describe", "--always", "--dirty", "--exclude=*")
    commit = subprocess.run(describe, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "at": time.strftime("%Y-%m-%d %H:%M:%S"),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "processor": processor_name(),
        "threads": threads,
        "llama_cpp_python": version("llama-cpp-python"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def file_name(text: str) -> str:
    """``text`` with what does not belong into a file's name replaced."""
    return re.sub(r"[^\w.@-]+", "_", text)


def write_json(path: Path, value: Any) -> None:
    """Write a file that is either whole or not there."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    unfinished.rename(path)


def _setting_of(tuning: dict[str, Any]) -> dict[str, str]:
    """What tuning chose, as a setting is shown."""
    names = {"flash_attention": "flash attention", "kv_type": "cache type", "read_batch_tokens": "prompt batch"}
    return {shown: str(tuning[name]) for name, shown in names.items() if name in tuning}


def _in_brackets(setting: Setting) -> str:
    return f" ({report.setting_text(setting)})" if setting else ""
