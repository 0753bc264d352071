"""Classes of settled examples: where an example's distances lie between two edges.

Obvious is what the model mostly gets right: at least half of the samples are within the lower edge. Noise is what it
hardly ever comes nearer to than by doing nothing: the score reaches the upper edge. The score is the mean distance,
none counted as more than 1: the share of the user's way that is left when useless samples are thrown away. It means the
same for ten samples as for fifty, as the nearest sample would not, and a few good ones among many count. Knows nothing
of texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from daemon.errors import BadArgument
from training_export.settling.distance import DIGITS

Counted = tuple[float, int]  # a distance, and how many samples have it


class SettleClass(StrEnum):
    """What the distances make of an example."""

    OBVIOUS = "obvious"  # the model gets it right anyway
    LEARNABLE = "learnable"  # it comes near, and not always
    NOISE = "noise"  # what the user did does not follow from what is seen
    UNCHANGED = "unchanged"  # the text settled as it was: there is no way to compare with


@dataclass(frozen=True, slots=True)
class Bands:
    """The edges: obvious up to a median of ``low``, noise from a score of ``high`` on."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"the edges {self.low:g} and {self.high:g} are not in order between 0 and 1")

    def classify(self, counted: Sequence[Counted]) -> SettleClass:
        """The class of an example with these distances, ascending."""
        return self.class_at(median(counted), score(counted))

    def class_at(self, median_distance: float, mean_distance: float) -> SettleClass:
        """The same by its median and its score."""
        if median_distance <= self.low:
            return SettleClass.OBVIOUS
        return SettleClass.NOISE if mean_distance >= self.high else SettleClass.LEARNABLE


# The planted set of three kinds fell apart best here; docs/LOG.md has the table.
DEFAULT_BANDS: Final = Bands(0.05, 0.96)


@dataclass(frozen=True, slots=True)
class BandsWanted:
    """What ``--bands`` says: two edges, each a value or (``is_share``) the share of examples below it."""

    low: float
    high: float
    low_is_share: bool = False
    high_is_share: bool = False

    @property
    def needs_examples(self) -> bool:
        """Whether an edge depends on the examples."""
        return self.low_is_share or self.high_is_share

    def bands(self, medians: Sequence[float] = (), scores: Sequence[float] = ()) -> Bands:
        """The edges, for these medians and scores of all examples; raises BadArgument where they are none."""
        if self.needs_examples and not scores:
            raise BadArgument("--bands with a percentage needs examples that were settled before")
        low = _quantile(medians, self.low) if self.low_is_share else self.low
        high = _quantile(scores, self.high) if self.high_is_share else self.high
        try:
            return Bands(low, high)
        except ValueError as error:
            raise BadArgument(f"--bands: {error}; look at the histogram (--plot) and give two values") from None


def read_bands(text: str) -> BandsWanted:
    """Read ``LOW:HIGH``, values or percentages (``20%:0.96``); raises BadArgument."""
    try:
        (low, low_is_share), (high, high_is_share) = map(_read_edge, text.split(":"))
    except ValueError:
        raise BadArgument(
            f"--bands {text!r} is not LOW:HIGH, two values from 0 to 1 or percentages of the examples, as in 0.05:0.96"
        ) from None
    wanted = BandsWanted(low, high, low_is_share, high_is_share)
    if not wanted.needs_examples:
        wanted.bands()
    return wanted


def median(counted: Sequence[Counted]) -> float:
    """The least distance within which half of the samples are, or more; distances ascending."""
    half = sum(count for _, count in counted) / 2
    seen = 0
    for distance, count in counted:
        seen += count
        if seen >= half:
            return distance
    raise ValueError("there is no median of nothing")


def score(counted: Sequence[Counted]) -> float:
    """The mean distance, none above 1; of at least one sample."""
    samples = sum(count for _, count in counted)
    return round(sum(min(1.0, distance) * count for distance, count in counted) / samples, DIGITS)


def _quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies."""
    return sorted(values)[min(len(values) - 1, math.floor(share * len(values)))]


def _read_edge(text: str) -> tuple[float, bool]:
    is_share = text.strip().endswith("%")
    value = float(text.strip().removesuffix("%")) / (100 if is_share else 1)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value, is_share
