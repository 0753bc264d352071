"""Longest common subsequences: which items stay, and how many.

The table of the textbook method is kept as one bit row per item (Hyyrö 2004, "Bit-parallel LCS-length computation
revisited"), which Python's long integers do fast. Among several longest subsequences the choice is that of
Zed's kept rate: common ends first, then from the end backwards, an item is given up as long as that costs
nothing. So the choice depends on whose items these are; one table answers for both sides. Knows nothing of what the
items are.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    table = _table(items[prefix : len(items) - suffix], other[prefix : len(other) - suffix])
    return [True] * prefix + _kept_rows(table) + [True] * suffix


def kept_masks(first: Sequence[str], second: Sequence[str]) -> tuple[list[bool], list[bool]]:
    """`kept_mask` of ``first`` with ``second``, and of ``second`` with ``first``: two choices, not one alignment."""
    prefix, suffix = common_ends(first, second)
    table = _table(first[prefix : len(first) - suffix], second[prefix : len(second) - suffix])
    head, tail = [True] * prefix, [True] * suffix
    return head + _kept_rows(table) + tail, head + _kept_columns(table) + tail


@dataclass(frozen=True, slots=True)
class _Table:
    """The lengths of the longest common subsequences of all beginnings, as numbers with a bit per row.

    In the column's number in ``equal`` a bit is set where the row's item is the column's. ``flat`` has an entry for
    before the first column, and one for after each: a bit is set where the row's item adds nothing to the length.
    """

    row_items: Sequence[str]
    column_items: Sequence[str]
    equal: list[int]
    flat: list[int]


def _table(row_items: Sequence[str], column_items: Sequence[str]) -> _Table:
    places: dict[str, int] = {}
    bit = 1
    for item in row_items:
        places[item] = places.get(item, 0) | bit
        bit <<= 1
    every_bit = column = bit - 1
    equal = [places.get(item, 0) for item in column_items]
    flat = [column]
    for matches in equal:
        if matches:
            rising = column & matches
            column = (column + rising | column ^ rising) & every_bit
        flat.append(column)
    return _Table(row_items, column_items, equal, flat)


def _kept_rows(table: _Table) -> list[bool]:
    """Walk back from the last row and column.

    What is equal is kept. Else the row is given up if it is flat, or the column: so all rows at once, down to one that
    is equal or not flat.
    """
    items = table.row_items
    kept = [False] * len(items)
    row = len(items)
    for item, equal, flat in zip(table.column_items[::-1], table.equal[::-1], table.flat[:0:-1], strict=True):
        if not row:
            break
        if items[row - 1] != item:
            rows = (1 << row) - 1
            row = (rows & equal | rows ^ rows & flat).bit_length()
            if not row or items[row - 1] != item:
                continue
        row -= 1
        kept[row] = True
    return kept


def _kept_columns(table: _Table) -> list[bool]:
    """The same walk with the sides changed: what is not equal gives up the column if it adds nothing, or the row.

    A column adds to the length in an equal row that was flat before it, and in the flat rows that follow on that one.
    So where an equal row is the next that is not merely flat, and was flat itself, the rows down to it are given up,
    and it is kept; else the column is given up.
    """
    items = table.row_items
    kept = [False] * len(table.column_items)
    row, column = len(items), len(kept)
    for item, equal, flat_before in zip(table.column_items[::-1], table.equal[::-1], table.flat[-2::-1], strict=True):
        if not row:
            break
        column -= 1
        if items[row - 1] != item:
            rows = (1 << row) - 1
            flat = rows & flat_before
            rising = flat & equal
            if rising <= rows ^ flat:  # the greater of two numbers without a common bit has the highest one
                continue
            row = rising.bit_length()
        row -= 1
        kept[column] = True
    return kept
