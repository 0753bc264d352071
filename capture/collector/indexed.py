"""Storage made of an index and a place for parts: what arrives is committed to the index, and moved into parts later.

Every step leaves the two so that the next round can go on, whatever died in between: a part that was begun is written
again under its name, from the same snapshots; one that holds what was deleted is written again without it. Knows
nothing of how either does its work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TypeVar

from capture.collector.index import Entry, Index, Line, Part, Round, Sealing
from capture.collector.parts import PartBeingWritten, PartDamaged, Parts, new_name
from capture.collector.storage import (
    Arrival,
    Deleted,
    InstallKey,
    StorageMisconfigured,
    StorageState,
    StorageUnavailable,
    Verdict,
    Wanted,
)
from capture.file_lock import FileLock
from capture.store.payload import PayloadDamaged, pack, unpack

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Upkeep:
    """When parts are sealed, how often that is looked at, and how long a deletion waits for parts to be rewritten."""

    sealing: Sealing = field(default_factory=Sealing)
    look_seconds: float = 10.0
    rewriting_seconds: float = 5.0


class IndexedStorage:
    """A `Storage`. ``clock`` gives seconds since the epoch; ``lock`` is given back when it is closed."""

    def __init__(
        self,
        index: Index,
        parts: Parts,
        *,
        upkeep: Upkeep | None = None,
        clock: Callable[[], float] = time.time,
        lock: FileLock | None = None,
    ) -> None:
        self._index = index
        self._parts = parts
        self._upkeep = upkeep or Upkeep()
        self._clock = clock
        self._lock = lock
        self._round = asyncio.Lock()
        self._part_is_full = asyncio.Event()
        self._arrived_bytes = 0  # since the last round
        self._is_swept = False
        self._in_doubt: set[str] = set()  # parts of which nobody knows whether a write reached them
        self._trouble = ""

    async def check_belonging(self) -> None:
        """Raise StorageMisconfigured unless index and parts belong together; new ones do from now on."""
        identity, knows_parts = await self._index.belongs_with()
        mark = await in_thread(self._parts.mark)
        if mark == identity:
            return
        if mark:
            raise StorageMisconfigured("the parts belong with another index; give --data the two that belong together")
        if knows_parts:
            raise StorageMisconfigured("the parts that the index knows are not there; is a disk missing?")
        await in_thread(lambda: self._parts.set_mark(identity))

    async def store(self, install: InstallKey, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """See `Storage`."""
        if len({arrival.id for arrival in arrivals}) != len(arrivals):
            raise ValueError("a batch names an id twice")
        received_at = self._clock()
        entries = await asyncio.to_thread(lambda: [_packed(arrival, received_at) for arrival in arrivals])
        verdicts = await self._index.store(install, entries)
        pairs = zip(entries, verdicts, strict=True)
        self._arrived_bytes += sum(entry.payload.length_bytes for entry, verdict in pairs if verdict == "accepted")
        if self._arrived_bytes >= self._upkeep.sealing.size_bytes:
            self._part_is_full.set()
        return verdicts

    async def delete(self, installs: Sequence[InstallKey], wanted: Wanted) -> Deleted:
        """See `Storage`."""
        deleted = await self._index.delete(installs, wanted)
        left = await self._index.parts_to_rewrite(installs)
        if left:
            try:
                await self._rewrite_soon()
            except StorageUnavailable as error:
                self._note_trouble(error.reason)  # what was asked for is done; the parts follow
            left = await self._index.parts_to_rewrite(installs)
        return Deleted(deleted, left)

    async def maintain(self) -> None:
        """See `Storage`."""
        while True:
            self._part_is_full.clear()
            try:
                await self.keep_up()
            except StorageUnavailable:
                await asyncio.sleep(self._upkeep.look_seconds)
                continue
            try:
                async with asyncio.timeout(self._upkeep.look_seconds):
                    await self._part_is_full.wait()
            except TimeoutError:
                pass

    async def keep_up(self, sealing: Sealing | None = None, within_seconds: float = 0.0) -> None:
        """One round: finish what was begun, rewrite what has to be, seal what is due (by other rules if told).

        Nothing is done where another collector is at it all that time. Raises StorageUnavailable, also for a part that
        is damaged, once all others are done.
        """
        self._arrived_bytes = 0
        try:
            async with self._round, self._index.round(within_seconds) as held:
                if held is not None:
                    damage = await self._finish_old(held, until=None)
                    damage += await self._seal_due(held, sealing or self._upkeep.sealing)
                    _tell(damage)
        except StorageUnavailable as error:
            self._note_trouble(error.reason)
            raise
        self._trouble = ""

    async def state(self) -> StorageState:
        """See `Storage`."""
        counts = await self._index.counts()
        return StorageState(
            counts.waiting_snapshots,
            counts.waiting_bytes,
            counts.oldest_waiting_at,
            counts.sealed_parts,
            counts.parts_to_rewrite,
            self._trouble,
        )

    async def close(self) -> None:
        """See `Storage`."""
        async with self._round:
            await self._index.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    async def _rewrite_soon(self) -> None:
        """Rewrite what can be rewritten in the time that a deletion may take."""
        until = time.monotonic() + self._upkeep.rewriting_seconds
        try:
            async with asyncio.timeout(self._upkeep.rewriting_seconds):
                await self._round.acquire()
        except TimeoutError:
            return
        try:
            async with self._index.round(within_seconds=max(0.0, until - time.monotonic())) as held:
                if held is not None:
                    _tell(await self._finish_old(held, until))
        finally:
            self._round.release()

    async def _finish_old(self, held: Round, until: float | None) -> list[PartDamaged]:
        """What earlier rounds have left, and what was deleted since; returns what cannot be done.

        Stops at ``until``, a time of `time.monotonic`.
        """
        if not self._is_swept:
            await in_thread(self._parts.sweep)
            self._is_swept = True
        for name in sorted(self._in_doubt):
            if not await held.doubt(name):
                await in_thread(partial(self._parts.remove, name))
            self._in_doubt.discard(name)
        damage: list[PartDamaged] = []
        for write, parts in ((self._rewrite, await held.changed()), (self._write, await held.begun())):
            for part in parts:
                if until is not None and time.monotonic() >= until:
                    return damage
                try:
                    await write(held, part)
                except PartDamaged as error:
                    damage.append(error)
        return damage

    async def _seal_due(self, held: Round, sealing: Sealing) -> list[PartDamaged]:
        damage: list[PartDamaged] = []
        while (part := await held.assign(sealing, self._clock(), new_name)) is not None:
            try:
                await self._write(held, part)
            except PartDamaged as error:
                damage.append(error)
        return damage

    async def _write(self, held: Round, part: Part) -> None:
        """Write a part that is begun, from the bytes in the index, and have it sealed; raises PartDamaged."""
        page = await held.lines(part, after=0)
        if not page:
            await self._remove(held, part)
            return
        async with self._being_written(part) as writing:
            while page:
                await in_thread(partial(_add, writing, part, page))
                page = await held.lines(part, after=page[-1].sequence)
            await self._finish(held, part, writing)
            await held.sealed(part)
        self._in_doubt.discard(part.name)

    async def _rewrite(self, held: Round, part: Part) -> None:
        """Write a sealed part again, without what was deleted; raises PartDamaged."""
        kept = await held.hashes(part)
        if not kept:
            await self._remove(held, part)
            return
        async with self._being_written(part) as writing:
            copied = await in_thread(partial(_copy, self._parts.lines(part.name), kept, writing))
            if copied != len(kept):
                raise PartDamaged(part.name, f"lacks {len(kept) - copied} of its {len(kept)} snapshots")
            await self._finish(held, part, writing)
            await held.rewritten(part)
        self._in_doubt.discard(part.name)

    async def _remove(self, held: Round, part: Part) -> None:
        await held.still_ours()
        await in_thread(partial(self._parts.remove, part.name))
        await held.gone(part)

    async def _finish(self, held: Round, part: Part, writing: PartBeingWritten) -> None:
        await held.still_ours()
        self._in_doubt.add(part.name)
        await in_thread(writing.finish)

    @asynccontextmanager
    async def _being_written(self, part: Part) -> AsyncIterator[PartBeingWritten]:
        begun: list[PartBeingWritten] = []  # also when whoever waited for it is cancelled
        try:
            await in_thread(lambda: begun.append(self._parts.begin(part.name)))
            yield begun[0]
        finally:
            for writing in begun:
                await in_thread(writing.let_go)

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("parts are not kept up: %s", trouble)
        self._trouble = trouble


async def in_thread(action: Callable[[], Result]) -> Result:
    """Do what blocks elsewhere. Who is cancelled meanwhile goes on only when it is done: a file has one user."""
    work = asyncio.ensure_future(asyncio.to_thread(action))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _tell(damage: Sequence[PartDamaged]) -> None:
    if damage:
        raise StorageUnavailable("; ".join(map(str, damage)))


def _packed(arrival: Arrival, received_at: float) -> Entry:
    if b"\n" in arrival.content:
        raise ValueError(f"the content of {arrival.id} is more than one line")
    payload = pack(arrival.content)
    if payload.sha256 != arrival.sha256.hex():
        raise ValueError(f"the content of {arrival.id} has another SHA-256")
    return Entry(
        arrival.id, arrival.workspace_id, arrival.schema_version, arrival.finalised_at, received_at, arrival.sha256,
        payload,
    )  # fmt: skip


def _add(writing: PartBeingWritten, part: Part, page: Sequence[Line]) -> None:
    try:
        writing.add(unpack(line.payload) for line in page)
    except PayloadDamaged as error:
        raise PartDamaged(part.name, "cannot be written, the index holds damaged bytes of it") from error


def _copy(lines: Iterable[bytes], kept: set[bytes], writing: PartBeingWritten) -> int:
    """Copy the lines with these hashes, each once; returns how many there were."""
    missing = set(kept)

    def found() -> Iterator[bytes]:
        for line in lines:
            digest = sha256(line).digest()
            if digest in missing:
                missing.remove(digest)
                yield line

    writing.add(found())
    return len(kept) - len(missing)
