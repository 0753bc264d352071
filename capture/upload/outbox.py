"""What leaves next: leases snapshots from the store, looks at each before it goes, and writes down what came of it.

A snapshot goes only where consent to upload was given before it was made, and only under an agreement that still holds
for every file in it. What may not go is parked in the store with the reason and never tried again. Knows nothing of
networks, of collectors or of settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import orjson

from capture.snapshot.snapshot import Snapshot, paths_of
from capture.store import leases
from capture.store.leases import Backlog, Row, Wanted
from capture.store.payload import PayloadDamaged, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from capture.consent.book import ConsentBook
    from capture.store.sqlite import Database
    from capture.store.store import Store

Result = TypeVar("Result")

MAX_CONTENT_BYTES = (1 << 20) - 1024  # one batch holds it, with its id and the rest of the message around it


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One snapshot as it is sent: ``content`` are its canonical bytes, ``sha256`` theirs, 64 hexadecimal digits."""

    id: str
    workspace_id: str
    schema_version: int
    sha256: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lease:
    """Snapshots that nobody else sends for `leases.LEASE_SECONDS`; never empty.

    ``agreed`` are the consents it was made under: since when what is in a workspace may be uploaded.
    """

    id: str
    snapshots: tuple[Outgoing, ...]
    agreed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a lease would hold, and what would be parked instead, by id with the reason.

    ``after`` goes on behind it, and is None when nothing is left.
    """

    snapshots: tuple[Outgoing, ...]
    withheld: Mapping[str, str]
    after: int | None


class Outbox:
    """For one event loop. ``check`` says why a snapshot may not leave, empty when it may; it runs in a thread.

    ``may_be_seen`` is asked there too, with absolute paths: whether the settings let a model see the file.
    ``clock`` gives seconds since the epoch. Whatever asks the store may raise StorageError, and what looks at snapshots
    whatever ``check`` raises: then nothing stays leased.
    """

    def __init__(
        self,
        store: Store,
        consents: ConsentBook,
        check: Callable[[Snapshot], str],
        *,
        may_be_seen: Callable[[str], bool] = lambda _: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._consents = consents
        self._check = check
        self._may_be_seen = may_be_seen
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot-outbox")

    async def lease(self, max_snapshots: int, max_bytes: int) -> Lease | None:
        """The oldest snapshots that may leave, at most so many and so many bytes of content; None when there are none.

        The oldest may have more bytes than that, and is alone then. The install they are sent under has to be taken
        before this is called (`Installs.take`), or a purge meanwhile could not name the collector.
        """
        while agreed := self._consents.uploads():
            wanted = Wanted(agreed, max_snapshots, max_bytes)
            lease_id = uuid.uuid4().hex
            with self._released_if_it_breaks_off(lease_id):
                rows = await self._do(
                    partial(leases.take, lease_id=lease_id, wanted=wanted, clock=self._clock), _no_rows
                )
                if not rows:
                    return None
                ready, reasons = await self._looked_at(rows)
                if reasons:
                    await self._do(partial(leases.park, lease_id=lease_id, reasons=reasons), _nothing)
                if ready:
                    return Lease(lease_id, ready, agreed)
        return None

    def still_allowed(self, lease: Lease) -> bool:
        """Whether every consent the lease was made under holds unchanged; to be asked right before it is sent."""
        now = self._consents.uploads()
        return all(
            one.workspace_id in now and now[one.workspace_id] == lease.agreed.get(one.workspace_id)
            for one in lease.snapshots
        )

    async def settle(self, lease: Lease, accepted: Collection[str], parked: Mapping[str, str]) -> None:
        """End the lease: ids that a collector has are uploaded, others parked with a reason, the rest is free again.

        Done, durably, when it returns. What became of a snapshot is final: one that was rated while it was on its way
        stays uploaded as it was sent. Raises ValueError for an id that is not in the lease, or in both.
        """
        ids = {one.id for one in lease.snapshots}
        if not ids.issuperset((*accepted, *parked)) or not parked.keys().isdisjoint(accepted):
            raise ValueError("only what is in the lease can be accepted or parked, and not both")
        done, reasons = tuple(accepted), dict(parked)
        await self._do(
            partial(leases.settle, lease_id=lease.id, accepted=done, parked=reasons, clock=self._clock), _nothing
        )

    async def release(self, lease: Lease) -> None:
        """End the lease with nothing known of any of it: all may be leased again."""
        await self.settle(lease, (), {})

    async def backlog(self) -> Backlog:
        """How much waits, is on its way, was uploaded and will not be."""
        agreed = self._consents.uploads()
        return await self._do(partial(leases.backlog, agreed=agreed, clock=self._clock), Backlog)

    async def preview(self, max_snapshots: int, max_bytes: int, *, after: int = 0) -> Preview:
        """What the next lease would hold, or the one behind a preview's ``after``; nothing is leased or parked."""
        ready: tuple[Outgoing, ...] = ()
        withheld: dict[str, str] = {}
        agreed = self._consents.uploads()
        wanted = Wanted(agreed, max_snapshots, max_bytes)
        at = after
        while not ready:
            peek = partial(leases.peek, wanted=wanted, clock=self._clock, after=at)
            rows = await self._do(peek, _no_rows)
            if not rows:
                return Preview((), withheld, None)
            ready, reasons = await self._looked_at(rows)
            withheld |= reasons
            at = rows[-1].sequence
        return Preview(ready, withheld, at)

    def close(self) -> None:
        """End the thread; what it looks at is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _do(self, action: Callable[[Database], Result], without: Callable[[], Result]) -> Result:
        return await asyncio.wrap_future(self._store.do(action, without))

    @contextlib.contextmanager
    def _released_if_it_breaks_off(self, lease_id: str) -> Iterator[None]:
        """End the lease if the block raises; behind what was asked of the store before, and not waited for."""
        try:
            yield
        except BaseException:
            self._store.do(
                partial(leases.settle, lease_id=lease_id, accepted=(), parked={}, clock=self._clock), _nothing
            )
            raise

    async def _looked_at(self, rows: tuple[Row, ...]) -> tuple[tuple[Outgoing, ...], dict[str, str]]:
        """Those that may leave, and why the others may not, by id."""
        is_given_up = threading.Event()
        looking = asyncio.get_running_loop().run_in_executor(self._thread, self._look, rows, is_given_up)
        try:
            return await looking
        finally:
            is_given_up.set()

    # What follows runs in the thread.

    def _look(self, rows: tuple[Row, ...], is_given_up: threading.Event) -> tuple[tuple[Outgoing, ...], dict[str, str]]:
        ready: list[Outgoing] = []
        reasons: dict[str, str] = {}
        files = _Files(self._consents, self._may_be_seen)
        for row in rows:
            if is_given_up.is_set():
                break
            try:
                content = unpack(row.payload)
            except PayloadDamaged:
                reasons[row.id] = "damaged"
                continue
            reason = self._reason(row, content, files)
            if reason:
                reasons[row.id] = reason
            else:
                ready.append(Outgoing(row.id, row.workspace_id, row.schema_version, row.payload.sha256, content))
        return tuple(ready), reasons

    def _reason(self, row: Row, content: bytes, files: _Files) -> str:
        """Why it may not leave, empty when it may; ``unreadable`` is of a form that this foretype does not know."""
        if len(content) > MAX_CONTENT_BYTES:
            return "too_large"
        try:
            snapshot = Snapshot.from_json(orjson.loads(content))
        except ValueError:
            return "unreadable"
        if (snapshot.id, snapshot.workspace_id, snapshot.state) != (row.id, row.workspace_id, "settled"):
            return "damaged"
        return files.reason(snapshot) or self._check(snapshot)


class _Files:
    """Whether the files of a snapshot may still leave: one may be hidden from models by now, or under another consent.

    Made for one lease, because a file is asked for once in it; most snapshots of a lease are about the same few.
    """

    def __init__(self, consents: ConsentBook, may_be_seen: Callable[[str], bool]) -> None:
        self._consents = consents
        self._may_be_seen = may_be_seen
        self._roots = {consent.workspace_id: consent.root for consent in consents.all()}
        self._known: dict[tuple[str, str], str] = {}

    def reason(self, snapshot: Snapshot) -> str:
        """Why the snapshot may not leave, empty where its files do not speak against it."""
        workspace_id = snapshot.workspace_id
        if workspace_id not in self._roots:
            return "no_consent"
        return next(filter(None, (self._reason(workspace_id, path) for _, path in paths_of(snapshot))), "")

    def _reason(self, workspace_id: str, path: str) -> str:
        known = self._known.get((workspace_id, path))
        if known is None:
            file = str(Path(self._roots[workspace_id]) / path)
            # A folder inside the workspace may have got a consent of its own since, or none.
            consent = self._consents.for_workspace(file)
            is_agreed = consent is not None and (consent.workspace_id, consent.scope) == (workspace_id, "upload")
            known = "no_consent" if not is_agreed else "" if self._may_be_seen(file) else "excluded"
            self._known[workspace_id, path] = known
        return known


def _no_rows() -> tuple[Row, ...]:
    return ()


def _nothing() -> None:
    """Where there is no store there is nothing to write down."""
