r"""The rows around a cursor with their syntax tree, parsed again in proportion to what changed.

A small text is parsed whole, so that every enclosing item is seen; of a larger one only the cursor excerpt. Rows are
joined by ``\n`` whatever terminators they have. A text without a grammar, or that takes too long to parse, has rows and
no tree. Knows nothing of what the tree is used for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.editing.excerpt import BYTES_PER_TOKEN, CURSOR_EXCERPT_TOKENS, cursor_excerpt_rows, line_tokens
from capture.editing.positions import Position, content_of, index_at_utf8, utf8_length, utf16_length
from capture.editing.syntax import parser_of
from capture.inputs import Span
from capture.parsing import BETWEEN_KEYS_SECONDS, Patience, TakesTooLong

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

    from capture.editing.document import Document

# Parsing holds up whatever else its process does: the first time this much takes about 10 ms, later well below one.
MAX_WHOLE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ParsedRows:
    """Rows of a text from ``first_row`` on, without terminators.

    ``source`` is their text, ``root`` its tree, None without a grammar or where that took too long; ``is_whole`` says
    that no row is left out.
    """

    first_row: int
    rows: tuple[str, ...]
    source: bytes
    root: Node | None
    is_whole: bool

    def position(self, point: tuple[int, int]) -> Position:
        """The document's position of a row and byte column of ``source``."""
        row, column_bytes = point
        text = self.rows[row]
        return Position(self.first_row + row, utf16_length(text[: index_at_utf8(text, column_bytes)]))

    def row_start_bytes(self, row: int) -> int:
        """Where a row of the document starts in ``source``; rows outside are clamped to its ends."""
        within = max(0, min(row - self.first_row, len(self.rows)))
        return min(sum(map(utf8_length, self.rows[:within])) + within, len(self.source))


class SyntaxTree:
    """Follows the tree of one document. ``language_id`` is LSP's; one without a grammar gives no tree."""

    def __init__(self, language_id: str) -> None:
        self._parser = parser_of(language_id)
        self._patience = Patience()
        self._source: bytes | None = None  # that was parsed last, or given up
        self._tree: Tree | None = None

    def around(self, document: Document, cursor_row: int) -> ParsedRows:
        """The document as it is now, as much of it as is looked at."""
        rows, is_whole = Span(0, document.row_count), document.length_bytes <= MAX_WHOLE_BYTES
        if not is_whole:
            rows = visible_rows(document, cursor_row)
        contents = tuple(map(content_of, document.rows(rows.start, rows.end)))
        source = "\n".join(contents).encode()
        return ParsedRows(rows.start, contents, source, self._root(source), is_whole)

    def _root(self, source: bytes) -> Node | None:
        if source != self._source:
            self._tree = self._parse(source) if self._patience.may_try() else None
            self._source = source
        return None if self._tree is None else self._tree.root_node

    def _parse(self, source: bytes) -> Tree | None:
        if self._parser is None:
            return None
        if self._tree is not None and self._source is not None:
            _tell_edit(self._tree, self._source, source)
        try:
            tree = self._parser.parse(source, self._tree, limit_seconds=BETWEEN_KEYS_SECONDS)
        except TakesTooLong:
            self._patience.took_too_long()
            return None
        self._patience.succeeded()
        return tree


def visible_rows(document: Document, cursor_row: int) -> Span:
    """The rows of the cursor excerpt, what a model may see of the cursor's own file."""
    count = document.row_count
    if count + document.length_bytes // BYTES_PER_TOKEN <= CURSOR_EXCERPT_TOKENS:
        return Span(0, count)
    # A row costs at least one token, so the excerpt lies inside this window.
    first_row = max(0, cursor_row - CURSOR_EXCERPT_TOKENS)
    window = document.rows(first_row, cursor_row + CURSOR_EXCERPT_TOKENS + 1)
    rows = cursor_excerpt_rows(
        lambda row: line_tokens(utf8_length(content_of(window[row]))),
        len(window),
        min(cursor_row, count - 1) - first_row,
    )
    return Span(first_row + rows.start, first_row + rows.end)


def _tell_edit(tree: Tree, old: bytes, new: bytes) -> None:
    """What lies between the ends that two texts share was replaced."""
    start = _shared_start(old, new)
    behind = _shared_end(old, new, min(len(old), len(new)) - start)
    old_end, new_end = len(old) - behind, len(new) - behind
    tree.edit(start, old_end, new_end, _point(old, start), _point(old, old_end), _point(new, new_end))


def _shared_start(old: bytes, new: bytes) -> int:
    shared, most = 0, min(len(old), len(new))
    while shared < most:
        probe = (shared + most + 1) // 2
        if old[shared:probe] == new[shared:probe]:
            shared = probe
        else:
            most = probe - 1
    return shared


def _shared_end(old: bytes, new: bytes, most: int) -> int:
    shared = 0
    while shared < most:
        probe = (shared + most + 1) // 2
        if old[len(old) - probe : len(old) - shared] == new[len(new) - probe : len(new) - shared]:
            shared = probe
        else:
            most = probe - 1
    return shared


def _point(source: bytes, offset_bytes: int) -> tuple[int, int]:
    return source.count(b"\n", 0, offset_bytes), offset_bytes - (source.rfind(b"\n", 0, offset_bytes) + 1)
