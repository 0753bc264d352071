"""The changed lines that `line_edits` shows: the history as word diffs, and the cursor's line, which stands last.

Knows the region and the format's tokens; nothing of the rest of the prompt or of answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import Indel

from capture.editing.substitution import Piece, line_changes, occurrences, word_diff
from capture.inputs import PredictionInputs
from daemon.prompts.base import CountTokens
from daemon.prompts.line_region import ADD, CONTROL, CURSOR, DEL, FILE, RECENT, SAME, Region

CURSOR_LINE_TOKENS = 128  # of each, as it was and as it is
OLDER_EVENTS_TOKENS = 80
NEWEST_EVENT_TOKENS = 64  # the cursor's line not counted
MAX_EVENTS = 6
# A replaced line that shares less than this with the old one is shown as a removal and an addition.
MIN_LINE_SIMILARITY = 0.3


@dataclass(frozen=True, slots=True)
class CursorLine:
    """The cursor's line without tokens as it was ``before`` the newest event, and with them as it is ``now``."""

    before: str
    now: str


def region_lines(region: Region, cursor_line_before: str) -> Iterator[str]:
    """The region's lines, each with its name behind it; the cursor's line as it was before the newest event."""
    removed = region.substitution.removed if region.substitution else ""
    for index, (line, name) in enumerate(zip(region.lines, region.names(), strict=True)):
        shown = cursor_line_before if index == region.cursor_line else line
        yield _with_marks(shown, [(start, RECENT) for start in occurrences(shown, removed)]) + name


def _with_marks(text: str, marks: Iterable[tuple[int, str]]) -> str:
    """``text`` with tokens put in at character columns, given from left to right."""
    parts: list[str] = []
    position = 0
    for column, token in marks:
        parts += [text[position:column], token]
        position = column
    return "".join(parts) + text[position:]


def cursor_line_and_history(
    inputs: PredictionInputs, region: Region, count_tokens: CountTokens
) -> tuple[CursorLine, list[str]]:
    """The cursor's line, and the events but for what the newest did to this line, oldest first.

    Newest events within the budgets; one that holds a control token is left out.
    """
    line = region.lines[region.cursor_line]
    cursor_line = CursorLine(line, _with_cursor(region, [Piece(line, line)]))
    chosen: list[str] = []
    left = OLDER_EVENTS_TOKENS
    for age, event in enumerate(list(reversed(inputs.events))[:MAX_EVENTS]):
        if CONTROL.search(event.diff) or CONTROL.search(event.path):
            continue
        if age == 0 and event.path == inputs.cursor_path:
            groups, pieces = _taken_out(list(line_changes(event.diff)), line)
            if pieces:
                cursor_line = _changed_cursor_line(region, pieces, cursor_line.now, count_tokens)
            lines = _written_groups(groups)
        else:
            lines = _written_diff(event.diff)
        header = "" if event.path == inputs.cursor_path else f"{FILE}{event.path}\n"
        text = header + lines if lines else ""
        cost = count_tokens(text) if text else 0
        if age == 0:
            chosen += [text] if cost <= NEWEST_EVENT_TOKENS else []
        elif cost > left:
            break
        else:
            left -= cost
            chosen.append(text)
    return cursor_line, chosen[::-1]


def _changed_cursor_line(region: Region, pieces: Sequence[Piece], plain: str, count_tokens: CountTokens) -> CursorLine:
    """The cursor's line as a diff, as far as the budget allows: else it is shown plain, or was empty before."""
    before = "".join(piece.removed for piece in pieces)
    as_diff = _with_cursor(region, pieces)
    return CursorLine(
        before if count_tokens(before) <= CURSOR_LINE_TOKENS else "",
        as_diff if count_tokens(as_diff) <= CURSOR_LINE_TOKENS else plain,
    )


Group = tuple[list[str], list[str]]  # adjacent lines that were removed, and those added in their place


def _taken_out(groups: list[Group], line: str) -> tuple[list[Group], list[Piece]]:
    """The groups without the last change that led to ``line``, and that one in pieces; none where there is none.

    However unlike the line before, it is a replacement if the group's lines can be paired: typing on must not
    change how what is already evaluated is written.
    """
    for number in range(len(groups) - 1, -1, -1):
        removed, added = groups[number]
        if line not in added:
            continue
        at = len(added) - 1 - added[::-1].index(line)
        replaced = len(removed) == len(added)
        pieces = word_diff(removed[at] if replaced else "", line)
        if pieces:
            rest = (removed[:at] + removed[at + 1 :] if replaced else removed, added[:at] + added[at + 1 :])
            return [*groups[:number], rest, *groups[number + 1 :]], pieces
    return groups, []


@lru_cache(maxsize=64)  # a keystroke changes the newest event alone
def _written_diff(diff: str) -> str:
    return _written_groups(line_changes(diff))


def _written_groups(groups: Iterable[Group]) -> str:
    """The changed lines of the history, each with a newline."""
    return "".join(_written(old, new) + "\n" for group in groups for old, new in _paired(*group))


def _paired(removed: list[str], added: list[str]) -> list[tuple[str | None, str | None]]:
    """A group's lines as replacements if each is like the one it replaces, else what was removed and what added."""
    if len(removed) == len(added) and all(
        Indel.normalized_similarity(old, new) >= MIN_LINE_SIMILARITY for old, new in zip(removed, added, strict=True)
    ):
        return list(zip(removed, added, strict=True))
    return [*((old, None) for old in removed), *((None, new) for new in added)]


def _written(old: str | None, new: str | None) -> str:
    """One changed line of the history."""
    if new is None:
        return f"{DEL}{old}"
    if old is None:
        return f"{ADD}{new}"
    return "".join(_written_piece(piece, piece.added) for piece in word_diff(old.strip(), new.strip()))


def _written_piece(piece: Piece, added: str) -> str:
    """``added`` is the piece's own, perhaps with tokens in it."""
    if not piece.changed:
        return added
    return (DEL + piece.removed if piece.removed else "") + (ADD + added if added else "") + SAME


def _with_cursor(region: Region, pieces: Sequence[Piece]) -> str:
    """The cursor's line in pieces, with the marks and the cursor."""
    removed = region.substitution.removed if region.substitution else ""
    recent = occurrences(region.lines[region.cursor_line], removed)
    cursor: list[int] = [region.cursor_column]
    parts: list[str] = []
    start = 0
    for piece in pieces:
        end = start + len(piece.added)
        marks = [(column - start, RECENT) for column in recent if start <= column < end]
        if cursor and cursor[0] <= end:  # between two pieces it belongs to the left one, where it was typed
            marks.append((cursor.pop() - start, CURSOR))
        parts.append(_written_piece(piece, _with_marks(piece.added, sorted(marks))))
        start = end
    return "".join(parts)
