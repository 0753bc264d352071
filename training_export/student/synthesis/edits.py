"""Edits of a text by character offset: applied together, and followed by a place in the text.

Everything a task changes is said in offsets of one text, the file as it was before anybody touched it, so that any
part of the changes can be made in any order. Knows nothing of languages or of moments.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from training_export.student.synthesis.moment import Place


class EditsOverlap(ValueError):
    """Two edits in one place, as of a call within a call of the same function: a file may offer that."""


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Characters ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """``text`` with all edits made; what two of them delete is gone once.

    Raises EditsOverlap where two others touch the same characters, ValueError for one that leaves the text.
    """
    parts: list[str] = []
    position = 0
    for edit in sorted(edits):
        if not 0 <= edit.start <= edit.end <= len(text):
            raise ValueError(f"an edit leaves the text: {edit.start} to {edit.end} of {len(text)} characters")
        if edit.start < position and edit.text:
            raise EditsOverlap(f"two edits at character {edit.start}")
        parts += [text[position : edit.start], edit.text]
        position = max(position, edit.end)
    return "".join(parts) + text[position:]


def offset_after(offset: int, edits: Iterable[Edit]) -> int:
    """Where a place of the old text stands once the edits are made: behind what was inserted at it."""
    moved = offset
    for edit in edits:
        if edit.end <= offset:
            moved += len(edit.text) - (edit.end - edit.start)
        elif edit.start < offset:
            moved += len(edit.text) - (offset - edit.start)
    return moved


class Rows:
    """Where the rows of a text start, in characters."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.starts = [0, *accumulate(len(line) + 1 for line in self.lines)][:-1]

    def row_of(self, offset: int) -> int:
        """The row of an offset."""
        return bisect_right(self.starts, offset) - 1

    def place(self, offset: int) -> Place:
        """Row and column of an offset."""
        row = self.row_of(offset)
        return Place(row, offset - self.starts[row])

    def offset(self, row: int, column: int) -> int:
        """The offset of a row's column."""
        return self.starts[row] + column

    def end_of(self, row: int) -> int:
        """The offset of a row's end, in front of its newline."""
        return self.starts[row] + len(self.lines[row])


def place_at(text: str, offset: int) -> Place:
    """Row and column of an offset, for one that is asked for once."""
    row = text.count("\n", 0, offset)
    return Place(row, offset - (text.rfind("\n", 0, offset) + 1))


def without_rows(rows: Rows, first: int, end: int) -> Edit:
    """Deletes whole rows, ``end`` exclusive, with the newline behind them (before them at the text's end)."""
    if end < len(rows.starts):
        return Edit(rows.starts[first], rows.starts[end], "")
    return Edit(max(0, rows.starts[first] - 1), rows.end_of(len(rows.starts) - 1), "")
