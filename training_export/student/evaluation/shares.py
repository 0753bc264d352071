"""So many of so many: a share with what can be said of the share behind it. Knows nothing of what is counted.

Wilson's interval for what is reported (Wilson 1927, without continuity correction), Clopper and Pearson's where a bound
must hold. ``scipy.stats`` has both and takes more than a second to load: the beta distribution's quantile is enough.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

from training_export.errors import ExtraMissing
from training_export.reports.bootstrap import Interval

CONFIDENCE: Final = 0.95
NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Share:
    """``count`` of ``total``, neither below 0."""

    count: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.total:
            raise ValueError(f"{self.count} of {self.total} is no share")

    @classmethod
    def of(cls, found: Iterable[bool]) -> Share:
        """How many of these are true."""
        values = list(found)
        return cls(sum(values), len(values))

    @property
    def value(self) -> float:
        """Between 0 and 1; not-a-number without a total."""
        return self.count / self.total if self.total else float("nan")

    def wilson(self) -> Interval:
        """The 95 % interval of Wilson; from 0 to 1 without a total."""
        if not self.total:
            return Interval(0.0, 1.0)
        squared = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
        middle = self.count + squared / 2
        reach = math.sqrt(squared * (self.count * (1 - self.value) + squared / 4))
        low, high = ((middle + sign * reach) / (self.total + squared) for sign in (-1, 1))
        return Interval(max(0.0, low) if self.count else 0.0, min(1.0, high) if self.count < self.total else 1.0)

    def upper_bound(self) -> float:
        """What the share behind it is below, with 95 % confidence (Clopper-Pearson, one-sided); 1 without a total.

        Raises ExtraMissing, as `lower_bound` does.
        """
        if self.count == self.total:
            return 1.0
        return float(_functions().betaincinv(self.count + 1, self.total - self.count, CONFIDENCE))

    def lower_bound(self) -> float:
        """What the share behind it is above, with 95 % confidence (Clopper-Pearson, one-sided); 0 without a total."""
        if not self.count:
            return 0.0
        return float(_functions().betaincinv(self.count, self.total - self.count + 1, 1 - CONFIDENCE))

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} %" if self.total else NOTHING

    def to_json(self) -> dict[str, Any]:
        """Count, total, and the interval; ``share`` is null without a total."""
        low, high = self.wilson()
        share = round(self.value, 5) if self.total else None
        return {"count": self.count, "total": self.total, "share": share, "low": round(low, 5), "high": round(high, 5)}


def _functions() -> Any:
    try:
        return importlib.import_module("scipy.special")
    except ImportError as error:
        raise ExtraMissing("a bound", "scipy", "train") from error
