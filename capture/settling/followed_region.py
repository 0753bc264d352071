r"""A region of a document followed through edits, and the ways between an excerpt and the document it was taken from.

A region keeps what is inserted at its edges: what a person types at the end of its last line is what it becomes. Texts
are given with ``\n`` as line end, whatever the document has. Knows nothing of time or of predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture.editing.document import Anchor, Bias, Document
from capture.editing.positions import ContentChange, Range, index_at_utf16, utf8_length
from capture.inputs import Span
from capture.snapshot.parts import OfferedEdit, span_problem

if TYPE_CHECKING:
    from capture.editing.document import AppliedEdit
    from capture.editing.positions import Position
    from capture.inputs import PredictionInputs


class FollowedRegion:
    """Bytes of a document. Its anchors are its own: each edit is looked at before it moves them."""

    __slots__ = ("_end", "_start")

    def __init__(self, where: Span) -> None:
        self._start = Anchor(where.start, Bias.LEFT)
        self._end = Anchor(where.end, Bias.RIGHT)

    @property
    def where(self) -> Span:
        """Where it is now, in bytes of the document."""
        return Span(self._start.offset_bytes, self._end.offset_bytes)

    def follow(self, edit: AppliedEdit) -> bool:
        """Take in an edit, each exactly once and in order; true where it changed the region's text."""
        start, old_end = edit.start_bytes, edit.start_bytes + edit.old_bytes
        region = self.where
        if edit.old_bytes:
            touched = start < region.end and region.start < old_end
        else:
            touched = region.start <= start <= region.end
        for anchor in (self._start, self._end):
            anchor._follow(start, old_end, start + edit.new_bytes)  # noqa: SLF001  no document knows these anchors
        return touched

    def meets(self, other: Span) -> bool:
        """Whether the two overlap or touch, so that one insertion may belong to both."""
        region = self.where
        return region.start <= other.end and other.start <= region.end

    def text_in(self, document: Document) -> str:
        """Its text in the document it follows."""
        return text_of(document, self.where)


def text_of(document: Document, where: Span) -> str:
    r"""The text of a range of bytes, with ``\n`` as line end."""
    text = document.text_in(Range(document.position_at(where.start), document.position_at(where.end)))
    return _with_plain_ends(text)


def whole_rows(inputs: PredictionInputs, region: Span, new_text: str | None) -> tuple[Span, str | None]:
    """A region of the excerpt widened to whole rows, and its new text widened with it.

    For formats that answer with an insertion: what becomes of a cursor alone says little.
    """
    excerpt = inputs.excerpt_bytes
    start = excerpt.rfind(b"\n", 0, region.start) + 1
    end = region.end
    if end == start or excerpt[end - 1 : end] != b"\n":
        newline = excerpt.find(b"\n", end)
        end = len(excerpt) if newline < 0 else newline
    if new_text is None:
        return Span(start, end), None
    return Span(start, end), excerpt[start : region.start].decode() + new_text + excerpt[region.end : end].decode()


def offered_edit(inputs: PredictionInputs, where: Range, text_before: str, text_after: str) -> OfferedEdit | None:
    """An edit of the document the inputs came from, said in bytes of the excerpt; None where it reaches out of it."""
    first_row, lines = inputs.excerpt_start_row, inputs.cursor_excerpt.split("\n")
    if first_row is None or not first_row <= where.start.line <= where.end.line < first_row + len(lines):
        return None

    def offset_bytes(position: Position) -> int:
        above, line = lines[: position.line - first_row], lines[position.line - first_row]
        column_bytes = utf8_length(line[: index_at_utf16(line, position.character_utf16)])
        return sum(utf8_length(row) + 1 for row in above) + column_bytes

    return OfferedEdit(
        offset_bytes(where.start), offset_bytes(where.end), _with_plain_ends(text_before), _with_plain_ends(text_after)
    )


def locate(document: Document, inputs: PredictionInputs, region: Span, *, text_then: str | None = None) -> Span | None:
    """Where a region of the excerpt is in the document now; None when that cannot be said.

    ``text_then`` is the whole text that ``inputs`` came from where the document has gone on since. It is found again
    where all that changed lies inside the region or all of it outside.
    """
    then = document if text_then is None else Document(text_then)
    where = _where_in(then, inputs, region)
    if where is None or text_then is None:
        return where
    followed = FollowedRegion(where)
    edit = then.apply(ContentChange(None, document.text))
    if edit is None:
        return where
    inside = where.start <= edit.start_bytes and edit.start_bytes + edit.old_bytes <= where.end
    return followed.where if not followed.follow(edit) or inside else None


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _where_in(document: Document, inputs: PredictionInputs, region: Span) -> Span | None:
    excerpt, first_row = inputs.excerpt_bytes, inputs.excerpt_start_row
    if first_row is None or span_problem(region.start, region.end, excerpt):
        return None

    def offset_bytes(at: int) -> int:
        row = first_row + excerpt.count(b"\n", 0, at)
        return document.offset_bytes(document.position(row, at - excerpt.rfind(b"\n", 0, at) - 1))

    where = Span(offset_bytes(region.start), offset_bytes(region.end))
    return where if text_of(document, where) == excerpt[region.start : region.end].decode() else None
