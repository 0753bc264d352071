"""Known failures: of each task the edits that were wrong although the student was surest of them, as diffs.

The choice follows from the outcomes alone, so that the same evaluation shows the same ones. Knows nothing of pages.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from daemon.engine.messages import Origin
from training_export.student.evaluation.judging import Judged

PER_TASK: Final = 2
MAX_LINES: Final = 16  # of one diff
CONTEXT_LINES: Final = 1
EVENT_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """One wrong edit. The diffs are of the region: what had just been done, what was predicted, what came."""

    name: str
    task: str
    kind: str
    language: str
    path: str
    confidence: float
    origin: Origin
    before: str
    predicted: str
    expected: str

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "name": self.name,
            "task": self.task,
            "kind": self.kind,
            "language": self.language,
            "path": self.path,
            "confidence": round(self.confidence, 4),
            "origin": self.origin.value,
            "before": self.before,
            "predicted": self.predicted,
            "expected": self.expected,
        }


def known_failures(cases: Sequence[Judged], per_task: int = PER_TASK) -> list[Failure]:
    """The surest wrong edits of each task, tasks in the order of their names; of a file one only."""
    wrong = sorted(
        (judged for judged in cases if judged.default.is_edit and not judged.default.is_right),
        key=lambda judged: (judged.case.task, -judged.default.confidence, judged.case.key),
    )
    files: dict[str, set[str]] = defaultdict(set)
    chosen = []
    for judged in wrong:
        taken = files[judged.case.task]
        if len(taken) < per_task and judged.case.file not in taken:
            taken.add(judged.case.file)
            chosen.append(_failure(judged))
    return chosen


def _failure(judged: Judged) -> Failure:
    case, outcome = judged.case, judged.default
    current = case.text_of(judged.answer.region)
    events = case.inputs.events
    return Failure(
        name=case.name,
        task=case.task,
        kind=case.kind,
        language=case.language,
        path=case.path,
        confidence=outcome.confidence,
        origin=outcome.origin,
        before=_cut(events[-1].diff.splitlines(), EVENT_LINES) if events else "",
        predicted=diff(current, outcome.text),
        expected=diff(current, judged.wanted[0]),
    )


def diff(old: str, new: str) -> str:
    """The changed lines with a line around them; empty where nothing changes."""
    lines = difflib.unified_diff(old.split("\n"), new.split("\n"), n=CONTEXT_LINES, lineterm="")
    return _cut(list(lines)[2:], MAX_LINES)


def _cut(lines: Sequence[str], limit: int) -> str:
    more = [f"... {len(lines) - limit} more lines"] if len(lines) > limit else []
    return "\n".join([*lines[:limit], *more])
