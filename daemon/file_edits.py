"""Which of the edits that a model makes to several files a surface of one document can show.

That is the edit of the cursor's file nearest to the cursor whose old text still stands where it says. Knows
nothing of sessions or clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.editing.positions import Range
    from capture.inputs import PredictionInputs
    from daemon.prompts.base import FileEdit


class Text(Protocol):
    """What is asked of the text of one version: a ``Document`` as it is now, or a frozen one."""

    @property
    def version(self) -> int:
        """The version that has this text."""
        ...

    @property
    def row_count(self) -> int:
        """Number of rows, at least 1."""
        ...

    @property
    def line_ending(self) -> str:
        """The terminator of the first row."""
        ...

    def line(self, row: int) -> str:
        """Text of a row without its terminator."""
        ...

    def text_in(self, where: Range) -> str:
        """The text of a range."""
        ...


@dataclass(frozen=True, slots=True)
class RowsRewritten:
    r"""A stretch of a document and what becomes of its end.

    ``text`` is the document's from ``first_row`` on, with ``\n`` as line end: perhaps a row that stays, and
    from ``start_bytes`` on ``old_text``, for which ``new_text`` is written. ``cursor_bytes`` is the cursor, or
    the end of the text that is nearer to it.
    """

    first_row: int
    text: bytes
    start_bytes: int
    old_text: str
    new_text: str
    cursor_bytes: int


def nearest_rewrite(inputs: PredictionInputs, edits: Sequence[FileEdit], document: Text) -> RowsRewritten | str:
    """What can be shown of the edits, or a sentence that says why nothing can."""
    own = [edit for edit in edits if edit.path == inputs.cursor_path]
    if not own:
        return "the model predicts an edit in another file; this surface cannot show it"  # reasons name no files
    row, column = _cursor(inputs)
    rewrites = [(_rows_between(row, edit), _rewrite(edit, document, row, column)) for edit in own]
    held = [(distance, rewrite) for distance, rewrite in rewrites if rewrite is not None]
    if not held:
        return "the model edits text that does not stand in the document any more"
    return min(held, key=lambda pair: pair[0])[1]


def _cursor(inputs: PredictionInputs) -> tuple[int, int]:
    """Row of the document and column in bytes."""
    before = inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt]
    return (inputs.excerpt_start_row or 0) + before.count(b"\n"), len(before) - (before.rfind(b"\n") + 1)


def _rows_between(row: int, edit: FileEdit) -> int:
    return max(edit.rows.start - row, row - max(edit.rows.end - 1, edit.rows.start), 0)


def _rewrite(edit: FileEdit, document: Text, cursor_row: int, cursor_column: int) -> RowsRewritten | None:
    """The edit as a change of the document, None where its old text is not there."""
    first, end, count = edit.rows.start, edit.rows.end, document.row_count
    if not 0 <= first <= end <= count:
        return None
    before = _text(document, first - 1, first) if first else ""
    old, new = _text(document, first, end), edit.new_text
    at_open_end = first < end == count  # no line end closes the last row
    if edit.old_text not in (old, old + "\n" if at_open_end else old.removesuffix("\n")):
        return None
    if first == count:
        new = "\n" + new.removesuffix("\n")
    elif at_open_end and edit.old_text != old:
        new = new.removesuffix("\n")
        if before and not edit.new_text:  # the last rows go, and the line end before them with them
            before, old = before.removesuffix("\n"), "\n" + old
    elif edit.old_text != old:
        new += "\n"
    text, first_row = (before + old).encode(), max(0, first - 1)
    if cursor_row < first_row:
        cursor = 0
    elif cursor_row >= end:
        cursor = len(text)
    else:
        passed = text.split(b"\n")[: cursor_row - first_row]
        cursor = min(sum(len(line) + 1 for line in passed) + cursor_column, len(text))
    return RowsRewritten(first_row, text, len(before.encode()), old, new, cursor)


def _text(document: Text, start_row: int, end_row: int) -> str:
    r"""The rows with ``\n`` as line end; the document's last row has none."""
    text = "".join(document.line(row) + "\n" for row in range(start_row, end_row))
    return text.removesuffix("\n") if end_row == document.row_count and start_row < end_row else text
