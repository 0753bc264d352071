"""What a student is to reach, and what it reached: one row a goal, with the number of cases behind it.

What is to be exact is held against the student's own decode, with the gate off and at it: the rule's answers count in
neither. What concerns the user (quiet, reverts, what is shown) is held against what the daemon shows by default, too.
Knows nothing of where figures come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from training_export.student.evaluation.judging import Judged, Outcome
from training_export.student.evaluation.scoring import QUIET, fewest_cases
from training_export.student.evaluation.shares import NOTHING, Share

RENAME, REPEAT, FINISH_LINE, FINISH_BLOCK, LONG = "rename", "repeat", "finish_line", "finish_block", "long"
TASKS: Final = (RENAME, REPEAT, FINISH_LINE, FINISH_BLOCK, QUIET)
LANGUAGES: Final = ("python", "JavaScript/TypeScript", "go", "rust")
LEAST_CASES: Final = 300  # of each task in each language
LEAST_PREDICTIONS: Final = 2000  # behind a bound on reverts
RENAME_RIGHT, REPEAT_RIGHT, FINISH_LINE_RIGHT, QUIET_RIGHT, SHOWN_RIGHT = 0.85, 0.80, 0.40, 0.97, 0.80
MOST_REVERTS: Final = 0.005
MOST_KEYSTROKE_MS: Final = 60.0
MOST_BYTES: Final = 24_000_000
ALONE, DEFAULT = "alone", "as shown by default"


@dataclass(frozen=True, slots=True)
class Goal:
    """``is_met`` is None where it could not be told; ``cases`` is empty where none stand behind it."""

    what: str
    wanted: str
    reached: str
    is_met: bool | None
    cases: str = ""

    @property
    def verdict(self) -> str:
        """In a word or two."""
        return "not measured" if self.is_met is None else "reached" if self.is_met else "missed"

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "what": self.what,
            "wanted": self.wanted,
            "reached": self.reached,
            "is_met": self.is_met,
            "cases": self.cases,
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """What goals need besides the cases. ``reported`` says which cases did not help to choose the gate."""

    limit: float
    size_bytes: int
    keystroke_ms: float | None = None
    keystroke_count: int = 0
    reported: Callable[[Judged], bool] = lambda _: True


def goals(cases: Sequence[Judged], facts: Facts) -> list[Goal]:
    """All of them."""
    renames, repeats = _of(cases, RENAME), _of(cases, REPEAT)
    lines = [judged for judged in _of(cases, FINISH_LINE) if judged.case.kind == LONG]
    quiet, limit = _of(cases, QUIET), facts.limit
    return [
        *_exact("rename propagated", renames, limit, RENAME_RIGHT),
        *_exact("change repeated", repeats, limit, REPEAT_RIGHT),
        _beyond_the_rule([*renames, *repeats]),
        *_exact("line finished (8 characters and 2 tokens at least)", lines, limit, FINISH_LINE_RIGHT),
        *_quiet(quiet, limit),
        *_reverts(cases, limit),
        _shown([judged for judged in cases if facts.reported(judged)], limit),
        _keystroke(facts),
        Goal("size", f"{MOST_BYTES:,} bytes at most", f"{facts.size_bytes:,} bytes", facts.size_bytes <= MOST_BYTES),
        _enough_cases(cases),
    ]


def _of(cases: Sequence[Judged], task: str) -> list[Judged]:
    return [judged for judged in cases if judged.case.task == task]


def _at_least(what: str, wanted: float, found: Share) -> Goal:
    return Goal(
        what,
        f"{wanted:.0%} at least",
        with_interval(found),
        found.value >= wanted if found.total else None,
        f"{found.total:,}",
    )


def _exact(what: str, cases: Sequence[Judged], limit: float, wanted: float) -> list[Goal]:
    alone = Share.of(judged.alone.is_right for judged in cases)
    gated = Share.of(judged.alone.is_right_when(limit) for judged in cases)
    return [_at_least(f"{what}, gate off", wanted, alone), _at_least(f"{what}, at the gate", wanted, gated)]


def _beyond_the_rule(cases: Sequence[Judged]) -> Goal:
    """The rule gets none of these right, by their choice: a student that surely gets some is better."""
    found = Share.of(judged.alone.is_right for judged in cases if not judged.rule_is_right)
    return Goal(
        "renames and repeats that the rule gets wrong, gate off",
        "more than the rule's 0.0 %",
        with_interval(found),
        found.lower_bound() > 0 if found.total else None,
        f"{found.total:,}",
    )


def _quiet(cases: Sequence[Judged], limit: float) -> list[Goal]:
    what = "quiet where nothing is to come"
    return [
        _at_least(f"{what}, {ALONE}, gate off", QUIET_RIGHT, Share.of(not judged.alone.is_edit for judged in cases)),
        _at_least(
            f"{what}, {ALONE}, at the gate", QUIET_RIGHT, Share.of(not judged.alone.is_shown(limit) for judged in cases)
        ),
        _at_least(f"{what}, {DEFAULT}", QUIET_RIGHT, Share.of(not judged.default.is_shown(limit) for judged in cases)),
    ]


def _reverts(cases: Sequence[Judged], limit: float) -> list[Goal]:
    alone, default = [judged.alone for judged in cases], [judged.default for judged in cases]
    return [
        _revert_bound(f"{ALONE}, gate off", alone, 0.0),
        _revert_bound(f"{ALONE}, at the gate", alone, limit),
        _revert_bound("with ranking, at the gate", default, limit),
    ]


def _revert_bound(where: str, outcomes: Sequence[Outcome], limit: float) -> Goal:
    """Of the edits that are sure enough, before the daemon's own rule holds reverts back."""
    edits = [outcome for outcome in outcomes if outcome.is_edit and outcome.confidence >= limit]
    found = Share.of(outcome.is_revert for outcome in edits)
    bound = found.upper_bound()
    return Goal(
        f"edits that take back what was just typed, {where}",
        f"upper 95 % bound below {MOST_REVERTS:.1%}, of {LEAST_PREDICTIONS:,} edits or more",
        f"below {100 * bound:.2f} % ({found.count} of {found.total:,})" if found.total else NOTHING,
        bound < MOST_REVERTS if found.total >= LEAST_PREDICTIONS else None,
        f"{found.total:,}",
    )


def _shown(cases: Sequence[Judged], limit: float) -> Goal:
    found = Share.of(judged.default.is_right for judged in cases if judged.default.is_shown(limit))
    return _at_least(
        "right of what is shown by default, on files that did not help to set the gate", SHOWN_RIGHT, found
    )


def _keystroke(facts: Facts) -> Goal:
    milliseconds, count = facts.keystroke_ms, facts.keystroke_count
    return Goal(
        "keystroke to prediction, p50",
        f"below {MOST_KEYSTROKE_MS:g} ms",
        NOTHING if milliseconds is None else f"{milliseconds:.1f} ms",
        None if milliseconds is None else milliseconds < MOST_KEYSTROKE_MS,
        f"{count:,} keys" if count else "",
    )


def _enough_cases(cases: Sequence[Judged]) -> Goal:
    group, count = fewest_cases(cases, TASKS, LANGUAGES)
    return Goal(
        "held-out cases of each task and language",
        f"{LEAST_CASES} at least",
        f"{count:,} ({group})",
        count >= LEAST_CASES,
        f"{len(cases):,}",
    )


def with_interval(found: Share) -> str:
    """``62.0 % (57.1 to 66.7)``: the share with its Wilson interval."""
    if not found.total:
        return NOTHING
    low, high = found.wilson()
    return f"{100 * found.value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
