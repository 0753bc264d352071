"""Two runs on the same examples: which examples those are, what became better, and how sure that is.

Knows nothing of files or pages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from training_export.reports.bootstrap import RESAMPLES, Floats, Interval, intervals, ratios
from training_export.reports.measures import EQUAL_WITHIN, INDEX, MEASURES, Measure
from training_export.reports.run import Run, ScoredExample

RANKED_BY: Final = "delta_chr_f"
DEFAULT_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Matching:
    """``pairs`` are indexes of examples in the first run and in the second, in the first's order.

    ``by_name`` of them have the same name and another text around the cursor or another history; of ``other_expected``
    the two runs expect different patches, so that their scores are not of the same task.
    """

    pairs: list[tuple[int, int]]
    by_name: int
    other_expected: int
    only_first: list[str]
    only_second: list[str]


@dataclass(frozen=True, slots=True)
class MeasureComparison:
    """One measure over the matched examples; ``difference`` is the first run's value less the second's.

    An example counts where both runs say something of it; where neither direction is better, ``improved`` counts those
    that rose.
    """

    measure: Measure
    first: float
    second: float
    interval: Interval
    improved: int
    worse: int
    equal: int

    @property
    def difference(self) -> float:
        """Not-a-number where a run says nothing of it."""
        return self.first - self.second

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the interval excludes 0, else empty."""
        if not self.measure.better or not self.interval.is_known or not self.interval.excludes_zero:
            return ""
        return "better" if (self.interval.low > 0) == (self.measure.better == "higher") else "worse"


class Change(NamedTuple):
    """By how much an example's delta chrF differs, and its indexes in the two runs."""

    difference: float
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``first`` is the run in question, ``second`` the one it is compared with; ``changes`` the largest first."""

    first: Run
    second: Run
    matching: Matching
    measures: list[MeasureComparison]
    changes: list[Change]
    resamples: int
    seed: int


def match(first: Run, second: Run) -> Matching:
    """Pair examples that are the same moment (of several, those of the same name), and what is left over by name.

    A name pairs only where it is the only one of that name left over on either side.
    """
    free_first, free_second = set(range(len(first.examples))), set(range(len(second.examples)))
    pairs: list[tuple[int, int]] = []

    def pair_up(key: Callable[[ScoredExample], Hashable], *, only_unique: bool = False) -> int:
        waiting = _grouped(second, free_second, key)
        own = _grouped(first, free_first, key)
        before = len(pairs)
        for found, indexes in own.items():
            others = waiting.get(found, [])
            if only_unique and (len(indexes) != 1 or len(others) != 1):
                continue
            for index, other in zip(indexes, others, strict=False):
                pairs.append((index, other))
                free_first.discard(index)
                free_second.discard(other)
        return len(pairs) - before

    pair_up(lambda example: (example.moment, example.name))
    pair_up(lambda example: example.moment)
    by_name = pair_up(lambda example: example.name, only_unique=True)
    pairs.sort()
    return Matching(
        pairs=pairs,
        by_name=by_name,
        other_expected=sum(first.examples[one].expected != second.examples[two].expected for one, two in pairs),
        only_first=[first.examples[index].name for index in sorted(free_first)],
        only_second=[second.examples[index].name for index in sorted(free_second)],
    )


def compare(first: Run, second: Run, *, resamples: int = RESAMPLES, seed: int = DEFAULT_SEED) -> Comparison:
    """Everything that can be said of two runs; the same seed gives the same intervals."""
    matching = match(first, second)
    ones = first.example_parts[[pair[0] for pair in matching.pairs]]
    twos = second.example_parts[[pair[1] for pair in matching.pairs]]
    values, others = ratios(ones.sum(axis=0)), ratios(twos.sum(axis=0))
    found = intervals(np.hstack([ones, twos]), _difference, seed=seed, resamples=resamples)
    differences = ratios(ones) - ratios(twos)
    measures = [
        MeasureComparison(measure, float(values[index]), float(others[index]), found[index], *_counts(column, measure))
        for index, (measure, column) in enumerate(zip(MEASURES, differences.T, strict=True))
        if not np.isnan(values[index] - others[index])
    ]
    return Comparison(first, second, matching, measures, _changes(differences, matching.pairs), resamples, seed)


def runs_of(run: Run, comparison: Comparison | None) -> list[Run]:
    """The run, and the one it is compared with."""
    return [run] if comparison is None else [run, comparison.second]


def run_intervals(run: Run, *, resamples: int = RESAMPLES, seed: int = DEFAULT_SEED) -> list[Interval]:
    """How sure each measure of one run is."""
    return intervals(run.example_parts, ratios, seed=seed, resamples=resamples)


def _grouped(run: Run, indexes: Iterable[int], key: Callable[[ScoredExample], Hashable]) -> dict[Hashable, list[int]]:
    found: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index in sorted(indexes):
        found[key(run.examples[index])].append(index)
    return found


def _difference(sums: Floats) -> Floats:
    middle = sums.shape[1] // 2
    return ratios(sums[:, :middle]) - ratios(sums[:, middle:])


def _counts(differences: Floats, measure: Measure) -> tuple[int, int, int]:
    """Improved, worse, equal."""
    known = differences[~np.isnan(differences)]
    rose, fell = int((known > EQUAL_WITHIN).sum()), int((known < -EQUAL_WITHIN).sum())
    improved, worse = (fell, rose) if measure.better == "lower" else (rose, fell)
    return improved, worse, len(known) - rose - fell


def _changes(differences: Floats, pairs: list[tuple[int, int]]) -> list[Change]:
    """The pairs whose scores differ, the largest difference first, those that are equally large in order."""
    column = differences[:, INDEX[RANKED_BY]]
    found = [
        Change(float(column[index]), *pair) for index, pair in enumerate(pairs) if abs(column[index]) > EQUAL_WITHIN
    ]
    return sorted(found, key=lambda change: -abs(change.difference))
