"""One open text as an editor describes it through LSP: rows, positions, versions, edits, anchors.

An edit costs in proportion to what it changes, not to the file. Positions are clamped as the specification
says: beyond the end of a line means before its terminator, beyond the last line means the end of the text.
A byte offset is absolute and in UTF-8; a byte column counts from the start of its row. Knows nothing of the
protocol's messages, of history or of models.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from weakref import WeakSet

from capture.editing.positions import (
    ContentChange,
    Position,
    Range,
    common_prefix,
    content_of,
    encodable,
    index_at_utf8,
    index_at_utf16,
    split_rows,
    utf8_length,
    utf16_length,
)
from capture.editing.rows import RowTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from capture.inputs import Span


class SyncState(Enum):
    """Whether our text is known to be the editor's."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"  # a version went backwards; edits are not applied until a full text comes


class Bias(Enum):
    """Which side of text inserted exactly at an anchor the anchor keeps to."""

    LEFT = "left"
    RIGHT = "right"


class Anchor:
    """A place that moves with the text around it. Lives as long as somebody holds it."""

    __slots__ = ("__weakref__", "_bias", "_offset_bytes")

    def __init__(self, offset_bytes: int, bias: Bias) -> None:
        self._offset_bytes = offset_bytes
        self._bias = bias

    @property
    def offset_bytes(self) -> int:
        """Where the anchor is now."""
        return self._offset_bytes

    def _follow(self, start: int, old_end: int, new_end: int) -> None:
        """The bytes ``start`` to ``old_end`` were replaced by ``start`` to ``new_end``.

        The ends of replaced text are places of their own; the bias decides inside it and where text is
        inserted exactly at the anchor.
        """
        at = self._offset_bytes
        if start < at < old_end or at == start == old_end:
            self._offset_bytes = start if self._bias is Bias.LEFT else new_end
        elif at >= old_end and at > start:
            self._offset_bytes = at + new_end - old_end


@dataclass(frozen=True, slots=True)
class AppliedEdit:
    """What one change did: ``old_rows`` from ``start_row`` on became ``new_row_count`` rows.

    Both are at least one row. Inside them ``old_bytes`` from ``start_bytes`` on became ``new_bytes``.
    """

    start_row: int
    old_rows: tuple[str, ...]
    new_row_count: int
    start_bytes: int
    old_bytes: int
    new_bytes: int

    @property
    def old_end_row(self) -> int:
        """End (exclusive) of the replaced rows, counted before the edit."""
        return self.start_row + len(self.old_rows)

    @property
    def new_end_row(self) -> int:
        """End (exclusive) of the rows that replaced them, counted after the edit."""
        return self.start_row + self.new_row_count

    @property
    def row_delta(self) -> int:
        """By how many rows everything below moved."""
        return self.new_row_count - len(self.old_rows)


class Document:
    """The text of one open file. Not thread-safe; owned by one session."""

    def __init__(self, text: str, *, version: int = 0) -> None:
        self._table = RowTable(split_rows(encodable(text)))
        self._text: str | None = None
        self._anchors: WeakSet[Anchor] = WeakSet()
        self.version = version
        self.sync_state = SyncState.SYNCED

    @property
    def text(self) -> str:
        """The whole text; costs in proportion to the file once after each edit."""
        if self._text is None:
            self._text = "".join(self._table)
        return self._text

    @property
    def row_count(self) -> int:
        """Number of rows, at least 1; an empty row follows a final terminator."""
        return self._table.row_count

    @property
    def length_bytes(self) -> int:
        """Length of the whole text."""
        return self._table.length_bytes

    @property
    def longest_line_characters(self) -> int:
        """Characters of the longest line, its terminator not counted."""
        return self._table.longest_row_characters

    @property
    def has_nul(self) -> bool:
        """Whether the text contains a NUL character."""
        return self._table.has_nul

    @property
    def line_ending(self) -> str:
        r"""The terminator of the first row, ``\n`` where there is only one row."""
        first = self._table.row(0)
        return first[len(content_of(first)) :] or "\n"

    def line(self, row: int) -> str:
        """Text of a row without its terminator."""
        return content_of(self._table.row(row))

    def rows(self, start_row: int, end_row: int) -> list[str]:
        """Rows with their terminators, ``end_row`` excluded; both clamped to the text."""
        return self._table.rows(max(0, start_row), min(end_row, self.row_count))

    def text_of_rows(self, rows: Span) -> str:
        """Text of the rows from ``rows.start`` up to, not including, ``rows.end``, terminators included."""
        return "".join(self.rows(rows.start, rows.end))

    def text_in(self, where: Range) -> str:
        """The text of a range."""
        start, end = sorted((self._locate(where.start), self._locate(where.end)))
        rows = self._table.rows(start[0], end[0] + 1)
        rows[-1] = rows[-1][: end[1]]
        rows[0] = rows[0][start[1] :]
        return "".join(rows)

    def clamp(self, position: Position) -> Position:
        """The position the specification means by ``position``."""
        row, index = self._locate(position)
        return Position(row, utf16_length(self._table.row(row)[:index]))

    def row_and_column(self, position: Position) -> tuple[int, int]:
        """Row and byte column of a position."""
        row, index = self._locate(position)
        return row, utf8_length(self._table.row(row)[:index])

    def offset_bytes(self, position: Position) -> int:
        """Absolute byte offset of a position."""
        row, column_bytes = self.row_and_column(position)
        return self._table.start_bytes(row) + column_bytes

    def row_start_bytes(self, row: int) -> int:
        """Absolute byte offset of the start of a row; the row after the last one starts at the text's end."""
        return self.length_bytes if row >= self.row_count else self._table.start_bytes(row)

    def position(self, row: int, column_bytes: int) -> Position:
        """Position of a byte column; clamped to the row's content, inside a character: before it."""
        if row >= self.row_count:
            return self.end
        line = self.line(max(0, row))
        return Position(max(0, row), utf16_length(line[: index_at_utf8(line, column_bytes)]))

    def position_at(self, offset_bytes: int) -> Position:
        """Position of an absolute byte offset, clamped to the text."""
        return self.position(*self._table.row_at_byte(max(0, min(offset_bytes, self.length_bytes))))

    @property
    def end(self) -> Position:
        """The position after the last character."""
        last = self.row_count - 1
        return Position(last, utf16_length(self._table.row(last)))

    def anchor(self, position: Position, bias: Bias) -> Anchor:
        """A place that survives edits; read it back with ``position_at(anchor.offset_bytes)``."""
        anchor = Anchor(self.offset_bytes(position), bias)
        self._anchors.add(anchor)
        return anchor

    def change(
        self,
        version: int | None,
        changes: Iterable[ContentChange],
        on_edit: Callable[[AppliedEdit], None] | None = None,
    ) -> list[AppliedEdit]:
        """Apply one notification's changes in order; ``on_edit`` sees the text right after each of them.

        A version that does not rise makes the document unsynced: what cannot be trusted is not applied until
        a full text comes. Numbers may be skipped: Neovim sends its change counter. None counts as the next.
        """
        if version is not None and version <= self.version:
            self.sync_state = SyncState.UNSYNCED
        self.version = self.version + 1 if version is None else version
        applied: list[AppliedEdit] = []
        for change in changes:
            if change.range is None:
                self.sync_state = SyncState.SYNCED
            elif self.sync_state is SyncState.UNSYNCED:
                continue
            edit = self.apply(change)
            if edit is not None:
                applied.append(edit)
                if on_edit is not None:
                    on_edit(edit)
        return applied

    def apply(self, change: ContentChange) -> AppliedEdit | None:
        """Apply one change whatever its version; None when the text stays as it is."""
        text = encodable(change.text)
        if change.range is None:
            return self._replace_all(split_rows(text))
        (row, index), (last_row, last_index) = sorted(
            (self._locate(change.range.start), self._locate(change.range.end))
        )
        old_rows = self._table.rows(row, last_row + 1)
        head, tail = old_rows[0][:index], old_rows[-1][last_index:]
        start_bytes = self._table.start_bytes(row) + utf8_length(head)
        old_bytes = sum(map(utf8_length, old_rows)) - utf8_length(head) - utf8_length(tail)
        replaced = head + text + tail
        if row > 0 and replaced.startswith("\n"):
            above = self._table.row(row - 1)
            if above.endswith("\r"):  # the two become one terminator, so the row above is rewritten too
                row -= 1
                old_rows.insert(0, above)
                replaced = above + replaced
        new_rows = split_rows(replaced)
        if last_row + 1 < self.row_count:
            new_rows.pop()  # the empty rest after the terminator
        if new_rows == old_rows:
            return None
        edit = AppliedEdit(row, tuple(old_rows), len(new_rows), start_bytes, old_bytes, utf8_length(text))
        self._commit(edit, new_rows)
        return edit

    @contextmanager
    def supposing(self, change: ContentChange) -> Iterator[AppliedEdit | None]:
        """The text as ``change`` would make it, as long as the context lasts; afterwards all is as it was.

        Nothing else may change the text meanwhile. The version stays.
        """
        text, anchors = self._text, [(anchor, anchor.offset_bytes) for anchor in self._anchors]
        edit = self.apply(change)
        try:
            yield edit
        finally:
            if edit is not None:
                self._table.replace(edit.start_row, edit.new_end_row, edit.old_rows)
                for (
                    anchor,
                    offset_bytes,
                ) in anchors:  # moving them back would not: what lay in deleted text fell together
                    anchor._offset_bytes = offset_bytes  # noqa: SLF001  only its document moves an anchor
            self._text = text

    def _replace_all(self, new_rows: list[str]) -> AppliedEdit | None:
        """Take a full text as the edit between the first and the last row that differ."""
        old_rows = list(self._table)
        if old_rows == new_rows:
            return None
        shorter = min(len(old_rows), len(new_rows))
        top = next((row for row in range(shorter) if old_rows[row] != new_rows[row]), shorter)
        bottom = 0
        while bottom < shorter - top and old_rows[-1 - bottom] == new_rows[-1 - bottom]:
            bottom += 1
        if top + bottom == shorter:  # one side would be empty
            top, bottom = (top - 1, bottom) if top else (top, bottom - 1)
        old, new = old_rows[top : len(old_rows) - bottom], new_rows[top : len(new_rows) - bottom]
        old_text, new_text = "".join(old), "".join(new)
        prefix = common_prefix(old[0], new[0])
        longest = min(len(old_text), len(new_text)) - prefix
        suffix = min(longest, common_prefix(old[-1][::-1], new[-1][::-1]))
        edit = AppliedEdit(
            start_row=top,
            old_rows=tuple(old),
            new_row_count=len(new),
            start_bytes=self._table.start_bytes(top) + utf8_length(old_text[:prefix]),
            old_bytes=utf8_length(old_text[prefix : len(old_text) - suffix]),
            new_bytes=utf8_length(new_text[prefix : len(new_text) - suffix]),
        )
        self._commit(edit, new)
        return edit

    def _commit(self, edit: AppliedEdit, new_rows: list[str]) -> None:
        self._table.replace(edit.start_row, edit.old_end_row, new_rows)
        self._text = None
        for anchor in self._anchors:
            anchor._follow(  # noqa: SLF001  only its document moves an anchor
                edit.start_bytes, edit.start_bytes + edit.old_bytes, edit.start_bytes + edit.new_bytes
            )

    def _locate(self, position: Position) -> tuple[int, int]:
        """Row and string index in it, both clamped."""
        if position.line >= self.row_count:
            last = self.row_count - 1
            return last, len(self._table.row(last))
        row = max(0, position.line)
        return row, index_at_utf16(self.line(row), position.character_utf16 if position.line >= 0 else 0)
