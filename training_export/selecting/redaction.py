"""What ``foretype redact`` does: every line is searched anew, and none passes that is not clean. Prints nothing.

Neither an earlier output nor anything kept beside it counts: a secret may stand where no key of a stage looks. The
text of a line that is rejected is not repeated anywhere.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import orjson

from capture.gate.redaction import SecretScanner
from training_export.errors import RunInterrupted
from training_export.example_format.files import Raw, Rejected
from training_export.running.interruption import interruptible
from training_export.running.local import run_local
from training_export.running.outputs import Lines, Rejections, selection
from training_export.running.pools import worker_count
from training_export.running.process_worker import Job
from training_export.running.progress import ProgressLine
from training_export.running.runner import Summary
from training_export.running.sources import Sources, rereadable
from training_export.running.work import ChunkDone, Refused
from training_export.selecting.other_scanner import secrets_of_examples
from training_export.stage import FAILURES, OURS
from training_export.stages.redact import RedactStage


@dataclass(frozen=True, slots=True)
class RedactOptions:
    """The command's options; ``asks_kingfisher``: its rules count as well."""

    drops: bool = False
    asks_kingfisher: bool = False
    workers: int = 0
    strict: bool = False
    force: bool = False


def redact(sources: Sequence[str], output: str, options: RedactOptions) -> Summary:
    """Write the examples without secrets, in order; raises what reading and writing raise, and StageBroken."""
    try:
        with (
            interruptible(),
            rereadable(sources) as inputs,
            selection(output, inputs, strict=options.strict, force=options.force) as (lines, rejections),
        ):
            more_secrets = secrets_of_examples(inputs) if options.asks_kingfisher else {}
            stage = RedactStage(options.drops, more_secrets)
            return _Run(stage, inputs, output, worker_count(stage, options.workers)).run(lines, rejections)
    except KeyboardInterrupt as error:
        raise RunInterrupted(f"interrupted; {output} is as it was") from error


class _Run:
    """One run of the stage, in which nothing is reused."""

    def __init__(self, stage: RedactStage, inputs: Sources, output: str, workers: int) -> None:
        self._stage = stage
        self._inputs = inputs
        self._output = output
        self._workers = workers
        self._scanner: SecretScanner | None = None  # for the reasons of bad lines
        self._places: deque[tuple[str, int]] = deque()  # of the lines that workers have, in order

    def run(self, lines: Lines, rejections: Rejections) -> Summary:
        """Write what is clean; what has failed is rejected."""
        counts = dict.fromkeys(("examples", "reused", "failed", "rejected"), 0)
        tallies: Counter[str] = Counter()
        job = Job(self._stage, is_fresh=True)
        with (
            ProgressLine(self._stage.name, self._inputs.total_bytes) as progress,
            closing(
                run_local(job, self._lines(), lambda: self._inputs.read_bytes, self._workers, lambda _: None)
            ) as chunks,
        ):
            for chunk in chunks:
                self._write(chunk, lines, rejections)
                for outcome in chunk.outcomes:
                    tallies.update({} if isinstance(outcome, Refused) else outcome.tallies)
                counts |= {"examples": lines.count, "rejected": rejections.count}
                progress.update(chunk.read_bytes, counts, tallies)
        settings = {"version": self._stage.version, **self._stage.settings()}
        return Summary(self._stage.name, self._output, **counts, tallies=dict(tallies), settings=settings)

    def _lines(self) -> Iterator[Raw | Rejected]:
        for line in self._inputs.raw():
            self._places.append((line.source, line.line))
            yield line

    def _write(self, chunk: ChunkDone, lines: Lines, rejections: Rejections) -> None:
        for outcome in chunk.outcomes:
            source, line = self._places.popleft()
            if isinstance(outcome, Refused):
                rejections.add(self._without_its_text(outcome.rejected))
            elif outcome.has_failed:
                reason = orjson.loads(outcome.line)[OURS][FAILURES][self._stage.name]
                rejections.add(Rejected(source, line, "", reason))
            else:
                lines.write(outcome.line)

    def _without_its_text(self, rejected: Rejected) -> Rejected:
        """The line's text may hold a secret, and so may what the reason quotes of it."""
        if self._scanner is None:
            self._scanner = SecretScanner(budget_seconds=math.inf)
        parts, _ = self._scanner.redacted({"field": rejected.field, "reason": rejected.reason})
        return replace(rejected, field=parts["field"], reason=parts["reason"], text=b"")
