"""The workspace symbol index on thousands of real files: how long until it is ready, a lookup, one changed file.

    python -m bench.symbol_index [--files N] [--folder FOLDER]

Without ``--folder`` the files are copies of the Python files of this interpreter's library and packages, in a temporary
folder. Prints a table for people and one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import statistics
import sysconfig
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson
import psutil

from capture.context.definitions import Identifier
from capture.context.index.client import SymbolIndex
from capture.context.index.languages import language_of
from capture.context.index.messages import IndexLimits, IndexProgress
from capture.context.index.symbols import tagger_of
from capture.context.index.walk import WorkspaceFiles
from capture.context.index.workspace import WorkspaceIndex
from capture.editing.positions import Position
from capture.gate.exclude import PathGate

FILES = 5_000
FILES_OF_FOLDER = 25
LOOKUPS, CHANGES = 2_000, 200
NAMES_OF_QUESTION = 32  # as many as a prediction asks about


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Measure the workspace symbol index.")
    parser.add_argument("--files", type=int, default=FILES, help="how many files to copy (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="index this folder instead of copies of the library")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        report(measure(arguments.folder.resolve()))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "workspace")
        copy_library(folder, arguments.files)
        report(measure(folder))


def copy_library(folder: Path, count: int) -> None:
    """``count`` Python files, the same ones again where the library has fewer, ``FILES_OF_FOLDER`` in a folder."""
    sources = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    files = sorted({path for source in sources for path in source.rglob("*.py") if path.stat().st_size > 0})
    random.Random(7).shuffle(files)
    for number, path in enumerate(islice(cycle(files), count)):
        target = folder / f"package_{number // FILES_OF_FOLDER:04}" / f"{path.stem}_{number}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def measure(folder: Path) -> dict[str, Any]:
    """Everything, first in the worker as it runs, then its steps without one."""
    files = [path for path in sorted(folder.rglob("*")) if language_of(str(path)) is not None and path.is_file()]
    names = sample_names(files)
    result: dict[str, Any] = {"files": len(files), "megabytes": sum(path.stat().st_size for path in files) / 1e6}
    result |= asyncio.run(measure_worker(folder, files, names))
    result |= measure_steps(folder, files, names)
    return result


def sample_names(files: list[Path]) -> list[str]:
    """Names that the files define, as often as they define them."""
    names: list[str] = []
    for path in random.Random(7).sample(files, min(200, len(files))):
        language = language_of(str(path))
        if language is not None:
            names += [symbol.name for symbol in tagger_of(language).symbols(path.read_bytes())]
    return random.Random(7).choices(names, k=LOOKUPS)


async def measure_worker(folder: Path, files: list[Path], names: list[str]) -> dict[str, Any]:
    """What the hub sees: seconds until ready, and questions there and back."""
    ready = asyncio.Event()

    def note(progress: IndexProgress) -> None:
        if progress.is_ready:
            ready.set()

    log = logging.getLogger("bench.symbol_index")
    index = SymbolIndex(str(folder), log=log, pause_after_death=lambda _now: None, on_progress=note)
    started = time.perf_counter()
    index.start()
    await ready.wait()
    seconds = time.perf_counter() - started
    worker = psutil.Process(index.process_id)
    result = {
        "seconds_until_ready": seconds,
        "worker_cpu_seconds": sum(worker.cpu_times()[:2]),
        "worker_resident_megabytes": worker.memory_info().rss / 1e6,
        "symbols": index.progress.symbols,
        "table_megabytes": index.progress.table_bytes / 1e6,
        "notes": list(index.progress.notes),
    }
    asking = str(files[len(files) // 2])
    groups = [names[start : start + NAMES_OF_QUESTION] for start in range(0, len(names), NAMES_OF_QUESTION)]
    single = [await milliseconds_of_question(index, asking, [name]) for name in names]
    many = [await milliseconds_of_question(index, asking, group) for group in groups]
    await index.close()
    return result | spread("question_1_name_ms", single) | spread(f"question_{NAMES_OF_QUESTION}_names_ms", many)


async def milliseconds_of_question(index: SymbolIndex, asking: str, names: list[str]) -> float:
    """How long one question takes, there and back."""
    identifiers = [Identifier(name, Position(0, 0)) for name in names]
    started = time.perf_counter()
    await index.definitions(asking, identifiers)
    return (time.perf_counter() - started) * 1000


def measure_steps(folder: Path, files: list[Path], names: list[str]) -> dict[str, Any]:
    """A lookup and the reading of one changed file, without pipes and priorities around them."""
    limits = IndexLimits()
    index = WorkspaceIndex(WorkspaceFiles(str(folder), PathGate(), limits), limits, lambda _folders: None)
    finish(index)
    asking = str(files[len(files) // 2])
    lookups: list[float] = []
    changes: list[float] = []
    for name in names:
        started = time.perf_counter()
        index.find(asking, [name])
        lookups.append((time.perf_counter() - started) * 1000)
    for path in random.Random(7).sample(files, min(CHANGES, len(files))):
        started = time.perf_counter()
        index.note_changes([str(path)])  # as a watcher would: it is read again whether it changed or not
        finish(index)
        changes.append((time.perf_counter() - started) * 1000)
    return spread("lookup_ms", lookups) | spread("changed_file_ms", changes)


def finish(index: WorkspaceIndex) -> None:
    """Work until there is nothing to do."""
    while index.has_work:
        index.work()


def spread(name: str, values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and the largest."""
    ordered = sorted(values)
    return {
        f"{name}_median": statistics.median(ordered),
        f"{name}_p99": ordered[int(len(ordered) * 0.99)],
        f"{name}_max": ordered[-1],
    }


def report(result: dict[str, object]) -> None:
    """A line a figure, then the JSON line."""
    for name, value in result.items():
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        print(f"{name:32} {shown:>12}")
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
