"""Which examples of a stream are duplicates of one another, and which of them to keep.

Exact duplicates have the same excerpt with the cursor at the same place. Of near-duplicates, clusters are made, and of
each cluster the first example and those most unlike all that were chosen before are kept. Sees examples once, in order,
and remembers a signature of each. Knows nothing of files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from training_export.example import Example
from training_export.selecting.grouping import GroupBy, group_key
from training_export.selecting.near_duplicates import Labels, clusters, most_different
from training_export.selecting.signatures import Signatures, Signer

SAME_PART = 0.5  # of the shingles: from here on two excerpts are near-duplicates


class Fate(Enum):
    """What becomes of an example."""

    KEPT = "kept"
    EXACT = "exact"
    NEAR = "near"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was found, by number of the example: its fate, and the first example of its cluster."""

    fates: tuple[Fate, ...]
    firsts: Labels


class DuplicateSearch:
    """Takes examples in order, then chooses."""

    def __init__(self, *, by: GroupBy = GroupBy.NONE, threshold: float = SAME_PART) -> None:
        """With ``by``, examples of different groups are never duplicates of each other."""
        self._by = by
        self._threshold = threshold
        self._signer = Signer()
        self._signatures = Signatures()
        self._groups: dict[bytes, int] = {}
        self._group_of: list[int] = []  # of each signature
        self._signed: dict[bytes, int] = {}  # excerpt -> the number of the first example with it
        self._first_of: list[int] = []  # of each example, the number of the first with the same excerpt

    def add(self, example: Example) -> None:
        """Look at one more example."""
        group = b"" if self._by is GroupBy.NONE else group_key(example, self._by)
        excerpt = hashlib.blake2b(example.cursor_position.encode(), key=group, digest_size=16).digest()
        number = len(self._first_of)
        first = self._signed.setdefault(excerpt, number)
        self._first_of.append(first)
        if first == number:
            self._signatures.add(self._signer.signature(example.cursor_position))
            self._group_of.append(self._groups.setdefault(group, len(self._groups)))

    def choice(self, max_of_cluster: int = 1) -> Choice:
        """What to keep: at most so many of each cluster."""
        table = self._signatures.table()
        labels = clusters(table, self._threshold, self._group_of)
        numbers = np.flatnonzero(np.fromiter(_own(self._first_of), np.bool_, len(self._first_of)))  # of each signature
        fates = [Fate.EXACT] * len(self._first_of)
        for members in _members(labels):
            chosen = set(most_different(table[members], max_of_cluster))
            for position, member in enumerate(members):
                fates[numbers[member]] = Fate.KEPT if position in chosen else Fate.NEAR
        first_of = np.asarray(self._first_of, np.int64)
        row_of = np.searchsorted(numbers, first_of)  # of each example, the number of its signature
        return Choice(tuple(fates), numbers[labels[row_of]] if len(first_of) else first_of)


def _own(first_of: list[int]) -> Iterator[bool]:
    return (first == number for number, first in enumerate(first_of))


def _members(labels: Labels) -> list[Labels]:
    """The members of each cluster, in ascending order."""
    order = np.argsort(labels, kind="stable")
    edges = np.flatnonzero(np.diff(labels[order])) + 1
    return np.split(order, edges) if len(order) else []
