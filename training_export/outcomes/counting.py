"""Observations by group: how many were shown, accepted, kept and taken back, and how long they took.

Knows nothing of how anything is printed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training_export.outcomes.intervals import Estimate, Floats, mean, percentile, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from training_export.outcomes.observation import Observation

LATENCIES: Final = {"p50": 0.5, "p95": 0.95}


class Sample:
    """Observations, and what they come to. A share or a mean is over all of them, its interval by document."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self.observations = observations
        numbers: dict[str, int] = {}
        self._documents = np.array(
            [numbers.setdefault(one.document, len(numbers)) for one in observations], dtype=np.int64
        )
        self._document_count = len(numbers)

    @cached_property
    def counts(self) -> Counts:
        """How many."""
        return Counts(
            predictions=len(self.observations),
            documents=self._document_count,
            shown=self._count(lambda one: one.is_shown),
            undecided=self._count(lambda one: one.is_shown and not one.is_decided),
            accepted=self._count(lambda one: one.is_accepted),
        )

    @cached_property
    def acceptance(self) -> Estimate:
        """Accepted, in whole or in part, of those that were shown and about which something was decided."""
        return share(*self._sums(lambda one: float(one.is_accepted) if one.is_decided or one.is_accepted else None))

    @cached_property
    def kept_rate(self) -> Estimate:
        """Of those that were shown and whose text settled, accepted or not."""
        return mean(*self._sums(lambda one: one.kept_rate))

    @cached_property
    def reverts(self) -> Estimate:
        """Of those that were shown, those that take back what was just typed."""
        return share(*self._sums(lambda one: None if one.is_revert is None else float(one.is_revert)))

    @cached_property
    def latency_ms(self) -> dict[str, Estimate]:
        """Percentiles of what the engine took, by name."""
        values, documents = self.milliseconds
        return {name: percentile(values, documents, fraction) for name, fraction in LATENCIES.items()}

    @cached_property
    def milliseconds(self) -> tuple[Floats, NDArray[np.int64]]:
        """What the engine took, and the number of the document of each."""
        took = np.array([np.nan if one.seconds is None else one.seconds * 1000 for one in self.observations])
        known = ~np.isnan(took) if len(took) else np.zeros(0, dtype=bool)
        return took[known], self._documents[known]

    def to_json(self) -> dict[str, Any]:
        """For a program to read; shares from 0 to 1."""
        return {
            **self.counts.to_json(),
            "acceptance": self.acceptance.to_json(),
            "kept_rate": self.kept_rate.to_json(),
            "reverts": self.reverts.to_json(),
            "latency_ms": {name: found.to_json() for name, found in self.latency_ms.items()},
        }

    def _count(self, is_one: Callable[[Observation], bool]) -> int:
        return sum(map(is_one, self.observations))

    def _sums(self, value_of: Callable[[Observation], float | None]) -> tuple[Floats, Floats]:
        """By document: the sum of what ``value_of`` gives, and of how many; those it says nothing of do not count."""
        values = [value_of(one) for one in self.observations]
        known = np.array([value is not None for value in values], dtype=bool)
        numbers = np.array([value for value in values if value is not None], dtype=np.float64)
        documents = self._documents[known] if len(known) else self._documents
        sums = np.bincount(documents, weights=numbers, minlength=self._document_count)
        return sums.astype(np.float64), np.bincount(documents, minlength=self._document_count).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Counts:
    """``undecided`` are those of ``shown`` about which nothing was known when their snapshot ended."""

    predictions: int
    documents: int
    shown: int
    undecided: int
    accepted: int

    def to_json(self) -> dict[str, int]:
        """For a program to read."""
        return {name: getattr(self, name) for name in self.__slots__}


def grouped(observations: Iterable[Observation], by: Sequence[str]) -> dict[tuple[str, ...], Sample]:
    """Samples by the values of these members of an observation, the largest first."""
    members: defaultdict[tuple[str, ...], list[Observation]] = defaultdict(list)
    for one in observations:
        members[tuple(getattr(one, name) for name in by)].append(one)
    ordered = sorted(members.items(), key=lambda found: (-len(found[1]), found[0]))
    return {key: Sample(found) for key, found in ordered}
