"""What tests of the pipeline share: killing a stage's run again and again until it gets through."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from capture.store.error import StorageError
from capture.store.sqlite import Database, Schema, open_for_reading, open_for_writing
from training_export.example import Example
from training_export.running.results import RESULTS_NAME, SCHEMA

KILLS = int(os.environ.get("KILLS", "3"))
SEED = int(os.environ.get("KILL_SEED", "7"))
RUN_SECONDS = 120.0
LOOK_SECONDS = 0.002
MAX_FURTHER_FINDINGS = 4


@dataclass
class KilledRuns:
    """``kept[n]``: the keys of all findings that were on the disk when the run was killed for the n-th time.

    ``watched_bytes[n]``: how long the watched file was then.
    """

    kept: list[frozenset[str]] = field(default_factory=list)
    watched_bytes: list[int] = field(default_factory=list)
    stderr: str = ""
    summary: Mapping[str, object] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        """Runs that were killed before they had ended."""
        return len(self.kept)


class _Finished(Exception):
    """The run ended before it could be killed."""


@pytest.fixture
def stage_kills() -> Callable[..., KilledRuns]:
    """Runs ``command``, which writes ``output``, and kills it (-9, that one process alone) ``kills`` times.

    With fewer kills than asked for, the run was at its end before the next: give it more to do. Every second kill comes when a few more findings are kept than before, the others at a random moment after the start.
    Then it is run to its end, which must be good. Where the command prints a summary with --json, it is in ``summary``.
    """

    def run(
        command: Sequence[str],
        output: Path,
        kills: int = KILLS,
        environment: Mapping[str, str] | None = None,
        watched: Path | None = None,
    ) -> KilledRuns:
        chance = random.Random(SEED)
        seen = KilledRuns()
        variables = {**os.environ, **(environment or {})}
        for number in range(kills):
            process = subprocess.Popen(
                command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            try:
                if number % 2:
                    _wait(process, chance.uniform(0.0, 1.0))
                else:
                    before = len(seen.kept[-1]) if seen.kept else 0
                    _wait_for(process, output, before + chance.randint(1, MAX_FURTHER_FINDINGS))
            except _Finished:
                assert process.returncode == 0, process.stderr and process.stderr.read().decode()
                break
            finally:
                process.kill()
                process.wait()
                if process.stderr:
                    process.stderr.close()
            seen.kept.append(_kept_keys(output, open_for_writing))  # mends what the kill has broken off
            seen.watched_bytes.append(watched.stat().st_size if watched is not None and watched.exists() else 0)
        done = subprocess.run(command, env=variables, capture_output=True, timeout=RUN_SECONDS, check=False)
        seen.stderr = done.stderr.decode()
        assert done.returncode == 0, seen.stderr
        if done.stdout.startswith(b"{"):
            seen.summary = json.loads(done.stdout.splitlines()[0])
        return seen

    return run


def _kept_keys(output: Path, opened: Callable[[Path, Schema], Database]) -> frozenset[str]:
    """Keys of the findings that are on the disk for this output."""
    path = output.with_name(f"{output.name}.work") / RESULTS_NAME
    if not path.exists():
        return frozenset()
    database = opened(path, SCHEMA)
    try:
        with database.reading() as connection:
            return frozenset(row["key"] for row in connection.execute("SELECT key FROM findings").fetchall())
    finally:
        database.close()


def _wait_for(process: subprocess.Popen[bytes], output: Path, findings: int) -> None:
    until = time.monotonic() + RUN_SECONDS
    while _count(output) < findings:
        assert time.monotonic() < until, f"only {_count(output)} findings were kept in time"
        _wait(process, LOOK_SECONDS)


def _count(output: Path) -> int:
    try:
        return len(_kept_keys(output, open_for_reading))
    except StorageError:
        return 0  # it is being made at this moment


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise _Finished


@pytest.fixture
def examples_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes examples with these names, and keys, into a file."""

    def write(names: Sequence[str], file_name: str = "in.jsonl", **fields: object) -> Path:
        path = tmp_path / file_name
        lines = (
            Example.new(name=name, cursor_path="shop/cart.py", cursor_position=f"x = <|user_cursor|>{name}\n", **fields)
            for name in names
        )
        path.write_text("".join(f"{line.to_line()}\n" for line in lines), encoding="utf-8")
        return path

    return write
