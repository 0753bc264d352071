r"""What in a unified diff would be read as something other than what was meant.

Zed's dialect (`capture/editing/unified_diff.py`) is lenient: it drops what it does not understand and takes
content that looks like a file header for one. A patch can thus apply, score and train, and be wrong. Knows
nothing of examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from capture.editing.unified_diff import (
    CURSOR_MARKER,
    FileEnd,
    Hunk,
    PatchError,
    apply_patch,
    extract_cursor,
    parse_patch,
    split_lines,
)

# Zed takes a patch of at most so many lines for "no edit" (file headers alone are two or three).
NO_EDIT_LINES: Final = 3
_COUNTED_HUNK: Final = re.compile(r"@@\s+-\d+(?:,(\d+))?\s+\+\d+(?:,(\d+))?(?:\s|$)", re.ASCII)


def why_unreadable(patch: str) -> str:
    """Why nothing can be read from a patch that has changed lines, or the empty string."""
    lines = split_lines(patch)
    if not any(_is_change(line) for line in lines) or len(lines) <= NO_EDIT_LINES or _hunks(patch):
        return ""
    return "no hunk can be read from it: a patch needs --- and +++ lines, then @@ and the lines of the hunk"


def traps(patch: str) -> Iterator[str]:
    """Sentences about what Zed would misread; none for a sound patch."""
    lines = split_lines(patch)
    if "\r" in patch:
        yield "holds carriage returns, which applying loses: it will not apply to text with CRLF line ends"
    if any(_is_change(line) for line in lines) and len(lines) <= NO_EDIT_LINES:
        yield f"is a change in at most {NO_EDIT_LINES} lines, which Zed takes for no edit: give it file headers"
    elif patch.strip() and not any(line.startswith(("@@", "---", "+++")) for line in lines):
        yield "is no unified diff and is read as no edit"
    else:
        yield from _misread_lines(lines)
    yield from _cursor_traps(lines)


def why_not_applicable(patch: str, text: str) -> str:
    """Why the patch does not change ``text``, or the empty string; a patch without hunks is no edit."""
    hunks = _hunks(patch)
    if not hunks:
        return ""
    try:
        changed, _ = apply_patch(extract_cursor(patch)[0], text)
    except PatchError as error:
        paths = list(dict.fromkeys(hunk.path for hunk in hunks))
        named = f" (it edits {', '.join(paths)})" if len(paths) > 1 else ""
        return f"does not apply to the excerpt: {error}{named}"
    return "changes nothing in the excerpt" if changed == text else ""


@dataclass(slots=True)
class _Place:
    """Where in a patch a line is: in which file's part, in a hunk ending before which line."""

    in_file: bool = False
    in_hunk: bool = False
    hunk_end: int = 0  # 0 where the header's counts do not tell


def _misread_lines(lines: list[str]) -> Iterator[str]:
    place = _Place()
    for index, line in enumerate(lines):
        shown = f"line {index + 1}"
        is_header = line.startswith("---") and line[3:4].isspace(), line.startswith("+++") and line[3:4].isspace()
        if any(is_header):
            if place.in_hunk and _is_content(lines, index, place):
                what = "a deleted line starting with `-- `" if is_header[0] else "an added line starting with `++ `"
                yield f"{shown} is {what}, which Zed takes for a file header: the patch is applied wrongly"
                return
            place = _Place(in_file=place.in_file or is_header[0])
        elif line.startswith("@@") and line[2:3].isspace():
            place = _Place(place.in_file, in_hunk=True, hunk_end=_counted_end(lines, index))
        elif line[:1] in {"+", "-"}:
            if not place.in_file:
                yield f"{shown} belongs to no file's part and is ignored: it needs --- and +++ lines above it"
                return
        elif line and not line.startswith((" ", "\\ No newline")):
            place = _Place()


def _is_content(lines: list[str], index: int, place: _Place) -> bool:
    if place.hunk_end:
        return index < place.hunk_end
    if lines[index].startswith("---"):
        return not (index + 1 < len(lines) and lines[index + 1].startswith("+++ "))
    return not lines[index - 1].startswith("--- ")


def _counted_end(lines: list[str], header: int) -> int:
    """The index behind the hunk's last line if its lines are as many as the header says, else 0."""
    counted = _COUNTED_HUNK.match(lines[header])
    if counted is None:
        return 0
    old, new = (1 if count is None else int(count) for count in counted.groups())
    for index in range(header + 1, len(lines)):
        if old == new == 0:
            return index
        mark = lines[index][:1] or " "
        if mark not in {" ", "+", "-", "\\"}:
            return 0
        old -= mark in {" ", "-"}
        new -= mark in {" ", "+"}
    return len(lines) if old == new == 0 else 0


def _cursor_traps(lines: list[str]) -> Iterator[str]:
    hunks = cursors = 0
    for index, line in enumerate(lines):
        hunks += line.startswith("@@")
        if CURSOR_MARKER not in line:
            continue
        if not line.startswith("+"):
            yield f"line {index + 1} has the cursor in a line that is not added: the marker stays in the text"
            continue
        cursors += line.count(CURSOR_MARKER)
        if hunks > 1:
            yield f"line {index + 1} has the cursor in a later hunk, where Zed counts its place wrongly"
    if cursors > 1:
        yield f"marks {cursors} cursors; all but the first are dropped"


def _hunks(patch: str) -> list[Hunk]:
    return [event for event in parse_patch(patch) if not isinstance(event, FileEnd)]


def _is_change(line: str) -> bool:
    return line[:1] in {"+", "-"} and not (line.startswith(("---", "+++")) and line[3:4].isspace())
