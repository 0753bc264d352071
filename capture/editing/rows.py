"""The rows of one text, in blocks, so that replacing a row and finding a byte offset stay cheap in any file.

Every block knows its length in rows and bytes; a keystroke touches one block, an offset adds up the blocks
before it. Knows nothing of positions, versions or edits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture.editing.positions import content_of, utf8_length

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK_ROWS = 128  # a full block; blocks are cut at twice and joined at a quarter of this


class RowTable:
    """Rows with their terminators. Row and byte arguments must lie inside the text."""

    def __init__(self, rows: Sequence[str]) -> None:
        self._blocks = _blocks_of(rows)
        self.row_count = len(rows)
        self.length_bytes = sum(block.length_bytes for block in self._blocks)

    def row(self, row: int) -> str:
        """One row, terminator included."""
        index, first_row, _ = self._block_of_row(row)
        return self._blocks[index].rows[row - first_row]

    def rows(self, start_row: int, end_row: int) -> list[str]:
        """Rows from ``start_row`` up to, not including, ``end_row``."""
        found: list[str] = []
        if start_row >= end_row:
            return found
        index, first_row, _ = self._block_of_row(start_row)
        while len(found) < end_row - start_row:
            rows = self._blocks[index].rows
            at = start_row + len(found) - first_row
            found += rows[at : end_row - first_row]
            first_row += len(rows)
            index += 1
        return found

    @property
    def longest_row_characters(self) -> int:
        """Length of the longest row without its terminator; looks only at blocks that changed."""
        return max(block.facts[0] for block in self._blocks)

    @property
    def has_nul(self) -> bool:
        """Whether a NUL character is anywhere; looks only at blocks that changed."""
        return any(block.facts[1] for block in self._blocks)

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks:
            yield from block.rows

    def start_bytes(self, row: int) -> int:
        """Absolute byte offset of the start of ``row``."""
        index, first_row, first_byte = self._block_of_row(row)
        return first_byte + sum(map(utf8_length, self._blocks[index].rows[: row - first_row]))

    def row_at_byte(self, offset_bytes: int) -> tuple[int, int]:
        """The row an absolute byte offset lies in, and the offset's bytes from that row's start."""
        first_row = first_byte = 0
        for block in self._blocks:
            if offset_bytes < first_byte + block.length_bytes:
                for index, row in enumerate(block.rows):
                    length_bytes = utf8_length(row)
                    if offset_bytes < first_byte + length_bytes:
                        return first_row + index, offset_bytes - first_byte
                    first_byte += length_bytes
            first_row += len(block.rows)
            first_byte += block.length_bytes
        last = self.row_count - 1
        return last, offset_bytes - self.start_bytes(last)

    def replace(self, start_row: int, end_row: int, rows: Sequence[str]) -> None:
        """Put ``rows`` in place of the rows ``start_row`` (included) to ``end_row`` (not included)."""
        first, first_row, _ = self._block_of_row(start_row)
        last, last_row, _ = self._block_of_row(max(start_row, end_row - 1))
        block = self._blocks[first]
        if first == last and BLOCK_ROWS // 4 <= len(block.rows) + len(rows) - (end_row - start_row) <= 2 * BLOCK_ROWS:
            grown_bytes = block.replace(start_row - first_row, end_row - first_row, rows)
        else:
            grown_bytes = self._rebuild(first, last + 1, start_row - first_row, end_row - last_row, rows)
        self.row_count += len(rows) - (end_row - start_row)
        self.length_bytes += grown_bytes

    def _rebuild(self, first: int, end: int, head_rows: int, tail_from: int, rows: Sequence[str]) -> int:
        """Cut the blocks ``first`` to ``end`` anew, the following one too where the result would be small."""
        merged = [*self._blocks[first].rows[:head_rows], *rows, *self._blocks[end - 1].rows[tail_from:]]
        if len(merged) < BLOCK_ROWS // 2 and end < len(self._blocks):
            merged += self._blocks[end].rows
            end += 1
        blocks = _blocks_of(merged)
        old_bytes = sum(block.length_bytes for block in self._blocks[first:end])
        self._blocks[first:end] = blocks
        return sum(block.length_bytes for block in blocks) - old_bytes

    def _block_of_row(self, row: int) -> tuple[int, int, int]:
        """Index of the block that holds ``row``, its first row and its first byte."""
        first_row = first_byte = 0
        for index, block in enumerate(self._blocks):
            rows = len(block.rows)
            if row < first_row + rows:
                return index, first_row, first_byte
            first_row += rows
            first_byte += block.length_bytes
        raise IndexError(f"row {row} of {self.row_count}")


class _Block:
    __slots__ = ("_facts", "length_bytes", "rows")

    def __init__(self, rows: list[str]) -> None:
        self.rows = rows
        self.length_bytes = sum(map(utf8_length, rows))
        self._facts: tuple[int, bool] | None = None

    @property
    def facts(self) -> tuple[int, bool]:
        """Characters of the longest row, and whether there is a NUL."""
        if self._facts is None:
            longest = max(map(len, self.rows))
            # A terminator has two characters at most, so the longest row is among these.
            contents = (content_of(row) for row in self.rows if len(row) >= longest - 2)
            self._facts = (max(map(len, contents)), "\0" in "".join(self.rows))
        return self._facts

    def replace(self, start: int, end: int, rows: Sequence[str]) -> int:
        """Replace rows of this block; returns by how many bytes it grew."""
        grown_bytes = sum(map(utf8_length, rows)) - sum(map(utf8_length, self.rows[start:end]))
        self.rows[start:end] = rows
        self.length_bytes += grown_bytes
        self._facts = None
        return grown_bytes


def _blocks_of(rows: Sequence[str]) -> list[_Block]:
    return [_Block(list(rows[at : at + BLOCK_ROWS])) for at in range(0, len(rows), BLOCK_ROWS)]
