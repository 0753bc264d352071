"""Examples a second and memory of every command of the pipeline: ``python -m bench.pipeline``.

Each command runs as a person runs it, as processes of its own, over files of 1,000, 10,000 and 100,000 examples of 7 to
15 kB (``bench/pipelining/examples.py``). Those that ask a model get 1,000: `settle` draws 50 samples of the embedded
student for each; teachers are the local stand-in, whose own work is part of the time. Beside it, in the same run, the
same map in Hugging Face ``datasets``, once with a trivial field and once with our score.

Rates are between two sizes (the further examples by the further seconds), so that starting up does not count; at the
smallest size it does. Growth is what a further example takes at the next size as against before, memory what the
largest size had at once as against the one before: 1 is linear time and flat memory. `dedup` and `split` keep a
signature of 512 bytes for each example, `eval` a row of numbers for each prediction, `sample` and `census` some bytes.

``--out FILE`` keeps each result as a line there, and does not measure again what stands there of the same commit.
Prints a table for people and ends with one JSON line.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from bench.pipelining.examples import sizes_bytes
from bench.pipelining.processes import measured
from bench.pipelining.stages import STAGES, Measured, Scene

COUNTS = (1_000, 10_000, 100_000)
MOST_SECONDS = 900.0  # for one command
REPOSITORY = Path(__file__).parents[1]
STAND_IN = (sys.executable, "-m", "training_export.teachers.stand_in", "--mistakes", "5")


@dataclass(frozen=True, slots=True)
class Cell:
    """One command at one size."""

    stage: str
    examples: int
    seconds: float
    processor_seconds: float
    peak_rss_bytes: int


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)), help="sizes, ascending (default: %(default)s)")
    parser.add_argument("--only", default="", help="only these, with commas between; see the table for names")
    parser.add_argument("--out", type=Path, help="keep results here, and go on where it stopped")
    parser.add_argument("--folder", type=Path, help="where to work (default: temporary); 100,000 take about 6 GB")
    options = parser.parse_args()
    counts = sorted({int(count) for count in options.counts.split(",")})
    names = [name.strip() for name in options.only.split(",") if name.strip()]
    stages = [stage for stage in STAGES if not names or stage.name in names]
    if set(names) - {stage.name for stage in STAGES}:
        parser.error(f"there are: {', '.join(stage.name for stage in STAGES)}")
    surroundings = environment()
    results = Results(options.out, surroundings["commit"])
    with tempfile.TemporaryDirectory(prefix="foretype-pipeline-", dir=options.folder) as name, _stand_in() as url:
        for count in counts:
            folder = Path(name) / str(count)
            folder.mkdir()
            scene = Scene(folder, folder / "scratch", url, count)
            measure(stages, scene, results)
            sizes = sizes_bytes(Path(scene.path("examples.jsonl")))
            shutil.rmtree(folder)
    cells = [cell for cell in results.cells if cell.examples in counts]
    print(table(cells))
    rows = [{**asdict(cell), **growth(cells, cell)} for cell in cells]
    found = {"bench": "pipeline", "line_bytes": sizes, "cells": rows, **surroundings}
    print(orjson.dumps(found).decode())


class Results:
    """What was measured, also by earlier runs of the same commit where there is a file for it."""

    def __init__(self, path: Path | None, commit: str) -> None:
        self._path = path
        self._commit = commit
        self.cells: list[Cell] = []
        if path is not None and path.exists():
            rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
            self.cells = [Cell(**row["cell"]) for row in rows if row["commit"] == commit]

    def has(self, stage: Measured, count: int) -> bool:
        """Whether this one is there."""
        return any((cell.stage, cell.examples) == (stage.name, count) for cell in self.cells)

    def add(self, cell: Cell) -> None:
        """One more."""
        self.cells.append(cell)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(orjson.dumps({"commit": self._commit, "cell": asdict(cell)}) + b"\n")


def measure(stages: Sequence[Measured], scene: Scene, results: Results) -> None:
    """Every command at one size; what a later one needs of an earlier one is made again where that was measured before.

    Raises CommandFailed.
    """
    wanted = [stage for stage in stages if not stage.most or scene.count <= stage.most]
    left = [stage for stage in wanted if not results.has(stage, scene.count)]
    needed = {stage.reads for stage in left}
    for stage in STAGES:
        if stage not in left and stage.keeps not in needed - {""}:
            continue
        shutil.rmtree(scene.scratch, ignore_errors=True)
        scene.scratch.mkdir()
        command = stage.command(scene)
        usage = measured(command, scene.folder, {**os.environ, "ANTHROPIC_API_KEY": "none"}, MOST_SECONDS)
        if stage.keeps:
            Path(scene.output).rename(scene.folder / stage.keeps)
        if stage in left:
            cell = Cell(
                stage.name,
                scene.count,
                round(usage.seconds, 3),
                round(usage.processor_seconds, 3),
                usage.peak_rss_bytes,
            )
            results.add(cell)
            print(f"{_row(cell)}", flush=True)


def growth(cells: Sequence[Cell], cell: Cell) -> dict[str, float]:
    """Rate, and how it compares with the next smaller sizes, where there are some."""
    mine = sorted((one for one in cells if one.stage == cell.stage), key=lambda one: one.examples)
    place = mine.index(cell)
    before = mine[place - 1] if place else None
    if before is None or cell.seconds <= before.seconds:  # so few that starting up is all that counts
        return {"examples_per_second": round(cell.examples / cell.seconds, 1)}
    per_example = _marginal(before, cell, "seconds")
    found = {
        "examples_per_second": round(1 / per_example, 1),
        "processor_ms_per_example": round(1e3 * _marginal(before, cell, "processor_seconds"), 4),
        "memory_times_that_before": round(cell.peak_rss_bytes / before.peak_rss_bytes, 3),
    }
    if place > 1 and (earlier := _marginal(mine[place - 2], before, "seconds")) > 0:
        found["time_per_example_times_that_before"] = round(per_example / earlier, 3)
    return found


def _marginal(less: Cell, more: Cell, what: str) -> float:
    """Of one example more."""
    return float(getattr(more, what) - getattr(less, what)) / (more.examples - less.examples)


def table(cells: Sequence[Cell]) -> str:
    """One line for each command and size, the largest sizes behind the small ones."""
    head = (
        f"{'':24}{'examples':>10}{'seconds':>10}{'CPU s':>10}{'peak MiB':>10}{'a second':>10}{'growth':>9}{'memory':>8}"
    )
    lines = [head]
    for stage in STAGES:
        for cell in sorted((one for one in cells if one.stage == stage.name), key=lambda one: one.examples):
            found = growth(cells, cell)
            lines.append(
                f"{_row(cell)}{found['examples_per_second']:10.0f}"
                f"{_or_blank(found, 'time_per_example_times_that_before'):>9}"
                f"{_or_blank(found, 'memory_times_that_before'):>8}"
            )
    largest = max((cell.examples for cell in cells), default=0)
    by_name = {cell.stage: growth(cells, cell) for cell in cells if cell.examples == largest}
    for stage in STAGES:
        if stage.of and {stage.name, stage.of} <= set(by_name):
            times = by_name[stage.of]["examples_per_second"] / by_name[stage.name]["examples_per_second"]
            lines.append(f"{stage.of} is {times:.2f} times as fast as `{stage.name}` at {largest:,}")
    return "\n".join(lines)


def _row(cell: Cell) -> str:
    return (
        f"{cell.stage:24}{cell.examples:10,}{cell.seconds:10.1f}{cell.processor_seconds:10.1f}"
        f"{cell.peak_rss_bytes / 2**20:10.0f}"
    )


def _or_blank(found: dict[str, float], name: str) -> str:
    return f"{found[name]:.2f}" if name in found else ""


@contextmanager
def _stand_in() -> Iterator[str]:
    """A teacher on this machine; gives its address."""
    with subprocess.Popen(STAND_IN, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.kill()


def environment() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    describe = ("git", "describe", "--always", "--dirty", "--exclude=*")
    commit = subprocess.run(describe, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {name: version(name) for name in ("datasets", "orjson")},
        "load_before": round(os.getloadavg()[0], 2),
    }


if __name__ == "__main__":
    main()
