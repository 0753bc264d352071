"""Reversal ratio: how much of a prediction takes back what the programmer just did.

Only the newest event of the file under the cursor counts, and only if it was typed. It is undone on the current
text; the difference between that and the current text is the history's edits, which the prediction's edits are
laid over. Lengths are Unicode characters. As in `edit_prediction_metrics` (reversal.rs at zed 09adbb01), with
its limits: an event that cannot be undone on the text gives 0. Knows nothing of expected edits.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from rapidfuzz.distance import LCSseq

from capture.editing.unified_diff import PatchError, apply_patch, split_lines, with_file_headers
from capture.metrics.characters import single_precision
from capture.metrics.edits import Edit, differences, terminated_lines
from capture.metrics.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from capture.inputs import EditEvent

# A changed block at most this large on either side is compared token by token.
MAX_TOKEN_DIFF_BYTES = 512
MAX_TOKEN_DIFF_LINES = 8

_HUNK_HEADER = re.compile(r"@@ -(\+?[0-9]+)(?:,(\+?[0-9]+))? \+(\+?[0-9]+)(?:,(\+?[0-9]+))? @@")
_MAX_ROW = 2**32 - 1


def reversal_ratio(
    current: str,
    edit_history: Sequence[EditEvent],
    predicted: str,
    cursor_path: str,
    excerpt_start_row: int | None = None,
) -> float:
    """Characters of the prediction that reverse the newest event, over all it deletes and inserts.

    ``current`` is the text before the prediction; ``excerpt_start_row`` is its 0-based row in the file where it is
    an excerpt of one, and the event is then cut to its rows. Event paths may begin with the project's folder. The
    result is 0 or more, rounded to single precision; it passes 1 where one restored text answers for several
    deletions.
    """
    event = next((event for event in reversed(edit_history) if _is_same_path(event.path, cursor_path)), None)
    if event is None or event.predicted or not event.diff:
        return 0.0
    if excerpt_start_row is None:
        before = _undone(event.diff, current)
    else:
        before = _undone_in_excerpt(event.diff, current, excerpt_start_row)
    history = [part for edit in _edits(before, current) for part in _without_kept_text(edit)]
    prediction = [part for edit in _edits(current, predicted) for part in _without_kept_text(edit)]
    size = sum(len(edit.old) + len(edit.new) for edit in prediction)
    return single_precision(_reversed_characters(history, prediction) / size) if size else 0.0


@dataclass(frozen=True, slots=True)
class _Hunk:
    """Counts and 1-based start lines as the header says, lines with their sign; an empty one is context."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        header = f"@@ -{self.old_start},{self.old_count} +{self.new_start},{self.new_count} @@"
        return "".join(f"{line}\n" for line in (header, *self.lines))


def _reversed_characters(history: Sequence[Edit], prediction: Sequence[Edit]) -> int:
    """Added by the history and deleted again, plus deleted by the history and inserted again in the same place."""
    found = 0
    shift = 0
    ends = [edit.end for edit in prediction]
    for done in history:
        start = done.start + shift
        end = start + len(done.new)
        shift += done.growth
        for edit in islice(prediction, bisect_left(ends, start), None):
            if edit.start > end:
                break
            found += max(0, min(end, edit.end) - max(start, edit.start))
            if start == edit.start or edit.start <= start < edit.end:
                found += LCSseq.similarity(done.old, edit.new)
    return found


def _edits(old: str, new: str) -> Iterator[Edit]:
    """What differs, by line; by token in blocks that are small on both sides."""
    for block in differences(terminated_lines(old), terminated_lines(new)):
        if not (_is_small(block.old) and _is_small(block.new)):
            yield block
            continue
        for edit in differences(tokens(block.old), tokens(block.new)):
            yield Edit(block.start + edit.start, edit.old, edit.new)


def _without_kept_text(edit: Edit) -> list[Edit]:
    """An edit that only extends or only shortens its text: just the characters that come or go."""
    if not edit.old or not edit.new:
        return [edit]
    if not _is_subsequence(edit.old, edit.new) and not _is_subsequence(edit.new, edit.old):
        return [edit]
    parts = [Edit(edit.start + part.start, part.old, part.new) for part in differences(edit.old, edit.new)]
    # The diff need not be the shortest: it may delete and insert where inserting would do.
    is_one_sided = not any(part.old for part in parts) or not any(part.new for part in parts)
    return parts if parts and is_one_sided else [edit]


def _is_small(text: str) -> bool:
    return 0 < len(text.encode()) <= MAX_TOKEN_DIFF_BYTES and len(terminated_lines(text)) <= MAX_TOKEN_DIFF_LINES


def _is_subsequence(short: str, long: str) -> bool:
    at = 0
    for character in short:
        at = long.find(character, at) + 1
        if at == 0:
            return False
    return True


def _undone(diff: str, current: str) -> str:
    """``current`` before ``diff``; where that fails as a whole, each hunk is undone that can be."""
    reverse = _reversed_diff(diff)
    try:
        return apply_patch(with_file_headers(reverse, "file"), current)[0]
    except PatchError:
        text = current
        for hunk in _hunks(reverse):
            try:
                text = apply_patch(with_file_headers(str(hunk), "file"), text)[0]
            except PatchError:
                continue
        return text


def _undone_in_excerpt(diff: str, excerpt: str, start_row: int) -> str:
    """The excerpt before those lines of ``diff`` that lie in it; unchanged where they cannot be undone."""
    rows = range(start_row, start_row + max(1, len(split_lines(excerpt))))
    inside = "".join(str(hunk) for hunk in (_cut(hunk, rows) for hunk in _hunks(diff)) if hunk is not None)
    try:
        return apply_patch(_reversed_diff(with_file_headers(inside, "file")), excerpt)[0] if inside else excerpt
    except PatchError:
        return excerpt


def _cut(hunk: _Hunk, rows: range) -> _Hunk | None:
    """The hunk's lines that lie in ``rows`` of the new text, numbered from the first of them."""
    row = max(0, hunk.new_start - 1)
    if row + hunk.new_count <= rows.start or row >= rows.stop:
        return None
    lines: list[str] = []
    first_row = rows.start
    for line in hunk.lines:
        if row in rows:
            first_row = first_row if lines else row
            lines.append(line)
        row += not line.startswith("-")
    if not lines:
        return None
    start = first_row - rows.start + 1
    old_count, new_count = (sum(not line.startswith(sign) for line in lines) for sign in "+-")
    return _Hunk(start, old_count, start, new_count, tuple(lines))


def _reversed_diff(diff: str) -> str:
    r"""Signs and file headers swapped, line numbers kept. Lines lose ``\r``; content like ``++x`` stays added."""
    lines = [_reversed_line(line) for line in split_lines(diff)]
    return "\n".join(lines) + ("\n" if diff.endswith("\n") else "")


def _reversed_line(line: str) -> str:
    for sign, other in (("-", "+"), ("+", "-")):
        if line.startswith(f"{sign * 3} "):
            return other * 3 + line[3:]
        if line.startswith(sign) and not line.startswith(sign * 3):
            return other + line[1:]
    return line


def _hunks(diff: str) -> list[_Hunk]:
    """Hunks by their headers; lines without a sign are dropped."""
    hunks: list[tuple[tuple[int, int, int, int], list[str]]] = []
    for line in split_lines(diff):
        numbers = _header_numbers(line)
        if numbers is not None:
            hunks.append((numbers, []))
        elif hunks and line[:1] in {"", " ", "+", "-"}:
            hunks[-1][1].append(line or " ")
    return [_Hunk(*numbers, tuple(lines)) for numbers, lines in hunks]


def _header_numbers(line: str) -> tuple[int, int, int, int] | None:
    header = _HUNK_HEADER.match(line)
    if header is None:
        return None
    old_start, old_count, new_start, new_count = (1 if number is None else int(number) for number in header.groups())
    if max(old_start, old_count, new_start, new_count) > _MAX_ROW:
        return None
    return old_start, old_count, new_start, new_count


def _is_same_path(event_path: str, cursor_path: str) -> bool:
    """Whether the paths agree by component, with or without the first one of the event's."""
    components, wanted = _components(event_path), _components(cursor_path)
    return wanted in (components, components[1:])


def _components(path: str) -> list[str]:
    """As Rust's ``Path`` splits: repeated and final slashes and inner ``.`` do not count."""
    parts = path.split("/")
    inner: Iterable[str] = (part for part in parts[1:] if part not in {"", "."})
    return [*(["/"] if path.startswith("/") else parts[:1] if parts[0] else []), *inner]
