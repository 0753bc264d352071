"""What the plain rule makes of a region: the user's last substitution, applied to all its places or to some of them.

The rule knows nothing of scopes and grammar. It offers a few readings of "the same change again", the widest first,
and somebody else judges which of them is meant, if any. Pure functions on text; knows nothing of models or prompts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapidfuzz.distance import Indel

from capture.editing.substitution import Substitution, last_substitution, occurrences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from capture.inputs import PredictionInputs, Span

MAX_PROPOSALS = 3
ALIKE = 0.6  # normalised indel similarity of lines that were written after one pattern
# What stands in quotes on one line, and what follows the marks with which most languages begin a comment.
_PROSE = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|(?:#|//).*")

_FUNCTION = re.compile(
    r"\b(?:def|fn|func|function)\b|=>\s*\{?\s*$|^\s*(?!(?:if|for|while|switch|catch|else|match)\b)\w+\(.*\)[^;]*\{\s*$"
)


@dataclass(frozen=True, slots=True)
class _Place:
    """An occurrence of what was replaced: a row of the region, a column, and what kind of place it is."""

    row: int
    column: int
    kind: tuple[bool, bool]  # whether it is an attribute (behind a dot), whether it is in a string or a comment


def proposals(inputs: PredictionInputs, region: Span) -> tuple[str, ...]:
    """New texts of the region (bytes of the excerpt), different from it and from each other, the widest reading first.

    None where the newest substitution stands nowhere in the region. The readings: every place on word boundaries; those
    of the kind of the changed one (an attribute or not; code, or a string or comment); those of this kind within the
    function around the cursor, or, if these are all, those on lines like the changed one.
    """
    substitution = last_substitution(inputs.events)
    if substitution is None:
        return ()
    text = inputs.excerpt_bytes[region.start : region.end].decode()
    if not occurrences(text, substitution.removed):
        return ()
    before = inputs.excerpt_bytes[region.start : inputs.cursor_offset_in_excerpt].decode()
    readings = _Readings(text.split("\n"), substitution, before.count("\n"), len(before) - before.rfind("\n") - 1)
    found = dict.fromkeys(readings.text_with(chosen) for chosen in readings.choices())
    found.pop(text, None)
    return tuple(found)[:MAX_PROPOSALS]


class _Readings:
    """The places of one substitution in one region."""

    def __init__(self, lines: Sequence[str], substitution: Substitution, row: int, column: int) -> None:
        self._lines = lines
        self._substitution = substitution
        self._cursor_row = row
        self._changed = self._changed_place(column)
        self._places = [
            _Place(index, at, _kind(line, at))
            for index, line in enumerate(lines)
            for at in occurrences(line, substitution.removed)
        ]

    def choices(self) -> Iterable[Sequence[_Place]]:
        """The places each reading means."""
        yield self._places
        alike = self._places
        if self._changed is not None:
            kind = self._changed.kind
            alike = [place for place in self._places if place.kind == kind]
            yield alike
        rows = _function_around(self._lines, self._cursor_row)
        yield [place for place in alike if place.row in rows]
        if self._changed is not None:
            yield [place for place in alike if self._is_like_the_changed(place.row)]

    def text_with(self, chosen: Sequence[_Place]) -> str:
        """The region with the substitution made at these places."""
        lines = list(self._lines)
        removed, added = self._substitution.removed, self._substitution.added
        for place in reversed(chosen):
            line = lines[place.row]
            lines[place.row] = line[: place.column] + added + line[place.column + len(removed) :]
        return "\n".join(lines)

    def _changed_place(self, column: int) -> _Place | None:
        """Where the substitution was made: what was added, on the cursor's line, nearest before the cursor."""
        line = self._lines[self._cursor_row]
        found = occurrences(line, self._substitution.added)
        if not found:
            return None
        at = max((start for start in found if start < column), default=found[0])
        return _Place(self._cursor_row, at, _kind(line, at))

    def _is_like_the_changed(self, row: int) -> bool:
        changed, other = self._lines[self._cursor_row].strip(), self._lines[row].strip()
        replaced = other.replace(self._substitution.removed, self._substitution.added)
        return Indel.normalized_similarity(changed, replaced, score_cutoff=ALIKE) > 0


def _kind(line: str, column: int) -> tuple[bool, bool]:
    is_prose = any(found.start() < column < found.end() for found in _PROSE.finditer(line))
    return line[:column].endswith("."), is_prose


def _function_around(lines: Sequence[str], row: int) -> range:
    """The rows of the innermost function around ``row``, its first line included; all rows where none is seen.

    By indentation: what opens an enclosing block and looks like the beginning of a function.
    """
    indentation = _indentation(lines[row]) + 1
    for first in range(row, -1, -1):
        line = lines[first]
        if not line.strip() or _indentation(line) >= indentation:
            continue
        indentation = _indentation(line)
        if _FUNCTION.search(line):
            end = first + 1
            while end < len(lines) and (not lines[end].strip() or _indentation(lines[end]) > indentation):
                end += 1
            return range(first, end)
    return range(len(lines))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
