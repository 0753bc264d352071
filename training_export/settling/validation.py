"""How often two models put an example in the same band: the ground for asking the cheaper one.

Counts and reckons; knows nothing of how examples were judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from training_export.settling.bands import SettleClass

CLASSES: Final = (SettleClass.OBVIOUS, SettleClass.LEARNABLE, SettleClass.NOISE)


@dataclass(frozen=True, slots=True)
class Agreement:
    """``pairs`` counts examples by (what the first says, what the second says); ``failed`` have no pair."""

    first: str
    second: str
    pairs: Counter[tuple[SettleClass, SettleClass]]
    failed: int = 0

    @property
    def examples(self) -> int:
        """How many both have judged."""
        return self.pairs.total()

    @property
    def share(self) -> float:
        """Of the examples both have judged, how many alike; 0 of none."""
        return sum(self.pairs[one, one] for one in CLASSES) / self.examples if self.examples else 0.0

    @property
    def kappa(self) -> float | None:
        """Cohen's: 1 where they always agree, 0 where as often as by chance; None where chance alone would agree."""
        if not self.examples:
            return None
        chance = sum(
            sum(self.pairs[one, other] for other in CLASSES) * sum(self.pairs[other, one] for other in CLASSES)
            for one in CLASSES
        ) / (self.examples**2)
        return None if chance == 1 else (self.share - chance) / (1 - chance)

    @property
    def learnable_precision(self) -> float | None:
        """Of what the second calls learnable, how much the first does, too; None where it calls nothing so."""
        called = sum(self.pairs[one, SettleClass.LEARNABLE] for one in CLASSES)
        return self.pairs[SettleClass.LEARNABLE, SettleClass.LEARNABLE] / called if called else None

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "first": self.first,
            "second": self.second,
            "examples": self.examples,
            "failed": self.failed,
            "agreement": self.share,
            "kappa": self.kappa,
            "learnable_precision": self.learnable_precision,
            "table": {one.value: {other.value: self.pairs[one, other] for other in CLASSES} for one in CLASSES},
        }

    def __str__(self) -> str:
        """A table for people: a row for each class of the first, a column for each of the second."""
        rows = [f"{self.first} (rows) against {self.second} (columns), {self.examples} examples"]
        if self.failed:
            rows[0] += f", {self.failed} more failed"
        rows.append(" " * 12 + "".join(f"{other.value:>11}" for other in CLASSES))
        rows += [f"  {one.value:10}" + "".join(f"{self.pairs[one, other]:11}" for other in CLASSES) for one in CLASSES]
        kappa = "undefined: both put all in one band" if self.kappa is None else f"{self.kappa:.2f}"
        rows.append(f"in the same band: {self.share:.1%}, Cohen's kappa {kappa}")
        if self.learnable_precision is not None:
            rows.append(f"of what {self.second} calls learnable, {self.first} does: {self.learnable_precision:.1%}")
        return "\n".join(rows)


def agreement(first: str, second: str, classes: Iterable[tuple[SettleClass | None, SettleClass | None]]) -> Agreement:
    """Of pairs of classes, None where one could not judge; what settled as it was is nothing to agree on."""
    pairs: Counter[tuple[SettleClass, SettleClass]] = Counter()
    failed = 0
    for one, other in classes:
        if one is None or other is None:
            failed += 1
        elif SettleClass.UNCHANGED not in (one, other):
            pairs[one, other] += 1
    return Agreement(first, second, pairs, failed)
