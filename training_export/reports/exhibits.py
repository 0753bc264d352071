"""Which examples a report shows, and their text: what runs do not keep is read once more, for these few only.

Knows nothing of pages.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from training_export.errors import InputsChanged
from training_export.example import Example
from training_export.example_format.files import Loaded, Raw, Rejected, parsed
from training_export.reports.comparison import Comparison
from training_export.reports.run import Run, ScoredExample

Item = TypeVar("Item")
Place = tuple[str, int]  # a source, and a line of it


@dataclass(frozen=True, slots=True)
class Shown:
    """One prediction of an example (0-based) and its delta chrF."""

    example: ScoredExample
    prediction: int
    delta_chr_f: float

    @property
    def place(self) -> Place:
        """Where the example is read from."""
        return self.example.source, self.example.line


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A prediction to show, where there are two runs the other run's too; ``difference`` of their examples."""

    first: Shown
    second: Shown | None = None
    difference: float | None = None


@dataclass(frozen=True, slots=True)
class Exhibits:
    """``best`` and ``worst`` are of the first run; ``improved`` and ``worsened`` are empty without a second."""

    best: list[Exhibit]
    worst: list[Exhibit]
    improved: list[Exhibit]
    worsened: list[Exhibit]

    def places(self) -> tuple[set[Place], set[Place]]:
        """What must be read again of each run."""
        shown = [*self.best, *self.worst, *self.improved, *self.worsened]
        return {one.first.place for one in shown}, {one.second.place for one in shown if one.second is not None}


def chosen(run: Run, comparison: Comparison | None, count: int) -> Exhibits:
    """So many of each kind. The best are among those that changed something: to be rightly quiet shows nothing."""
    changes = [] if comparison is None else comparison.changes
    return Exhibits(
        best=[Exhibit(one) for one in _ranked(run, count, best=True)],
        worst=[Exhibit(one) for one in _ranked(run, count, best=False)],
        improved=_changed(comparison, [change for change in changes if change.difference > 0][:count]),
        worsened=_changed(comparison, [change for change in changes if change.difference < 0][:count]),
    )


def read_again(found: Iterable[Raw | Rejected], places: set[Place]) -> Mapping[Place, Example]:
    """The examples at some places; raises InputsChanged where one of them is no longer there."""
    examples: dict[Place, Example] = {}
    for raw in found:
        if isinstance(raw, Raw) and (raw.source, raw.line) in places:
            loaded = parsed(raw)
            if isinstance(loaded, Loaded):
                examples[raw.source, raw.line] = loaded.example
    if places - set(examples):
        raise InputsChanged
    return examples


def _ranked(run: Run, count: int, *, best: bool) -> list[Shown]:
    delta_chr_f = run.column("delta_chr_f")
    shows_something = run.column("exact_lines_f1") > 0 if best else run.column("exact_match") == 0

    def rank(index: int) -> tuple[float, int, int]:
        return (-delta_chr_f[index] if best else delta_chr_f[index], -run.changed_tokens[index], index)

    indexes = heapq.nsmallest(count, np.flatnonzero(shows_something).tolist(), key=rank)
    return [_shown(run, index) for index in indexes]


def _changed(comparison: Comparison | None, changes: Iterable[tuple[float, int, int]]) -> list[Exhibit]:
    if comparison is None:
        return []
    return [
        Exhibit(_first_of(comparison.first, first), _first_of(comparison.second, second), difference)
        for difference, first, second in changes
    ]


def _first_of(run: Run, index: int) -> Shown:
    return _shown(run, run.examples[index].first)


def _shown(run: Run, index: int) -> Shown:
    example = run.examples.owner(index)
    return Shown(example, index - example.first, float(run.column("delta_chr_f")[index]))
