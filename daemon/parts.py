r"""A predicted edit in two: its first word or line, which is accepted by itself, and what is left of it.

One after the other, the part and the rest do what the whole does. Pure functions on edits; knows nothing of clients or
of how an acceptance is noticed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from capture.editing.positions import Position, Range, common_prefix, split_rows, utf16_length
from capture.editing.substitution import Piece, word_diff
from daemon.prediction import TextEdit

_FIRST_WORD = re.compile(r"\s*(?:\w+|[^\w\s]+|$)")
_FIRST_LINE = re.compile(r"\s*\S[^\n]*\n")


class Unit(StrEnum):
    """How much is accepted at once."""

    WORD = "word"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Parted:
    """``part`` is an edit of the text as it is, ``rest`` of the text after that; None where nothing is left.

    ``replaced_by_rest`` is the text under ``rest``.
    """

    part: TextEdit
    rest: TextEdit | None
    replaced_by_rest: str = ""


def parted(edit: TextEdit, replaced: str, unit: Unit) -> Parted:
    """The first word or line of what ``edit`` changes in the text ``replaced`` under it. It must change something."""
    kept, removed, added = _first(word_diff(replaced, edit.text), unit)
    start = _behind(edit.range.start, kept)
    part = TextEdit(Range(start, _behind(start, removed)), added)
    old, new = replaced[len(kept) + len(removed) :], edit.text[len(kept) + len(added) :]
    if old == new:
        return Parted(part, None)
    same_before = common_prefix(old, new)
    same_after = common_prefix(old[same_before:][::-1], new[same_before:][::-1])
    old_end, new_end = len(old) - same_after, len(new) - same_after
    rest_start = _behind(_behind(start, added), old[:same_before])
    under = old[same_before:old_end]
    rest = TextEdit(Range(rest_start, _behind(rest_start, under)), new[same_before:new_end])
    return Parted(part, rest, under)


def _first(pieces: list[Piece], unit: Unit) -> tuple[str, str, str]:
    """The text before the first change, and what the part removes and adds behind it."""
    at = next(index for index, piece in enumerate(pieces) if piece.changed)
    kept = "".join(piece.added for piece in pieces[:at])
    if unit is Unit.WORD:
        return kept, *_first_word(pieces[at])
    removed = added = ""
    for piece in pieces[at:]:
        if not piece.changed and "\n" in piece.added:
            break
        line = _FIRST_LINE.match(piece.added) if piece.changed else None
        if line is not None:
            removed += piece.removed[: piece.removed.find("\n") + 1] or piece.removed
            return kept, removed, added + line[0]
        removed, added = removed + piece.removed, added + piece.added
    return kept, removed, added


def _first_word(piece: Piece) -> tuple[str, str]:
    found = _FIRST_WORD.match(piece.added or piece.removed)
    word = "" if found is None else found[0]
    return (piece.removed, word) if piece.added else (word, "")


def _behind(position: Position, text: str) -> Position:
    *above, last = split_rows(text)
    if above:
        return Position(position.line + len(above), utf16_length(last))
    return Position(position.line, position.character_utf16 + utf16_length(last))
