"""What one session's person did after each of several moments: at most a few edit events for each.

The edit history a model sees has no place for marks: its newest event grows, and events merge. So what comes after a
mark is recorded in a history of its own, by the same rules (`editing.history`). Knows nothing of snapshots.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.editing.history import MAX_EVENTS, History, compose

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.editing.document import AppliedEdit, Document
    from capture.editing.history import HistoryState
    from capture.inputs import EditEvent

MAX_CHANGES_OF_AN_ACCEPTANCE = 16  # an editor applies an accepted prediction in one notification of few changes


@dataclass(slots=True)
class _Notification:
    """The latest changes that came together: they may turn out to be an accepted prediction."""

    document: Document
    path: str
    version: int
    whole: AppliedEdit
    count: int
    before: HistoryState


class _Stretch:
    """What was done between two marks, as far as anybody will ask: the first nine events."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._history = History(clock)
        self._latest: _Notification | None = None
        self._is_full = False
        self.is_empty = True

    def record(self, document: Document, path: str, edit: AppliedEdit) -> None:
        self.is_empty = False
        if self._is_full:
            return
        history, latest = self._history, self._latest
        if latest is not None and latest.document is document and latest.version == document.version:
            whole, before, count = latest.whole, latest.before, latest.count + 1
            if count <= MAX_CHANGES_OF_AN_ACCEPTANCE:
                whole = compose(whole, edit, document)
        else:
            whole, before, count = edit, history.state, 1
        history.record(document, path, edit)
        self._latest = _Notification(document, path, document.version, whole, count, before)
        if len(history.state.finished) >= MAX_EVENTS - 2:  # with the running one: before any is dropped
            self.end()
            self._is_full = True

    def accepted(self, document: Document) -> None:
        latest = self._latest
        if (
            latest is None
            or self._is_full
            or latest.document is not document
            or latest.version != document.version
            or latest.count > MAX_CHANGES_OF_AN_ACCEPTANCE
        ):
            return
        self._history.restore(latest.before)
        self._history.record(document, latest.path, latest.whole, predicted=True)

    def end(self) -> None:
        """Fix what is recorded: the documents will go on."""
        if self._latest is not None:
            self._history.finish(self._latest.document)

    def events(self) -> tuple[EditEvent, ...]:
        return self._history.events()


class LaterEvents:
    """Owner of one session's later events. ``clock`` gives seconds that never go backwards."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stretches: deque[_Stretch] = deque([_Stretch(clock)])
        self._first = 0  # the mark at the beginning of the first stretch

    def mark(self) -> int:
        """The present moment, to ask `since` about; marks rise."""
        if not self._stretches[-1].is_empty:
            self._stretches[-1].end()
            self._stretches.append(_Stretch(self._clock))
        return self._first + len(self._stretches) - 1

    def record(self, document: Document, path: str, edit: AppliedEdit) -> None:
        """Take in an edit that ``document`` has just applied, every one of them. ``path`` is the one to display."""
        self._stretches[-1].record(document, path, edit)

    def accepted(self, document: Document) -> None:
        """What the document's latest changes did was predicted; without any since the last mark: nothing."""
        self._stretches[-1].accepted(document)

    def since(self, mark: int) -> tuple[EditEvent, ...]:
        """What was done after a mark, oldest first; all there is where it is little, else at least the first nine."""
        found: list[EditEvent] = []
        for index in range(max(0, mark - self._first), len(self._stretches)):
            found.extend(self._stretches[index].events())
            if len(found) >= MAX_EVENTS:
                break
        return tuple(found)

    def forget_before(self, mark: int) -> None:
        """Nobody will ask about an earlier moment."""
        while self._first < mark and len(self._stretches) > 1:
            self._stretches.popleft()
            self._first += 1
