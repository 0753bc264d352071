"""How open snapshots settle: each prediction's region is followed until nothing in it has changed for ten seconds.

One owner for each session. It never waits for anything: it is told of every edit and signal, and woken at the time it
asked for. The times are Zed's (`edit_prediction.rs` at 09adbb01); that of overlapping regions one is open is a rule of
our own:

- a newer snapshot takes the place of one that nobody accepted or rejected and in whose region nothing has changed;
- else it waits beside that one, in place of what waited before, and takes its place if it is accepted first.

So a burst of typing leaves one snapshot: that of its beginning, with what the burst came to, or the accepted one.
Knows nothing of consent, of where snapshots go or of event loops.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from capture.editing.document import SyncState
from capture.settling.counts import Counts, End
from capture.settling.deadlines import Deadlines
from capture.settling.later_events import LaterEvents
from capture.settling.open_snapshot import OpenSnapshot, Returned
from capture.settling.open_snapshots import OpenSnapshots
from capture.snapshot.parts import MAX_REGION_BYTES, path_problem
from capture.snapshot.snapshot import MAX_LATER_EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.editing.document import AppliedEdit, Document
    from capture.inputs import EditEvent, Span
    from capture.snapshot.snapshot import Outcome, Snapshot, State

SETTLE_SECONDS = 10.0  # Zed's EDIT_PREDICTION_SETTLED_QUIESCENCE
MAX_AGE_SECONDS = 300.0  # Zed's EDIT_PREDICTION_SETTLED_TTL


class Settling:
    """Owns one session's open snapshots. ``clock`` counts seconds, ``wall_clock`` since the epoch.

    ``on_final`` gets each finished snapshot and what it was while open, ``on_open`` each one when it is opened (its
    ``repository`` may be set from then on). ``on_deadline`` is told when, on ``clock``, to call `wake`; a later call
    replaces an earlier one. ``may_hold`` is asked of each later event whether a snapshot of that workspace (its id) may
    hold something of that file (its path as displayed). Raises ValueError for ``settle_seconds`` that are not more than
    0 and less than MAX_AGE_SECONDS.
    """

    def __init__(
        self,
        on_final: Callable[[Snapshot, OpenSnapshot], None],
        on_deadline: Callable[[float], None],
        *,
        may_hold: Callable[[str, str], bool],
        on_open: Callable[[OpenSnapshot], None] = lambda _: None,
        settle_seconds: float = SETTLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._on_final = on_final
        self._on_deadline = on_deadline
        self._may_hold = may_hold
        self._on_open = on_open
        self._clock = clock
        self._wall_clock = wall_clock
        self._settle_seconds = _checked(settle_seconds)
        self._open = OpenSnapshots()
        self._asked_for: float | None = None  # the time ``on_deadline`` was told
        self._later = LaterEvents(clock)
        self.deadlines = Deadlines(self._due_by_number)
        self.counts = Counts()
        self.last_refusal = ""

    @property
    def open_count(self) -> int:
        """How many are open; those that only wait are not."""
        return len(self._open)

    def find(self, prediction_id: str) -> OpenSnapshot | None:
        """The one of a prediction, open or waiting, or None."""
        return self._open.find(prediction_id)

    def open(self, document: Document, where: Span, returned: Returned) -> OpenSnapshot | None:
        """A prediction was returned, whose region is ``where`` (bytes) in the document as it is now.

        Gives the snapshot, open or waiting. None where the prediction has one or had one, and where it may have none:
        then ``last_refusal`` says why.
        """
        if self._open.has_had(returned.prediction_id):
            return None
        now = self._clock()
        try:
            newer = OpenSnapshot(returned, document, where, now_seconds=now, created_at=self._wall_clock())
        except ValueError as problem:
            self._refuse(str(problem))
            return None
        if _is_too_large(newer):
            self._refuse(f"region is longer than {MAX_REGION_BYTES} bytes by now")
            return None
        rivals = self._open.meeting(newer)
        in_the_way = next((rival for rival in rivals.values() if not rival.gives_way), None)
        if in_the_way is None:
            self._put_in_place_of(rivals, newer)
        else:
            self._open.let_wait(newer, in_the_way)
        return newer

    def edited(self, document: Document, path: str, edit: AppliedEdit) -> None:
        """The document has just applied ``edit``: to be told of each one, of every document, before the next is made.

        ``path`` is the document's as displayed.
        """
        if not self._open:
            return
        self._later.record(document, path, edit)
        now = self._clock()
        for number, snapshot in self._open.in_document(document):
            for one in (snapshot, snapshot.waiting):
                if one is not None and one.region.follow(edit):
                    one.last_edit_at = now
            if _is_too_large(snapshot):
                self._end(number, "too_large")
            elif snapshot.waiting is not None and _is_too_large(snapshot.waiting):
                self._open.stop_waiting(snapshot)

    def shown(self, prediction_id: str) -> None:
        """The editor drew the prediction. An unknown id is let pass, here and below."""
        snapshot = self.find(prediction_id)
        if snapshot is not None:
            snapshot.shown(self._clock())

    def decided(self, prediction_id: str, outcome: Outcome, reason: str = "") -> None:
        """What became of the prediction."""
        snapshot = self.find(prediction_id)
        if snapshot is None:
            return
        now = self._clock()
        snapshot.decided(outcome, reason, now)
        if outcome in ("accepted", "partially_accepted"):
            snapshot.last_edit_at = now  # its edit may be yet to come
            self._take_place(snapshot)

    def predicted(self, document: Document) -> None:
        """The document's latest changes did what was predicted: told before another edit is made."""
        self._later.accepted(document)

    def closed(self, document: Document) -> None:
        """The document is closed or its text replaced: its snapshots end as they are."""
        for number, _ in self._open.in_document(document):
            self._finish(number)

    def close(self) -> None:
        """The session ends: all snapshots end as they are."""
        for number in self._open.numbers:
            self._finish(number)

    def discard(self, workspace_id: str | None = None) -> None:
        """Forget all snapshots of a workspace, or all of them: consent was taken back."""
        for number in self._open.numbers:
            snapshot = self._open.get(number)
            if snapshot is not None and workspace_id in (None, snapshot.workspace_id):
                self._end(number, "discarded")

    def settle_after(self, settle_seconds: float) -> None:
        """From now on a region is settled after this long, those that are open too."""
        self._settle_seconds = _checked(settle_seconds)
        self.deadlines.again(self._open.numbers)
        self._asked_for = None
        self._ask_for_wake()

    def next_deadline(self) -> float | None:
        """When to call `wake` at the latest, on the clock; None while nothing is open."""
        return self.deadlines.next()

    def wake(self) -> None:
        """Finish what is due; ``on_deadline`` is told what comes next. Harmless when nothing is due."""
        self.counts.wake_ups += 1
        self._asked_for = None
        try:
            for number in self.deadlines.take(self._clock()):
                self._finish(number)
        finally:
            self._ask_for_wake()

    # Time

    def _due(self, snapshot: OpenSnapshot) -> float:
        return min(snapshot.last_edit_at + self._settle_seconds, snapshot.opened_at + MAX_AGE_SECONDS)

    def _due_by_number(self, number: int) -> float | None:
        snapshot = self._open.get(number)
        return None if snapshot is None else self._due(snapshot)

    def _ask_for_wake(self) -> None:
        deadline = self.next_deadline()
        if deadline is not None and (self._asked_for is None or deadline < self._asked_for):
            self._asked_for = deadline
            self._on_deadline(deadline)

    # One place, one snapshot

    def _refuse(self, problem: str) -> None:
        self.counts.refused += 1
        self.last_refusal = problem

    def _take_place(self, accepted: OpenSnapshot) -> None:
        """If this one waits, it goes before all that it meets and that were not accepted themselves."""
        there = self._open.in_document(accepted.document)
        before = {number: snapshot for number, snapshot in there if snapshot.waiting is accepted}
        rivals = {**before, **self._open.meeting(accepted)}
        if before and not any(rival.was_accepted for rival in rivals.values()):
            self._put_in_place_of(rivals, accepted)

    def _put_in_place_of(self, rivals: dict[int, OpenSnapshot], snapshot: OpenSnapshot) -> None:
        for rival in rivals:
            self._end(rival, "replaced")
        snapshot.mark = self._later.mark()
        number = self._open.add(snapshot)
        self.counts.opened += 1
        self.deadlines.add(number)
        self._ask_for_wake()
        self._on_open(snapshot)

    # Ends

    def _finish(self, number: int) -> None:
        """Its time has come, or it cannot be followed any more."""
        snapshot = self._open.get(number)
        if snapshot is None:
            return
        now, document = self._clock(), snapshot.document
        if now >= snapshot.opened_at + MAX_AGE_SECONDS:
            self._end(number, "too_old")
        elif document.sync_state is SyncState.UNSYNCED:
            self._end(number, "text_unknown")
        else:
            is_quiet = now >= snapshot.last_edit_at + self._settle_seconds
            state: State = "settled" if is_quiet else "unsettled"
            text, later_events = snapshot.region.text_in(document), self._events_after(snapshot)
            self._end(number, state)
            self._on_final(snapshot.finalised(state, text, later_events, now_seconds=now), snapshot)

    def _events_after(self, snapshot: OpenSnapshot) -> tuple[EditEvent, ...]:
        found: list[EditEvent] = []
        for event in self._later.since(snapshot.mark):
            if len(found) == MAX_LATER_EVENTS:
                break
            paths = (event.path, event.old_path)
            if any(path_problem(path) or not self._may_hold(snapshot.workspace_id, path) for path in paths):
                self.counts.events_left_out += 1
            else:
                found.append(event)
        return tuple(found)

    def _end(self, number: int, end: End) -> None:
        self._open.remove(number)
        setattr(self.counts, end, getattr(self.counts, end) + 1)
        oldest = self._open.oldest
        self._later.forget_before(self._later.mark() if oldest is None else oldest.mark)


def _is_too_large(snapshot: OpenSnapshot) -> bool:
    return len(snapshot.region.where) > MAX_REGION_BYTES


def _checked(settle_seconds: float) -> float:
    if not 0 < settle_seconds < MAX_AGE_SECONDS:
        raise ValueError(f"settling takes more than 0 and less than {MAX_AGE_SECONDS:g} s, not {settle_seconds:g} s")
    return settle_seconds
