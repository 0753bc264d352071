"""Delta chrF: how much two edits of one text have in common, counted in character n-grams.

For n from 1 to 6 an edit is the difference of the n-gram counts after and before it; an n-gram that became
rarer counts as a token of its own. Precision and recall per n are averaged and joined as F with beta 0.5.
Formula and order of averaging are those of `edit_prediction_metrics` (patch_metrics.rs at zed 09adbb01).

Counts are differences and so add up: only what lines differ in is cut into n-grams, only those of the longest kind
are cut from the text, and every shorter kind is summed up from the next longer one. Both edits are counted at once, as
two digits of one number. Knows nothing of patches.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.metrics.characters import WHITE_SPACE
from capture.metrics.common_subsequence import common_ends
from capture.metrics.counts import MatchCounts, f_score
from capture.metrics.shared_text import shared_ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ORDERS = range(1, 7)
BETA = 0.5

_LONGEST = ORDERS[-1]
_CONTEXT = _LONGEST - 1  # characters beside a change that share an n-gram with it
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
    texts = [_collapsed(text[start : len(text) - tail_length]) for text in (original, expected, actual)]
    before = texts[0]
    ends = [(text, common_ends(before, text)) for text in texts[1:] if text != before]
    longest = max((len(_around(text, *end)) for after, end in ends for text in (before, after)), default=0)
    prefix, suffix = (min((end[side] for _, end in ends), default=0) for side in (0, 1))
    precision = recall = 0.0
    total = MatchCounts()
    for order, counts in zip(ORDERS, _counts([_around(text, prefix, suffix) for text in texts]), strict=True):
        if longest < order:
            precision, recall = precision + 1.0, recall + 1.0
            continue
        precision, recall = precision + counts.precision, recall + counts.recall
        total += counts
    precision, recall = precision / len(ORDERS), recall / len(ORDERS)
    return DeltaChrF(f_score(precision, recall, beta=BETA) * 100.0, precision, recall, total)


def _collapsed(text: str) -> str:
    return _LINE_ENDS.sub("\n", _SPACES.sub(" ", text))


def _around(text: str, prefix: int, suffix: int) -> str:
    """What is between so many characters at either end, and as much of these as n-grams reach."""
    return text[max(0, prefix - _CONTEXT) : len(text) - max(0, suffix - _CONTEXT)]


def _counts(texts: Sequence[str]) -> list[MatchCounts]:
    """Matches of the two edits that the original, the expected and the actual text make, for each order."""
    most = max(map(len, texts))  # no n-gram becomes more frequent or rarer by more than this
    base = 2 * most + 1
    weighted = list(zip(texts, (-1 - base, 1, base), strict=True))
    delta = _longest_grams(weighted)
    counts = [_compare(delta.values(), base)]
    for order in reversed(ORDERS[:-1]):
        delta = _shortened(delta, order)
        for text, weight in weighted:
            if len(text) >= order:  # the one at the end is the beginning of no longer one
                _add(delta, [text[-order:]], weight)
        counts.append(_compare(delta.values(), base))
    return counts[::-1]


def _longest_grams(weighted: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The summed up weights of the n-grams of the longest kind; some may be 0."""
    lines: dict[str, int] = {}
    for text, weight in weighted:
        _add(lines, _lines_in_context(text), weight)
    grams_by_weight: defaultdict[int, list[str]] = defaultdict(list)
    for line, weight in lines.items():
        if weight:
            grams_by_weight[weight] += [line[at : at + _LONGEST] for at in range(len(line) - _CONTEXT)]
    delta: dict[str, int] = {}
    for weight, grams in grams_by_weight.items():
        _add(delta, grams, weight)
    return delta


def _lines_in_context(text: str) -> Iterator[str]:
    """Every line with as much behind it as the n-grams that begin in it reach."""
    start = 0
    for line in text.split("\n"):
        end = start + len(line) + 1
        yield text[start : end + _CONTEXT]
        start = end


def _add(delta: dict[str, int], parts: Iterable[str], weight: int) -> None:
    for part, times in Counter(parts).items():
        delta[part] = delta.get(part, 0) + weight * times


def _shortened(delta: dict[str, int], order: int) -> dict[str, int]:
    """The sums over n-grams that begin with the same ``order`` characters."""
    shorter: dict[str, int] = {}
    for gram, change in delta.items():
        if change:
            beginning = gram[:order]
            shorter[beginning] = shorter.get(beginning, 0) + change
    return shorter


def _compare(changes: Iterable[int], base: int) -> MatchCounts:
    """Matches of the wanted edit, the units of each change, with the given one, its multiples of ``base``."""
    tp = wanted = given = 0
    half = base // 2
    for change, times in Counter(changes).items():
        given_change, wanted_change = divmod(change + half, base)
        wanted_change -= half
        wanted += abs(wanted_change) * times
        given += abs(given_change) * times
        if wanted_change * given_change > 0:
            tp += min(abs(wanted_change), abs(given_change)) * times
    return MatchCounts(tp, given - tp, wanted - tp)
