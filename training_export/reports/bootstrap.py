"""How sure a ratio of sums is: percentile intervals by drawing the examples again, with replacement.

What is drawn are examples, not predictions: several predictions of one example are not independent. The same draw
serves all columns, so the difference of two runs on the same examples is that of pairs. Knows nothing of examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95
_DRAWS_AT_ONCE: Final = 1_000_000  # of 8 bytes each

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A percentile interval; both ends are not-a-number where nothing can be said."""

    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether there are ends."""
        return not math.isnan(self.low)

    @property
    def excludes_zero(self) -> bool:
        """Whether all of it lies on one side of 0."""
        return self.low > 0 or self.high < 0


def ratios(sums: Floats) -> Floats:
    """Columns come in pairs, above and below the line; not-a-number where nothing is below it."""
    above, below = sums[..., 0::2], sums[..., 1::2]
    result: Floats = np.full(above.shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def intervals(
    columns: Floats, statistics: Callable[[Floats], Floats], *, seed: int, resamples: int = RESAMPLES
) -> list[Interval]:
    """One interval a statistic.

    ``columns`` has a row for each example; ``statistics`` maps sums over drawn rows, shape (draws, columns), to shape
    (draws, statistics). The same seed gives the same intervals.
    """
    values = statistics(_resampled_sums(columns, np.random.default_rng(seed), resamples))
    tail = 50.0 * (1.0 - CONFIDENCE)
    found = []
    for column in values.T:
        known = column[~np.isnan(column)]
        low, high = np.percentile(known, (tail, 100.0 - tail)) if known.size else (np.nan, np.nan)
        found.append(Interval(float(low), float(high)))
    return found


def _resampled_sums(columns: Floats, random: np.random.Generator, resamples: int) -> Floats:
    count = len(columns)
    sums: Floats = np.zeros((resamples, columns.shape[1]))
    if not count:
        return sums
    at_once = max(1, _DRAWS_AT_ONCE // count)
    for start in range(0, resamples, at_once):
        draws = min(at_once, resamples - start)
        drawn: NDArray[Any] = random.integers(count, size=(draws, count)) + np.arange(draws)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        sums[start : start + draws] = times @ columns
    return sums
