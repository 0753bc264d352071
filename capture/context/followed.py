"""What is known of one open document and of the place in it where somebody works.

A place is the rows around where the cursor was when it came there. Knows nothing of where definitions come from or of
which files may be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capture.context.identifiers import MAX_IDENTIFIERS, ROWS_AROUND_CURSOR
from capture.context.syntax_tree import SyntaxTree, visible_rows
from capture.editing.document import Anchor, Bias, Document
from capture.editing.positions import Position, content_of
from capture.inputs import RelatedFile, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.context.definitions import Definition, Identifier
    from capture.context.related import Candidate

MAX_NAMES = 2 * MAX_IDENTIFIERS  # of one place, those counted that were typed there and are gone again


@dataclass(slots=True)
class Followed:
    """One open document.

    ``cursor`` is None until it is known. ``answers`` are by name, then by source, the preferred source having the
    lowest number. ``chosen`` and ``given`` name files by their paths on disk, ``shown`` is ``chosen`` as models see it.
    """

    uri: str
    path: str
    document: Document
    tree: SyntaxTree
    cursor: Position | None = None
    examined: tuple[int, int] = (-1, -1)  # the version, and the cursor's row, that syntax errors were looked for
    place: int = -1
    place_at: Anchor | None = None
    visible: Span = field(default_factory=lambda: Span(0, 0))
    names: list[str] = field(default_factory=list)
    answers: dict[str, dict[int, tuple[Definition, ...]]] = field(default_factory=dict)
    neighbours: tuple[Candidate, ...] = ()
    chosen: tuple[RelatedFile, ...] = ()
    shown: tuple[RelatedFile, ...] = ()
    is_of_place: bool = False  # whether ``chosen`` was chosen for the place
    given: tuple[RelatedFile, ...] = ()  # what of the place's choices a prediction had
    typed_since: float | None = None  # when typing began where the cursor came to; None after a pause
    has_more: bool = False  # something became known since then that may be worth showing
    verdicts: dict[int, tuple[int, bool]] = field(default_factory=dict)  # by file: version looked at, whether it holds

    @property
    def definitions(self) -> dict[str, Sequence[Definition]]:
        """What the most preferred source that knows anything says of each name."""
        return {
            name: next((of_source[index] for index in sorted(of_source) if of_source[index]), ())
            for name, of_source in self.answers.items()
        }

    def is_far_from(self, cursor: Position) -> bool:
        """Whether nobody gets from where the cursor is to ``cursor`` by typing."""
        return self.cursor is None or abs(cursor.line - self.cursor.line) > ROWS_AROUND_CURSOR

    def left_its_rows(self, cursor: Position) -> bool:
        """Whether the cursor is too far from where the place is for what was chosen there."""
        if self.place_at is None:
            return True
        row = self.document.position_at(self.place_at.offset_bytes).line
        return abs(cursor.line - row) > ROWS_AROUND_CURSOR

    def settle(self, cursor: Position, place: int) -> None:
        """The cursor is at a new place; what is shown stays until something is known of it."""
        self.place, self.is_of_place, self.given = place, False, ()
        self.place_at = self.document.anchor(Position(cursor.line, 0), Bias.LEFT)
        self.visible = visible_rows(self.document, cursor.line)
        self.names.clear()

    def name(self, identifiers: Sequence[Identifier]) -> None:
        """More names are used here; earlier ones keep their rank."""
        self.names += [item.name for item in identifiers if item.name not in self.names]
        del self.names[MAX_NAMES:]
        self.answers = {name: self.answers[name] for name in self.names if name in self.answers}

    def holds(self, file: RelatedFile, document: Document | None) -> bool:
        """Whether the excerpts of ``file`` still say what stands in ``document``; None: nobody has it open."""
        if document is None:
            return True
        if document is self.document:  # it may be supposed to have another text for a moment, under the same version
            return _holds_in(document, file)
        verdict = self.verdicts.get(id(file))
        if verdict is None or verdict[0] != document.version:
            verdict = self.verdicts[id(file)] = (document.version, _holds_in(document, file))
        return verdict[1]


def stands_in(document: Document, start_row: int, text: str) -> bool:
    r"""Whether the rows of ``document`` from ``start_row`` on are ``text``, whatever their terminators."""
    rows = document.rows(start_row, start_row + text.count("\n"))
    return "".join(content_of(row) + "\n" for row in rows) == text


def _holds_in(document: Document, file: RelatedFile) -> bool:
    return all(stands_in(document, excerpt.row_range.start, excerpt.text) for excerpt in file.excerpts)
