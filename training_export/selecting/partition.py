"""Which share each example of a stream goes to, so that neither a group nor a cluster of near-duplicates is divided.

Sees examples once, in order, and remembers a signature of each. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training_export.example import Example
from training_export.selecting.duplicates import SAME_PART
from training_export.selecting.grouping import GroupBy, group_key
from training_export.selecting.near_duplicates import Joined, Labels, clusters
from training_export.selecting.shares import Group, Share, assign, wanted_sizes
from training_export.selecting.signatures import Signatures, Signer


@dataclass(frozen=True, slots=True)
class Partition:
    """``share_of`` is parallel to the examples; sizes are counts of examples, ``wanted`` and ``sizes`` of each share.

    ``leaks`` are the clusters of near-duplicates that lie in several shares, as numbers of examples; ``joined_groups``
    counts the groups that near-duplicates joined with others.
    """

    share_of: Labels
    wanted: tuple[float, ...]
    sizes: tuple[int, ...]
    group_count: int
    joined_groups: int
    largest_group: int
    leaks: tuple[tuple[int, ...], ...]


class Splitter:
    """Takes examples in order, then splits."""

    def __init__(self, *, by: GroupBy, threshold: float = SAME_PART, joins_near_duplicates: bool = True) -> None:
        self._by = by
        self._threshold = threshold
        self._joins = joins_near_duplicates
        self._signer = Signer()
        self._signatures = Signatures()
        self._names: list[bytes] = []  # of each group
        self._numbers: dict[bytes, int] = {}
        self._group_of: list[int] = []  # of each example

    def add(self, example: Example) -> None:
        """Look at one more example."""
        name = group_key(example, self._by)
        number = self._numbers.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        self._group_of.append(number)
        self._signatures.add(self._signer.signature(example.cursor_position))

    def partition(self, shares: Sequence[Share], seed: int) -> Partition:
        """The split; raises BadArgument where the shares ask for more than there is."""
        wanted = wanted_sizes(shares, len(self._group_of))
        near = clusters(self._signatures.table(), self._threshold)
        groups = np.asarray(self._group_of, np.int64)
        joined = Joined(len(self._names))
        if self._joins:
            for number in np.flatnonzero(near != np.arange(len(near))):
                joined.join(int(groups[number]), int(groups[near[number]]))
        roots, root_of, sizes = np.unique(joined.labels()[groups], return_inverse=True, return_counts=True)
        names = self._smallest_names(joined.labels())
        made = [Group(names[int(root)], int(size)) for root, size in zip(roots, sizes, strict=True)]
        share_of = np.asarray(assign(made, wanted, seed), np.int64)[root_of]
        return Partition(
            share_of=share_of,
            wanted=tuple(wanted),
            sizes=tuple(int((share_of == number).sum()) for number in range(len(shares))),
            group_count=len(made),
            joined_groups=len(self._names) - len(made),
            largest_group=int(sizes.max(initial=0)),
            leaks=_leaks(near, share_of),
        )

    def _smallest_names(self, labels: Labels) -> dict[int, bytes]:
        """The name by which joined groups go: whatever the order of the examples, and mostly when some are added."""
        smallest: dict[int, bytes] = {}
        for number, root in enumerate(labels.tolist()):
            smallest[root] = min(smallest.get(root, self._names[number]), self._names[number])
        return smallest


def _leaks(near: Labels, share_of: Labels) -> tuple[tuple[int, ...], ...]:
    pairs = np.unique(np.stack([near, share_of], axis=1), axis=0)
    firsts, counts = np.unique(pairs[:, 0], return_counts=True)
    return tuple(tuple(np.flatnonzero(near == first).tolist()) for first in firsts[counts > 1])
