"""How foretype opens SQLite: durable, checked, one writer at a time. The only module that imports ``sqlite3``.

A commit is on the disk when it returns: write-ahead log with ``synchronous=FULL``
(https://www.sqlite.org/pragma.html). Deleted content is overwritten, and nothing goes to a temporary file. SQLite up to
3.51.2 can damage a file when two connections write or checkpoint at the same moment (https://www.sqlite.org/wal.html,
"the WAL-reset bug"), so each waits for its turn on a lock outside SQLite. Knows nothing of what is stored.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.store.error import StorageError, StorageReason
from capture.store.files import BUSY_SECONDS, Turns, make_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Connection = sqlite3.Connection
Row = sqlite3.Row

LOG_LIMIT_BYTES = 4 << 20
# Each is read back: SQLite passes over a pragma that it does not know.
PRAGMAS = {
    "temp_store": 2,  # in memory: VACUUM would put every text into a temporary file
    "trusted_schema": 0,
    "cell_size_check": 1,
}
WRITER_PRAGMAS = {
    "synchronous": 2,  # FULL
    "fullfsync": 1,  # macOS takes a plain fsync for done before it is
    "checkpoint_fullfsync": 1,
    "secure_delete": 1,
    "foreign_keys": 1,
    "journal_size_limit": LOG_LIMIT_BYTES,
}
# Result codes (https://www.sqlite.org/rescode.html) by the start of their names; the others are mistakes of ours.
_REASONS: dict[str, StorageReason] = {
    "SQLITE_FULL": "disk_full",
    "SQLITE_READONLY_ROLLBACK": "broken_off",  # before it had a write-ahead log; who only reads cannot undo it
    "SQLITE_READONLY": "read_only",
    "SQLITE_PERM": "read_only",
    "SQLITE_IOERR": "io_error",
    "SQLITE_BUSY": "busy",
    "SQLITE_LOCKED": "busy",
    "SQLITE_PROTOCOL": "busy",
    "SQLITE_CORRUPT": "damaged",
    "SQLITE_NOTADB": "damaged",
    "SQLITE_CANTOPEN": "cannot_open",
}


@dataclass(frozen=True, slots=True)
class Schema:
    """``migrations[n]`` are the statements from version n to n + 1.

    They are only ever added to: files in use went through those that are there.
    """

    application_id: int
    migrations: tuple[tuple[str, ...], ...]


class Database:
    """One connection. For one thread. ``turns`` is None where it only reads."""

    def __init__(self, path: Path, connection: Connection, turns: Turns | None) -> None:
        self.path = path
        self._connection = connection
        self._turns = turns

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection, each statement for itself; raises StorageError.

        Fetch all rows of a statement: an open cursor keeps the log from being emptied.
        """
        with _explained(self.path):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: on the disk when the block has ended, undone when it raises. Raises StorageError."""
        with self._turn(), _explained(self.path), _transaction(self._connection):
            yield self._connection

    def compact(self) -> bool:
        """Rewrite the file without what was deleted and empty the log; raises StorageError.

        False when a reader kept the log from being emptied.
        """
        with self._turn(), _explained(self.path):
            self._connection.execute("VACUUM")
            busy: int = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy

    def close(self) -> None:
        """Close it. The last connection takes the log into the file.

        No turn is needed for that: SQLite does it only while nobody else has the file open.
        """
        self._connection.close()
        if self._turns is not None:
            self._turns.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._turns is None:
            raise TypeError("this connection only reads")
        with self._turns.writing():
            yield


def open_for_writing(path: Path, schema: Schema) -> Database:
    """The file, made if need be, checked as a whole, and brought up to ``schema``; raises StorageError."""
    path = path.absolute()
    make_private(path)
    turns = Turns(path)
    try:
        with turns.writing(), _explained(path):
            turns.use()
            connection = _connect(path, "rw")
            try:
                _prepare_for_writing(connection, path, schema)
            except BaseException:
                connection.close()
                raise
    except BaseException:
        turns.close()
        raise
    return Database(path, connection, turns)


def open_for_reading(path: Path, schema: Schema) -> Database:
    """The file as it is, while others may write it.

    Raises StorageError; where it lacks a migration, or what is half written has to be undone first, ``older`` or
    ``broken_off``: whoever opens it for writing puts that right.
    """
    path = path.absolute()
    with _explained(path):
        connection = _connect(path, "ro")
        try:
            _set(connection, path, PRAGMAS)
            _check_identity(connection, path, schema, oldest=len(schema.migrations))
        except BaseException:
            connection.close()
            raise
    return Database(path, connection, None)


def _connect(path: Path, mode: str) -> Connection:
    """A connection in autocommit mode: transactions are begun and ended in words."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _prepare_for_writing(connection: Connection, path: Path, schema: Schema) -> None:
    """What is not whole, or not ours, is found out before anything is written to it."""
    _set(connection, path, PRAGMAS)
    _check_identity(connection, path, schema)
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise StorageError("damaged", path, "SQLite's quick check failed")
    if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
        raise StorageError("cannot_open", path, "no write-ahead log is possible there")
    _set(connection, path, WRITER_PRAGMAS)
    for version in range(_version(connection), len(schema.migrations)):
        with _transaction(connection):
            for statement in schema.migrations[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={schema.application_id}")
            connection.execute(f"PRAGMA user_version={version + 1}")


def _set(connection: Connection, path: Path, pragmas: dict[str, int]) -> None:
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name}={value}").fetchall()
        found = connection.execute(f"PRAGMA {name}").fetchone()
        if found is None or found[0] != value:
            raise StorageError("cannot_open", path, f"SQLite {sqlite3.sqlite_version} does not set {name}")


def _check_identity(connection: Connection, path: Path, schema: Schema, *, oldest: int = 0) -> None:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    version = _version(connection)
    if application_id != schema.application_id and not (is_empty and application_id == version == 0):
        raise StorageError("foreign", path)
    if not oldest <= version <= len(schema.migrations):
        raise StorageError("older" if version < oldest else "newer", path)


def _version(connection: Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                connection.execute("ROLLBACK")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What SQLite says of the file becomes a StorageError; what it says of our statements stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        reason = next((reason for start, reason in _REASONS.items() if name.startswith(start)), None)
        if reason is None:
            raise
        raise StorageError(reason, path, name) from error
