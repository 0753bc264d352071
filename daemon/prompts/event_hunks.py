"""Hunks of edit events as lines before and after, and texts as they were before events.

Hunks of a diff lose carriage returns, so lines are compared without them. Rows are 0-based. Knows nothing of
prompts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from capture.editing.histogram import Change, changes
from capture.inputs import EditEvent, Span

_HEADER = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class EventHunk:
    """A change with the lines around it, before and after; the rows are those of its first line in the file."""

    old_row: int
    new_row: int
    old_lines: list[str] = field(default_factory=list)
    new_lines: list[str] = field(default_factory=list)

    def with_context(self, context_lines: int) -> EventHunk:
        """The same change with at most so many unchanged lines before and after it."""
        before = _common_start(self.old_lines, self.new_lines)
        after = _common_start(self.old_lines[before:][::-1], self.new_lines[before:][::-1])
        first, dropped = max(0, before - context_lines), max(0, after - context_lines)
        return EventHunk(
            self.old_row + first,
            self.new_row + first,
            self.old_lines[first : len(self.old_lines) - dropped],
            self.new_lines[first : len(self.new_lines) - dropped],
        )

    @property
    def changes_text(self) -> bool:
        """Whether more than blank lines and outer whitespace changes."""
        bare = self.with_context(0)
        return "\n".join(bare.old_lines).strip() != "\n".join(bare.new_lines).strip()


def hunks_of(event: EditEvent) -> Iterator[EventHunk]:
    """The hunks of an event in order; lines that are no hunk lines are skipped."""
    hunk: EventHunk | None = None
    for line in event.diff.removesuffix("\n").split("\n"):
        header = _HEADER.match(line)
        if header:
            if hunk is not None:
                yield hunk
            hunk = EventHunk(max(0, int(header[1]) - 1), max(0, int(header[2]) - 1))
        elif hunk is not None and line[:1] in ("", " ", "-", "+"):
            text = line[1:].removesuffix("\r")
            if line[:1] != "+":
                hunk.old_lines.append(text)
            if line[:1] != "-":
                hunk.new_lines.append(text)
    if hunk is not None:
        yield hunk


def lines_before_event(lines: Sequence[str], start_row: int | None, event: EditEvent) -> list[str] | None:
    """The lines of an excerpt as they were before the event, None where the event does not fit them.

    ``start_row`` is the file's row of the first line; without it a hunk must have one possible place.
    """
    undone = list(lines)
    plain = [line.removesuffix("\r") for line in lines]
    return_character = _return_character(lines)
    for hunk in reversed(list(hunks_of(event))):
        row = _row_of(hunk, plain, start_row)
        if row is None:
            return None
        undone[row : row + len(hunk.new_lines)] = [line + return_character for line in hunk.old_lines]
    return undone


def window_before(before: Sequence[str], current: Sequence[str], rows: Span) -> str:
    """The text in ``before`` that became the rows ``rows`` of ``current``."""
    differences = changes(before, current)
    return "\n".join(before[_old_row(differences, rows.start) : _old_row(differences, rows.end)])


def states_before(lines: Sequence[str], start_row: int | None, hunks: Sequence[EventHunk]) -> list[list[str]]:
    """A block of lines as it was before the newest hunk, before the one before that, and so on.

    ``hunks`` are oldest first, ``start_row`` is the file's row of the first line. The first hunk that is not
    found inside the block ends the list. Of equal places the one nearest to the hunk's own row is taken.
    """
    states: list[list[str]] = []
    current = list(lines)
    for hunk in reversed(hunks):
        undone = _undone_inside(current, start_row, hunk)
        if undone is None:
            break
        states.append(undone)
        current = undone
    return states


def _undone_inside(lines: list[str], start_row: int | None, hunk: EventHunk) -> list[str] | None:
    plain = [line.removesuffix("\r") for line in lines]
    for change in (hunk.with_context(1), hunk.with_context(0)):
        wanted = change.new_lines
        if not "".join(wanted).strip():
            continue
        last = len(plain) - len(wanted)
        found = [row for row in range(last + 1) if plain[row : row + len(wanted)] == wanted]
        if found:
            expected = 0 if start_row is None else change.new_row - start_row
            row = min(found, key=lambda place: abs(place - expected))
            restored = [line + _return_character(lines) for line in change.old_lines]
            return [*lines[:row], *restored, *lines[row + len(wanted) :]]
    return None


def _row_of(hunk: EventHunk, plain: Sequence[str], start_row: int | None) -> int | None:
    length = len(hunk.new_lines)
    rows = range(len(plain) - length + 1) if start_row is None else [hunk.new_row - start_row]
    found = [row for row in rows if row >= 0 and list(plain[row : row + length]) == hunk.new_lines]
    return found[0] if len(found) == 1 else None


def _old_row(differences: list[Change], row: int) -> int:
    """The row in the old text that corresponds to one in the new."""
    shift = 0
    for change in differences:
        if row >= change.new_end:
            shift = change.old_end - change.new_end
        elif row > change.new_start:
            return change.old_start + min(row - change.new_start, change.old_end - change.old_start)
        else:
            break
    return row + shift


def _return_character(lines: Sequence[str]) -> str:
    return "\r" if any(line.endswith("\r") for line in lines) else ""


def _common_start(first: Sequence[str], second: Sequence[str]) -> int:
    length = 0
    while length < min(len(first), len(second)) and first[length] == second[length]:
        length += 1
    return length
