r"""What the user did lately: edits coalesced into at most ten events, each a small unified diff.

The rules are Zed's (`edit_prediction` at 09adbb01). Nearby edits of one file join one running event; a pause
splits it when it is read; accepted predictions are events of their own; once the user works elsewhere, small
typed and predicted events merge again. A keystroke costs what it changes plus a window of at most
6144 bytes; diffs are written when events are read. Knows nothing of prompts, files or time of day.

In a diff every row ends with ``\n``, whatever terminator it has in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from capture.editing.document import AppliedEdit, Document
from capture.editing.positions import content_of, utf8_length
from capture.editing.unified_diff import CONTEXT_LINES, write_hunks
from capture.inputs import EditEvent, Span

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_EVENTS = 10  # finished ones and the running one
GROUPING_ROWS = 8  # edits further apart are separate events
PAUSE_SECONDS = 1.0
MAX_WINDOW_BYTES = 6144  # of an event with its context lines, in the old text or the new one


class Rows(Protocol):
    """A text that can be asked for its rows, terminators included."""

    @property
    def row_count(self) -> int:
        """Number of rows."""
        ...

    def rows(self, start_row: int, end_row: int) -> list[str]:
        """Rows from ``start_row`` up to, not including, ``end_row``, both clamped."""
        ...


@dataclass(frozen=True, slots=True)
class TextBefore:
    """The text as it was before ``edit``, which led to ``after``."""

    after: Rows
    edit: AppliedEdit

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return self.after.row_count - self.edit.row_delta

    def rows(self, start_row: int, end_row: int) -> list[str]:
        """Rows from ``start_row`` up to, not including, ``end_row``, both clamped."""
        edit, delta = self.edit, self.edit.row_delta
        start, end = max(0, start_row), min(end_row, self.row_count)
        above = self.after.rows(start, min(end, edit.start_row))
        within = edit.old_rows[max(0, start - edit.start_row) : max(0, end - edit.start_row)]
        below = self.after.rows(max(start, edit.old_end_row) + delta, end + delta)
        return [*above, *within, *below]


def compose(first: AppliedEdit, second: AppliedEdit, after: Rows) -> AppliedEdit:
    """Two edits in a row as one that spans both; ``after`` is the text after the second."""
    start = min(first.start_row, second.start_row)
    end = max(first.new_end_row, second.old_end_row)
    old_rows = first.old_rows
    if start < first.start_row or end > first.new_end_row:
        between = TextBefore(after, second)
        above = between.rows(start, first.start_row)
        old_rows = (*above, *old_rows, *between.rows(first.new_end_row, end))
    first_end, second_end = first.start_bytes + first.new_bytes, second.start_bytes + second.old_bytes
    start_bytes = min(first.start_bytes, second.start_bytes)
    end_bytes = max(first_end, second_end)
    return AppliedEdit(
        start_row=start,
        old_rows=old_rows,
        new_row_count=end - start + second.row_delta,
        start_bytes=start_bytes,
        old_bytes=first.start_bytes - start_bytes + first.old_bytes + end_bytes - first_end,
        new_bytes=end_bytes - start_bytes + second.new_bytes - second.old_bytes,
    )


@dataclass(frozen=True)
class _Finished:
    """An event whose texts are fixed. ``rows`` follow the latest text of the same document."""

    document: Document
    path: str
    predicted: bool
    edit: AppliedEdit
    first_row: int
    old_text: str
    new_text: str
    rows: Span
    mergeable: bool = True  # false once an edit after it was not recorded

    @cached_property
    def event(self) -> EditEvent:
        """The event, its diff written once."""
        edit = self.edit
        return EditEvent(
            path=self.path,
            old_path=self.path,
            diff=write_hunks(self.old_text, self.new_text, old_start_row=self.first_row, new_start_row=self.first_row),
            old_range=Span(edit.start_bytes, edit.start_bytes + edit.old_bytes),
            new_range=Span(edit.start_bytes, edit.start_bytes + edit.new_bytes),
            predicted=self.predicted,
        )


@dataclass(frozen=True, slots=True)
class _Running:
    """The event that grows: ``edit`` is everything in it, ``since_pause`` what came after the last pause."""

    document: Document
    path: str
    predicted: bool
    edit: AppliedEdit
    latest: AppliedEdit
    latest_seconds: float
    before_pause: _Finished | None = None
    since_pause: AppliedEdit | None = None


@dataclass(frozen=True, slots=True)
class HistoryState:
    """All events at one moment; a value to return to with `History.restore`."""

    finished: tuple[_Finished, ...] = ()
    running: _Running | None = None


class History:
    """The edit events of one session. ``clock`` gives seconds that never go backwards."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._state = HistoryState()
        self._read: tuple[_Running | None, list[_Finished]] = (None, [])

    @property
    def state(self) -> HistoryState:
        """The events as they are now."""
        return self._state

    def restore(self, state: HistoryState) -> None:
        """Go back to an earlier state, to record the edits since then differently."""
        self._state = state

    def record(self, document: Document, path: str, edit: AppliedEdit, *, predicted: bool = False) -> None:
        """Take in an edit that ``document`` has just applied. ``path`` is the one to display."""
        now_seconds = self._clock()
        finished, running = self._state.finished, self._state.running
        if running is not None:
            grown = _grown(running, document, edit, now_seconds, predicted=predicted)
            if grown is not None:
                self._state = HistoryState(finished, grown)
                return
            same = running.document is document
            finished = _with_finished(finished, running, TextBefore(document, edit) if same else running.document)
            if same:
                finished = _merged(finished, document, edit)
        started: _Running | None = None
        if _window_bytes(edit, document) <= MAX_WINDOW_BYTES:
            started = _Running(document, path, predicted, edit, edit, now_seconds)
        else:
            finished = _shifted(finished, document, edit, mergeable=False)
        self._state = HistoryState(finished, started)

    def finish(self, document: Document) -> None:
        """End the running event of a document that is closed or replaced."""
        finished, running = self._state.finished, self._state.running
        if running is not None and running.document is document:
            finished, running = _with_finished(finished, running, document), None
        finished = tuple(replace(event, mergeable=False) if event.document is document else event for event in finished)
        self._state = HistoryState(finished, running)

    def events(self) -> tuple[EditEvent, ...]:
        """At most ten events, oldest first; the running one in two where the last pause split it."""
        running = self._state.running
        if running is not self._read[0]:
            self._read = (running, [] if running is None else _split_at_pause(running))
        events = [finished.event for finished in (*self._state.finished, *self._read[1])]
        return tuple(event for event in events if event.diff)[-MAX_EVENTS:]


def _grown(
    running: _Running, document: Document, edit: AppliedEdit, now_seconds: float, *, predicted: bool
) -> _Running | None:
    """The running event with the edit in it; None where the edit starts another event."""
    if running.document is not document or running.predicted != predicted:
        return None
    latest = Span(running.latest.start_row, running.latest.new_end_row)
    if _rows_between(latest, Span(edit.start_row, edit.old_end_row)) > GROUPING_ROWS:
        return None
    whole = compose(running.edit, edit, document)
    if _window_bytes(whole, document) > MAX_WINDOW_BYTES:
        return None
    before_pause, since_pause = running.before_pause, running.since_pause
    if now_seconds - running.latest_seconds >= PAUSE_SECONDS:
        before_pause = _freeze(running, running.edit, TextBefore(document, edit))
        since_pause = edit
    elif since_pause is not None:
        since_pause = compose(since_pause, edit, document)
    return replace(
        running,
        edit=whole,
        latest=edit,
        latest_seconds=now_seconds,
        before_pause=before_pause,
        since_pause=since_pause,
    )


def _split_at_pause(running: _Running) -> list[_Finished]:
    if running.before_pause is None or running.since_pause is None:
        return [_freeze(running, running.edit, running.document)]
    return [running.before_pause, _freeze(running, running.since_pause, running.document)]


def _freeze(running: _Running, edit: AppliedEdit, text: Rows) -> _Finished:
    """Fix an event's texts; ``text`` is the document right after ``edit``."""
    first_row = max(0, edit.start_row - CONTEXT_LINES)
    above = text.rows(first_row, edit.start_row)
    new = text.rows(edit.start_row, edit.new_end_row)
    below = text.rows(edit.new_end_row, edit.new_end_row + CONTEXT_LINES)
    return _Finished(
        document=running.document,
        path=running.path,
        predicted=running.predicted,
        edit=edit,
        first_row=first_row,
        old_text=_normalised([*above, *edit.old_rows, *below]),
        new_text=_normalised([*above, *new, *below]),
        rows=Span(edit.start_row, edit.new_end_row),
    )


def _normalised(rows: list[str]) -> str:
    contents = [content_of(row) for row in rows]
    return "".join(
        content + "\n" if len(row) > len(content) else content for row, content in zip(rows, contents, strict=True)
    )


def _with_finished(finished: tuple[_Finished, ...], running: _Running, text: Rows) -> tuple[_Finished, ...]:
    """The running event ended; ``text`` is its document as the event left it."""
    shifted = _shifted(finished, running.document, running.edit)
    frozen = _freeze(running, running.edit, text)
    if frozen.old_text == frozen.new_text:
        return shifted  # typed and taken back
    return (*shifted, frozen)[-(MAX_EVENTS - 1) :]


def _shifted(
    finished: tuple[_Finished, ...], document: Document, edit: AppliedEdit, *, mergeable: bool = True
) -> tuple[_Finished, ...]:
    """Move the rows of the document's earlier events past ``edit``."""
    return tuple(
        replace(
            event,
            rows=Span(_row_after(event.rows.start, edit), _row_after(event.rows.end, edit)),
            mergeable=event.mergeable and mergeable,
        )
        if event.document is document
        else event
        for event in finished
    )


def _row_after(row: int, edit: AppliedEdit) -> int:
    if row >= edit.old_end_row:
        return row + edit.row_delta
    return min(row, edit.new_end_row)


def _merged(finished: tuple[_Finished, ...], document: Document, newest: AppliedEdit) -> tuple[_Finished, ...]:
    """Merge the trailing events of alternating source, now that the user works elsewhere."""
    text = TextBefore(document, newest)
    newest_rows = Span(newest.start_row, newest.old_end_row)
    count = 1
    while count < len(finished) and _can_merge(finished[-count - 1], finished[-count], document, newest_rows):
        count += 1
    if count == 1:
        return finished
    *older, last = finished[-count:]
    edit = last.edit
    for event in reversed(older):
        edit = compose(event.edit, edit, text)
    if _window_bytes(edit, text) > MAX_WINDOW_BYTES:
        return finished
    predicted = all(event.predicted for event in finished[-count:])
    whole = _Running(document, last.path, predicted, edit, edit, latest_seconds=0)
    return (*finished[:-count], _freeze(whole, edit, text))


def _can_merge(left: _Finished, right: _Finished, document: Document, newest_rows: Span) -> bool:
    return (
        left.document is document
        and right.document is document
        and left.mergeable
        and left.predicted != right.predicted
        and _rows_between(left.rows, right.rows) <= GROUPING_ROWS
        and min(_rows_between(left.rows, newest_rows), _rows_between(right.rows, newest_rows)) > GROUPING_ROWS
    )


def _rows_between(first: Span, second: Span) -> int:
    """Distance of the last row of the upper range to the first row of the lower one; 0 where they meet."""
    return max(0, first.start - (second.end - 1), second.start - (first.end - 1))


def _window_bytes(edit: AppliedEdit, text: Rows) -> int:
    """Bytes of the edit with its context lines, in the larger of the old and the new text."""
    old = sum(map(utf8_length, edit.old_rows))
    above = text.rows(edit.start_row - CONTEXT_LINES, edit.start_row)
    below = text.rows(edit.new_end_row, edit.new_end_row + CONTEXT_LINES)
    return max(old, old + edit.new_bytes - edit.old_bytes) + sum(map(utf8_length, above + below))
