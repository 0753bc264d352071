"""True positives, false positives and false negatives, and the rates made of them.

Knows nothing of what is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class MatchCounts:
    """How often what was expected was there (``tp``), something else was (``fp``), and it was missing (``fn``)."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: MatchCounts) -> MatchCounts:
        return MatchCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """0 to 1; 0 where nothing was found."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """0 to 1; 0 where nothing was expected."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 where both are 0."""
        return f_score(self.precision, self.recall, beta=1.0)


def match_counts(expected: Counter[Item], actual: Counter[Item]) -> MatchCounts:
    """Compare two multisets whose counts are positive."""
    tp = sum(min(count, actual[item]) for item, count in expected.items() if item in actual)
    return MatchCounts(tp, actual.total() - tp, expected.total() - tp)


def f_score(precision: float, recall: float, *, beta: float) -> float:
    """Van Rijsbergen's F: recall weighs ``beta`` times as much as precision; 0 where both are 0."""
    if precision + recall == 0.0:
        return 0.0
    return (1.0 + beta * beta) * precision * recall / (beta * beta * precision + recall)
