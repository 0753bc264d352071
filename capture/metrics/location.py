"""Where a patch edits: does another patch edit there too, and was the context shown to the model around there.

A patch is placed by its anchor rows in the old text: the deleted rows, or the context rows on either side of a
pure insertion. Within 20 rows of an anchor counts as there. As in `edit_prediction_metrics` (jumps.rs at zed
09adbb01). Knows nothing of texts.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from capture.metrics.counts import MatchCounts, f_score
from capture.metrics.patch_hunks import CHANGES, CONTEXT, DELETED, PatchHunk, below_first_folder, read_hunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capture.inputs import Span

WINDOW_ROWS = 20

Rows = dict[str, set[int]]
_ROW_LIMIT = 2**32


@dataclass(frozen=True, slots=True)
class ContextExcerpt:
    """Rows of a file that a model was shown; ``row_range`` is 0-based, ``content`` is their text."""

    path: str
    row_range: Span
    content: str


@dataclass(frozen=True, slots=True)
class LocationMatch:
    """Rows and files that match. Unlike those of `MatchCounts` the rates are 1 where there was nothing to get wrong."""

    lines_tp: int
    lines_fp: int
    lines_fn: int
    lines_precision: float
    lines_recall: float
    lines_f1: float
    files_tp: int
    files_fp: int
    files_fn: int
    files_precision: float
    files_recall: float
    files_f1: float

    @property
    def lines(self) -> MatchCounts:
        """The counts of rows."""
        return MatchCounts(self.lines_tp, self.lines_fp, self.lines_fn)

    @property
    def files(self) -> MatchCounts:
        """The counts of files."""
        return MatchCounts(self.files_tp, self.files_fp, self.files_fn)

    def to_json(self) -> dict[str, Any]:
        """Zed's keys."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LocationMatch:
        """Read Zed's keys; raises KeyError when one is missing."""
        return cls(**{name: value[name] for name in cls.__slots__})


def patch_location_match(expected_patch: str, actual_patch: str) -> LocationMatch:
    """Match anchor rows one to one, and files.

    A path of the actual patch may carry its project's folder in front; a file it edits without any anchor (a
    new file) is not counted as edited, one the expected patch edits is.
    """
    expected_files, expected_rows = _anchors(read_hunks(expected_patch))
    actual_rows: Rows = {}
    for path, rows in _anchors(read_hunks(actual_patch))[1].items():
        actual_rows.setdefault(_path_as_expected(path, expected_files), set()).update(rows)
    tp = sum(_matching(rows, actual_rows[path]) for path, rows in expected_rows.items() if path in actual_rows)
    lines = MatchCounts(tp, _row_count(actual_rows) - tp, _row_count(expected_rows) - tp)
    files = _compare(expected_files, set(actual_rows))
    return _location_match(lines, _recall(lines), files)


def editable_context_coverage(expected_patch: str, context: Sequence[ContextExcerpt]) -> LocationMatch:
    """How much of the rows around the expected edit was shown, and how much else.

    Shown rows near an anchor are true positives, but only anchors themselves can be missed, and recall is the
    part of the anchors shown.
    """
    expected_files, expected_rows = _anchors(read_hunks(expected_patch))
    shown: Rows = {}
    for excerpt in context:
        shown.setdefault(excerpt.path, set()).update(range(excerpt.row_range.start, excerpt.row_range.end))
    tp = sum(len(rows & _near(expected_rows.get(path, set()))) for path, rows in shown.items())
    anchors = _row_count(expected_rows)
    missed = sum(len(rows - shown.get(path, set())) for path, rows in expected_rows.items())
    lines = MatchCounts(tp, _row_count(shown) - tp, missed)
    recall = (anchors - missed) / anchors if anchors else 1.0
    return _location_match(lines, recall, _compare(expected_files, set(shown)))


def _anchors(hunks: Sequence[PatchHunk]) -> tuple[set[str], Rows]:
    """The files edited, and the anchor rows of those that have any."""
    files = {hunk.path for hunk in hunks if hunk.has_change}
    rows: Rows = {}
    for hunk in hunks:
        found = set(_anchor_rows(hunk))
        if found:
            rows.setdefault(hunk.path, set()).update(found)
    return files, rows


def _anchor_rows(hunk: PatchHunk) -> Iterator[int]:
    row = max(0, hunk.old_start - 1) % _ROW_LIMIT
    context_row: int | None = None
    is_after_insertion = False
    for is_change, run in groupby((sign for sign, _ in hunk.lines), key=CHANGES.__contains__):
        signs = list(run)
        if is_change:
            deleted = signs.count(DELETED)
            yield from range(row, row + deleted)
            is_after_insertion = not deleted
            if is_after_insertion and context_row is not None:
                yield context_row
            row += deleted
            context_row = None
        else:
            if is_after_insertion and signs[0] == CONTEXT:
                yield row
            row += signs.count(CONTEXT)
            context_row = row - 1 if CONTEXT in signs else context_row
            is_after_insertion = False


def _location_match(lines: MatchCounts, lines_recall: float, files: MatchCounts) -> LocationMatch:
    lines_precision = _precision(lines)
    files_precision, files_recall = _precision(files), _recall(files)
    return LocationMatch(
        lines_tp=lines.tp,
        lines_fp=lines.fp,
        lines_fn=lines.fn,
        lines_precision=lines_precision,
        lines_recall=lines_recall,
        lines_f1=f_score(lines_precision, lines_recall, beta=1.0),
        files_tp=files.tp,
        files_fp=files.fp,
        files_fn=files.fn,
        files_precision=files_precision,
        files_recall=files_recall,
        files_f1=f_score(files_precision, files_recall, beta=1.0),
    )


def _precision(counts: MatchCounts) -> float:
    return counts.precision if counts.tp + counts.fp else 1.0


def _recall(counts: MatchCounts) -> float:
    return counts.recall if counts.tp + counts.fn else 1.0


def _compare(expected: set[str], actual: set[str]) -> MatchCounts:
    return MatchCounts(len(expected & actual), len(actual - expected), len(expected - actual))


def _row_count(rows: Rows) -> int:
    return sum(map(len, rows.values()))


def _near(anchors: set[int]) -> set[int]:
    return {row for anchor in anchors for row in range(anchor - WINDOW_ROWS, anchor + WINDOW_ROWS + 1)}


def _matching(expected: set[int], actual: set[int]) -> int:
    """From the top, each actual row takes the first expected row left within the window."""
    unmatched = sorted(expected)
    matched = 0
    for row in sorted(actual):
        first = bisect_left(unmatched, row - WINDOW_ROWS)
        if first < len(unmatched) and unmatched[first] <= row + WINDOW_ROWS:
            del unmatched[first]
            matched += 1
    return matched


def _path_as_expected(path: str, expected_files: set[str]) -> str:
    shortened = below_first_folder(path)
    return shortened if path not in expected_files and shortened is not None and shortened in expected_files else path
