"""A sample of examples: each has a number from a seed and its moment, and those with the smallest numbers are taken.

So the same examples are taken wherever they stand, whatever stages have added to them, and however many others come or
go (as far as the count allows). Knows no files.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from enum import Enum
from typing import Final

from training_export.example import Example
from training_export.selecting.filtering import language
from training_export.selecting.grouping import repository_of
from training_export.stage import ours

_LARGEST: Final = 2**64


class Per(Enum):
    """Of what each kind a sample is drawn; the values are those of ``--per``."""

    ALL = "all"
    REPOSITORY = "repository"
    PATH = "path"
    LANGUAGE = "language"
    OUTCOME = "outcome"
    CLASS = "class"


_GROUPS: Final[dict[Per, Callable[[Example], str]]] = {
    Per.ALL: lambda _: "",
    Per.REPOSITORY: repository_of,
    Per.PATH: lambda example: f"{repository_of(example)}\0{example.cursor_path}",
    Per.LANGUAGE: language,
    Per.OUTCOME: lambda example: str((ours(example, "snapshot") or {}).get("outcome", "")),
    Per.CLASS: lambda example: str((ours(example, "settle") or {}).get("class", "")),
}


def draw(example: Example, seed: int) -> int:
    """The example's number, below 2**64: it depends on the seed and the moment alone, not on what stages found."""
    parts = (
        str(seed), example.name, repository_of(example), example.revision, example.cursor_path,
        example.cursor_position, example.edit_history,
    )  # fmt: skip
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest())


def is_in_fraction(example: Example, seed: int, fraction: float) -> bool:
    """Whether it is in a sample of about this part of all."""
    return draw(example, seed) < fraction * _LARGEST


class Smallest:
    """The ``count`` examples with the smallest numbers in each group. Memory grows with what is taken, not seen."""

    def __init__(self, count: int, seed: int, per: Per = Per.ALL) -> None:
        self._count = count
        self._seed = seed
        self._group_of = _GROUPS[per]
        self._heaps: dict[str, list[tuple[int, int]]] = {}  # the largest on top: numbers and places are negative

    def add(self, place: int, example: Example) -> None:
        """Equal examples are told apart by their place: the first is taken first."""
        heap = self._heaps.setdefault(self._group_of(example), [])
        item = (-draw(example, self._seed), -place)
        if len(heap) < self._count:
            heapq.heappush(heap, item)
        else:
            heapq.heappushpop(heap, item)

    @property
    def places(self) -> frozenset[int]:
        """Where those that are taken stand."""
        return frozenset(-place for heap in self._heaps.values() for _, place in heap)

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return len(self._heaps)
