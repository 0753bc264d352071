"""What can be done with snapshots that are stored: read, rate, delete, purge. One connection, opened for one purpose.

For commands, and for the store's own writer. Whatever is read is checked against its SHA-256 first. Knows nothing of
threads.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from capture.snapshot.snapshot import Snapshot
from capture.store import leases, sqlite, table
from capture.store.answers import Purged, Stored
from capture.store.choice import EVERYTHING, Choice, Summary
from capture.store.error import StorageError, system_errors_explained
from capture.store.files import files_set_aside, set_aside
from capture.store.payload import PayloadDamaged, pack, unpack
from capture.store.table import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from capture.snapshot.snapshot import Rating
    from capture.store.sqlite import Database

COUNTED = ("outcome", "rating", "state", "language_id", "model")


class NoSuchSnapshot(Exception):
    """None has that id."""


class SnapshotDamaged(Exception):
    """What is stored under that id is not what was stored."""


class PurgeRefused(Exception):
    """What has to come before a purge failed, so nothing was deleted; the message names the cause and the cure."""


def nothing_before(_in_flight_ids: Sequence[str]) -> None:
    """What comes before a purge that nobody has to hear of."""


@contextmanager
def reading(path: Path) -> Iterator[Database | None]:
    """The store to read from, while others may write it; None where there is none. Raises StorageError."""
    if not path.exists():
        yield None
        return
    try:
        database = sqlite.open_for_reading(path, SCHEMA)
    except StorageError as error:
        if error.reason not in ("older", "broken_off"):
            raise
        sqlite.open_for_writing(path, SCHEMA).close()
        database = sqlite.open_for_reading(path, SCHEMA)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def changing(path: Path) -> Iterator[Database | None]:
    """The store to change, while others may use it; None where there is none, and none is made. Raises StorageError."""
    if not path.exists():
        yield None
        return
    database = sqlite.open_for_writing(path, SCHEMA)
    try:
        yield database
    finally:
        database.close()


def summaries(
    database: Database, wanted: Choice = EVERYTHING, limit: int | None = None, *, newest_first: bool = False
) -> list[Summary]:
    """Those that match, in the order of storing; raises StorageError."""
    with database.reading() as connection:
        return table.summaries(connection, wanted, limit, newest_first=newest_first)


def ids_starting(database: Database, beginning: str) -> list[str]:
    """The ids that begin so; raises StorageError."""
    with database.reading() as connection:
        return table.ids_starting(connection, beginning)


def content(database: Database, snapshot_id: str) -> bytes:
    """The canonical bytes; raises NoSuchSnapshot, SnapshotDamaged, StorageError."""
    with database.reading() as connection:
        payload = table.payload_of(connection, snapshot_id)
    if payload is None:
        raise NoSuchSnapshot(snapshot_id)
    try:
        return unpack(payload)
    except PayloadDamaged as error:
        raise SnapshotDamaged(f"snapshot {snapshot_id} is damaged: {error}") from error


def get(database: Database, snapshot_id: str) -> Snapshot:
    """The snapshot; raises NoSuchSnapshot, SnapshotDamaged (of a form that is not known here, too), StorageError."""
    try:
        return Snapshot.from_json(orjson.loads(content(database, snapshot_id)))
    except ValueError as error:
        raise SnapshotDamaged(f"snapshot {snapshot_id} is none that this foretype can read: {error}") from error


def rate(database: Database, snapshot_id: str, rating: Rating) -> Stored:
    """Write the rating into the snapshot, whose SHA-256 changes with it; raises as `get` does."""
    with database.writing() as connection:
        rated = get(database, snapshot_id).rated(rating)
        payload = pack(rated.canonical_bytes())
        table.replace_rated(connection, rated, payload)
    return Stored(snapshot_id, payload.sha256)


def delete(database: Database, ids: Iterable[str]) -> int:
    """Remove those that are there; returns how many. Copies in the log stay until `purge`. Raises StorageError."""
    with database.writing() as connection:
        return table.delete(connection, ids)


def purge(
    database: Database, wanted: Choice, before_deleting: Callable[[Sequence[str]], None] = nothing_before
) -> Purged:
    """Remove all that match, and every byte of them from the store's files; raises StorageError.

    Damaged files that were moved aside go too: what is in them cannot be told. ``before_deleting`` is called within
    the transaction, when nobody else can lease, with the ids of those that match and are leased, whatever became of
    the lease: they may be on their way to a collector. It may raise PurgeRefused, and then nothing is deleted.
    """
    with database.writing() as connection:
        before_deleting(leases.in_flight(connection, wanted))
        snapshots = table.delete_matching(connection, wanted)
    is_complete = database.compact()
    return Purged(snapshots, _remove_set_aside(database.path), is_complete)


def purge_file(path: Path, wanted: Choice, before_deleting: Callable[[Sequence[str]], None] = nothing_before) -> Purged:
    """The same by the store's path; a store that is too damaged to be opened is removed whole. Raises StorageError.

    Where there is no store, or no telling what is in it, ``before_deleting`` gets no ids.
    """
    try:
        with changing(path) as database:
            if database is not None:
                return purge(database, wanted, before_deleting)
    except StorageError as error:
        if error.reason != "damaged":
            raise
        before_deleting(())
        set_aside(path)
    else:
        before_deleting(())
    return Purged(0, _remove_set_aside(path), is_complete=True)


def statistics(database: Database) -> dict[str, Any]:
    """Counts and sizes for people and programs: `table.totals`, ``counts`` by column, ``evicted``.

    Raises StorageError.
    """
    with database.reading() as connection:
        return {
            **table.totals(connection),
            "counts": {column: table.counts(connection, column) for column in COUNTED},
            "evicted": table.evictions(connection),
            "damaged_files": [path.name for path in files_set_aside(database.path)],
        }


def _remove_set_aside(path: Path) -> int:
    """Remove the damaged files; returns how many stores they were."""
    files = files_set_aside(path)
    with system_errors_explained(path):
        for file in files:
            file.unlink(missing_ok=True)
    return sum(file.suffix == path.suffix for file in files)
