"""Runs one stage over files: what is known already is not done again, and the output appears whole or not at all.

Knows nothing of what a stage does. `local` and `ray_engine` do the work, `results` keeps it, `outputs` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from training_export.errors import OutputRefused, RunInterrupted
from training_export.example_format.files import MAX_LINE_BYTES, Raw, Rejected, read_examples
from training_export.running.interruption import interruptible
from training_export.running.kept import Finding, finding_of
from training_export.running.local import run_local
from training_export.running.outputs import STANDARD_OUTPUT, WorkFolder, working_on, writing
from training_export.running.pools import worker_count
from training_export.running.process_worker import Job
from training_export.running.progress import ProgressLine
from training_export.running.results import Keeper, prepare
from training_export.running.sources import Sources, opened
from training_export.running.work import ChunkDone, Done, Refused, is_last
from training_export.stage import Stage

Engine = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a stage is run; nothing of this changes what it finds.

    ``workers`` 0: as many as fit the stage. ``limit`` 0: all lines. ``shows_progress``: on standard error, if that is
    a terminal.
    """

    workers: int = 0
    engine: Engine = "local"
    strict: bool = False
    fresh: bool = False
    force: bool = False
    retry_failed: bool = False
    limit: int = 0
    max_line_bytes: int = MAX_LINE_BYTES
    shows_progress: bool = True


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to. ``examples`` are the lines of the output; ``reused`` of them were known before.

    ``failed`` of them carry a failure of this stage. ``tallies`` are of what was done now, not of what was reused.
    ``settings`` are the stage's, for who writes down how something was made; `to_json` leaves them out.
    """

    stage: str
    output: str
    examples: int = 0
    reused: int = 0
    failed: int = 0
    rejected: int = 0
    tallies: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "stage": self.stage,
            "output": self.output,
            "examples": self.examples,
            "reused": self.reused,
            "failed": self.failed,
            "rejected": self.rejected,
            "tallies": dict(self.tallies),
        }


def run_stage(stage: Stage, sources: Sequence[str], output: str, options: RunOptions | None = None) -> Summary:
    """Run ``stage`` over ``sources`` (files, globs, folders, ``-``) into ``output`` (a file, or ``-``).

    Raises ExamplesUnreadable, ExamplesUnwritable, OutputRefused, StoppedAtBadLine, StageBroken, RunInterrupted, and
    what the stage raises when it cannot be opened. What was finished by then is kept beside the output.
    """
    chosen = options or RunOptions()
    inputs = opened(sources, max_line_bytes=chosen.max_line_bytes)
    with interruptible():
        try:
            with working_on(output, inputs, force=chosen.force) as work:
                return _Run(stage, inputs, output, chosen, work).run()
        except KeyboardInterrupt as error:
            raise RunInterrupted(_interrupted(output)) from error


class _Run:
    """One run, from the moment on that nobody else writes its output."""

    def __init__(
        self, stage: Stage, inputs: Sources, output: str, options: RunOptions, work: WorkFolder | None
    ) -> None:
        self._stage = stage
        self._inputs = inputs
        self._output = output
        self._options = options
        self._work = work
        self._workers = worker_count(stage, options.workers)
        self._counts = dict.fromkeys(("examples", "reused", "failed", "rejected"), 0)
        self._tallies: dict[str, float] = {}

    def run(self) -> Summary:
        """Do it; raises what `run_stage` says."""
        if self._work is None:
            self._write(self._job(None), _keep_nothing, _check_nothing)
            return self._summary()
        results_path = self._work.results_path
        prepare(
            results_path,
            self._stage.name,
            _earlier(self._stage, self._work.target, force=self._options.force),
            forgets=self._options.fresh,
            retries_failed=self._options.retry_failed,
            force=self._options.force,
        )
        with closing(Keeper(results_path, self._workers)) as keeper:
            self._write(self._job(results_path), keeper.keep, keeper.check)
        return self._summary()

    def _job(self, results_path: Path | None) -> Job:
        return Job(self._stage, results_path, is_fresh=self._options.fresh, retries_failed=self._options.retry_failed)

    def _write(self, job: Job, keep: Callable[[Sequence[Finding]], None], check: Callable[[], None]) -> None:
        """Everything is on the disk when this returns."""
        with (
            writing(self._output, self._work, strict=self._options.strict) as (lines, rejections),
            ProgressLine(self._stage.name, self._inputs.total_bytes, is_shown=self._options.shows_progress) as progress,
            closing(self._chunks(job, keep)) as chunks,
        ):
            for chunk in chunks:
                check()
                for outcome in chunk.outcomes:
                    if isinstance(outcome, Refused):
                        rejections.add(outcome.rejected)
                        self._counts["rejected"] += 1
                    else:
                        lines.write(outcome.line)
                        self._count(outcome)
                progress.update(chunk.read_bytes, self._counts, self._tallies)

    def _chunks(self, job: Job, keep: Callable[[Sequence[Finding]], None]) -> Generator[ChunkDone]:
        lines: Iterator[Raw | Rejected] = self._inputs.raw()
        if self._options.limit:
            lines = islice(lines, self._options.limit)
        if self._options.engine == "ray":
            from training_export.running.ray_engine import run_ray  # noqa: PLC0415 (ray only where it is asked for)

            return run_ray(job, self._inputs, self._workers, self._options.limit, keep)
        return run_local(job, lines, lambda: self._inputs.read_bytes, self._workers, keep)

    def _count(self, done: Done) -> None:
        self._counts["examples"] += 1
        self._counts["reused"] += done.is_reused
        self._counts["failed"] += done.has_failed
        for name, number in done.tallies.items():
            self._tallies[name] = self._tallies.get(name, 0) + number

    def _summary(self) -> Summary:
        settings = {"version": self._stage.version, **self._stage.settings()}
        return Summary(self._stage.name, self._output, **self._counts, tallies=self._tallies, settings=settings)


def _earlier(stage: Stage, output: Path, *, force: bool) -> Iterator[Finding]:
    """What the stage has found of the examples in its output; raises OutputRefused where they are not its own."""
    if not output.exists():
        return
    for found in read_examples(str(output)):
        if isinstance(found, Rejected) or not is_last(stage.name, found.example):
            if force:
                continue
            where = str(found) if isinstance(found, Rejected) else f"{found.source}:{found.line}"
            raise OutputRefused(
                f"{output} exists, and `{stage.name}` has not made it ({where}); give another output, or --force"
            )
        finding = finding_of(stage, found.example)
        if finding is not None:
            yield finding


def _keep_nothing(_findings: Sequence[Finding]) -> None:
    """There is no place beside standard output."""


def _check_nothing() -> None:
    """Nothing can have gone wrong."""


def _interrupted(output: str) -> str:
    if output == STANDARD_OUTPUT:
        return "interrupted"
    return f"interrupted; what was finished is kept beside {output}: run the same command again to go on"
