"""The store of snapshots as the hub uses it: put in, told when it is on the disk, never waited for.

A bounded queue leads to one thread, which has the only writing connection. What cannot be stored is refused with a
reason, and counted; after an error of the disk nothing more is stored until the hub starts again. No file exists before
the first snapshot does. Knows nothing of consent, but asks whoever put a snapshot in whether it is still allowed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from capture.store import stored
from capture.store.answers import RefusalReason, Refused, Stored, StoreState, StoreStatus
from capture.store.error import StorageError
from capture.store.stored import NoSuchSnapshot, PurgeRefused, SnapshotDamaged, nothing_before
from capture.store.writer import Disk, Entry, Limits, SnapshotWriter, always, disk_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from capture.snapshot.snapshot import Rating, Snapshot
    from capture.store.answers import Purged
    from capture.store.choice import Choice
    from capture.store.sqlite import Database

log = logging.getLogger(__name__)

Result = TypeVar("Result")

QUEUE_CAPACITY = 128
BATCH = 32  # snapshots that share a commit when they come faster than the disk
CLOSE_SECONDS = 5.0
CLOSED: tuple[RefusalReason, str] = ("closed", "the store is closed")


@dataclass(slots=True)
class _Put:
    entry: Entry
    future: Future[Stored | Refused] = field(default_factory=Future)


@dataclass(slots=True)
class _Task(Generic[Result]):
    action: Callable[[Database], Result]
    without: Callable[[], Result]  # where there is no store
    future: Future[Result] = field(default_factory=Future)


class Store:
    """For any thread; every method returns at once but ``close``."""

    def __init__(
        self,
        path: Path,
        *,
        limits: Limits | None = None,
        queue_capacity: int = QUEUE_CAPACITY,
        disk: Callable[[Path], Disk] = disk_of,
    ) -> None:
        self.path = path.absolute()
        self._writer = SnapshotWriter(self.path, limits or Limits(), disk)  # the thread's alone
        self._queue_capacity = queue_capacity
        self._changed = threading.Condition()  # guards all that follows
        self._thread: threading.Thread | None = None
        self._waiting: deque[_Put | _Task[Any]] = deque()
        self._in_hand: Sequence[_Put | _Task[Any]] = ()
        self._state: StoreState = "idle"
        self._explanation = ""
        self._stored = 0
        self._refused: Counter[str] = Counter()
        self._evicted: Counter[str] = Counter()
        self._set_aside = ""

    async def put(self, snapshot: Snapshot, still_allowed: Callable[[], bool] = always) -> Stored | Refused:
        """Store it; the answer comes after the commit. Who stops waiting does not take the snapshot back."""
        return await asyncio.wrap_future(self.submit(snapshot, still_allowed))

    def submit(self, snapshot: Snapshot, still_allowed: Callable[[], bool] = always) -> Future[Stored | Refused]:
        """Store it; neither this nor the future raises. An id that is there already is answered with what is there.

        ``still_allowed`` is asked in the store's thread, at last within the transaction that writes the snapshot; it
        must not raise. Where it says no, the answer is the refusal ``no_consent``.
        """
        put = _Put(Entry(snapshot, still_allowed))
        put.future.set_running_or_notify_cancel()  # nobody can cancel it any more
        with self._changed:
            refusal = self._refusal()
            if refusal is None:
                self._enqueue(put)
        if refusal is not None:
            self._answer([put], [Refused(snapshot.id, *refusal)])
        return put.future

    def rate(self, snapshot_id: str, rating: Rating) -> Future[Stored]:
        """Rate a stored snapshot; the future raises as `stored.rate` does."""

        def missing() -> Stored:
            raise NoSuchSnapshot(snapshot_id)

        return self.do(lambda database: stored.rate(database, snapshot_id, rating), missing)

    def delete(self, ids: Iterable[str]) -> Future[int]:
        """Remove snapshots; the future is how many were there, and may raise StorageError."""
        chosen = list(ids)
        return self.do(lambda database: stored.delete(database, chosen), lambda: 0)

    def purge(
        self, wanted: Choice, before_deleting: Callable[[Sequence[str]], None] = nothing_before
    ) -> Future[Purged]:
        """Remove all that match, those that still wait included, with every byte of them; see `stored.purge`.

        The future may raise StorageError and PurgeRefused; ``before_deleting`` is called in the store's thread.
        """
        return self.do(
            lambda database: stored.purge(database, wanted, before_deleting),
            lambda: stored.purge_file(self.path, wanted, before_deleting),
        )

    def do(self, action: Callable[[Database], Result], without: Callable[[], Result]) -> Future[Result]:
        """Call ``action`` in the store's thread, after all that was asked before, or ``without`` where no store is.

        Either may raise StorageError, NoSuchSnapshot, SnapshotDamaged and PurgeRefused, as the future then does, and
        nothing else.
        """
        task = _Task(action, without)
        task.future.set_running_or_notify_cancel()
        with self._changed:
            is_closed = self._state == "closed"
            if not is_closed:
                self._enqueue(task)
        if is_closed:
            task.future.set_exception(StorageError("busy", self.path, CLOSED[1]))
        return task.future

    def status(self) -> StoreStatus:
        """How it is now."""
        with self._changed:
            return StoreStatus(
                path=str(self.path),
                state=self._state,
                explanation=self._explanation,
                waiting=len(self._waiting) + len(self._in_hand),
                stored=self._stored,
                refused=dict(self._refused),
                evicted=dict(self._evicted),
                set_aside=self._set_aside,
            )

    def close(self, within_seconds: float = CLOSE_SECONDS) -> bool:
        """Store what waits, and close; nothing more is accepted. False when it takes longer than that, and goes on."""
        with self._changed:
            self._state = "closed"
            thread = self._thread
            self._changed.notify()
        if thread is None:
            return True
        thread.join(within_seconds)
        return not thread.is_alive()

    def _refusal(self) -> tuple[RefusalReason, str] | None:
        if self._state == "closed":
            return CLOSED
        if self._state == "off":
            return "off", self._explanation
        if len(self._waiting) >= self._queue_capacity:
            return "queue_full", f"{self._queue_capacity} snapshots wait for the disk already"
        return None

    def _enqueue(self, work: _Put | _Task[Any]) -> None:
        self._waiting.append(work)
        if self._thread is None:
            # A daemon: a hub that ends without closing the store loses what waits, but it ends.
            self._thread = threading.Thread(target=self._run, name="snapshot-store", daemon=True)
            self._thread.start()
        self._changed.notify()

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            while work := self._next():
                if isinstance(work[0], _Task):
                    self._perform(work[0])
                else:
                    self._store([put for put in work if isinstance(put, _Put)])
        finally:
            self._end()

    def _next(self) -> Sequence[_Put | _Task[Any]]:
        """One task, or the snapshots that wait before the next one; nothing once the store is closed and empty."""
        with self._changed:
            self._in_hand = ()
            self._changed.wait_for(lambda: self._waiting or self._state == "closed")
            taken: list[_Put | _Task[Any]] = []
            while self._waiting and len(taken) < BATCH:
                if taken and (isinstance(self._waiting[0], _Task) or isinstance(taken[0], _Task)):
                    break
                taken.append(self._waiting.popleft())
            self._in_hand = taken
        return taken

    def _store(self, puts: Sequence[_Put]) -> None:
        with self._changed:
            off = self._explanation if self._state == "off" else ""
        if off:
            self._answer(puts, [Refused(put.entry.snapshot.id, "off", off) for put in puts])
            return
        try:
            answers = self._writer.store([put.entry for put in puts])
        except StorageError as error:
            reason: RefusalReason = "busy" if error.reason == "busy" else "off"
            if reason == "off":
                self._turn_off(error)
            answers = [Refused(put.entry.snapshot.id, reason, str(error)) for put in puts]
        self._note_writer()
        self._answer(puts, answers)

    def _turn_off(self, error: StorageError) -> None:
        log.warning("snapshots are not stored any more: %s", error.reason)
        self._writer.close()
        with self._changed:
            self._explanation = f"{error}; then restart the hub with `foretype stop`"
            if self._state != "closed":
                self._state = "off"

    def _answer(self, puts: Sequence[_Put], answers: Sequence[Stored | Refused]) -> None:
        """Counted first, so that whoever is answered finds it counted."""
        stored_now = sum(isinstance(answer, Stored) for answer in answers)
        with self._changed:
            self._stored += stored_now
            self._refused.update(answer.reason for answer in answers if isinstance(answer, Refused))
            if stored_now and self._state == "idle":
                self._state = "open"
        for put, answer in zip(puts, answers, strict=True):
            put.future.set_result(answer)

    def _perform(self, task: _Task[Any]) -> None:
        try:
            result = self._writer.do(task.action, task.without)
        except (StorageError, NoSuchSnapshot, SnapshotDamaged, PurgeRefused) as error:
            task.future.set_exception(error)
            return
        self._note_writer()
        task.future.set_result(result)

    def _note_writer(self) -> None:
        with self._changed:
            self._evicted = Counter(self._writer.evicted)
            self._set_aside = "" if self._writer.set_aside is None else self._writer.set_aside.name

    def _end(self) -> None:
        """Nobody waits for ever, even if the thread ends by a mistake of ours."""
        with self._changed:
            self._state = "closed"
            left = [*self._in_hand, *self._waiting]
            self._in_hand = ()
            self._waiting.clear()
        self._writer.close()
        for work in left:
            if work.future.done():
                continue
            if isinstance(work, _Put):
                self._answer([work], [Refused(work.entry.snapshot.id, *CLOSED)])
            else:
                work.future.set_exception(StorageError("busy", self.path, CLOSED[1]))
