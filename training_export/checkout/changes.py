r"""Patches as lists of changed files, read by the counts in their headers, and applied to whole texts.

`capture.editing.unified_diff` reads patches as Zed does: a deleted line of Lua or SQL that begins with ``-- `` ends the
file there. A whole file must not be lost for that, so what a hunk's header counts is content here, whatever it looks
like. Texts have ``\n`` as line end. Knows nothing of repositories.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from capture.editing.unified_diff import CONTEXT_LINES, NO_PATH, FileEnd, PatchError, parse_patch
from capture.inputs import Span
from daemon.prompts.sections import ACCEPTED_PREDICTION_LINE

_HUNK: Final = re.compile(r"@@\s+-(\d+)(?:,(\d+))?\s+\+(\d+)(?:,(\d+))?\s+@@")
_NO_NEWLINE: Final = "\\ No newline"


@dataclass(frozen=True, slots=True)
class RowsChange:
    """Rows ``old`` became ``new``, both without line ends, from ``row`` and ``new_row`` (0-based) on, None if unsaid.

    ``old_is_open`` and ``new_is_open``: the last row has no line end, and is the file's last.
    """

    row: int | None
    new_row: int | None
    old: tuple[str, ...]
    new: tuple[str, ...]
    old_is_open: bool = False
    new_is_open: bool = False

    @property
    def last_changed_row(self) -> int:
        """The last row that is new, or where nothing is, the one before what is gone; in the text after the change."""
        return (self.new_row or 0) + len(self.new) - _unchanged(self)[1] - 1


@dataclass(frozen=True, slots=True)
class FileChange:
    """What one part of a patch does to one file. ``hunks_text`` is the part behind its file headers.

    ``old_path`` is empty for a file that is new, ``path`` for one that is deleted.
    """

    old_path: str
    path: str
    hunks: tuple[RowsChange, ...]
    hunks_text: str
    predicted: bool = False

    @property
    def where(self) -> str:
        """The file it is about."""
        return self.path or self.old_path


def read_changes(patch: str) -> list[FileChange]:
    """The parts of a patch, one for each pair of file headers, in order; what belongs to none is passed over."""
    lines = [line.removesuffix("\r") for line in patch.split("\n")]
    found: list[FileChange] = []
    index, predicted = 0, False
    while index < len(lines):
        if lines[index] == ACCEPTED_PREDICTION_LINE.rstrip("\n"):
            predicted = True
        elif lines[index].startswith("--- ") and index + 1 < len(lines) and lines[index + 1].startswith("+++ "):
            end = _end_of_part(lines, index + 2)
            found.append(_part(lines[index : index + 2], lines[index + 2 : end], predicted=predicted))
            index, predicted = end, False
            continue
        index += 1
    return found


def apply_change(text: str, change: FileChange, *, shows_ends: bool = False) -> tuple[str, Span, Span]:
    """The text after a change, and the bytes that it replaced and what stands there now, in whole rows.

    Each hunk is looked for at its row first, then anywhere. ``shows_ends``: where a hunk has fewer unchanged rows than
    diffs show, the file must begin or end there; else a text that only looks like the one that the change was made in
    could be taken for it. Raises PatchError where a hunk is nowhere, or at several places.
    """
    rows = text.split("\n")
    row_delta = 0
    touched: list[tuple[int, int, int]] = []  # of each hunk: where, how many rows before and after
    for hunk in change.hunks:
        at = _find(rows, hunk.old, None if hunk.row is None else hunk.row + row_delta)
        end = at + len(hunk.old)
        if shows_ends and not _ends_where_it_must(hunk, rows, at):
            raise PatchError("the hunk belongs to the beginning or the end of another text")
        new = list(hunk.new)
        if hunk.new_is_open and not hunk.old_is_open and rows[end:] == [""]:
            end += 1  # the file's last row loses its line end
        elif hunk.old_is_open and not hunk.new_is_open and end == len(rows):
            new.append("")
        lead = _shared(rows[at:end], new)
        tail = _shared(rows[at + lead : end][::-1], new[lead:][::-1])
        touched.append((at + lead, end - at - lead - tail, len(new) - lead - tail))
        row_delta += len(new) - (end - at)
        rows[at:end] = new
    return ("\n".join(rows), *_spans(text, rows, touched))


def undo_change(text: str, change: FileChange) -> str:
    """The text before a change; raises PatchError where it is not one that the change was made in."""
    backwards = tuple(
        RowsChange(hunk.new_row, hunk.row, hunk.new, hunk.old, hunk.new_is_open, hunk.old_is_open)
        for hunk in change.hunks
    )
    return apply_change(text, replace(change, hunks=backwards), shows_ends=True)[0]


def _end_of_part(lines: Sequence[str], index: int) -> int:
    """The index behind a part's last hunk."""
    while index < len(lines):
        header = _HUNK.match(lines[index])
        if header is None:
            if lines[index].startswith("@@"):  # uncounted: to the next header of any kind
                index += 1
                while index < len(lines) and lines[index][:1] in {" ", "+", "-", ""} and not _begins_part(lines, index):
                    index += 1
                continue
            if lines[index].startswith(_NO_NEWLINE):
                index += 1
                continue
            return index
        old, new = (1 if header[group] is None else int(header[group]) for group in (2, 4))
        index += 1
        while index < len(lines) and (old > 0 or new > 0):
            mark = lines[index][:1] or " "
            if mark not in {" ", "+", "-", "\\"}:
                return index  # fewer lines than the header counts
            old -= mark in {" ", "-"}
            new -= mark in {" ", "+"}
            index += 1
    return index


def _begins_part(lines: Sequence[str], index: int) -> bool:
    return lines[index].startswith("--- ") and index + 1 < len(lines) and lines[index + 1].startswith("+++ ")


def _part(headers: Sequence[str], lines: Sequence[str], *, predicted: bool) -> FileChange:
    hunks: list[RowsChange] = []
    starts = [index for index, line in enumerate(lines) if line.startswith("@@")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        hunks.append(_hunk(lines[start], lines[start + 1 : end]))
    old_path, path = _paths(headers)
    text = "".join(f"{line}\n" for line in (lines[starts[0] :] if starts else ()))
    return FileChange(old_path, path, tuple(hunks), text, predicted)


def _hunk(header: str, lines: Sequence[str]) -> RowsChange:
    counted = _HUNK.match(header)
    row, new_row = (None, None) if counted is None else (max(0, int(counted[group]) - 1) for group in (1, 3))
    while lines and not lines[-1] and counted is None:
        lines = lines[:-1]  # an empty line between parts is no row
    old, new = [], []
    old_is_open = new_is_open = False
    mark = ""
    for line in lines:
        if line.startswith(_NO_NEWLINE):
            old_is_open |= mark in {" ", "-"}
            new_is_open |= mark in {" ", "+"}
            continue
        mark = line[:1] or " "
        if mark in {" ", "-"}:
            old.append(line[1:])
        if mark in {" ", "+"}:
            new.append(line[1:])
    return RowsChange(row, new_row, tuple(old), tuple(new), old_is_open, new_is_open)


def _paths(headers: Sequence[str]) -> tuple[str, str]:
    """The paths of the two headers, empty for ``/dev/null``; quotes and escapes are read as patches' readers do."""
    probe = parse_patch(f"{headers[0]}\n{headers[1]}\n@@ -1,1 +1,1 @@\n-a\n+b\n")
    renamed = next((event.renamed_to for event in probe if isinstance(event, FileEnd)), None)
    named = next((event.path for event in probe if not isinstance(event, FileEnd)), "")
    if headers[0].startswith(f"--- {NO_PATH}"):
        return "", named
    return named, "" if renamed == NO_PATH else renamed or named


def _find(rows: Sequence[str], wanted: Sequence[str], row: int | None) -> int:
    """The index in ``rows`` where ``wanted`` stands. Raises PatchError."""
    if not wanted:
        if row is None and rows != [""]:
            raise PatchError("a hunk without old lines does not say where it belongs")
        return min(row or 0, len(rows) - 1)
    if row is not None and list(rows[row : row + len(wanted)]) == list(wanted):
        return row
    places = _places(rows, wanted)
    if len(places) != 1:
        raise PatchError("the hunk's lines are at several places" if places else "the hunk's lines are nowhere")
    return places[0]


def _places(rows: Sequence[str], wanted: Sequence[str]) -> list[int]:
    return [
        index
        for index in range(len(rows) - len(wanted) + 1)
        if rows[index] == wanted[0] and list(rows[index : index + len(wanted)]) == list(wanted)
    ]


def _ends_where_it_must(hunk: RowsChange, rows: Sequence[str], at: int) -> bool:
    lead, tail = _unchanged(hunk)
    begins = lead >= CONTEXT_LINES or at == 0
    return begins and (tail >= CONTEXT_LINES or list(rows[at + len(hunk.old) :]) in ([], [""]))


def _spans(before: str, rows: Sequence[str], touched: Sequence[tuple[int, int, int]]) -> tuple[Span, Span]:
    """From the first byte that any hunk changed to the last, in the text before and in ``rows`` after."""
    if not touched:
        return Span(0, 0), Span(0, 0)
    old_bytes, new_bytes = len(before.encode()), len("\n".join(rows).encode())
    first = min(at for at, _, _ in touched)
    start = min(sum(len(row.encode()) + 1 for row in rows[:first]), old_bytes, new_bytes)
    last_at, _, last_new = max(touched)
    behind = len("\n".join(rows[last_at + last_new :]).encode())
    return Span(start, max(start, old_bytes - behind)), Span(start, max(start, new_bytes - behind))


def _unchanged(hunk: RowsChange) -> tuple[int, int]:
    """How many rows a hunk begins and ends with that it does not change."""
    lead = _shared(hunk.old, hunk.new)
    return lead, _shared(hunk.old[lead:][::-1], hunk.new[lead:][::-1])


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """How many rows two runs of rows begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(first), len(second)))
