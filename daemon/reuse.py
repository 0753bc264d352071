r"""What an earlier prediction is worth after the text changed, found out without asking the model.

The text of then and the text of now are compared, not the edits between them, so undoing, whole-text changes and
lost notifications need no rules of their own. Four things may have happened, else nothing is reused:

- The text is the same again: so is the prediction.
- The person typed the beginning of what is predicted, where it is predicted: what is left of it is predicted. Text
  that the prediction deletes may stand behind what was typed or be gone; closing brackets and quotes that an
  editor adds may stand there if the prediction ends with them.
- The predicted text stands there: another part of the same answer is next, if it has one.
- Something changed elsewhere, in one stretch of rows, none of them within ``ROWS_KEPT`` rows of the predicted
  edit: the prediction moves along. Where rows are alike it must be so wherever among them the change was made.

Accepting what is reused leads to the text that accepting the original leads to, with the person's own edits
elsewhere. Whether it is still worth showing (how old, where the cursor is) is for the caller to say. Knows nothing
of sessions, models or clients.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capture.editing.document import AppliedEdit
from capture.editing.positions import (
    Position,
    Range,
    common_prefix,
    content_of,
    index_at_utf16,
    split_rows,
    utf8_length,
    utf16_length,
)
from daemon.engine.messages import Counters
from daemon.next_places import PlaceKind
from daemon.prediction import Prediction, Source, TextEdit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.editing.document import Document
    from daemon.parts import Parted

ROWS_KEPT = 2  # rows above and below a prediction that must be as they were: the model had looked at them most
COMPARED_ROWS = 256  # compared at a time; equal rows are mostly the same objects, so this is quick
_WORD = re.compile(r"\w+")
CLOSERS = frozenset(")]}>\"'`")  # what editors add behind the cursor when its partner is typed


@dataclass(frozen=True, slots=True)
class FrozenText:
    """The text of one version, which stays when its document goes on; costs a list of references."""

    version: int
    all_rows: list[str]

    @classmethod
    def of(cls, document: Document) -> FrozenText:
        """The document's text as it is now."""
        return cls(document.version, document.rows(0, document.row_count))

    @property
    def row_count(self) -> int:
        """Number of rows, at least 1."""
        return len(self.all_rows)

    @property
    def line_ending(self) -> str:
        r"""The terminator of the first row, ``\n`` where there is only one row."""
        first = self.all_rows[0]
        return first[len(content_of(first)) :] or "\n"

    def line(self, row: int) -> str:
        """Text of a row without its terminator."""
        return content_of(self.all_rows[row])

    def rows(self, start_row: int, end_row: int) -> list[str]:
        """Rows with their terminators, ``end_row`` excluded; both clamped to the text."""
        return self.all_rows[max(0, start_row) : max(0, end_row)]

    def text_in(self, where: Range) -> str:
        """The text of a range."""
        rows = self.all_rows[where.start.line : where.end.line + 1]
        rows[-1] = rows[-1][: self._index(where.end)]
        rows[0] = rows[0][self._index(where.start) :]
        return "".join(rows)

    def edited(self, edit: TextEdit, start_bytes: int) -> tuple[FrozenText, AppliedEdit]:
        """The text with ``edit`` made, and what that did; ``start_bytes`` is where the edit starts."""
        first, last = edit.range.start.line, edit.range.end.line
        old_rows = self.all_rows[first : last + 1]
        head, tail = old_rows[0][: self._index(edit.range.start)], old_rows[-1][self._index(edit.range.end) :]
        new_rows = split_rows(head + edit.text + tail)
        if last + 1 < self.row_count:
            new_rows.pop()  # the empty rest after the terminator
        applied = AppliedEdit(
            start_row=first,
            old_rows=tuple(old_rows),
            new_row_count=len(new_rows),
            start_bytes=start_bytes,
            old_bytes=utf8_length(self.text_in(edit.range)),
            new_bytes=utf8_length(edit.text),
        )
        rows = [*self.all_rows[:first], *new_rows, *self.all_rows[last + 1 :]]
        return FrozenText(self.version, rows), applied

    def _index(self, position: Position) -> int:
        return index_at_utf16(self.line(position.line), position.character_utf16)


@dataclass(frozen=True, slots=True)
class Carried:
    """A prediction for the text of now, whose ``source`` says how it came about; None when all of it stands there.

    ``cursor`` is where the cursor of then is now, or behind what was typed; None where something changed near it.
    """

    prediction: Prediction | None
    cursor: Position | None


def carried(prediction: Prediction, then: FrozenText, now: FrozenText, cursor: Position | None) -> Carried | None:
    """What ``prediction``, made for ``then`` with the cursor at ``cursor``, became in ``now``; None: it is void."""
    edit, replaced = prediction.edits[0], prediction.replaced[0]
    middle = _between(then, now, edit.range)
    if middle == replaced:
        return Carried(_reused(prediction, now, Source.UNCHANGED), cursor)
    if middle is None:
        return _moved(prediction, then, now, cursor)
    if middle == edit.text:
        return Carried(_following(prediction, then, now), None)
    typed = typed_into(middle, replaced, edit.text)
    return None if typed is None else _shrunk(prediction, then, now, middle, typed)


def after_part(prediction: Prediction, parted: Parted, then: FrozenText, now: FrozenText) -> Prediction | None:
    """What is left of ``prediction``, made for ``then``, once a part of it made ``now`` of that; None if nothing is."""
    if parted.rest is None:
        return _following(prediction, then, now)
    return replace(
        _reused(prediction, now, Source.REST),
        edits=(parted.rest,),
        replaced=(parted.replaced_by_rest,),
        rest=_rest(prediction, then, now),
    )


def typed_into(now: str, replaced: str, predicted: str) -> int | None:
    """How many characters of ``predicted`` were typed, where ``now`` stands for what was ``replaced``.

    None where something else was typed, or nothing.
    """
    typed = common_prefix(now, predicted)
    rest = now[typed:]
    if not typed:
        return None
    # Of several lines only all or none may be gone: the prediction may keep lines among those it replaces, and
    # would put back what the person took away.
    deleted_on_the_way = not rest or rest == replaced or (replaced.endswith(rest) and not _has_line_end(replaced))
    closed_by_editor = not replaced and CLOSERS.issuperset(rest) and predicted[typed:].endswith(rest)
    return typed if deleted_on_the_way or closed_by_editor else None


def repeats_typing(prediction: Prediction, then: FrozenText, cursor: Position) -> bool:
    """Whether the prediction writes what stands at the cursor elsewhere too, as the rest of a rename does.

    That is the word at the cursor or the text before it up to a blank. Such an edit was made from what had been typed
    by then; once more of it is typed it is wrong.
    """
    line = then.line(cursor.line)
    at = index_at_utf16(line, cursor.character_utf16)
    word = next((found[0] for found in _WORD.finditer(line) if found.start() <= at <= found.end()), "")
    edit = prediction.edits[0]
    rows = [then.line(row) for row in range(edit.range.start.line, edit.range.end.line + 1)]
    head = rows[0][: index_at_utf16(rows[0], edit.range.start.character_utf16)]
    tail = rows[-1][index_at_utf16(rows[-1], edit.range.end.character_utf16) :]
    before, after = "\n".join(rows), head + edit.text + tail
    if word and _WORD.findall(after).count(word) > _WORD.findall(before).count(word):
        return True
    typed = line[:at].rpartition(" ")[2]
    return bool(typed.strip()) and after.count(typed) > before.count(typed)


def may_still_hold(then: FrozenText, now: FrozenText, cursor: Position) -> bool:
    """Whether an answer about ``then`` that is not there yet may be of use in ``now``.

    It may where text was typed at the cursor and nothing else happened (the answer may begin with that text), and
    where everything near the cursor is as it was.
    """
    where = Range(cursor, cursor)
    return _between(then, now, where) is not None or _Stretch.of(then, now).moves(where, ROWS_KEPT) is not None


def _between(then: FrozenText, now: FrozenText, where: Range) -> str | None:
    """What stands now for the text that ``where`` held; None unless the text before and after it is the same."""
    start, end = where.start, where.end
    head = then.all_rows[start.line][: index_at_utf16(then.line(start.line), start.character_utf16)]
    tail = then.all_rows[end.line][index_at_utf16(then.line(end.line), end.character_utf16) :]
    rows_below = then.row_count - end.line - 1
    end_row = now.row_count - rows_below
    if end_row <= start.line:
        return None
    if then.all_rows[: start.line] != now.all_rows[: start.line]:
        return None
    if then.all_rows[end.line + 1 :] != now.all_rows[end_row:]:
        return None
    text = "".join(now.all_rows[start.line : end_row])
    if len(text) < len(head) + len(tail) or not (text.startswith(head) and text.endswith(tail)):
        return None
    return text[len(head) : len(text) - len(tail)]


def _shrunk(prediction: Prediction, then: FrozenText, now: FrozenText, middle: str, typed: int) -> Carried | None:
    """What is left of the prediction where ``middle`` now stands for what it replaces."""
    edit = prediction.edits[0]
    replaced, text = middle[typed:], edit.text[typed:]
    kept = common_prefix(replaced[::-1], text[::-1])
    replaced, text = replaced[: len(replaced) - kept], text[: len(text) - kept]
    first = edit.range.start
    before = index_at_utf16(then.line(first.line), first.character_utf16) + typed
    start = _place(now, first.line, before)
    end = _place(now, first.line, before + len(replaced))
    if start is None or end is None:
        return None
    left = replace(
        _reused(prediction, now, Source.TYPED_INTO),
        edits=(TextEdit(Range(start, end), text),),
        replaced=(replaced,),
        rest=_rest(prediction, then, now),
    )
    return Carried(left, start)


def _moved(prediction: Prediction, then: FrozenText, now: FrozenText, cursor: Position | None) -> Carried | None:
    """The prediction where its rows are now; something changed elsewhere."""
    stretch = _Stretch.of(then, now)
    edits = stretch.moved(prediction.edits, ROWS_KEPT)
    if not edits:
        return None
    moved = replace(_reused(prediction, now, Source.MOVED), edits=edits, rest=stretch.moved(prediction.rest, ROWS_KEPT))
    row_delta = None if cursor is None else stretch.moves(Range(cursor, cursor), ROWS_KEPT)
    if cursor is None or row_delta is None:
        return Carried(moved, None)
    return Carried(moved, Position(cursor.line + row_delta, cursor.character_utf16))


def _following(prediction: Prediction, then: FrozenText, now: FrozenText) -> Prediction | None:
    """The part of the answer next to the one that was just accepted, as a prediction of its own."""
    rest = list(_rest(prediction, then, now))
    if not rest:
        return None
    row = prediction.edits[0].range.start.line
    edit = min(rest, key=lambda edit: abs(edit.range.start.line - row))
    rest.remove(edit)
    return Prediction(
        uri=prediction.uri,
        version=now.version,
        edits=(edit,),
        replaced=(now.text_in(edit.range),),
        confidence=prediction.confidence,
        source=Source.REST,
        place=PlaceKind.SAME_ANSWER,
        origin=prediction.origin,
        rest=tuple(rest),
    )


def _rest(prediction: Prediction, then: FrozenText, now: FrozenText) -> tuple[TextEdit, ...]:
    """The other parts of the answer where they are now; nothing changed but what the first part is about."""
    row = prediction.edits[0].range.start.line
    row_delta = now.row_count - then.row_count
    return tuple(_shifted(edit, row_delta) if edit.range.start.line > row else edit for edit in prediction.rest)


def _reused(prediction: Prediction, now: FrozenText, source: Source) -> Prediction:
    return replace(prediction, version=now.version, source=source, counters=Counters(), seconds=0.0)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The rows of then in which the change was made, and by how many rows those below moved.

    Where rows are alike, the same change may have been made further up or down; the stretch holds all such places.
    """

    start: int
    end: int
    row_delta: int

    @classmethod
    def of(cls, then: FrozenText, now: FrozenText) -> _Stretch:
        top = _equal_rows(then.all_rows, now.all_rows)
        bottom = _equal_rows(then.all_rows[::-1], now.all_rows[::-1])
        overlap = max(0, top + bottom - min(then.row_count, now.row_count))
        return cls(top - overlap, then.row_count - bottom + overlap, now.row_count - then.row_count)

    def moves(self, where: Range, rows_kept: int) -> int | None:
        """By how many rows ``where`` moved; None where the stretch is within ``rows_kept`` rows of it."""
        if where.end.line + rows_kept < self.start:
            return 0
        return self.row_delta if where.start.line - rows_kept >= self.end else None

    def moved(self, edits: Sequence[TextEdit], rows_kept: int) -> tuple[TextEdit, ...]:
        """Those of the edits that the change left alone, where they are now."""
        moves = [(edit, self.moves(edit.range, rows_kept)) for edit in edits]
        return tuple(_shifted(edit, row_delta) for edit, row_delta in moves if row_delta is not None)


def _shifted(edit: TextEdit, row_delta: int) -> TextEdit:
    start, end = (
        Position(place.line + row_delta, place.character_utf16) for place in (edit.range.start, edit.range.end)
    )
    return TextEdit(Range(start, end), edit.text)


def _equal_rows(first: Sequence[str], second: Sequence[str]) -> int:
    """How many leading rows two texts share."""
    shorter = min(len(first), len(second))
    for start in range(0, shorter, COMPARED_ROWS):
        end = min(start + COMPARED_ROWS, shorter)
        if first[start:end] != second[start:end]:
            return next(row for row in range(start, end) if first[row] != second[row])
    return shorter


def _place(text: FrozenText, row: int, index: int) -> Position | None:
    """The position ``index`` characters after the start of ``row``; None inside a line end."""
    while index >= len(text.all_rows[row]) and row + 1 < text.row_count:
        index -= len(text.all_rows[row])
        row += 1
    line = text.line(row)
    return Position(row, utf16_length(line[:index])) if index <= len(line) else None


def _has_line_end(text: str) -> bool:
    return "\n" in text or "\r" in text
