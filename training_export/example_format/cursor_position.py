"""An excerpt with the cursor in it, as ``cursor_position`` of an example holds it.

Three forms are read (Zed's `example_spec.rs` at 09adbb01): ``<|user_cursor|>`` in the text; a comment line
below the cursor's line with ``^[CURSOR_POSITION]``, whose caret stands in the cursor's byte column; and one
with ``<[CURSOR_POSITION]``, where the cursor is at the column of the comment's first character. A fourth,
``[CURSOR_POSITION]`` in the text, is what Zed's telemetry import writes and Zed itself cannot read. Columns
and offsets are UTF-8 bytes. Knows nothing of files or examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from capture.editing.unified_diff import CURSOR_MARKER
from daemon.prompts.zed.markers import RUST_WHITESPACE

COMMENT_MARKER: Final = "[CURSOR_POSITION]"
_MARKER: Final = COMMENT_MARKER.encode()


class CursorUnreadable(ValueError):
    """The cursor cannot be told from the text, or the text cannot be written so that it can."""


class CursorForm(Enum):
    """How the cursor was marked."""

    INLINE = "inline"
    COMMENT = "comment"
    IMPORTED = "imported"  # Zed cannot read this one


@dataclass(frozen=True, slots=True)
class CursorExcerpt:
    """The text without its marker, and where the cursor is in it."""

    text: str
    offset_bytes: int
    form: CursorForm


def read_cursor_position(marked: str) -> CursorExcerpt:
    r"""Text and cursor. The comment forms lose the newlines at the end of the text, as they do in Zed.

    Raises CursorUnreadable where the marker is missing or there twice, or points to where no cursor can be.
    """
    if CURSOR_MARKER in marked:
        if marked.count(CURSOR_MARKER) > 1:
            raise CursorUnreadable(f"holds {CURSOR_MARKER} more than once; all but the first would stay in the text")
        before, _, after = marked.partition(CURSOR_MARKER)
        return CursorExcerpt(before + after, len(before.encode()), CursorForm.INLINE)
    if COMMENT_MARKER not in marked:
        raise CursorUnreadable(f"holds no cursor: put {CURSOR_MARKER} where it is")
    if marked.count(COMMENT_MARKER) > 1:
        raise CursorUnreadable(f"holds {COMMENT_MARKER} more than once; mark the cursor with one {CURSOR_MARKER}")
    before, _, after = marked.partition(COMMENT_MARKER)
    if not before.endswith(("^", "<")):
        return CursorExcerpt(before + after, len(before.encode()), CursorForm.IMPORTED)
    return _read_comment(marked.encode())


def _read_comment(data: bytes) -> CursorExcerpt:
    row_start = data.rfind(b"\n", 0, data.index(_MARKER)) + 1
    row_end = data.find(b"\n", row_start) + 1 or len(data)
    if row_start == 0:
        raise CursorUnreadable(f"{COMMENT_MARKER} must be on a line below the cursor's line, not on the first one")
    comment = data[row_start:row_end]
    column = comment.find(b"^")
    if column < 0:
        shown = comment.decode()
        column = len(shown[: len(shown) - len(shown.lstrip(RUST_WHITESPACE))].encode())
    text = (data[:row_start] + data[row_end:]).rstrip(b"\n")
    cursor_row_end = row_start - 1
    cursor_row_start = data.rfind(b"\n", 0, cursor_row_end) + 1
    offset = cursor_row_start + column
    if offset > min(cursor_row_end, len(text)):
        raise CursorUnreadable(f"the comment points to byte column {column}, behind the end of the line above it")
    if offset < len(text) and text[offset] & 0xC0 == 0x80:
        raise CursorUnreadable(f"the comment points to byte column {column}, inside a character of the line above it")
    return CursorExcerpt(text.decode(), offset, CursorForm.COMMENT)


def write_inline(text: str, offset_bytes: int) -> str:
    """The text with ``<|user_cursor|>`` at the cursor: exact for every text that does not hold the marker.

    Raises CursorUnreadable where it does, or the offset lies outside the text or inside a character.
    """
    data = text.encode()
    if not 0 <= offset_bytes <= len(data):
        raise CursorUnreadable(f"the cursor's offset {offset_bytes} is outside the text of {len(data)} bytes")
    if offset_bytes < len(data) and data[offset_bytes] & 0xC0 == 0x80:
        raise CursorUnreadable(f"the cursor's offset {offset_bytes} is inside a character")
    if CURSOR_MARKER in text:
        raise CursorUnreadable(f"the text itself holds {CURSOR_MARKER}")
    before = data[:offset_bytes].decode()
    return f"{before}{CURSOR_MARKER}{text[len(before) :]}"


def write_with_comment(text: str, offset_bytes: int, comment_prefix: str) -> str:
    """The text with a comment line below the cursor's, in Zed's own layout (`format_cursor_excerpt`).

    A cursor left of where the comment's sign ends is marked with ``<``, any other with ``^``; the comment takes
    the line's indentation where the caret is right of it. Raises CursorUnreadable where this form does not
    read back equal: newlines at the end of the text, a cursor on an empty last line, a text with a marker.
    """
    write_inline(text, offset_bytes)
    data, sign = text.encode(), comment_prefix.encode()
    row_start = data.rfind(b"\n", 0, offset_bytes) + 1
    row_end = data.find(b"\n", row_start) + 1 or len(data)
    column = offset_bytes - row_start
    if column < len(sign):
        comment = b" " * column + sign + b" <" + _MARKER
    else:
        row = data[row_start:row_end].decode()
        indent = row[: len(row) - len(row.lstrip(RUST_WHITESPACE))].encode()
        lead = indent + sign if column >= len(indent) + len(sign) else sign
        comment = lead.ljust(column) + b"^" + _MARKER
    above = data[:row_end] if data[:row_end].endswith(b"\n") else data[:row_end] + b"\n"
    below = b"\n" + data[row_end:] if row_end < len(data) else b""
    marked = (above + comment + below).decode()
    found = read_cursor_position(marked)
    if (found.text, found.offset_bytes) != (text, offset_bytes):
        raise CursorUnreadable(f"a comment cannot mark this cursor; mark it with {CURSOR_MARKER}")
    return marked
