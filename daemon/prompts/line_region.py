"""The rows that `line_edits` shows and edits: where the region lies, what its lines are called, the format's tokens.

Knows nothing of histories, prompts or answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from capture.editing.substitution import Substitution, last_substitution, occurrences
from capture.inputs import PredictionInputs, Span
from daemon.prompts.base import CountTokens, Refusal

MAX_REGION_LINES = 24
GRID_ROWS = 8  # the region starts at a multiple of it, one to two of them above the cursor
REGION_TOKENS = 420  # the cursor's line not counted

FILE, CONTEXT, DIAGNOSTIC, HISTORY = "<|file|>", "<|context|>", "<|diagnostic|>", "<|history|>"
REGION, ANSWER, CURSOR, RECENT = "<|region|>", "<|answer|>", "<|cursor|>", "<|recent|>"
DEL, ADD, SAME = "<|del|>", "<|add|>", "<|same|>"
AGAIN, INSERT, DELETE, END, NO_EDIT = "<|again|>", "<|insert|>", "<|delete|>", "<|end|>", "<|no_edit|>"
HERE = "<|here|>"
MARKS = tuple(f"<|mark_{number}|>" for number in range(1, 13))
LINES = tuple(f"<|line_{index}|>" for index in range(MAX_REGION_LINES))
LINE_NAMES = (HERE, *MARKS, *LINES)
CONTROL_TOKENS = (
    *(FILE, CONTEXT, DIAGNOSTIC, HISTORY, REGION, ANSWER, CURSOR, RECENT),
    *(DEL, ADD, SAME, AGAIN, INSERT, DELETE, END, NO_EDIT),
    *LINE_NAMES,
)

CONTROL = re.compile("|".join(re.escape(token) for token in CONTROL_TOKENS))
LINE_NAME = re.compile("(" + "|".join(re.escape(name) for name in LINE_NAMES) + ")")


@dataclass(frozen=True, slots=True)
class Region:
    """The editable lines, without their terminators, and what the format marks in them."""

    lines: tuple[str, ...]
    terminators: tuple[str, ...]  # of each line; the last one's is empty
    cursor_line: int
    cursor_column: int  # characters
    substitution: Substitution | None

    def names(self) -> list[str]:
        """The token that names each line."""
        removed = self.substitution.removed if self.substitution else ""
        marks = iter(MARKS)
        names = []
        for index, line in enumerate(self.lines):
            marked = index != self.cursor_line and occurrences(line, removed)
            name = HERE if index == self.cursor_line else LINES[index]
            names.append(next(marks, name) if marked else name)
        return names

    def text(self) -> str:
        """The region as it stands in the excerpt."""
        return "".join(line + end for line, end in zip(self.lines, self.terminators, strict=True))


def locate_region(inputs: PredictionInputs, count_tokens: CountTokens) -> tuple[Region, Span] | Refusal:
    """Whole lines around the cursor, alternately below and above, while budget and grid allow.

    Neither the cursor's line nor its row inside a cell of the grid decides, unless the budget does.
    """
    lines = inputs.cursor_excerpt.split("\n")
    cursor_row = inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].count(b"\n")
    top, bottom = _grid_rows(inputs.excerpt_start_row or 0, cursor_row, len(lines))
    spent = 0
    first = last = cursor_row
    grown = True
    while grown:
        grown = False
        for row in (last + 1, first - 1):
            cost = count_tokens(lines[row]) + 1 if top <= row < bottom else REGION_TOKENS + 1
            if spent + cost > REGION_TOKENS:
                continue
            spent += cost
            first, last = min(first, row), max(last, row)
            grown = True
    start = sum(len(line.encode()) + 1 for line in lines[:first])
    end = start + len("\n".join(lines[first : last + 1]).encode())
    span = Span(start, end)
    region = region_of(inputs, span)
    if CONTROL.search(region.text()):
        return Refusal.CONTROL_TOKENS
    return region, span


def _grid_rows(excerpt_start_row: int, cursor_row: int, row_count: int) -> tuple[int, int]:
    """The excerpt's rows (end exclusive) that a region around ``cursor_row`` (of the excerpt) may take."""
    row_in_file = excerpt_start_row + cursor_row
    first_in_file = (row_in_file // GRID_ROWS - 1) * GRID_ROWS
    # Near the text's end the region reaches up further, in steps of the grid, rather than being short.
    spare = excerpt_start_row + row_count - first_in_file - MAX_REGION_LINES
    first_in_file += min(0, -(-spare // GRID_ROWS) * GRID_ROWS)
    first = max(0, first_in_file - excerpt_start_row)
    return first, min(row_count, first + MAX_REGION_LINES)


def region_of(inputs: PredictionInputs, span: Span) -> Region:
    """The region at ``span`` (bytes of the excerpt, whole lines)."""
    text = inputs.excerpt_bytes[span.start : span.end].decode()
    before_cursor = inputs.excerpt_bytes[span.start : inputs.cursor_offset_in_excerpt].decode()
    raw = text.split("\n")
    lines = tuple(line.removesuffix("\r") for line in raw)
    terminators = tuple(
        ("\r\n" if line.endswith("\r") else "\n") if index < len(raw) - 1 else line[len(lines[index]) :]
        for index, line in enumerate(raw)
    )
    cursor_line = before_cursor.count("\n")
    column = min(len(before_cursor) - (before_cursor.rfind("\n") + 1), len(lines[cursor_line]))
    return Region(lines, terminators, cursor_line, column, last_substitution(inputs.events))
