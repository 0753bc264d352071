"""A whole evaluation: cases asked, answers judged, scores at a gate, goals, reliability, failures.

`evaluate` asks and reads back; everything below it is computed from what was judged. Prints nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from daemon.engine.messages import ModelSettings
from training_export.errors import NothingToEvaluate
from training_export.example import Example
from training_export.example_format.files import Loaded, Rejected
from training_export.running.runner import RunOptions, run_stage
from training_export.running.sources import opened
from training_export.stage import FAILURES, ours
from training_export.student.evaluation.answers import MEMBER, Answer
from training_export.student.evaluation.asking import AskStudent
from training_export.student.evaluation.cases import Case, NoCase
from training_export.student.evaluation.failures import Failure, known_failures
from training_export.student.evaluation.gate import (
    Gate,
    Sure,
    checksum_without_limit,
    is_for_calibration,
    lowest_gate,
    read_limit,
)
from training_export.student.evaluation.goals import Facts, Goal, goals
from training_export.student.evaluation.judging import HeldBack, Judged, judged
from training_export.student.evaluation.keystrokes import Keystrokes
from training_export.student.evaluation.overlap import Overlap
from training_export.student.evaluation.reliability import Bin, bins, calibration_error
from training_export.student.evaluation.scoring import (
    ALL,
    Latency,
    Row,
    by_origin,
    grouped,
    latency,
    of_kind,
    of_language,
    of_task,
    of_task_and_language,
    row,
    rows,
)
from training_export.student.evaluation.shares import Share

ANSWERS_NAME: Final = "answers.jsonl.zst"


@dataclass(frozen=True)
class Evaluation:
    """``cases`` are in the order of their lines; ``left_out`` says of how many lines there is none, and why.

    ``limit`` is the gate everything is reported at; ``gate`` what was chosen on the calibration half, if it was.
    ``keystrokes`` and ``overlap`` are of other measurements, where there were any. Failures are shown of ``quotable``
    where there are any: cases made of text that may be published.
    """

    model: Path
    checksum: str
    limit: float
    cases: tuple[Judged, ...]
    left_out: Counter[str] = field(default_factory=Counter)
    gate: Gate | None = None
    keystrokes: Keystrokes | None = None
    overlap: Overlap | None = None
    quotable: tuple[Judged, ...] = ()

    @cached_property
    def is_ranked(self) -> bool:
        """Whether the rule's proposals were judged beside the student's own answers."""
        return any(judged.ranked is not None for judged in self.cases)

    @cached_property
    def total(self) -> Row:
        """All cases together: of the mixture that the file holds."""
        return row(ALL, self.cases, self.limit)

    @cached_property
    def by_task(self) -> list[Row]:
        """One row a task."""
        return rows(self.cases, self.limit, of_task)

    @cached_property
    def by_language(self) -> list[Row]:
        """One row a language."""
        return rows(self.cases, self.limit, of_language)

    @cached_property
    def by_task_and_language(self) -> list[Row]:
        """One row for each of both."""
        return rows(self.cases, self.limit, of_task_and_language)

    @cached_property
    def by_kind(self) -> list[Row]:
        """One row a kind of a task."""
        return rows(self.cases, self.limit, of_kind)

    @cached_property
    def by_origin(self) -> dict[str, Share]:
        """Right of what is shown, by who wrote it."""
        return {origin.value: share for origin, share in by_origin(self.cases, self.limit).items()}

    @cached_property
    def goals(self) -> list[Goal]:
        """What the student is to reach."""
        times = self.keystrokes
        facts = Facts(
            self.limit,
            size_bytes=self.model.stat().st_size,
            keystroke_ms=None if times is None else times.p50_ms,
            keystroke_count=0 if times is None else times.count,
            reported=lambda judged: self.gate is None or not is_for_calibration(judged.case.file),
        )
        return goals(self.cases, facts)

    @cached_property
    def latency(self) -> Latency:
        """In the worker."""
        return latency(self.cases)

    @cached_property
    def reliability(self) -> dict[str, list[Bin]]:
        """Bins of all edits, then of each task that has some."""
        found = {ALL: bins(edits_of(self.cases))}
        for task, members in grouped(self.cases, of_task).items():
            if of_one := bins(edits_of(members)):
                found[task] = of_one
        return found

    @cached_property
    def held_back(self) -> Counter[str]:
        """How many edits the daemon would not show however sure they are, by the reason."""
        found = (judged.default.held_back for judged in self.cases)
        return Counter(reason.value for reason in found if reason is not HeldBack.NO)

    @cached_property
    def failures(self) -> list[Failure]:
        """Known failures."""
        return known_failures(self.quotable or self.cases)

    def shown_on(self, *, is_calibration: bool) -> Share:
        """Right of what is shown at the gate, on one half of the files."""
        half = (judged for judged in self.cases if is_for_calibration(judged.case.file) is is_calibration)
        return Share.of(judged.default.is_right for judged in half if judged.default.is_shown(self.limit))

    def to_json(self) -> dict[str, Any]:
        """Everything that was counted, for a program to read."""
        return {
            "model": self.model.name,
            "checksum_without_limit": self.checksum,
            "bytes": self.model.stat().st_size,
            "limit": self.limit,
            "gate_was_chosen": self.gate is not None,
            "is_ranked": self.is_ranked,
            "shown_right": {
                "calibration": self.shown_on(is_calibration=True).to_json(),
                "other_half": self.shown_on(is_calibration=False).to_json(),
                "by_origin": {origin: share.to_json() for origin, share in self.by_origin.items()},
            },
            "total": self.total.to_json(),
            "by_task": [one.to_json() for one in self.by_task],
            "by_language": [one.to_json() for one in self.by_language],
            "by_task_and_language": [one.to_json() for one in self.by_task_and_language],
            "by_kind": [one.to_json() for one in self.by_kind],
            "goals": [goal.to_json() for goal in self.goals],
            "calibration_error": {name: round(calibration_error(found), 5) for name, found in self.reliability.items()},
            "reliability": {name: [one.to_json() for one in found] for name, found in self.reliability.items()},
            "held_back": dict(self.held_back),
            "latency": self.latency.to_json(),
            "keystrokes": None if self.keystrokes is None else self.keystrokes.to_json(),
            "overlap": None if self.overlap is None else self.overlap.to_json(),
            "left_out": dict(self.left_out.most_common()),
            "failures": [failure.to_json() for failure in self.failures],
        }


def edits_of(cases: Sequence[Judged]) -> list[Sure]:
    """The edits that nothing but confidence would keep from being shown."""
    found = (judged.default for judged in cases)
    return [Sure(outcome.confidence, outcome.is_right) for outcome in found if outcome.is_shown_if_sure]


def chosen_gate(cases: Sequence[Judged], wanted: float, *, is_certain: bool) -> Gate | None:
    """The lowest gate on the calibration half; ``is_certain``: by the lower 95 % bound of the share, not the share."""
    edits = edits_of([judged for judged in cases if is_for_calibration(judged.case.file)])
    return lowest_gate(edits, wanted, estimate=Share.lower_bound) if is_certain else lowest_gate(edits, wanted)


def evaluate(
    model: ModelSettings,
    sources: Sequence[str],
    folder: Path,
    options: RunOptions | None = None,
    seen: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Ask the student about all cases, the answers into ``folder``, and judge them; reported at the file's own gate.

    Cases that were answered by the same model before are not asked again. ``seen`` is told how many were judged.
    Raises what `run_stage` raises, and NothingToEvaluate where no line is a case.
    """
    path = Path(model.path)
    checksum = checksum_without_limit(path)
    answers = folder / ANSWERS_NAME
    run_stage(AskStudent(model, checksum), sources, str(answers), options)
    left_out: Counter[str] = Counter()
    cases: dict[str, Judged] = {}
    for count, loaded in enumerate(opened([str(answers)]), 1):
        seen(count)
        try:
            found = _judged(loaded)
        except NoCase as error:
            left_out[str(error)] += 1
            continue
        if cases.setdefault(found.case.key, found) is not found:
            left_out["the same case stands there before"] += 1
    if not cases:
        reasons = "; ".join(f"{count:,} x {reason}" for reason, count in left_out.most_common(3)) or "there is no line"
        raise NothingToEvaluate(f"no line is a case that can be judged: {reasons}")
    return Evaluation(path, checksum, read_limit(path) or 0.0, tuple(cases.values()), left_out)


def _judged(loaded: Loaded | Rejected) -> Judged:
    """Raises NoCase."""
    if isinstance(loaded, Rejected):
        raise NoCase(loaded.reason)
    return judged(Case.of(loaded.example), _answer(loaded.example))


def _answer(example: Example) -> Answer:
    kept = ours(example, MEMBER)
    if kept is None:
        raise NoCase((ours(example, FAILURES) or {}).get(AskStudent.name, "it was not answered"))
    return Answer.from_json(kept)
