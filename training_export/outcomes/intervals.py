"""How sure shares and means are when what was counted comes in clusters: predictions, by their document.

Predictions in one document resemble each other, and a trial gives whole documents to a model, so a document is what
counts as drawn. Variances are those of the jackknife that leaves out one document at a time (Efron and Stein, 1981),
which holds for documents of very different sizes; degrees of freedom are those of the effective number of documents
(Kish, 1965). Knows nothing of predictions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
LEAST_DOCUMENTS: Final = 4.0  # effective ones; with fewer there is no telling how documents differ
RESAMPLES: Final = 1000

Floats = NDArray[np.float64]
_UNKNOWN: Final = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or a mean of ``count`` things in ``documents``, and its 95 % interval.

    All but the counts are not-a-number where nothing can be said. ``variance`` is that of ``value``;
    ``effective_documents`` is smaller than ``documents`` where some hold much more than others.
    """

    value: float
    low: float
    high: float
    count: int
    documents: int
    variance: float = math.nan
    effective_documents: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)

    def to_json(self) -> dict[str, float | int | None]:
        """For a program to read: null where nothing can be said."""
        value, low, high = (None if math.isnan(number) else number for number in (self.value, self.low, self.high))
        return {"value": value, "low": low, "high": high, "count": self.count, "documents": self.documents}


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more the first is than the second, and its 95 % interval; not-a-number where nothing can be said."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """For a program to read."""
        names = ("value", "low", "high")
        return {name: None if math.isnan(getattr(self, name)) else getattr(self, name) for name in names}


def share(hits: Floats, counts: Floats) -> Estimate:
    """Of how many things, ``counts`` by document, something is true: of ``hits``.

    The interval is Wilson's (1927) for as many independent things as these are worth: their number over the design
    effect, which is never taken to be less than 1 (after Korn and Graubard, 1998).
    """
    estimate = mean(hits, counts)
    if not estimate.is_known:
        return estimate
    value, count = estimate.value, estimate.count
    effective = count / design_effect(estimate)
    squared = t_quantile(effective_freedom(estimate)) ** 2
    centre = (value + squared / (2 * effective)) / (1 + squared / effective)
    spread = math.sqrt(value * (1 - value) / effective + squared / (4 * effective**2)) * math.sqrt(squared)
    spread /= 1 + squared / effective
    low, high = max(0.0, centre - spread), min(1.0, centre + spread)
    variance = value * (1 - value) / effective
    return Estimate(value, low, high, count, estimate.documents, variance, estimate.effective_documents)


def mean(sums: Floats, counts: Floats) -> Estimate:
    """The mean of things whose ``sums`` and ``counts`` are known by document, with Student's interval."""
    sums, counts = sums[counts > 0], counts[counts > 0]
    total, documents = float(counts.sum()), len(counts)
    if not documents:
        return Estimate(math.nan, *_UNKNOWN, 0, 0)
    value = float(sums.sum()) / total
    effective = total**2 / float((counts**2).sum())
    if effective < LEAST_DOCUMENTS:
        return Estimate(value, *_UNKNOWN, int(total), documents, math.nan, effective)
    without_each = (sums.sum() - sums) / (total - counts)
    variance = (documents - 1) / documents * float(((without_each - value) ** 2).sum())
    found = Estimate(value, value, value, int(total), documents, variance, effective)
    spread = t_quantile(effective_freedom(found)) * math.sqrt(variance)
    return Estimate(value, value - spread, value + spread, int(total), documents, variance, effective)


def design_effect(estimate: Estimate) -> float:
    """How many things of one document say as much about a share as one that was drawn by itself; at least 1."""
    spread = estimate.value * (1 - estimate.value) / estimate.count
    return max(1.0, estimate.variance / spread) if spread > 0 else 1.0


def effective_freedom(estimate: Estimate) -> float:
    """Degrees of freedom of an estimate's variance."""
    return max(1.0, estimate.effective_documents - 1)


def difference_of_shares(first: Estimate, second: Estimate) -> Difference:
    """Of two `share`: Newcombe's (1998) interval, from the ends of both."""
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Difference(value, low, high)


def difference_of_means(first: Estimate, second: Estimate) -> Difference:
    """Of two `mean`: Welch's (1947) interval."""
    value, variance = first.value - second.value, first.variance + second.variance
    if not variance > 0:
        return Difference(value, *((math.nan, math.nan) if math.isnan(variance) else (value, value)))
    parts = (one.variance**2 / effective_freedom(one) for one in (first, second))
    spread = t_quantile(variance**2 / sum(parts)) * math.sqrt(variance)
    return Difference(value, value - spread, value + spread)


def percentile(values: Floats, documents: NDArray[np.int64], fraction: float, *, seed: int = 0) -> Estimate:
    """The smallest value that ``fraction`` of all do not exceed; its interval by drawing documents with replacement.

    ``documents`` numbers the document of each value. The same seed gives the same interval.
    """
    if not len(values):
        return Estimate(math.nan, *_UNKNOWN, 0, 0)
    drawn = resampled_percentiles(values, documents, fraction, seed=seed)
    found = float(np.quantile(values, fraction, method="inverted_cdf"))
    sizes = np.bincount(documents).astype(np.float64)
    effective = float(sizes.sum() ** 2 / (sizes**2).sum())
    low, high = _UNKNOWN if effective < LEAST_DOCUMENTS else _middle(drawn)
    return Estimate(found, low, high, len(values), int((sizes > 0).sum()), effective_documents=effective)


def difference_of_percentiles(
    first: tuple[Floats, NDArray[np.int64]], second: tuple[Floats, NDArray[np.int64]], fraction: float
) -> Difference:
    """The same of two samples, each with the numbers of its documents."""
    ours, theirs = percentile(*first, fraction), percentile(*second, fraction)
    value = ours.value - theirs.value
    if not (ours.is_known and theirs.is_known):
        return Difference(value, *_UNKNOWN)
    draws = resampled_percentiles(*first, fraction, seed=1) - resampled_percentiles(*second, fraction, seed=2)
    return Difference(value, *_middle(draws))


def resampled_percentiles(values: Floats, documents: NDArray[np.int64], fraction: float, *, seed: int) -> Floats:
    """The percentile in each of `RESAMPLES` draws of as many documents as there are."""
    random = np.random.default_rng(seed)
    order = np.argsort(values, kind="stable")
    values, documents = values[order], documents[order]
    present = np.unique(documents)
    found: Floats = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        times = np.bincount(random.choice(present, size=len(present)), minlength=int(present[-1]) + 1)
        weights = np.cumsum(times[documents])
        found[index] = values[np.searchsorted(weights, fraction * weights[-1])]
    return found


def t_quantile(freedom: float, probability: float = (1 + CONFIDENCE) / 2) -> float:
    """Student's quantile by Fisher's expansion (Abramowitz and Stegun, 26.7.5): to 0.2 % from 3 degrees of freedom."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def _middle(draws: Floats) -> tuple[float, float]:
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(draws, (tail, 100.0 - tail))
    return float(low), float(high)
