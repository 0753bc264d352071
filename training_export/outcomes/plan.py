"""Whether two shares differ, how much they would have to, and how many more predictions it takes to know.

People look again and again while a trial runs, and each look is another chance to be misled. So the limit that a
difference has to pass is the one that a random walk stays within for the whole trial with 95 % probability, however
often it is looked at (the constant boundary of O'Brien and Fleming, 1979; its probability by the reflection principle).
Knows nothing of predictions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final

from training_export.outcomes.intervals import CONFIDENCE, Estimate, design_effect, effective_freedom, t_quantile

POWER: Final = 0.8  # with which the smallest difference of interest is found
SMALLEST_DIFFERENCE: Final = 0.03
MIN_DOCUMENTS: Final = 10.0  # effective ones, of each model
_EVEN: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
# P(a random walk leaves +-b before time 1) = 4 (1 - Phi(b)), but for the paths that leave on both sides.
BOUNDARY: Final = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 4)


class Verdict(StrEnum):
    """What is known of the first model's share against the second's."""

    HIGHER = "higher"
    LOWER = "lower"
    NO_DIFFERENCE = "no difference"  # of the smallest that is of interest, with 80 % probability
    NOT_ENOUGH = "not enough yet"


@dataclass(frozen=True, slots=True)
class Plan:
    """How far a comparison is. ``more`` is about how many predictions it still takes, of both; 0 when decided.

    It is None where even that cannot be said: a model has predicted in too few documents to see how they differ.
    """

    verdict: Verdict
    progress: float  # from 0 to 1: of the information that the smallest difference of interest needs
    more: int | None


def compared(first: Estimate, second: Estimate, smallest_difference: float = SMALLEST_DIFFERENCE) -> Plan:
    """Of two shares; ``smallest_difference`` is the one that is to be found, as a share."""
    if min(first.effective_documents, second.effective_documents) < MIN_DOCUMENTS:
        error = _standard_error(first, second) if first.is_known and second.is_known else math.nan
        return Plan(
            Verdict.NOT_ENOUGH, 0.0, None if math.isnan(error) else _more(first, second, error, smallest_difference)
        )
    error = _standard_error(first, second)
    progress = min(1.0, _information(error, smallest_difference))
    freedom = min(effective_freedom(first), effective_freedom(second))
    limit = BOUNDARY / math.sqrt(progress) * error * t_quantile(freedom) / _EVEN
    value = first.value - second.value
    if abs(value) >= limit:
        return Plan(Verdict.HIGHER if value > 0 else Verdict.LOWER, progress, 0)
    if progress >= 1:
        return Plan(Verdict.NO_DIFFERENCE, progress, 0)
    return Plan(Verdict.NOT_ENOUGH, progress, _more(first, second, error, smallest_difference))


def _standard_error(first: Estimate, second: Estimate) -> float:
    """Of the difference, if there is none: both shares are the common one then."""
    counts = (first.count, second.count)
    hits = first.value * first.count + second.value * second.count
    common = (hits + 1) / (sum(counts) + 2)  # where all were accepted, or none, it is not sure that all will be
    spread = common * (1 - common)
    return math.sqrt(spread * sum(design_effect(one) / one.count for one in (first, second)))


def _information(error: float, smallest_difference: float) -> float:
    """What there is, over what finds the smallest difference with the planned power."""
    wanted_error = smallest_difference / (BOUNDARY + NormalDist().inv_cdf(POWER))
    return (wanted_error / error) ** 2


def _more(first: Estimate, second: Estimate, error: float, smallest_difference: float) -> int:
    """Predictions that are missing if they go on coming as until now; rounded to two digits, for it is a guess."""
    count = first.count + second.count
    missing = count / _information(error, smallest_difference) - count
    if missing <= 0:
        return 0
    digits = 1 - math.floor(math.log10(missing))
    return max(1, round(round(missing, digits)))
