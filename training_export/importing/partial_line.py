"""A line half typed, as somebody leaves it who is just typing.

The way from the old line to the new one goes word by word, from left to right: what is replaced is deleted character by
character, then what replaces it is typed. One place on this way is drawn; after commas and brackets people pause more
often than inside a name. The weights are those of Zed's `split-commit`, but for the white space a line begins with:
an editor puts that in at once. Knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final

from rapidfuzz import fuzz

from capture.editing.histogram import changes
from capture.metrics.tokens import units

AFTER_SEPARATOR: Final = 10
AFTER_CLOSING: Final = 8
AFTER_NAME: Final = 8
AFTER_SPACE: Final = 6
AFTER_OPERATOR: Final = 5
ELSEWHERE: Final = 3
WHILE_DELETING: Final = 2
INSIDE_NAME: Final = 1
REST_KEPT_ABOVE: Final = 35  # per cent of likeness between what is left of the old line and of the new one

_SEPARATORS: Final = frozenset(",;:([{")
_CLOSING: Final = frozenset(")]}")
_OPERATORS: Final = frozenset(".+-*/=<>&|!")
_NAME_CHARACTER: Final = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class PartialLine:
    """``typed`` is what stands before the cursor, ``rest`` what is left of the old line behind it."""

    typed: str
    rest: str

    @property
    def text(self) -> str:
        """The whole line."""
        return self.typed + self.rest


@dataclass(frozen=True, slots=True)
class _Place:
    """The new line up to ``new_at``, and of the old one what begins at ``old_at``."""

    new_at: int
    old_at: int
    weight: int


def partial_line(old: str, new: str, random: Random) -> PartialLine | None:
    """One state between ``old`` (empty where the line is new) and ``new``; None where there is none between."""
    places = [place for place in _places(old, new) if _at(place, old, new).text not in {old, new}]
    if not places:
        return None
    return _at(random.choices(places, [place.weight for place in places])[0], old, new)


def _at(place: _Place, old: str, new: str) -> PartialLine:
    typed, rest = new[: place.new_at], old[place.old_at :]
    return PartialLine(typed, rest if fuzz.ratio(new[place.new_at :], rest) > REST_KEPT_ABOVE else "")


def _places(old: str, new: str) -> Iterator[_Place]:
    old_parts, new_parts = units(old), units(new)
    old_starts, new_starts = ([0, *accumulate(map(len, parts))] for parts in (old_parts, new_parts))
    indentation = len(new) - len(new.lstrip())
    for change in changes(old_parts, new_parts):
        new_from, new_to = new_starts[change.new_start], new_starts[change.new_end]
        old_from, old_to = old_starts[change.old_start], old_starts[change.old_end]
        for old_at in range(old_from + 1, old_to + 1):
            yield _Place(new_from, old_at, WHILE_DELETING)
        for new_at in range(max(new_from + 1, indentation), new_to + 1):
            yield _Place(new_at, old_to, _weight(new, new_at))


def _weight(line: str, at: int) -> int:
    """How often people pause with the cursor before ``line[at]``."""
    before, after = line[at - 1 : at], line[at : at + 1]
    if before in _SEPARATORS:
        return AFTER_SEPARATOR
    if before in _CLOSING:
        return AFTER_CLOSING
    if _NAME_CHARACTER.match(before):
        return INSIDE_NAME if _NAME_CHARACTER.match(after) else AFTER_NAME
    if before.isspace():
        return AFTER_SPACE
    return AFTER_OPERATOR if before in _OPERATORS else ELSEWHERE
