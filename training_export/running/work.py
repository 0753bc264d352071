"""What is done with a few lines: read each, see whether its findings are known, else find them; write the line anew.

Everything that runs a stage, here or on a cluster, calls `Worker`. Knows nothing of files, order and processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from training_export.errors import ExampleRejected
from training_export.example import Example
from training_export.example_format.files import Loaded, Raw, Rejected
from training_export.running.kept import Finding, findings_in, to_finding
from training_export.running.sources import read
from training_export.stage import FAILURES, STAGES, Findings, Stage, Work, ours, stage_key, with_findings

Keep = Callable[[Sequence[Finding]], None]


class Known(Protocol):
    """Asks what an earlier run has found."""

    def get(self, key: str) -> Finding | None:
        """What is kept under this key."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive lines; ``read_bytes`` is how far the inputs had been read by then."""

    lines: tuple[Raw | Rejected, ...]
    read_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """One example of the output. ``finding`` is what is to be kept, None where it is known or should be tried again."""

    line: bytes
    finding: Finding | None = None
    is_reused: bool = False
    has_failed: bool = False
    tallies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is no example."""

    rejected: Rejected


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """What came of a chunk, in its order, and how long it took."""

    outcomes: tuple[Done | Refused, ...]
    seconds: float
    read_bytes: int = 0

    @property
    def findings(self) -> list[Finding]:
        """What is to be kept of it."""
        return [done.finding for done in self.outcomes if isinstance(done, Done) and done.finding is not None]


class Worker:
    """A stage that is open, for one thread."""

    def __init__(
        self,
        stage: Stage,
        find: Work,
        known: Known | None = None,
        *,
        keep: Keep | None = None,
        is_fresh: bool = False,
        retries_failed: bool = False,
    ) -> None:
        """``keep`` is handed each finding as soon as it is there.

        ``is_fresh``: what a line says of itself does not count.
        """
        self._stage = stage
        self._find = find
        self._known = known
        self._keep = keep
        self._is_fresh = is_fresh
        self._retries_failed = retries_failed
        self._settings = stage.settings()

    def work(self, chunk: Chunk) -> ChunkDone:
        """Raises what the stage raises, with a note that says where."""
        started = time.perf_counter()
        outcomes = tuple(self._one(line) for line in chunk.lines)
        return ChunkDone(outcomes, time.perf_counter() - started, chunk.read_bytes)

    def _one(self, line: Raw | Rejected) -> Done | Refused:
        if isinstance(line, Rejected):
            return Refused(line)
        found = read(line)
        if isinstance(found, Rejected):
            return Refused(found)
        try:
            return self._done(found)
        except Exception as error:
            error.add_note(f"while {self._stage.name} worked on {found.source}:{found.line}")
            raise

    def _done(self, loaded: Loaded) -> Done:
        example = loaded.example
        key = stage_key(self._stage, example, self._settings)
        if not self._is_fresh and self._is_done_already(example, key):
            return Done(loaded.text, is_reused=True, has_failed=bool(_failure(self._stage.name, example)))
        kept = self._known.get(key) if self._known is not None else None
        findings = findings_in(kept) if kept else self._find(example)
        try:
            line = with_findings(self._stage, example, key, findings).to_line()
        except ExampleRejected as error:
            findings = Findings(failure=f"what it found cannot be kept: {error}", tallies=findings.tallies)
            line = with_findings(self._stage, example, key, findings).to_line()
        finding = to_finding(key, findings) if findings.is_final and not kept else None
        if finding is not None and self._keep is not None:
            self._keep([finding])
        return Done(line.encode(), finding, bool(kept), bool(findings.failure), {} if kept else dict(findings.tallies))

    def _is_done_already(self, example: Example, key: str) -> bool:
        """Whether the line says of itself that this stage worked on it last, and came to what it would come to."""
        if not is_last(self._stage.name, example) or (ours(example, STAGES) or {}).get(self._stage.name) != key:
            return False
        return not (self._retries_failed and _failure(self._stage.name, example))


def is_last(stage_name: str, example: Example) -> bool:
    """Whether no other stage has worked on it since this one did."""
    names: dict[str, Any] = ours(example, STAGES) or {}
    if stage_name not in names:  # a failure that was not final has left no key
        return bool(_failure(stage_name, example))
    return next(reversed(names)) == stage_name


def _failure(stage_name: str, example: Example) -> str:
    return str((ours(example, FAILURES) or {}).get(stage_name, ""))
