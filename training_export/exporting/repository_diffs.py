r"""What a snapshot knows of its repository, said from the repository's root: paths, history, uncommitted changes.

Paths of a snapshot count from its workspace, those of an example from the repository. Diffs are rewritten in the
dialect that examples use: file headers and hunks only, rows that end with ``\n``. Knows nothing of the rest of an
example.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from capture.editing.unified_diff import NO_PATH
from daemon.prompts.sections import ACCEPTED_PREDICTION_LINE, ends_with_newline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from capture.inputs import EditEvent
    from capture.snapshot.parts import FileDiff

_NEEDS_QUOTES: Final = re.compile(r'[\s"\\]')
_HUNK: Final = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


def edit_history(events: Iterable[EditEvent], prefix: str) -> str:
    """The events as unified diffs, oldest first, an accepted prediction marked as such."""
    return "".join(
        (ACCEPTED_PREDICTION_LINE if event.predicted else "")
        + file_headers(prefix + event.old_path, prefix + event.path)
        + ends_with_newline(event.diff)
        for event in events
        if event.diff
    )


def uncommitted_diff(diffs: Iterable[FileDiff], prefix: str) -> str:
    """All files' diffs as one patch; what has no hunks (a file's mode, a binary file) is left out."""
    return "".join(_from_root(found, prefix) for found in diffs)


def holds_history(diffs: Sequence[FileDiff], events: Sequence[EditEvent]) -> bool:
    """Whether the diffs, which say what was on the disk, hold the edits of the history too.

    So they do where each file had been saved after its newest event: what that event added then stands in the file's
    diff, on the same rows. Told from the diffs alone, this can be wrong where an edit brought back what was committed.
    """
    if not diffs:
        return False
    newest = {event.path: event for event in events if event.diff}
    on_disk = {found.path: _rows_after(found.diff) for found in diffs}
    return bool(newest) and all(
        _added_rows(event.diff) <= on_disk.get(path, set()) and path in on_disk for path, event in newest.items()
    )


def file_headers(old_path: str, path: str) -> str:
    """The two lines before a file's hunks; ``/dev/null`` names no file."""
    return f"--- {_named('a', old_path)}\n+++ {_named('b', path)}\n"


def _named(side: str, path: str) -> str:
    if path == NO_PATH:
        return path
    named = f"{side}/{path}"
    if not _NEEDS_QUOTES.search(named):
        return named
    # Without quotes a path ends at its first white space for those who read patches.
    escaped = named.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _from_root(found: FileDiff, prefix: str) -> str:
    header, hunks = _parts(found.diff)
    if not hunks:
        return ""
    old = NO_PATH if f"--- {NO_PATH}" in header else prefix + found.path
    new = NO_PATH if f"+++ {NO_PATH}" in header else prefix + found.path
    return file_headers(old, new) + "".join(f"{line}\n" for line in hunks)


def _parts(diff: str) -> tuple[list[str], list[str]]:
    """The lines before the first hunk, and those from there on. A line ends at its line feed, as git has it."""
    lines = [line.removesuffix("\r") for line in diff.split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    first = next((index for index, line in enumerate(lines) if line.startswith("@@ ")), len(lines))
    return lines[:first], lines[first:]


def _rows_after(diff: str) -> set[tuple[int, str]]:
    """The rows that a diff shows of the text it leads to, each with its number."""
    return {(row, line[1:]) for row, line in _numbered(diff) if line[:1] in {" ", "+"}}


def _added_rows(diff: str) -> set[tuple[int, str]]:
    """The rows an event left changed: what it added, and where it only took away, the rows around that."""
    added = {(row, line[1:]) for row, line in _numbered(diff) if line.startswith("+")}
    return added or _rows_after(diff)


def _numbered(diff: str) -> Iterator[tuple[int, str]]:
    """The lines of the hunks, each with the row of the new text that it stands on or before."""
    row = 0
    for line in _parts(diff)[1]:
        header = _HUNK.match(line)
        if header is not None:
            row = int(header[2])
            continue
        yield row, line
        row += line[:1] in {" ", "+"}
