"""Keeps what settles: takes finished snapshots of all windows, has them examined, hands what passes to the store.

One for the hub. The examination runs in one thread of its own, so no keystroke waits for it; what comes faster than it
can be examined is refused. Whatever is not kept is counted, with the reason. Knows nothing of how a snapshot settles.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import traceback
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from capture.gate.examination import Examination, Passed, Rules
from capture.gate.redaction import SecretScanner
from capture.store.answers import Refused, Stored
from capture.store.choice import Choice
from capture.store.error import StorageError
from capture.store.stored import nothing_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    from capture.consent.book import ConsentBook
    from capture.gate.admission import Origins
    from capture.snapshot.snapshot import Snapshot
    from capture.store.store import Store
    from daemon.settings import Settings

log = logging.getLogger(__name__)

CAPACITY = 128  # snapshots that are examined, wait for it, or wait for the disk
CLOSE_SECONDS = 5.0  # for what is under way; a search takes 20 ms, git's first answer about a repository some more
STORED = "stored"
CLOSED = "the hub is ending"


@dataclass(frozen=True, slots=True)
class Finished:
    """A snapshot that has ended, and what is needed to tell which of its files may be kept.

    ``may_be_seen`` is asked in another thread, with absolute paths: whether the window's settings let a model see the
    file.
    """

    snapshot: Snapshot
    origins: Origins
    may_be_seen: Callable[[str], bool]


class SnapshotKeeper:
    """``settings`` is asked in the thread that keeps, ``new_scanner`` in the one that examines."""

    def __init__(
        self,
        store: Store,
        consents: ConsentBook,
        settings: Callable[[], Settings],
        *,
        new_scanner: Callable[[], SecretScanner] = SecretScanner,
        before_purge: Callable[[Choice], Callable[[Sequence[str]], None]] = lambda _: nothing_before,
        capacity: int = CAPACITY,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self.consents = consents
        self._store = store
        self._settings = settings
        self._new_scanner = new_scanner
        self._before_purge = before_purge
        self._capacity = capacity
        self._close_seconds = close_seconds
        self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot-keeper")
        self._examination: Examination | None = None  # made and used in that thread
        self._lock = threading.Lock()  # guards all that follows
        self._is_closed = False
        self._under_way: set[Future[Stored | Refused]] = set()
        self._counts: Counter[str] = Counter()
        self._latest = ""
        self._broken = ""
        self._on_change: Callable[[], None] | None = None
        self._full_disk = ""  # why nothing can be stored until there is room again

    def follow(self, on_change: Callable[[], None]) -> None:
        """Call this after each change of what is stored, in whatever thread; it must not raise or wait."""
        self._on_change = on_change

    async def keep(self, finished: Finished) -> Stored | Refused:
        """Store it if it may be; the answer comes after the commit. Raises nothing but CancelledError.

        Who stops waiting does not take the snapshot back.
        """
        return await asyncio.wrap_future(self._submit(finished))

    def count(self, reason: str) -> None:
        """One more snapshot was not kept, for a reason that was found before it came here."""
        with self._lock:
            self._counts[reason] += 1

    def status(self) -> dict[str, Any]:
        """As JSON takes it.

        ``off`` says why nothing is captured, empty while it is where there is consent; ``counts`` has how many
        snapshots were ``stored`` and how many were not, by reason, and ``latest`` explains the newest refusal;
        ``under_way`` have no answer yet; ``store`` is `StoreStatus`.
        """
        store = asdict(self._store.status())
        store_is_off = store["state"] == "off"
        with self._lock:
            return {
                "off": self._broken or (store["explanation"] if store_is_off else self._full_disk),
                "counts": dict(self._counts),
                "latest": self._latest,
                "under_way": len(self._under_way),
                "store": store,
            }

    async def purge(self, workspace_ids: Iterable[str]) -> int:
        """Delete what is stored of workspaces whose consent ended, and return how many snapshots that were.

        What is under way of them is not stored any more, and collectors are asked to delete what they have of it.
        Raises PurgeRefused, and StorageError, ``busy`` too where a reader keeps copies in the store's log: then it has
        to be asked again.
        """
        choices = [Choice(workspace_id=workspace_id) for workspace_id in workspace_ids]
        purged = [await asyncio.wrap_future(self._store.purge(one, self._before_purge(one))) for one in choices]
        if self._on_change is not None:
            self._on_change()
        if not all(one.is_complete for one in purged):
            raise StorageError("busy", self._store.path, "what was deleted is still in its log")
        return sum(one.snapshots for one in purged)

    async def close(self) -> None:
        """Take no more, wait a few seconds for what is under way, and close the store."""
        with self._lock:
            self._is_closed = True
            under_way = set(self._under_way)
        if under_way:
            await asyncio.to_thread(concurrent.futures.wait, under_way, self._close_seconds)
        self._thread.shutdown(wait=False, cancel_futures=True)
        if not await asyncio.to_thread(self._store.close):
            log.warning("the snapshot store takes long to close; what it has not written when the hub ends is lost")

    def _submit(self, finished: Finished) -> Future[Stored | Refused]:
        settings = self._settings()
        rules = Rules(open_source_only=settings.open_source_only, mask_secrets=settings.secrets == "mask")
        answer: Future[Stored | Refused] = concurrent.futures.Future()
        answer.set_running_or_notify_cancel()  # nobody can cancel it any more
        with self._lock:
            refusal = self._refusal(finished.snapshot.id)
            if refusal is None:
                self._under_way.add(answer)
                job = self._thread.submit(self._examine, finished, rules, answer)
        if refusal is None:
            job.add_done_callback(partial(self._end_without_answer, answer, finished.snapshot.id))
        else:
            self._give(answer, refusal)
        return answer

    def _refusal(self, snapshot_id: str) -> Refused | None:
        if self._is_closed:
            return Refused(snapshot_id, "closed", CLOSED)
        if len(self._under_way) >= self._capacity:
            return Refused(snapshot_id, "queue_full", f"{self._capacity} snapshots are under way already")
        return None

    def _end_without_answer(self, answer: Future[Stored | Refused], snapshot_id: str, job: Future[None]) -> None:
        """Nobody waits for ever: the job was never begun, or broke off by a mistake of ours."""
        if job.cancelled():
            self._give(answer, Refused(snapshot_id, "closed", CLOSED))
            return
        error = job.exception()
        if error is None:
            return
        # The message may hold text of the user's; where it happened does not.
        log.error(
            "a snapshot was lost: %s at\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
        )
        self._give(
            answer, Refused(snapshot_id, "failed", f"a mistake in foretype ({type(error).__name__}), see its log")
        )

    # What follows runs in the thread, or in the store's.

    def _examine(self, finished: Finished, rules: Rules, answer: Future[Stored | Refused]) -> None:
        examination = self._examination
        if examination is None:
            examination = self._examination = Examination(self.consents, self._new_scanner)
        found = examination.examined(finished.snapshot, finished.origins, finished.may_be_seen, rules)
        with self._lock:
            self._broken = examination.broken
        if isinstance(found, Passed):
            stored = self._store.submit(found.snapshot, found.still_allowed)
            stored.add_done_callback(lambda done: self._give(answer, done.result()))
        else:
            self._give(answer, found)

    def _give(self, answer: Future[Stored | Refused], result: Stored | Refused) -> None:
        """Counted first, so that whoever is answered finds it counted."""
        with self._lock:
            self._under_way.discard(answer)
            self._counts[STORED if isinstance(result, Stored) else result.reason] += 1
            if isinstance(result, Refused):
                self._latest = result.explanation
            if isinstance(result, Stored):
                self._full_disk = ""
            elif result.reason == "low_disk":
                self._full_disk = result.explanation
        answer.set_result(result)
        if isinstance(result, Stored) and self._on_change is not None:
            self._on_change()
