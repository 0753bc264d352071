"""The collector's index in one SQLite file: one thread has the connection, and batches that wait share a commit.

Knows nothing of SQL, which is in `sqlite_tables.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from capture.collector import sqlite_tables as tables
from capture.collector.index import Counts, Entry, Line, Part, Sealing
from capture.collector.storage import (
    InstallKey,
    StorageMisconfigured,
    StorageUnavailable,
    Verdict,
    Wanted,
    WrongSecret,
)
from capture.store import sqlite
from capture.store.error import StorageError
from capture.store.sqlite import Connection, Database
from capture.store.writer import disk_of

Result = TypeVar("Result")

COMMIT_SNAPSHOTS = 1024  # that share a commit at the most
RESERVE_BYTES = 256 << 20  # left free: on a full disk nothing can be deleted or sealed either
_PASSING = ("busy", "disk_full")  # the connection is as good as before
_FOR_THE_OPERATOR = ("cannot_open", "damaged", "foreign", "newer", "read_only")
_DAMAGED = "it is damaged; bring the directory back from a backup"


@dataclass(slots=True)
class _Put:
    install: InstallKey
    entries: Sequence[Entry]
    outcome: Future[list[Verdict]] = field(default_factory=Future)


class SqliteIndex:
    """An `Index`. The caller sees to it that no other collector has the file."""

    def __init__(self, path: Path, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._path = path
        self._reserve_bytes = reserve_bytes
        self._puts: deque[_Put] = deque()
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, "collector-index")
        self._database: Database | None = None  # the thread's alone

    async def open(self) -> None:
        """Open the file now, or make it; raises StorageMisconfigured, StorageUnavailable."""
        try:
            await self._in_thread(lambda: self._with_database(lambda _: None))
        except StorageUnavailable as error:
            if isinstance(error.__cause__, StorageError) and error.__cause__.reason in _FOR_THE_OPERATOR:
                raise StorageMisconfigured(error.reason) from error
            raise

    async def belongs_with(self) -> tuple[str, bool]:
        """See `Index`."""
        return await self.write(tables.belongs_with)

    async def store(self, install: InstallKey, entries: Sequence[Entry]) -> list[Verdict]:
        """See `Index`."""
        put = _Put(install, entries)
        self._puts.append(put)
        return await self._in_thread(lambda: self._committed(put))

    async def delete(self, installs: Sequence[InstallKey], wanted: Wanted) -> int:
        """See `Index`. The log is emptied as well, where copies of what was deleted may stand."""

        def action(database: Database) -> int:
            with database.writing() as connection:
                deleted = tables.delete(connection, installs, wanted)
            with database.reading() as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return deleted

        return await self._in_thread(lambda: self._with_database(action))

    async def parts_to_rewrite(self, installs: Sequence[InstallKey]) -> int:
        """See `Index`."""
        return await self.read(lambda connection: tables.parts_to_rewrite(connection, installs))

    async def counts(self) -> Counts:
        """See `Index`."""
        return await self.read(tables.counts)

    @asynccontextmanager
    async def round(self, within_seconds: float) -> AsyncIterator[SqliteRound]:  # noqa: ARG002 (no other can have it)
        """See `Index`."""
        yield SqliteRound(self)

    async def write(self, action: Callable[[Connection], Result]) -> Result:
        """One transaction; raises StorageUnavailable and what the action raises."""

        def written(database: Database) -> Result:
            with database.writing() as connection:
                return action(connection)

        return await self._in_thread(lambda: self._with_database(written))

    async def read(self, action: Callable[[Connection], Result]) -> Result:
        """Read what is committed; raises StorageUnavailable."""

        def found(database: Database) -> Result:
            with database.reading() as connection:
                return action(connection)

        return await self._in_thread(lambda: self._with_database(found))

    async def close(self) -> None:
        """See `Index`."""
        if not self._is_closed:
            self._is_closed = True
            self._thread.submit(self._close_database)
        await asyncio.to_thread(self._thread.shutdown)

    async def _in_thread(self, action: Callable[[], Result]) -> Result:
        """What has begun is done, also when nobody waits for it any more."""
        if self._is_closed:
            raise StorageUnavailable("the collector is stopping")
        return await asyncio.shield(asyncio.wrap_future(self._thread.submit(action)))

    # What follows runs in the thread.

    def _committed(self, put: _Put) -> list[Verdict]:
        """Its verdicts. The first of those that wait commits for all."""
        if not put.outcome.done():  # then those before it are, and it is among the next
            self._commit(self._waiting())
        return put.outcome.result(timeout=0)

    def _waiting(self) -> list[_Put]:
        puts, snapshots = [], 0
        while self._puts and snapshots < COMMIT_SNAPSHOTS:
            puts.append(self._puts.popleft())
            snapshots += len(puts[-1].entries)
        return puts

    def _commit(self, puts: Sequence[_Put]) -> None:
        def store_all(database: Database) -> list[list[Verdict] | WrongSecret]:
            with database.writing() as connection:
                return [tables.store(connection, put.install, put.entries) for put in puts]

        try:
            self._check_reserve()
            outcomes = self._with_database(store_all)
        except BaseException as error:
            for put in puts:
                put.outcome.set_exception(error)
            raise
        for put, outcome in zip(puts, outcomes, strict=True):
            if isinstance(outcome, WrongSecret):
                put.outcome.set_exception(outcome)
            else:
                put.outcome.set_result(outcome)

    def _check_reserve(self) -> None:
        with _explained():
            free_bytes = disk_of(self._path).free_bytes
        if free_bytes < self._reserve_bytes:
            raise StorageUnavailable(f"less than {self._reserve_bytes >> 20} MiB of the disk are free; free some space")

    def _with_database(self, action: Callable[[Database], Result]) -> Result:
        """After a failure that may concern the connection a new one is made for what comes next."""
        with _explained():
            if self._database is None:
                self._database = sqlite.open_for_writing(self._path, tables.SCHEMA)
            try:
                return action(self._database)
            except StorageError as error:
                if error.reason not in _PASSING:
                    self._close_database()
                raise

    def _close_database(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


class SqliteRound:
    """A `Round`. Other processes have no way to the file, so nobody can take it away."""

    def __init__(self, index: SqliteIndex) -> None:
        self._index = index

    async def begun(self) -> list[Part]:
        """See `Round`."""
        return await self._index.read(tables.begun)

    async def changed(self) -> list[Part]:
        """See `Round`."""
        return await self._index.read(tables.changed)

    async def assign(self, sealing: Sealing, now: float, name_of: Callable[[datetime], str]) -> Part | None:
        """See `Round`."""
        return await self._index.write(lambda connection: tables.assign(connection, sealing, now, name_of))

    async def lines(self, part: Part, after: int) -> list[Line]:
        """See `Round`."""
        return await self._index.read(lambda connection: tables.lines(connection, part, after))

    async def hashes(self, part: Part) -> set[bytes]:
        """See `Round`."""
        return await self._index.read(lambda connection: tables.hashes(connection, part))

    async def still_ours(self) -> None:
        """See `Round`."""

    async def sealed(self, part: Part) -> None:
        """See `Round`."""
        await self._index.write(lambda connection: tables.sealed(connection, part))

    async def rewritten(self, part: Part) -> None:
        """See `Round`."""
        await self._index.write(lambda connection: tables.rewritten(connection, part))

    async def gone(self, part: Part) -> None:
        """See `Round`."""
        await self._index.write(lambda connection: tables.gone(connection, part))

    async def doubt(self, name: str) -> bool:
        """See `Round`."""
        return await self._index.write(lambda connection: tables.doubt(connection, name))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        words = _DAMAGED if error.reason == "damaged" else error.explanation
        raise StorageUnavailable(f"the collector's index: {words}") from error
