"""Whether held-out cases were seen in training: the same excerpt with its cursor, or nearly the same (MinHash).

Found as `foretype dedup` finds duplicates, at a higher similarity: two functions may be alike without one giving the
other away. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from training_export.example import Example
from training_export.selecting.duplicates import DuplicateSearch, Fate

NEARLY_SAME: Final = 0.8  # of their shingles
NAMES_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of ``case_count`` cases, those that stand in the training set too; the first ``names`` of them."""

    case_count: int
    training_count: int
    exact: int
    near: int
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "cases": self.case_count,
            "training_examples": self.training_count,
            "exact": self.exact,
            "near": self.near,
            "names": list(self.names),
        }


def overlap(
    cases: Iterable[Example], training: Iterable[Example], seen: Callable[[int], None] = lambda _: None
) -> Overlap:
    """Compare every case with every training example; ``seen`` is told how many were read so far.

    Near-duplicates are found through each other too: a case may stand here for being near another case that is near a
    training example. Raises ExtraMissing without datasketch.
    """
    search = DuplicateSearch(threshold=NEARLY_SAME)
    training_count = 0
    for training_count, example in enumerate(training, 1):
        search.add(example)
        seen(training_count)
    names = []
    for number, example in enumerate(cases, 1):
        search.add(example)
        names.append(example.name)
        seen(training_count + number)
    choice = search.choice()
    seen_before = [
        (name, choice.fates[number])
        for number, name in enumerate(names, training_count)
        if choice.firsts[number] < training_count
    ]
    exact = [name for name, fate in seen_before if fate is Fate.EXACT]
    return Overlap(
        len(names),
        training_count,
        len(exact),
        len(seen_before) - len(exact),
        tuple(name for name, _ in seen_before[:NAMES_KEPT]),
    )
