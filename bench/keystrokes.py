"""From a keystroke to its prediction: foretype beside its peers, same GGUF, same prompts, same cores, in one run.

    python -m bench.keystrokes [--quick] [--out FOLDER] [--models ...] [--systems ...] [--sessions ...] [--minutes N]
    python -m bench.keystrokes --publish docs

Simulated typing sessions (``bench/sessions``), or recorded ones by path, are typed at their own pace into a language
server of each system, whether or not it keeps up (``client.py``), each in the project it belongs to
(``workspaces.py``): every system finds the same context there and shows it to the model. One cell is one model in one
system; each ends as a JSON file in the output folder and is not measured again while that file is there: a run that was
cut shows what there is, and the next one goes on. Prints the plan, a table for people and one JSON object as the last
line; draws pictures where matplotlib is installed. ``--publish`` measures nothing: it writes a page and its pictures
from what was measured.

A model is ``student``, ``zeta2-student``, a GGUF's path, or one of these with ``@0.5b-q8_0`` behind it: widened to that
shape and quantised so (``widen.py``). Peers run at the best of a few settings, tried on a short session for each model;
foretype is tuned by its own command before.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench import plots, report
from bench.cells import (
    SWEEP_KEYSTROKES,
    SWEEP_SESSION,
    TUNE_SECONDS,
    WIDENED_SWEEP_KEYSTROKES,
    Bench,
    CannotTune,
    Cell,
)
from bench.client import SECONDS_BEFORE_FIRST_KEY, ServerEnded
from bench.models import STUDENT, ZETA2_PATH, ZETA2_STUDENT, base_name, check_model, shape_name
from bench.peers.llama_server_build import BuildFailed, binary_path
from bench.publish import publish
from bench.session import read_sessions
from bench.systems import COMPARED, DRAFTING, SYSTEMS
from bench.widen import CannotWiden
from daemon.engine.ways import default_threads

FOLDER, QUICK_FOLDER = Path("runs/keystrokes"), Path("runs/keystrokes-quick")
# What matters most comes first: a run may be cut.
BASE_MODELS, WIDENINGS = (STUDENT, ZETA2_STUDENT), ("0.5b-q8_0", "1.5b-q4_0")
QUICK_MODELS = (STUDENT, f"{STUDENT}@0.5b-q8_0")
# A pass of a widened model costs what it costs in any session: fewer of them keep the whole table within two hours.
WIDENED_SESSIONS = {"0.5b": ("python_basket", "python_parser"), "1.5b": ("python_basket",)}
QUICK_SESSION, QUICK_KEYSTROKES, QUICK_TUNE_SECONDS = "python_basket", 60, 20.0
STUDENT_TUNE_SECONDS = 20.0  # a small model is measured before its time is up
# For the estimate: starting a server, and before and behind each session the first and the last answer, by shape.
START_SECONDS, ANSWER_SECONDS = 3.0, {"": 1.0, "0.5b": 15.0, "1.5b": 40.0}


@dataclass(slots=True)
class Progress:
    """What came of a plan: results, what is not measured (by name), and what failed (a sentence each)."""

    results: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def plan(options: argparse.Namespace) -> list[Cell]:
    """The cells to measure, one model after the other; raises ValueError for a name there is not."""
    models: list[str] = options.models or list(QUICK_MODELS if options.quick else _full_models())
    systems: list[str] = options.systems or list(COMPARED)
    unknown = [name for name in systems if name not in SYSTEMS]
    if unknown:
        raise ValueError(f"there is no system {', '.join(unknown)}; there are: {', '.join(SYSTEMS)}")
    if options.quick and not options.systems and not binary_path().exists():
        print("llama-server is left out: it is not built (python -m bench.peers.llama_server_build)")
        systems.remove("llama-server")
    cells = []
    for model in models:
        check_model(model)
        names = options.sessions or (QUICK_SESSION,) if options.quick else _session_names(options, model)
        sessions = read_sessions(names)
        keystrokes = options.keystrokes or (QUICK_KEYSTROKES if options.quick else None)
        if keystrokes:
            sessions = [session.first(keystrokes) for session in sessions]
        cells += [Cell(model, system, tuple(sessions)) for system in systems]
    return cells


def planned_seconds(cell: Cell, *, quick: bool = False) -> float:
    """How long a cell takes with all that comes before it, about; searches and tuning are not known yet."""
    shape = shape_name(cell.model)
    answers = ANSWER_SECONDS.get(shape, ANSWER_SECONDS["1.5b"])
    system = SYSTEMS[cell.system]
    seconds = cell.seconds + len(cell.sessions) * (START_SECONDS + SECONDS_BEFORE_FIRST_KEY + answers)
    if system.tune_command(TUNE_SECONDS):
        longest = TUNE_SECONDS if shape else STUDENT_TUNE_SECONDS
        seconds += START_SECONDS + (min(longest, QUICK_TUNE_SECONDS) if quick else longest)
    if not quick:
        [session] = read_sessions([SWEEP_SESSION])
        typing = session.first(WIDENED_SWEEP_KEYSTROKES if shape else SWEEP_KEYSTROKES).seconds
        seconds += _tries(cell) * (START_SECONDS + SECONDS_BEFORE_FIRST_KEY + typing + answers)
    return seconds


def _tries(cell: Cell) -> int:
    """How many settings a search of its system's best one tries."""
    choices = SYSTEMS[cell.system].choices
    if shape_name(cell.model):
        return 2 * (DRAFTING in choices)
    return sum(map(len, choices.values())) - max(0, len(choices) - 1)  # the best so far is known


def run(cells: Sequence[Cell], bench: Bench, *, minutes: float, quick: bool) -> Progress:
    """Measure what is not measured, as long as the next cell still fits into ``minutes``; an interrupt ends it, too."""
    progress, began, ended = Progress(), time.monotonic(), False
    for cell in cells:
        name = f"{cell.model}, {cell.system}"
        known = bench.known(cell)
        fits = time.monotonic() - began + planned_seconds(cell, quick=quick) <= 60 * minutes
        if known is None and (ended or not fits):
            progress.missing.append(name)
            continue
        try:
            progress.results.append(bench.measure(cell))
        except (ValueError, CannotWiden, CannotTune, BuildFailed, ServerEnded, OSError) as error:
            print(error, file=sys.stderr, flush=True)
            progress.failures.append(f"{name}: {error}")
            progress.missing.append(name)
        except KeyboardInterrupt:
            ended = True
            progress.missing.append(name)
    return progress


def measured(cells: Sequence[Cell], bench: Bench) -> Progress:
    """What is there already."""
    progress = Progress()
    for cell in cells:
        result = bench.known(cell)
        if result is None:
            progress.missing.append(f"{cell.model}, {cell.system}")
        else:
            progress.results.append(result)
    return progress


def show_plan(cells: Sequence[Cell], bench: Bench, *, quick: bool) -> None:
    """Print what will be measured and about how long that takes."""
    total = 0.0
    for model in dict.fromkeys(cell.model for cell in cells):
        of_model = [cell for cell in cells if cell.model == model]
        left = [cell for cell in of_model if bench.known(cell) is None]
        seconds = sum(planned_seconds(cell, quick=quick) for cell in left)
        total += seconds
        sessions = of_model[0].sessions
        keystrokes = sum(len(session.keystrokes) for session in sessions)
        print(
            f"{model}: {len(left)} of {len(of_model)} systems to measure, {keystrokes} keystrokes"
            f" ({', '.join(session.name for session in sessions)}) in each: {seconds / 60:.0f} minutes"
        )
    print(f"together {total / 60:.0f} minutes", flush=True)


def show(progress: Progress, folder: Path) -> None:
    """Print the table, pictures into ``folder``, what is missing, and everything but the records as one JSON line."""
    if progress.results:
        print(report.table(progress.results))
        for path in plots.draw(progress.results, folder).values():
            print(f"drawn: {path}")
    for failure in progress.failures:
        print(f"failed: {failure}")
    if progress.missing:
        print(f"not measured yet, run it again to go on: {'; '.join(progress.missing)}")
    cells = [{name: value for name, value in each.items() if name != "records"} for each in progress.results]
    print(orjson.dumps({"bench": "keystrokes", "cells": cells, "missing": progress.missing}).decode())


def _full_models() -> list[str]:
    bases = list(BASE_MODELS)
    if not ZETA2_PATH.is_file():
        print(f"{ZETA2_STUDENT} is left out: there is no {ZETA2_PATH} (`make bench-student` trains it)")
        bases.remove(ZETA2_STUDENT)
    return bases + [f"{base}@{widening}" for widening in WIDENINGS for base in bases]


def _session_names(options: argparse.Namespace, model: str) -> Sequence[str]:
    widened = WIDENED_SESSIONS.get(shape_name(model), WIDENED_SESSIONS["1.5b"]) if model != base_name(model) else ()
    return options.sessions or widened


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two models, one short session: within five minutes")
    parser.add_argument("--out", type=Path, help=f"default: {FOLDER}; for a quick run {QUICK_FOLDER}, emptied first")
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--systems", nargs="+", default=[])
    parser.add_argument("--sessions", nargs="+", default=[])
    parser.add_argument("--keystrokes", type=int, default=0, help="only the first so many of each session")
    # With all cores, which is what nobody's default is here, one busy neighbour stalls every pass.
    parser.add_argument("--threads", type=int, default=default_threads(), help="for every system alike")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no cell that would end later")
    parser.add_argument("--plan", action="store_true", help="print what would be measured, and end")
    parser.add_argument("--publish", type=Path, metavar="FOLDER", help="write the page of what was measured, and end")
    return parser


def main() -> int:
    """Measure what is not yet measured, and print everything; 1 where something failed."""
    options = _arguments().parse_args()
    quick: bool = options.quick
    folder = (options.out or (QUICK_FOLDER if quick else FOLDER)).absolute()
    only_looks = options.plan or options.publish is not None
    if quick and not options.out and not only_looks:
        shutil.rmtree(folder, ignore_errors=True)  # a quick look is at the code as it is now
    folder.mkdir(parents=True, exist_ok=True)
    tune_seconds = QUICK_TUNE_SECONDS if quick else TUNE_SECONDS
    bench = Bench(folder, options.threads, searches=not quick, tune_seconds=tune_seconds)
    try:
        cells = plan(options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.publish is not None:
        progress = measured(cells, bench)
        if not progress.results:
            print(f"nothing is measured in {folder}", file=sys.stderr)
            return 1
        for path in publish(progress.results, progress.missing, options.publish):
            print(path)
        return 0
    show_plan(cells, bench, quick=quick)
    if options.plan:
        return 0
    print(f"results in {folder}", flush=True)
    progress = run(cells, bench, minutes=options.minutes, quick=quick)
    show(progress, folder)
    return 1 if progress.failures else 0


if __name__ == "__main__":
    sys.exit(main())
