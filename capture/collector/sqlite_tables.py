"""The tables of the collector's SQLite index, and what is done with them: each function within one transaction.

Knows nothing of threads. `postgres_index.py` says the same to PostgreSQL.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from capture.collector.index import PAGE_SNAPSHOTS, Counts, Line, Part, authors_of, day_of
from capture.collector.storage import WrongSecret
from capture.store.payload import Payload
from capture.store.sqlite import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from capture.collector.index import Entry, Sealing
    from capture.collector.storage import InstallKey, Verdict, Wanted
    from capture.store.sqlite import Connection

SCHEMA = Schema(
    application_id=0x66746331,  # "ftc1"
    migrations=(
        (
            "CREATE TABLE identity (id TEXT NOT NULL) STRICT",
            "CREATE TABLE install (id TEXT PRIMARY KEY, secret_sha256 BLOB NOT NULL) STRICT, WITHOUT ROWID",
            """CREATE TABLE part (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL UNIQUE,
                is_sealed INTEGER NOT NULL DEFAULT 0
            ) STRICT""",
            """CREATE TABLE snapshot (
                sequence INTEGER PRIMARY KEY AUTOINCREMENT,
                id TEXT NOT NULL UNIQUE,
                install TEXT NOT NULL REFERENCES install,
                workspace_id TEXT NOT NULL,
                schema_version INTEGER NOT NULL,
                finalised_at REAL NOT NULL,
                received_at REAL NOT NULL,
                sha256 BLOB NOT NULL,
                length_bytes INTEGER NOT NULL,
                part INTEGER REFERENCES part
            ) STRICT""",
            "CREATE INDEX snapshot_by_install ON snapshot (install)",
            # Whoever looks for what waits finds all in the index.
            "CREATE INDEX snapshot_by_part ON snapshot (part, sequence, received_at, length_bytes)",
            # Until the part of the snapshot is sealed; apart, so that a look at the others does not read it.
            """CREATE TABLE payload (
                sequence INTEGER PRIMARY KEY REFERENCES snapshot ON DELETE CASCADE,
                compressed BLOB NOT NULL
            ) STRICT""",
            # Whose snapshots went from a part that may still hold them; no install where nobody knows.
            """CREATE TABLE deletion (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                part INTEGER NOT NULL REFERENCES part ON DELETE CASCADE,
                install TEXT
            ) STRICT""",
            "CREATE INDEX deletion_by_part ON deletion (part)",
            "CREATE INDEX deletion_by_install ON deletion (install)",
            # Who deleted together; a tombstone holds for each of them.
            """CREATE TABLE author (
                authors BLOB NOT NULL,
                install TEXT NOT NULL,
                PRIMARY KEY (authors, install)
            ) STRICT, WITHOUT ROWID""",
            """CREATE TABLE tombstone (
                snapshot_id TEXT NOT NULL,
                authors BLOB NOT NULL,
                PRIMARY KEY (snapshot_id, authors)
            ) STRICT, WITHOUT ROWID""",
        ),
    ),
)
_LAST_DELETION = "coalesce((SELECT max(number) FROM deletion WHERE deletion.part = part.number), 0)"
_AMONG = "IN (SELECT value FROM json_each(?))"


def belongs_with(connection: Connection) -> tuple[str, bool]:
    """See `Index`."""
    row = connection.execute("SELECT id FROM identity").fetchone()
    if row is None:
        connection.execute("INSERT INTO identity (id) VALUES (?)", (uuid4().hex,))
        return belongs_with(connection)
    return row["id"], connection.execute("SELECT 1 FROM part").fetchone() is not None


def store(connection: Connection, install: InstallKey, entries: Sequence[Entry]) -> list[Verdict] | WrongSecret:
    """One verdict for each; with a wrong secret nothing is changed."""
    if not _bind(connection, install):
        return WrongSecret(install.id)
    return [_store(connection, install.id, entry) for entry in entries]


def delete(connection: Connection, installs: Sequence[InstallKey], wanted: Wanted) -> int:
    """Returns how many were there. Raises WrongSecret, and then the transaction has to be undone."""
    for install in installs:
        if not _bind(connection, install):
            raise WrongSecret(install.id)
    authors = authors_of(installs)
    connection.executemany(
        "INSERT INTO author (authors, install) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(authors, install.id) for install in installs],
    )
    condition, values = _condition(installs, wanted)
    connection.execute(
        f"INSERT INTO deletion (part, install) SELECT DISTINCT part, install FROM snapshot"  # noqa: S608 (ours)
        f" WHERE {condition} AND part IS NOT NULL",
        values,
    )
    connection.execute(
        f"INSERT INTO tombstone (snapshot_id, authors) SELECT id, ? FROM snapshot WHERE {condition}"  # noqa: S608 (ours)
        " ON CONFLICT DO NOTHING",
        (authors, *values),
    )
    deleted = connection.execute(f"DELETE FROM snapshot WHERE {condition}", values).rowcount  # noqa: S608 (ours)
    connection.execute(
        f"""INSERT INTO tombstone (snapshot_id, authors) SELECT value, ? FROM json_each(?) WHERE NOT EXISTS
            (SELECT 1 FROM snapshot WHERE id = value AND install {_AMONG}) ON CONFLICT DO NOTHING""",  # noqa: S608 (ours)
        (authors, json.dumps(wanted.snapshot_ids), _ids(installs)),
    )
    return deleted


def parts_to_rewrite(connection: Connection, installs: Sequence[InstallKey]) -> int:
    """See `Index`."""
    query = f"SELECT count(DISTINCT part) FROM deletion WHERE install {_AMONG}"  # noqa: S608 (ours)
    number: int = connection.execute(query, (_ids(installs),)).fetchone()[0]
    return number


def counts(connection: Connection) -> Counts:
    """See `Index`."""
    row = connection.execute(
        """SELECT count(*) AS waiting_snapshots, coalesce(sum(length_bytes), 0) AS waiting_bytes,
            min(received_at) AS oldest_waiting_at, (SELECT count(*) FROM part WHERE is_sealed) AS sealed_parts,
            (SELECT count(DISTINCT part) FROM deletion) AS parts_to_rewrite
            FROM snapshot WHERE part IS NULL OR part IN (SELECT number FROM part WHERE NOT is_sealed)"""
    ).fetchone()
    return Counts(**dict(row))


def begun(connection: Connection) -> list[Part]:
    """See `Round`."""
    return _parts(connection, "NOT is_sealed")


def changed(connection: Connection) -> list[Part]:
    """See `Round`."""
    return _parts(connection, "is_sealed AND number IN (SELECT part FROM deletion)")


def assign(connection: Connection, sealing: Sealing, now: float, name_of: Callable[[datetime], str]) -> Part | None:
    """See `Round`."""
    oldest = connection.execute(
        "SELECT received_at FROM snapshot WHERE part IS NULL ORDER BY sequence LIMIT 1"
    ).fetchone()
    if oldest is None:
        return None
    day, begin, end = day_of(oldest["received_at"])
    waiting = "part IS NULL AND received_at >= ? AND received_at < ?"
    cursor = connection.execute(
        f"SELECT sequence, length_bytes FROM snapshot WHERE {waiting} ORDER BY sequence",  # noqa: S608 (ours)
        (begin, end),
    )
    last, length_bytes = 0, 0
    for row in cursor:
        last, length_bytes = row["sequence"], length_bytes + row["length_bytes"]
        if length_bytes >= sealing.size_bytes:
            break
    cursor.close()
    if length_bytes < sealing.size_bytes and now - oldest["received_at"] < sealing.age_seconds:
        return None
    name = name_of(day)
    number: int = connection.execute("INSERT INTO part (name) VALUES (?) RETURNING number", (name,)).fetchone()[0]
    connection.execute(
        f"UPDATE snapshot SET part = ? WHERE {waiting} AND sequence <= ?",  # noqa: S608 (ours)
        (number, begin, end, last),
    )
    return Part(number, name, 0)


def lines(connection: Connection, part: Part, after: int) -> list[Line]:
    """See `Round`."""
    rows = connection.execute(
        "SELECT sequence, length_bytes, sha256, compressed FROM snapshot JOIN payload USING (sequence)"
        " WHERE part = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (part.number, after, PAGE_SNAPSHOTS),
    ).fetchall()
    return [Line(row["sequence"], Payload(row["compressed"], row["length_bytes"], row["sha256"].hex())) for row in rows]


def hashes(connection: Connection, part: Part) -> set[bytes]:
    """See `Round`."""
    rows = connection.execute("SELECT sha256 FROM snapshot WHERE part = ?", (part.number,))
    return {row["sha256"] for row in rows}


def sealed(connection: Connection, part: Part) -> None:
    """See `Round`."""
    connection.execute(
        "DELETE FROM payload WHERE sequence IN (SELECT sequence FROM snapshot WHERE part = ?)", (part.number,)
    )
    connection.execute("UPDATE part SET is_sealed = 1 WHERE number = ?", (part.number,))
    rewritten(connection, part)


def rewritten(connection: Connection, part: Part) -> None:
    """See `Round`."""
    connection.execute("DELETE FROM deletion WHERE part = ? AND number <= ?", (part.number, part.last_deletion))


def gone(connection: Connection, part: Part) -> None:
    """See `Round`."""
    connection.execute("DELETE FROM part WHERE number = ?", (part.number,))


def doubt(connection: Connection, name: str) -> bool:
    """See `Round`."""
    connection.execute("INSERT INTO deletion (part) SELECT number FROM part WHERE name = ? AND is_sealed", (name,))
    return connection.execute("SELECT 1 FROM part WHERE name = ?", (name,)).fetchone() is not None


def _bind(connection: Connection, install: InstallKey) -> bool:
    """Whether that is its secret, or the first it ever shows."""
    row = connection.execute("SELECT secret_sha256 FROM install WHERE id = ?", (install.id,)).fetchone()
    if row is not None:
        return bool(row["secret_sha256"] == install.secret_sha256)
    connection.execute("INSERT INTO install (id, secret_sha256) VALUES (?, ?)", (install.id, install.secret_sha256))
    return True


def _store(connection: Connection, install_id: str, entry: Entry) -> Verdict:
    is_deleted = connection.execute(
        "SELECT 1 FROM tombstone JOIN author USING (authors) WHERE snapshot_id = ? AND install = ?",
        (entry.id, install_id),
    ).fetchone()
    if is_deleted:
        return "deleted"
    known = connection.execute("SELECT install, sha256 FROM snapshot WHERE id = ?", (entry.id,)).fetchone()
    if known is not None:
        is_same = known["install"] == install_id and known["sha256"] == entry.sha256
        return "duplicate" if is_same else "id_taken"
    added = connection.execute(
        "INSERT INTO snapshot (id, install, workspace_id, schema_version, finalised_at, received_at, sha256,"
        " length_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.id, install_id, entry.workspace_id, entry.schema_version, entry.finalised_at, entry.received_at,
            entry.sha256, entry.payload.length_bytes,
        ),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO payload (sequence, compressed) VALUES (?, ?)", (added.lastrowid, entry.payload.compressed)
    )
    return "accepted"


def _condition(installs: Sequence[InstallKey], wanted: Wanted) -> tuple[str, list[Any]]:
    """What is wanted of these installs, as SQL, and the values that belong into it."""
    conditions = [f"install {_AMONG}"]
    values: list[Any] = [_ids(installs)]
    if wanted.everything:
        return conditions[0], values
    if wanted.snapshot_ids:
        conditions.append(f"id {_AMONG}")
        values.append(json.dumps(wanted.snapshot_ids))
    if wanted.workspace_ids:
        conditions.append(f"workspace_id {_AMONG}")
        values.append(json.dumps(wanted.workspace_ids))
    if wanted.finalised_before is not None:
        conditions.append("finalised_at < ?")
        values.append(wanted.finalised_before)
    return (" AND ".join(conditions), values) if len(conditions) > 1 else ("FALSE", [])


def _ids(installs: Iterable[InstallKey]) -> str:
    return json.dumps([install.id for install in installs])


def _parts(connection: Connection, condition: str) -> list[Part]:
    rows = connection.execute(
        f"SELECT number, name, {_LAST_DELETION} AS last_deletion FROM part WHERE {condition} ORDER BY number"  # noqa: S608 (ours)
    ).fetchall()
    return [Part(**dict(row)) for row in rows]
