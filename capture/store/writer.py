"""Writes snapshots into the store's file: made with the first one, kept under its cap, begun anew when damaged.

Knows nothing of threads: the store runs it in one.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from capture.store import sqlite, table
from capture.store.answers import Refused, Stored
from capture.store.error import StorageError, system_errors_explained
from capture.store.files import set_aside
from capture.store.payload import Payload, PayloadTooLarge, pack
from capture.store.table import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from capture.snapshot.snapshot import Snapshot
    from capture.store.sqlite import Connection, Database

log = logging.getLogger(__name__)

Result = TypeVar("Result")

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that the store lies on; ``free_bytes`` are those that its owner may use."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The smaller cap is what the store's pages may take; while less than the smaller reserve is free it takes nothing.

    A reserve has to be left: on a full disk nothing can be deleted either, because the log cannot grow.
    """

    cap_bytes: int = 256 * MEBIBYTE
    cap_share: float = 0.10
    reserve_bytes: int = 1024 * MEBIBYTE
    reserve_share: float = 0.15

    def cap(self, disk: Disk) -> int:
        """In bytes, on that disk."""
        return min(self.cap_bytes, int(disk.total_bytes * self.cap_share))

    def reserve(self, disk: Disk) -> int:
        """In bytes, on that disk."""
        return min(self.reserve_bytes, int(disk.total_bytes * self.reserve_share))


def disk_of(path: Path) -> Disk:
    """The disk under a file that may not be there yet; raises StorageError."""
    with system_errors_explained(path):
        found = os.statvfs(next(parent for parent in path.absolute().parents if parent.is_dir()))
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def always() -> bool:
    """For a snapshot that nobody can forbid any more."""
    return True


@dataclass(frozen=True, slots=True)
class Entry:
    """A snapshot to be stored, if ``still_allowed`` says so when it is written.

    It is asked once before, so that no file is made for nothing, and then within the transaction, when nobody else can
    write: who forbids first and purges then finds the snapshot there, or it never comes. It must not raise.
    """

    snapshot: Snapshot
    still_allowed: Callable[[], bool] = always


class SnapshotWriter:
    """The only connection of this process that changes the store. For one thread."""

    def __init__(self, path: Path, limits: Limits, disk: Callable[[Path], Disk]) -> None:
        self.evicted: Counter[str] = Counter()
        self.set_aside: Path | None = None
        self._path = path
        self._limits = limits
        self._disk = disk
        self._database: Database | None = None

    def store(self, entries: Sequence[Entry]) -> list[Stored | Refused]:
        """Store them in one transaction; what is answered for each holds once this returns. Raises StorageError."""
        packed = [_packed(entry) for entry in entries]
        disk = self._disk(self._path)
        reserve, cap_bytes = self._limits.reserve(disk), self._limits.cap(disk)
        if disk.free_bytes < reserve:
            explanation = f"less than {reserve / MEBIBYTE:.0f} MiB of the disk are free; free some space"
            return [Refused(entry.snapshot.id, "low_disk", explanation) for entry in entries]
        if all(isinstance(one, Refused) for one in packed):
            return [one for one in packed if isinstance(one, Refused)]  # and no file is made for nothing

        def insert_all(database: Database) -> tuple[list[Stored | Refused], Counter[str]]:
            evicted: Counter[str] = Counter()
            with database.writing() as connection:
                pairs = zip(entries, packed, strict=True)
                answers = [_insert(connection, entry, payload, cap_bytes, evicted) for entry, payload in pairs]
            return answers, evicted

        answers, evicted = self._with_database(insert_all)
        self.evicted += evicted
        return answers

    def do(self, action: Callable[[Database], Result], without: Callable[[], Result]) -> Result:
        """Do something with what is stored, or what is to be done where no store is; raises what either does."""
        if self._database is None and not self._path.exists():
            return without()
        return self._with_database(action)

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _with_database(self, action: Callable[[Database], Result]) -> Result:
        try:
            return action(self._opened())
        except StorageError as error:
            if error.reason != "damaged":
                raise
        self.close()
        self.set_aside = set_aside(self._path)
        log.warning("the snapshot store was damaged; it is set aside as %s, a new one begins", self.set_aside.name)
        return action(self._opened())

    def _opened(self) -> Database:
        if self._database is None:
            self._database = sqlite.open_for_writing(self._path, SCHEMA)
        return self._database


def _packed(entry: Entry) -> Payload | Refused:
    snapshot = entry.snapshot
    if not entry.still_allowed():
        return _no_consent(snapshot)
    try:
        return pack(snapshot.canonical_bytes())
    except PayloadTooLarge as error:
        return Refused(snapshot.id, "too_large", str(error))
    except (TypeError, ValueError) as error:  # half of a surrogate pair is no UTF-8, for one
        return Refused(snapshot.id, "no_json", f"it cannot be written as JSON ({type(error).__name__})")


def _insert(
    connection: Connection, entry: Entry, payload: Payload | Refused, cap_bytes: int, evicted: Counter[str]
) -> Stored | Refused:
    snapshot = entry.snapshot
    if isinstance(payload, Refused):
        return payload
    if not entry.still_allowed():
        return _no_consent(snapshot)
    known = table.sha256_of(connection, snapshot.id)
    if known is not None:
        return Stored(snapshot.id, known)
    if not table.fits(connection, payload, cap_bytes):
        return Refused(snapshot.id, "too_large", f"the store may take {cap_bytes / MEBIBYTE:.1f} MiB in all")
    evicted.update(table.make_room(connection, payload, cap_bytes))
    table.insert(connection, snapshot, payload)
    return Stored(snapshot.id, payload.sha256)


def _no_consent(snapshot: Snapshot) -> Refused:
    return Refused(snapshot.id, "no_consent", "consent ended before it was written")
