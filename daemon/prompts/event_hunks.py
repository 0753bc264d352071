"""Hunks of edit events as lines before and after, and a text as it was before an event.

Hunks of a diff lose carriage returns, so lines are compared without them. Rows are 0-based. Knows nothing of
prompts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from capture.inputs import EditEvent

_HEADER = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class EventHunk:
    """A change with the lines around it, before and after; ``new_row`` is its first row in the new file."""

    new_row: int
    old_lines: list[str] = field(default_factory=list)
    new_lines: list[str] = field(default_factory=list)


def hunks_of(event: EditEvent) -> Iterator[EventHunk]:
    """The hunks of an event in order; lines that are no hunk lines are skipped."""
    hunk: EventHunk | None = None
    for line in event.diff.removesuffix("\n").split("\n"):
        header = _HEADER.match(line)
        if header:
            if hunk is not None:
                yield hunk
            hunk = EventHunk(max(0, int(header[1]) - 1))
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
    return_character = "\r" if any(line.endswith("\r") for line in lines) else ""
    for hunk in reversed(list(hunks_of(event))):
        row = _row_of(hunk, plain, start_row)
        if row is None:
            return None
        undone[row : row + len(hunk.new_lines)] = [line + return_character for line in hunk.old_lines]
    return undone


def _row_of(hunk: EventHunk, plain: Sequence[str], start_row: int | None) -> int | None:
    length = len(hunk.new_lines)
    rows = range(len(plain) - length + 1) if start_row is None else [hunk.new_row - start_row]
    found = [row for row in rows if row >= 0 and list(plain[row : row + length]) == hunk.new_lines]
    return found[0] if len(found) == 1 else None
