"""From a keystroke to its prediction: foretype beside its peers, same GGUF, same prompts, same cores, in one run.

    python -m bench.keystrokes [--quick] [--out FOLDER] [--models ...] [--systems ...] [--sessions ...]

Simulated typing sessions (``bench/sessions``), or recorded ones by path, are typed at their own pace into a language
server of each system, whether or not it keeps up (``client.py``). One cell is one model in one system; each ends as a
JSON file in the output folder and is not measured again while that file is there. Prints a table for people and one
JSON object as the last line; draws plots where matplotlib is installed.

A model is ``student``, a GGUF's path, or either with ``@0.5b-q8_0`` behind it: widened to that shape and
quantised so (``widen.py``). llama-server's setting is the best of a few, tried on a short session for each model.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from bench import report
from bench.client import OpenLoopClient, Record, ServerEnded, Typing
from bench.peers.llama_server_build import BuildFailed, binary_path, build
from bench.session import Session, read_sessions
from bench.systems import COMPARED, LLAMA_SERVER_SETTINGS, SYSTEMS, System, llama_server
from bench.widen import QUANTISATIONS, SHAPES, CannotWiden, widened_path
from daemon.registry import EMBEDDED_PATH

FOLDER, QUICK_FOLDER = Path("runs/keystrokes"), Path("runs/keystrokes-quick")
STUDENT = "student"
WIDENED_MODELS = ("student@0.5b-q8_0", "student@1.5b-q8_0", "student@1.5b-q4_0")
QUICK_MODELS = (STUDENT, "student@0.5b-q8_0")
# A pass of a widened model costs what it costs in any session: fewer of them keep the whole table within two hours.
WIDENED_SESSIONS = ("python_basket", "python_parser")
QUICK_SESSION, QUICK_KEYSTROKES = "python_basket", 75
QUICK_SETTING = "n-gram 3, draft 8"  # of llama-server: a quick run has no time to look for the best one
SWEEP_SESSION, SWEEP_KEYSTROKES = "python_basket", 50
# What the daemon and llama-cpp-python take when nobody says: with all of them, one busy neighbour stalls every pass.
DEFAULT_THREADS = max(1, (os.cpu_count() or 2) // 2)
SECONDS_AROUND_A_CELL, SECONDS_MORE_IF_WIDENED = 10, 15  # loading, first and last answers, for the estimate


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement: a model in a system, on some sessions."""

    model: str
    system: str
    sessions: tuple[Session, ...]

    @property
    def key(self) -> str:
        """The name of its file; other sessions, other keys."""
        typed = hashlib.sha256(b"".join(session.to_bytes() for session in self.sessions)).hexdigest()
        return file_name(f"{self.model}--{self.system}--{typed[:8]}")

    @property
    def seconds(self) -> float:
        """How long the typing takes."""
        return sum(session.seconds for session in self.sessions)


class Bench:
    """Measures cells one after the other into ``folder``; ``setting`` is llama-server's, empty to find the best."""

    def __init__(self, folder: Path, threads: int, setting: str = "") -> None:
        self._folder = folder
        self._threads = threads
        self._setting = setting

    def measure(self, cell: Cell) -> dict[str, Any]:
        """The cell's result, from its file where there is one; raises ServerEnded, BuildFailed or CannotWiden."""
        path = self._folder / f"{cell.key}.json"
        kept: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {}
        if kept and kept["environment"]["threads"] == self._threads:
            print(f"{cell.model}, {cell.system}: measured before, at {kept['environment']['at']}", flush=True)
            return kept
        system = SYSTEMS[cell.system]
        setting = ""
        if system.peer == "llama-server":
            build()
            setting = self._setting or self._best_llama_server(cell.model)
            system = llama_server(setting)
        print(f"{cell.model}, {cell.system}{f' ({setting})' if setting else ''}: {cell.seconds:.0f} s", flush=True)
        result = self._run(cell, system)
        result |= {"setting": setting, "environment": environment(self._threads)}
        write_json(path, result)
        return result

    def _best_llama_server(self, model: str) -> str:
        """The setting with the shortest mean wait on a short session; remembered in a file."""
        path = self._folder / f"{file_name(model)}--llama-server-settings.json"
        if not path.exists():
            [session] = read_sessions([SWEEP_SESSION])
            cell = Cell(model, "llama-server", (session.first(SWEEP_KEYSTROKES),))
            mean_waits = {}
            for name in LLAMA_SERVER_SETTINGS:
                print(f"{model}, llama-server: trying {name}", flush=True)
                records = map(Record.from_json, self._run(cell, llama_server(name))["records"])
                waits = report.waits_ms(records)
                mean_waits[name] = sum(waits) / len(waits)
            write_json(path, mean_waits)
        tried: dict[str, float | None] = orjson.loads(path.read_bytes())
        answered = {name: wait for name, wait in tried.items() if wait is not None}  # JSON knows no infinity
        return min(answered or {QUICK_SETTING: 0.0}, key=lambda name: answered.get(name, 0.0))

    def _run(self, cell: Cell, system: System) -> dict[str, Any]:
        model = model_path(cell.model)
        home = self._folder / "home"
        log = self._folder / f"{cell.key}.log"
        command, env = system.command(model, self._threads), system.environment(home, model, self._threads)
        try:
            return asyncio.run(type_sessions(cell, command, env, log))
        except ServerEnded as error:
            raise ServerEnded(f"{cell.model}, {cell.system}: {error}; what it said is in {log}") from error


async def type_sessions(cell: Cell, command: Sequence[str], env: dict[str, str], log: Path) -> dict[str, Any]:
    """Start a server, type every session into it, and end it; raises ServerEnded."""
    client = await OpenLoopClient.start(command, env, log)
    records: list[Record] = []
    cpu_seconds, rss_bytes = 0.0, 0
    try:
        for session in cell.sessions:
            typing = Typing(client, session)
            await typing.open()
            before = client.cost()
            records += await typing.run()
            after = client.cost()
            cpu_seconds += after.cpu_seconds - before.cpu_seconds
            rss_bytes = max(rss_bytes, after.rss_bytes)
        totals = (await client.request("foretype/status", {})).get("totals") or {}
    finally:
        await client.leave()
    return {
        "key": cell.key,
        "model": cell.model,
        "system": cell.system,
        "sessions": [session.name for session in cell.sessions],
        "summary": report.summarise(records),
        "cost": {"cpu_seconds_per_1000": round(1000 * cpu_seconds / len(records), 2), "rss_bytes": rss_bytes},
        "totals": totals,
        "records": [record.to_json() for record in records],
    }


def model_path(name: str) -> Path:
    """The GGUF that a model's name means, widened now if need be; raises CannotWiden, ValueError for no such model."""
    base, _, widened = name.partition("@")
    path = EMBEDDED_PATH if base == STUDENT else Path(base).absolute()
    shape, _, quantisation = widened.partition("-")
    if not path.exists():
        raise ValueError(f"there is no model {base}; give {STUDENT} or the path of a GGUF")
    if widened and (shape not in SHAPES or quantisation not in QUANTISATIONS):
        known = f"{', '.join(SHAPES)} and {', '.join(QUANTISATIONS)}"
        raise ValueError(f"{name} cannot be made; behind the @ come a shape and a quantisation, of {known}")
    return widened_path(path, shape, quantisation) if widened else path


def plan(options: argparse.Namespace) -> list[Cell]:
    """The cells to measure, one model after the other; raises ValueError for a name there is not."""
    models: list[str] = options.models or list(QUICK_MODELS if options.quick else (STUDENT, *WIDENED_MODELS))
    systems: list[str] = options.systems or list(COMPARED)
    unknown = [name for name in systems if name not in SYSTEMS]
    if unknown:
        raise ValueError(f"there is no system {', '.join(unknown)}; there are: {', '.join(SYSTEMS)}")
    if options.quick and not options.systems and not binary_path().exists():
        print("llama-server is left out: it is not built (python -m bench.peers.llama_server_build)")
        systems.remove("llama-server")
    cells = []
    for model in models:
        names = options.sessions or ([QUICK_SESSION] if options.quick else WIDENED_SESSIONS if "@" in model else [])
        sessions = read_sessions(names)
        keystrokes = options.keystrokes or (QUICK_KEYSTROKES if options.quick else None)
        if keystrokes:
            sessions = [session.first(keystrokes) for session in sessions]
        cells += [Cell(model, system, tuple(sessions)) for system in systems]
    return cells


def planned_seconds(cells: Sequence[Cell], setting: str) -> float:
    """How long the cells take when none is measured yet; ``setting`` as ``Bench`` takes it."""
    [session] = read_sessions([SWEEP_SESSION])
    sweep_seconds = session.first(SWEEP_KEYSTROKES).seconds
    seconds = 0.0
    for cell in cells:
        around = SECONDS_AROUND_A_CELL + SECONDS_MORE_IF_WIDENED * ("@" in cell.model)
        tries = len(LLAMA_SERVER_SETTINGS) * (cell.system == "llama-server" and not setting)
        seconds += cell.seconds + around + tries * (sweep_seconds + around)
    return seconds


def file_name(text: str) -> str:
    """``text`` with what does not belong into a file's name replaced."""
    return re.sub(r"[^\w.@-]+", "_", text)


def environment(threads: int) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "at": time.strftime("%Y-%m-%d %H:%M:%S"),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "threads": threads,
        "llama_cpp_python": version("llama-cpp-python"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def write_json(path: Path, value: Any) -> None:
    """Write a file that is either whole or not there."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    unfinished.rename(path)


def main() -> int:
    """Measure what is not yet measured, and print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two models, one short session: within five minutes")
    parser.add_argument("--out", type=Path, help=f"default: {FOLDER}; for a quick run {QUICK_FOLDER}, emptied first")
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--systems", nargs="+", default=[])
    parser.add_argument("--sessions", nargs="+", default=[])
    parser.add_argument("--keystrokes", type=int, default=0, help="only the first so many of each session")
    parser.add_argument("--threads", type=int, default=DEFAULT_THREADS, help="for every system alike")
    options = parser.parse_args()
    folder = (options.out or (QUICK_FOLDER if options.quick else FOLDER)).absolute()
    if options.quick and not options.out:
        shutil.rmtree(folder, ignore_errors=True)  # a quick look is at the code as it is now
    folder.mkdir(parents=True, exist_ok=True)
    try:
        cells = plan(options)
        setting = QUICK_SETTING if options.quick else ""
        minutes = planned_seconds(cells, setting) / 60
        print(f"{len(cells)} cells, {minutes:.0f} minutes if none is measured yet; results in {folder}", flush=True)
        bench = Bench(folder, options.threads, setting)
        results = [bench.measure(cell) for cell in cells]
    except (ValueError, CannotWiden, BuildFailed, ServerEnded, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    records = {result["key"]: list(map(Record.from_json, result["records"])) for result in results}
    print(report.table(results))
    for path in report.plot(results, records, folder):
        print(f"drawn: {path}")
    without_records = [{name: value for name, value in result.items() if name != "records"} for result in results]
    print(orjson.dumps({"bench": "keystrokes", "cells": without_records}).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
