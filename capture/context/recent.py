r"""The files of a session that were looked at or edited lately, and where in them.

Bounded; nothing is read from disk: a file is shown from the editor's own text, one that was closed as it was then. The
number of files is Zed's (`crates/edit_prediction/src/edit_prediction.rs` at zed 09adbb01). Knows nothing of which files
may be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.context.related import Candidate, Group
from capture.editing.positions import content_of, utf8_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capture.editing.history import Rows

MAX_FILES = 20
ROWS_AROUND_PLACE = 10
MAX_EXCERPT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Recent:
    row: int
    is_edited: bool
    text: Rows | None  # None once it is closed
    held: Candidate | None = None  # what it showed then


class RecentFiles:
    """Owns the list. Paths are absolute."""

    def __init__(self) -> None:
        self._files: dict[str, _Recent] = {}  # the latest last

    def viewed(self, path: str, row: int, text: Rows) -> None:
        """Somebody looks at ``row``; opening a file is looking at its first row."""
        before = self._files.get(path)
        self._put(path, _Recent(row, before is not None and before.is_edited, text))

    def edited(self, path: str, row: int, text: Rows) -> None:
        """Somebody edited at ``row``."""
        self._put(path, _Recent(row, is_edited=True, text=text))

    def closed(self, path: str) -> None:
        """The text is no longer followed: what stands around its last place is held as it is."""
        recent = self._files.get(path)
        if recent is not None and recent.text is not None:
            held = _candidate(path, recent, recent.text, rank=0)
            self._files[path] = _Recent(recent.row, recent.is_edited, None, held)

    def candidates(self, *, without: str) -> Iterator[Candidate]:
        """The rows around the last place of each file but ``without``: edited files first, the latest first."""
        latest = [item for item in reversed(self._files.items()) if item[0] != without]
        latest.sort(key=lambda item: not item[1].is_edited)
        for rank, (path, recent) in enumerate(latest):
            if recent.text is not None:
                yield _candidate(path, recent, recent.text, rank)
            elif recent.held is not None:
                yield recent.held._replace(rank=rank)

    def _put(self, path: str, recent: _Recent) -> None:
        self._files.pop(path, None)
        self._files[path] = recent
        if len(self._files) > MAX_FILES:
            del self._files[next(iter(self._files))]


def _candidate(path: str, recent: _Recent, text: Rows, rank: int) -> Candidate:
    start_row, excerpt = _around(text, recent.row)
    return Candidate(
        Group.RECENT,
        rank,
        path,
        start_row,
        excerpt,
        # Zed has no word for a file that was only looked at; this one means whole files that the history names.
        "edit_history" if recent.is_edited else "edit_history_file",
        text.row_count - 1,
    )


def _around(text: Rows, place_row: int) -> tuple[int, str]:
    """The first row and the text of the rows around a row that fit, one down, one up, and so on."""
    first_row = max(0, min(place_row, text.row_count - 1) - ROWS_AROUND_PLACE)
    rows = [content_of(each) + "\n" for each in text.rows(first_row, place_row + ROWS_AROUND_PLACE + 1) if each]
    start = end = max(0, min(place_row - first_row, len(rows) - 1))
    left_bytes = MAX_EXCERPT_BYTES
    while True:
        grown = False
        for index in (end, start - 1):
            if 0 <= index < len(rows) and utf8_length(rows[index]) <= left_bytes:
                left_bytes -= utf8_length(rows[index])
                start, end = min(start, index), max(end, index + 1)
                grown = True
        if not grown:
            return first_row + start, "".join(rows[start:end])
