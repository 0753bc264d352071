"""The store's tables: their migrations, and every statement that reads or changes them, but for those of `leases`.

A row of ``snapshot`` holds what snapshots are chosen by, the row of ``payload`` beside it the snapshot itself. Which
is older is told by ``sequence``, the order of storing: clocks are set back. Transactions are the caller's. Knows
nothing of threads and disks.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from capture.store.choice import Choice, Summary
from capture.store.payload import Payload
from capture.store.sqlite import Schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capture.snapshot.snapshot import Snapshot
    from capture.store.sqlite import Connection

SCHEMA = Schema(
    application_id=0x46545350,  # "FTSP"
    migrations=(
        (
            """CREATE TABLE snapshot (
                sequence INTEGER PRIMARY KEY AUTOINCREMENT,
                id TEXT NOT NULL UNIQUE,
                schema_version INTEGER NOT NULL,
                workspace_id TEXT NOT NULL,
                path TEXT NOT NULL,
                created_at REAL NOT NULL,
                finalised_at REAL NOT NULL,
                language_id TEXT NOT NULL,
                model TEXT NOT NULL,
                outcome TEXT NOT NULL,
                rating TEXT NOT NULL,
                state TEXT NOT NULL,
                kept_rate REAL,
                uploaded_at REAL,
                length_bytes INTEGER NOT NULL,
                sha256 TEXT NOT NULL
            )""",
            "CREATE INDEX snapshot_by_eviction ON snapshot (uploaded_at IS NULL, sequence)",
            "CREATE INDEX snapshot_by_workspace ON snapshot (workspace_id, sequence)",
            """CREATE TABLE payload (
                sequence INTEGER PRIMARY KEY REFERENCES snapshot (sequence) ON DELETE CASCADE,
                compressed BLOB NOT NULL
            )""",
            "CREATE TABLE eviction (kind TEXT PRIMARY KEY, snapshots INTEGER NOT NULL)",
        ),
        (
            # Tables of their own: in its row a lease would move the rows beside it, and the file might outgrow its cap.
            """CREATE TABLE lease (
                sequence INTEGER PRIMARY KEY REFERENCES snapshot (sequence) ON DELETE CASCADE,
                lease_id TEXT NOT NULL,
                taken_at REAL NOT NULL,
                ends_at REAL NOT NULL
            )""",
            """CREATE TABLE parked (
                sequence INTEGER PRIMARY KEY REFERENCES snapshot (sequence) ON DELETE CASCADE,
                reason TEXT NOT NULL
            )""",
        ),
    ),
)
OVERFLOW_HEADER_BYTES = 4
ROW_PAGES = 8  # of a row besides its payload's: two leaves, three indexes, and what splits when they are full
EMPTY_PAGES = 14  # of a file without snapshots, generously
_SUMMARY = (
    "id, state, workspace_id, path, created_at, finalised_at, language_id, model, outcome, rating, kept_rate,"
    " uploaded_at, length_bytes, sha256"
)


def sha256_of(connection: Connection, snapshot_id: str) -> str | None:
    """What is stored under that id, None where nothing is."""
    row = connection.execute("SELECT sha256 FROM snapshot WHERE id = ?", (snapshot_id,)).fetchone()
    return None if row is None else str(row["sha256"])


def insert(connection: Connection, snapshot: Snapshot, payload: Payload) -> None:
    """Add one whose id is not there."""
    added = connection.execute(
        """INSERT INTO snapshot
            (id, schema_version, workspace_id, path, created_at, finalised_at, language_id, model, outcome, rating,
            state, kept_rate, length_bytes, sha256)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            snapshot.id,
            snapshot.schema_version,
            snapshot.workspace_id,
            snapshot.path,
            snapshot.created_at,
            snapshot.finalised_at,
            snapshot.language_id,
            snapshot.model,
            snapshot.outcome,
            snapshot.rating,
            snapshot.state,
            snapshot.kept_rate,
            payload.length_bytes,
            payload.sha256,
        ),
    )
    connection.execute(
        "INSERT INTO payload (sequence, compressed) VALUES (?, ?)", (added.lastrowid, payload.compressed)
    )


def fits(connection: Connection, payload: Payload, cap_bytes: int) -> bool:
    """Whether a file of that size can hold it at all."""
    page_bytes = _pragma(connection, "page_size")
    return (EMPTY_PAGES + _pages(payload, page_bytes)) * page_bytes <= cap_bytes


def make_room(connection: Connection, payload: Payload, cap_bytes: int) -> Counter[str]:
    """Evict until the payload, which `fits`, can be added: what is uploaded first, then the oldest.

    Returns how many of each kind went. The cap is on the pages that are in use; free ones are used again before the
    file grows, so it does not outgrow the cap either.
    """
    evicted: Counter[str] = Counter()
    page_bytes = _pragma(connection, "page_size")
    wanted = _pages(payload, page_bytes)
    while (_pragma(connection, "page_count") - _pragma(connection, "freelist_count") + wanted) * page_bytes > cap_bytes:
        oldest = connection.execute(
            "SELECT sequence, uploaded_at FROM snapshot ORDER BY uploaded_at IS NULL, sequence LIMIT 1"
        ).fetchone()
        if oldest is None:
            break
        connection.execute("DELETE FROM snapshot WHERE sequence = ?", (oldest["sequence"],))
        evicted["uploaded" if oldest["uploaded_at"] is not None else "not_uploaded"] += 1
    for kind, snapshots in evicted.items():
        connection.execute(
            "INSERT INTO eviction (kind, snapshots) VALUES (?, ?)"
            " ON CONFLICT (kind) DO UPDATE SET snapshots = snapshots + excluded.snapshots",
            (kind, snapshots),
        )
    return evicted


def replace_rated(connection: Connection, snapshot: Snapshot, payload: Payload) -> None:
    """Put a snapshot of another rating in the place of the one with its id."""
    connection.execute(
        "UPDATE snapshot SET rating = ?, length_bytes = ?, sha256 = ? WHERE id = ?",
        (snapshot.rating, payload.length_bytes, payload.sha256, snapshot.id),
    )
    connection.execute(
        "UPDATE payload SET compressed = ? WHERE sequence = (SELECT sequence FROM snapshot WHERE id = ?)",
        (payload.compressed, snapshot.id),
    )


def delete(connection: Connection, ids: Iterable[str]) -> int:
    """Remove those that are there; returns how many."""
    return sum(connection.execute("DELETE FROM snapshot WHERE id = ?", (one,)).rowcount for one in ids)


def delete_matching(connection: Connection, wanted: Choice) -> int:
    """Remove all that match; returns how many."""
    condition, values = wanted.condition()
    return connection.execute(f"DELETE FROM snapshot WHERE {condition}", values).rowcount  # noqa: S608 (ours, with values apart)


def summaries(connection: Connection, wanted: Choice, limit: int | None, *, newest_first: bool) -> list[Summary]:
    """Those that match, in the order of storing."""
    condition, values = wanted.condition()
    order = "DESC" if newest_first else "ASC"
    rows = connection.execute(
        f"SELECT {_SUMMARY} FROM snapshot WHERE {condition} ORDER BY sequence {order} LIMIT ?",  # noqa: S608 (ours)
        [*values, -1 if limit is None else limit],
    ).fetchall()
    return [Summary(**dict(row)) for row in rows]


def ids_starting(connection: Connection, beginning: str) -> list[str]:
    """The ids that begin so."""
    rows = connection.execute(
        "SELECT id FROM snapshot WHERE substr(id, 1, ?) = ? ORDER BY sequence", (len(beginning), beginning)
    ).fetchall()
    return [row["id"] for row in rows]


def payload_of(connection: Connection, snapshot_id: str) -> Payload | None:
    """The snapshot's bytes, unchecked; None when there is none of that id."""
    row = connection.execute(
        "SELECT compressed, length_bytes, sha256 FROM snapshot JOIN payload USING (sequence) WHERE id = ?",
        (snapshot_id,),
    ).fetchone()
    return None if row is None else Payload(**dict(row))


def counts(connection: Connection, column: str) -> dict[str, int]:
    """How many snapshots have each value of a column of `Summary`."""
    rows = connection.execute(
        f"SELECT {column} AS value, count(*) AS number FROM snapshot GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608 (ours)
    ).fetchall()
    return {row["value"]: row["number"] for row in rows}


def totals(connection: Connection) -> dict[str, Any]:
    """Numbers over all snapshots and the file; times are of ``finalised_at``, None where there are none."""
    row = connection.execute(
        """SELECT count(*) AS snapshots, coalesce(sum(length_bytes), 0) AS length_bytes,
            coalesce(sum(length(compressed)), 0) AS compressed_bytes, min(finalised_at) AS oldest,
            max(finalised_at) AS newest, avg(kept_rate) AS mean_kept_rate, count(uploaded_at) AS uploaded
            FROM snapshot JOIN payload USING (sequence)"""
    ).fetchone()
    page_bytes = _pragma(connection, "page_size")
    pages = _pragma(connection, "page_count")
    return {
        **dict(row),
        "file_bytes": pages * page_bytes,
        "used_bytes": (pages - _pragma(connection, "freelist_count")) * page_bytes,
    }


def evictions(connection: Connection) -> dict[str, int]:
    """How many snapshots had to make room, since the file began."""
    rows = connection.execute("SELECT kind, snapshots FROM eviction ORDER BY kind").fetchall()
    return {row["kind"]: row["snapshots"] for row in rows}


def _pages(payload: Payload, page_bytes: int) -> int:
    return ROW_PAGES + -(-len(payload.compressed) // (page_bytes - OVERFLOW_HEADER_BYTES))


def _pragma(connection: Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
