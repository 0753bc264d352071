"""Longest common subsequences: which items stay, and how many.

The table of the textbook method is kept as one bit row per item (Hyyrö 2004, "Bit-parallel LCS-length computation
revisited"), which Python's long integers do fast. Among several longest subsequences the choice is that of
Zed's kept rate: common ends first, then from the end backwards, an item is given up as long as that costs
nothing. Knows nothing of what the items are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapidfuzz.distance import LCSseq

if TYPE_CHECKING:
    from collections.abc import Sequence


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of a longest common subsequence."""
    return LCSseq.similarity(first, second)


def common_prefix(first: Sequence[str], second: Sequence[str]) -> int:
    """How many leading items two sequences share; bisected, so that long equal beginnings cost little."""
    known, limit = 0, min(len(first), len(second))
    while known < limit:
        middle = (known + limit + 1) // 2
        if first[known:middle] == second[known:middle]:
            known = middle
        else:
            limit = middle - 1
    return known


def common_ends(first: Sequence[str], second: Sequence[str]) -> tuple[int, int]:
    """How many leading items two sequences share, and how many trailing ones of the rest."""
    prefix = common_prefix(first, second)
    longest_suffix = min(len(first), len(second)) - prefix
    return prefix, min(longest_suffix, common_prefix(first[::-1], second[::-1]))


def kept_mask(items: Sequence[str], other: Sequence[str]) -> list[bool]:
    """For each of ``items`` whether it belongs to the chosen longest common subsequence with ``other``."""
    prefix, suffix = common_ends(items, other)
    inner = _inner_mask(items[prefix : len(items) - suffix], other[prefix : len(other) - suffix])
    return [True] * prefix + inner + [True] * suffix


def _inner_mask(items: Sequence[str], other: Sequence[str]) -> list[bool]:
    kept = [False] * len(items)
    columns = _columns(items, other)
    row, column = len(items), len(other)
    while row and column:
        if items[row - 1] == other[column - 1]:
            row, column = row - 1, column - 1
            kept[row] = True
        elif (columns[column - 1] >> (row - 1)) & 1:
            row -= 1
        else:
            column -= 1
    return kept


def _columns(items: Sequence[str], other: Sequence[str]) -> list[int]:
    """For each item of ``other`` a bit per item of ``items``: set where it adds nothing to the length so far."""
    places: dict[str, int] = {}
    for index, item in enumerate(items):
        places[item] = places.get(item, 0) | (1 << index)
    every_bit = (1 << len(items)) - 1
    column = every_bit
    columns: list[int] = []
    for item in other:
        matches = column & places.get(item, 0)
        column = ((column + matches) | (column - matches)) & every_bit
        columns.append(column)
    return columns
