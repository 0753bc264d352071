"""Delta chrF: how much two edits of one text have in common, counted in character n-grams.

For n from 1 to 6 an edit is the difference of the n-gram counts after and before it; an n-gram that became
rarer counts as a token of its own. Precision and recall per n are averaged and joined as F with beta 0.5.
Formula and order of averaging are those of `edit_prediction_metrics` (patch_metrics.rs at zed 09adbb01).
Knows nothing of patches.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.metrics.characters import WHITE_SPACE
from capture.metrics.common_subsequence import common_ends
from capture.metrics.counts import MatchCounts, f_score
from capture.metrics.edits import Edit, differences, terminated_lines
from capture.metrics.shared_text import shared_ends

if TYPE_CHECKING:
    from collections.abc import Iterable

ORDERS = range(1, 7)
BETA = 0.5

_CONTEXT = ORDERS[-1] - 1  # characters beside a change that share an n-gram with it
_SPACES = re.compile(f"[{WHITE_SPACE.replace(chr(10), '')}]+")
_LINE_ENDS = re.compile("\n\n+")


@dataclass(frozen=True, slots=True)
class DeltaChrF:
    """``score`` is 0 to 100, precision and recall are 0 to 1 and averaged over n, counts are summed over n."""

    score: float
    precision: float
    recall: float
    counts: MatchCounts
    beta: float = BETA


def delta_chr_f(original: str, expected: str, actual: str) -> DeltaChrF:
    """Score the edit from ``original`` to ``actual`` against the one from ``original`` to ``expected``.

    White space is collapsed first, line ends apart from the rest, so an edit of indentation width alone is no edit.
    An n for which neither edit has any n-gram counts as right: that is so where nothing changed, and also
    where the texts around the change are shorter than n, so that a short wrong answer scores well above 0.
    """
    if original == expected == actual:
        return DeltaChrF(100.0, 1.0, 1.0, MatchCounts())
    start, tail_length = shared_ends(original, (expected, actual), _CONTEXT)
    before, after_expected, after_actual = (
        _collapsed(text[start : len(text) - tail_length]) for text in (original, expected, actual)
    )
    wanted, given = _Grams(before, after_expected), _Grams(before, after_actual)
    precision = recall = 0.0
    total = MatchCounts()
    for order in ORDERS:
        if max(wanted.longest, given.longest) < order:
            precision, recall = precision + 1.0, recall + 1.0
            continue
        counts = _compare(wanted.delta(order), given.delta(order))
        precision, recall = precision + counts.precision, recall + counts.recall
        total += counts
    precision, recall = precision / len(ORDERS), recall / len(ORDERS)
    return DeltaChrF(f_score(precision, recall, beta=BETA) * 100.0, precision, recall, total)


class _Grams:
    """The n-grams that an edit brings or takes away, from what differs and as much around it as n-grams reach.

    Equal text between two differences adds to both counts alike, so it is left out where it is long enough to keep
    their n-grams apart.
    """

    def __init__(self, before: str, after: str) -> None:
        self._segments: list[tuple[str, str]] = []
        self.longest = 0
        if before == after:
            return
        prefix, suffix = common_ends(before, after)
        end, end_after = len(before) - suffix, len(after) - suffix
        self.longest = max(len(_around(before, prefix, end)), len(_around(after, prefix, end_after)))
        inner = differences(terminated_lines(before[prefix:end]), terminated_lines(after[prefix:end_after]))
        for start, old_end, shift, end_shift in _merged(inner):
            self._segments.append(
                (
                    _around(before, prefix + start, prefix + old_end),
                    _around(after, prefix + start + shift, prefix + old_end + end_shift),
                )
            )

    def delta(self, order: int) -> dict[str, int]:
        """How much more often each n-gram is there after the edit, zeros included."""
        counts: Counter[str] = Counter()
        removed: Counter[str] = Counter()
        for before, after in self._segments:
            counts.update([after[at : at + order] for at in range(len(after) - order + 1)])
            removed.update([before[at : at + order] for at in range(len(before) - order + 1)])
        counts.subtract(removed)
        return counts


def _collapsed(text: str) -> str:
    return _LINE_ENDS.sub("\n", _SPACES.sub(" ", text))


def _merged(edits: Iterable[Edit]) -> list[tuple[int, int, int, int]]:
    """Start and end of each stretch of edits that share n-grams, and how far the new text is ahead at either."""
    stretches: list[tuple[int, int, int, int]] = []
    shift = 0
    for edit in edits:
        start, start_shift = edit.start, shift
        shift += edit.growth
        if stretches and start - stretches[-1][1] < _CONTEXT:
            start, _, start_shift, _ = stretches.pop()
        stretches.append((start, edit.end, start_shift, shift))
    return stretches


def _around(text: str, start: int, end: int) -> str:
    return text[max(0, start - _CONTEXT) : end + _CONTEXT]


def _compare(wanted: dict[str, int], given: dict[str, int]) -> MatchCounts:
    tp = 0
    for gram, count in wanted.items():
        other = given.get(gram, 0)
        if count > 0 < other:
            tp += min(count, other)
        elif count < 0 > other:
            tp -= max(count, other)
    return MatchCounts(tp, _weight(given) - tp, _weight(wanted) - tp)


def _weight(delta: dict[str, int]) -> int:
    return sum(map(abs, delta.values()))
