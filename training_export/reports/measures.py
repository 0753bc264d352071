"""What is said of many predictions: each measure is a ratio of two sums over them.

A mean is the sum of values over the number of predictions that have one; the F1 of changed lines is a ratio of
counts. So every measure can be resampled the same way (`bootstrap`). Knows nothing of examples or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from capture.metrics.prediction_score import PredictionScore
from capture.metrics.summary import QaVerdict

Parts = tuple[float, float] | None  # what one prediction adds above and below the line; None: it says nothing of it
Better = Literal["higher", "lower", ""]

PERCENT: Final = "%"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One prediction and what can be said of it besides its score.

    ``accepts_edit`` and ``accepts_quiet`` say whether an edit and no edit are among what was wanted; both may be.
    """

    score: PredictionScore
    is_exact: bool
    is_quiet: bool
    is_unreadable: bool
    accepts_edit: bool
    accepts_quiet: bool
    verdict: QaVerdict | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """``unit`` is what values are counted in; ``has_spread``: a histogram from 0 to 100 says more than the mean."""

    key: str
    title: str
    unit: str
    better: Better
    meaning: str
    parts: Callable[[Outcome], Parts]
    has_spread: bool = False


def _percent(value: float | None) -> Parts:
    return None if value is None else (100.0 * value, 1.0)


def _mean(value: float | None) -> Parts:
    return None if value is None else (float(value), 1.0)


def _line_f1(outcome: Outcome) -> Parts:
    counts = outcome.score.exact_lines
    below = 2 * counts.tp + counts.fp + counts.fn
    return (200.0 * counts.tp, float(below)) if below else None


def _jump(outcome: Outcome) -> Parts:
    jump = outcome.score.jump_location
    return None if jump is None else _percent(jump.lines_f1)


def _coverage(outcome: Outcome) -> Parts:
    coverage = outcome.score.editable_context_coverage
    return None if coverage is None else _percent(coverage.lines_recall)


def _agreement(outcome: Outcome) -> Parts:
    return _percent(outcome.accepts_quiet if outcome.is_quiet else outcome.accepts_edit)


def _needless(outcome: Outcome) -> Parts:
    return None if outcome.accepts_edit else _percent(not outcome.is_quiet)


def _missed(outcome: Outcome) -> Parts:
    return None if outcome.accepts_quiet else _percent(outcome.is_quiet)


def _reverts(outcome: Outcome) -> Parts:
    return None if outcome.verdict is None else _percent(outcome.verdict.reverts_edits)


def _confidence(outcome: Outcome) -> Parts:
    return None if outcome.verdict is None else _mean(outcome.verdict.confidence)


MEASURES: Final[tuple[Measure, ...]] = (
    Measure(
        "delta_chr_f", "delta chrF", "points", "higher",
        "How much the predicted change and the wanted one have in common, in runs of 1 to 6 characters; at most 100.",
        lambda outcome: _mean(outcome.score.delta_chr_f), has_spread=True,
    ),
    Measure(
        "exact_match", "exact match", PERCENT, "higher",
        "Predictions that lead to exactly the text of an expected patch.",
        lambda outcome: _percent(outcome.is_exact),
    ),
    Measure(
        "exact_lines_f1", "changed lines F1", PERCENT, "higher",
        "Added and deleted lines that are exactly the expected ones, all predictions taken together.",
        _line_f1, has_spread=True,
    ),
    Measure(
        "kept_rate", "kept rate", PERCENT, "higher",
        "Of what a prediction writes and deletes, the part that was wanted.",
        lambda outcome: _percent(outcome.score.kept_rate), has_spread=True,
    ),
    Measure(
        "recall_rate", "recall rate", PERCENT, "higher",
        "Of what was to be written and deleted, the part that was predicted.",
        lambda outcome: _percent(outcome.score.recall_rate), has_spread=True,
    ),
    Measure(
        "jump_location", "edit location F1", PERCENT, "higher",
        "Whether the edit is within 20 rows of where it was wanted.", _jump,
    ),
    Measure(
        "cursor_exact_match", "cursor exact", PERCENT, "higher",
        "Where a cursor was wanted or predicted: both at the same place.",
        lambda outcome: _percent(outcome.score.cursor_exact_match),
    ),
    Measure(
        "cursor_distance", "cursor distance", "bytes", "lower",
        "Where both a cursor was wanted and predicted: how far they are apart.",
        lambda outcome: _mean(outcome.score.cursor_distance),
    ),
    Measure(
        "no_edit_agreement", "no-edit agreement", PERCENT, "higher",
        "An edit where one was wanted, none where none was.", _agreement,
    ),
    Measure(
        "missed", "quiet, edit wanted", PERCENT, "lower",
        "Where an edit was wanted: no edit was predicted.", _missed,
    ),
    Measure(
        "needless", "edit, none wanted", PERCENT, "lower",
        "Where no edit was wanted: an edit was predicted.", _needless,
    ),
    Measure(
        "quiet", "quiet", PERCENT, "",
        "Predictions of no edit, those that could not be read included.",
        lambda outcome: _percent(outcome.is_quiet),
    ),
    Measure(
        "unreadable", "unreadable", PERCENT, "lower",
        "Answers from which no patch could be read.",
        lambda outcome: _percent(outcome.is_unreadable),
    ),
    Measure(
        "reversal_ratio", "reversal ratio", PERCENT, "lower",
        "Of what a prediction changes, the part that takes back what the programmer just did.",
        lambda outcome: _percent(outcome.score.reversal_ratio), has_spread=True,
    ),
    Measure(
        "wrong_editable_region", "wrong region", PERCENT, "lower",
        "Patches that begin with three deleted lines or more, the usual trace of a misplaced answer.",
        lambda outcome: _percent(outcome.score.wrong_editable_region),
    ),
    Measure(
        "isolated_whitespace", "isolated white space", PERCENT, "lower",
        "Predictions that add or delete a blank line beside no other change.",
        lambda outcome: _percent(outcome.score.has_isolated_whitespace_changes),
    ),
    Measure(
        "braces_disbalance", "unbalanced braces", "each", "lower",
        "Brackets that lost their partner, in each prediction.",
        lambda outcome: _mean(outcome.score.braces_disbalance),
    ),
    Measure(
        "context_coverage", "context coverage", PERCENT, "higher",
        "Of the rows to be edited, those that the model was shown.", _coverage,
    ),
    Measure(
        "judge_reverts", "judge: reverts", PERCENT, "lower",
        "Predictions of which the judge says that they take back the programmer's edits.", _reverts,
    ),
    Measure(
        "judge_confidence", "judge: confidence", "of 5", "higher",
        "How sure the judge is that a prediction should be accepted, from 1 to 5.", _confidence,
    ),
)  # fmt: skip

BY_KEY: Final = {measure.key: measure for measure in MEASURES}
MAIN_KEYS: Final = ("delta_chr_f", "exact_match", "kept_rate", "no_edit_agreement", "quiet", "reversal_ratio")
EQUAL_WITHIN: Final = 1e-9
INDEX: Final = {measure.key: index for index, measure in enumerate(MEASURES)}
