"""Where a person most likely edits next, when there is nothing to do at the cursor.

A name that was just replaced stands elsewhere still; the head of an item was changed that is used elsewhere; an error
was reported elsewhere. Each is a place where the model is asked as if the cursor stood there: what is to be done, or
that nothing is, the model alone says. Pure functions on texts; knows nothing of sessions, clients or models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from capture.editing.positions import Position, utf16_length
from capture.editing.substitution import last_substitution, occurrences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capture.inputs import EditEvent, Span

ROWS_SEARCHED = 4_000  # above and below each, between two keys of somebody who types: about a millisecond
ROWS_BETWEEN_PLACES = 8  # the model sees and may change what is nearer to a place that it was asked about
_NAME = re.compile(r"[^\W\d]\w+")  # of one letter there are too many that mean something else


class PlaceKind(StrEnum):
    """Why a prediction is where it is; clients show it beside an edit that is not at the cursor."""

    HERE = "here"
    SAME_ANSWER = "same answer"  # another part of the answer of which one part was accepted
    OTHER_OCCURRENCE = "other occurrence"  # the name that was just replaced stands there
    CHANGED_DEFINITION = "changed definition"  # what is used there was just changed
    DIAGNOSTIC = "diagnostic"  # something is reported to be wrong there


class Rows(Protocol):
    """A text by rows, without their terminators."""

    @property
    def row_count(self) -> int:
        """Number of rows, at least 1."""
        ...

    def line(self, row: int) -> str:
        """Text of a row."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where to ask; ``uri`` is the document's."""

    uri: str
    cursor: Position
    kind: PlaceKind


def replaced_name(events: Sequence[EditEvent]) -> str | None:
    """The name that the newest event (events are oldest first) replaced by something else, None if it did not."""
    substitution = last_substitution(events[-1:])
    if substitution is None or _NAME.fullmatch(substitution.removed) is None:
        return None
    return substitution.removed


def nearest_uses(name: str, text: Rows, row: int, outside: Span) -> Iterator[Position]:
    """Where ``name`` stands, behind it, the rows nearest to ``row`` first and of equals the lower one.

    Rows in ``outside`` do not count, nor those within ``ROWS_BETWEEN_PLACES`` of a row that was given.
    """
    given: list[int] = []
    for candidate in _outwards(row, text.row_count):
        if outside.start <= candidate < outside.end:
            continue
        if any(abs(candidate - other) <= ROWS_BETWEEN_PLACES for other in given):
            continue
        line = text.line(candidate)
        found = occurrences(line, name)
        if found:
            given.append(candidate)
            yield Position(candidate, utf16_length(line[: found[0] + len(name)]))


def nearest_first(positions: Sequence[Position], row: int, outside: Span) -> list[Position]:
    """The positions whose rows are not in ``outside``, the nearest to ``row`` first."""
    elsewhere = [position for position in positions if not outside.start <= position.line < outside.end]
    return sorted(elsewhere, key=lambda position: abs(position.line - row))


def _outwards(row: int, row_count: int) -> Iterator[int]:
    """``row`` and then those below and above it in turns, as far as is searched."""
    for distance in range(min(max(row + 1, row_count - row), ROWS_SEARCHED)):
        if row + distance < row_count:
            yield row + distance
        if distance and row - distance >= 0:
            yield row - distance
