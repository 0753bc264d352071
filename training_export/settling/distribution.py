"""How the examples of a file lie between the edges: read once, in memory that hardly grows with the file.

Keeps two numbers of each example, and the few that lie nearest to each edge. Draws nothing, asks no model.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any, Final

from training_export.example import Example
from training_export.example_format.files import Rejected
from training_export.running.sources import Sources
from training_export.settling.bands import Bands, SettleClass
from training_export.settling.record import MEMBER, Record
from training_export.stage import ours

NEAREST: Final = 3  # examples on either side of an edge


class Edge(StrEnum):
    """The two edges."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An example near an edge: ``value`` is what the edge divides by, the median or the score."""

    place: str
    example: Example
    record: Record
    value: float


@dataclass
class Distribution:
    """The examples that have samples: ``medians`` and ``scores`` in the order of the file, and counts by class."""

    bands: Bands
    nearest: int = NEAREST
    medians: array[float] = field(default_factory=lambda: array("d"))
    scores: array[float] = field(default_factory=lambda: array("d"))
    classes: Counter[SettleClass] = field(default_factory=Counter)
    targets: int = 0
    others: int = 0  # examples that were never settled
    _near: dict[tuple[Edge, bool], list[tuple[float, int, Neighbour]]] = field(default_factory=dict)
    _order: Iterator[int] = field(default_factory=count)

    def add(self, place: str, example: Example) -> None:
        """One more, by the record it carries, judged by these bands; one without a record is counted."""
        record = record_in(example)
        if record is None:
            self.others += 1
            return
        record = record.with_bands(self.bands)
        self.classes[record.settle_class] += 1
        self.targets += record.target is not None
        median, score = record.median, record.score
        if median is None or score is None:
            return
        self.medians.append(median)
        self.scores.append(score)
        # Beyond the other edge an example is decided already.
        if record.settle_class is not SettleClass.NOISE:
            self._keep(Edge.LOW, self.bands.low, Neighbour(place, example, record, median))
        if record.settle_class is not SettleClass.OBVIOUS:
            self._keep(Edge.HIGH, self.bands.high, Neighbour(place, example, record, score))

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "bands": [self.bands.low, self.bands.high],
            "classes": {settle_class.value: self.classes[settle_class] for settle_class in SettleClass},
            "targets": self.targets,
            "not_judged": self.others,
        }

    def near(self, edge: Edge) -> tuple[list[Neighbour], list[Neighbour]]:
        """The examples nearest to an edge, below it and above it, ascending."""
        return self._side(edge, is_above=False), self._side(edge, is_above=True)

    def _side(self, edge: Edge, *, is_above: bool) -> list[Neighbour]:
        kept = (neighbour for _, _, neighbour in self._near.get((edge, is_above), []))
        return sorted(kept, key=lambda neighbour: (neighbour.value, neighbour.place))

    def _keep(self, edge: Edge, at: float, neighbour: Neighbour) -> None:
        is_above = neighbour.value > at if edge is Edge.LOW else neighbour.value >= at
        kept = self._near.setdefault((edge, is_above), [])
        # The farthest stands first in the heap; of equally far ones the newest goes.
        heapq.heappush(kept, (-abs(neighbour.value - at), -next(self._order), neighbour))
        if len(kept) > self.nearest:
            heapq.heappop(kept)


def distribution_of(sources: Sources, bands: Bands, nearest: int = NEAREST) -> Distribution:
    """Read all examples; lines that are none are passed over: whoever made the file has named them."""
    found = Distribution(bands, nearest)
    for loaded in sources:
        if not isinstance(loaded, Rejected):
            found.add(f"{loaded.source}:{loaded.line}", loaded.example)
    return found


def record_in(example: Example) -> Record | None:
    """What settle wrote down about an example, None where it did not, or not in a way that can be read."""
    kept = ours(example, MEMBER)
    try:
        return None if kept is None else Record.from_json(kept)
    except ValueError:
        return None
