"""Which stored snapshots are being uploaded, by whom, and what came of it: leases, what is uploaded, what is parked.

A lease names the rows that one process is about to send, for a limited time: a process that dies leaves them to the
next. A row is uploaded once a collector's acceptance is written down here, and by nothing else; its bytes are final
then, so a rating given later stays on this machine. A parked row is not sent, for the reason that stands there. Clocks
are set back and forth: a lease that was taken in the future is over. Knows nothing of consent, threads and networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from capture.store.payload import Payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from capture.store.choice import Choice
    from capture.store.sqlite import Connection, Database

Clock: TypeAlias = Callable[[], float]  # seconds since the epoch

# A call may take 10 s, looking through 64 snapshots before it as long on a slow machine.
LEASE_SECONDS = 120.0

_UPLOADABLE = """FROM snapshot CROSS JOIN agreed USING (workspace_id) LEFT JOIN lease USING (sequence)
    WHERE (uploaded_at IS NULL) = 1 AND state = 'settled'
    AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.sequence = snapshot.sequence)"""
_IS_LEASED = "(lease_id IS NOT NULL AND taken_at <= :now AND :now < ends_at)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to lease: settled snapshots of the workspaces in ``agreed``, made since the time that stands there.

    Times are seconds since the epoch. At most so many, and at most so many bytes before compression, the oldest first;
    the oldest alone may have more bytes, or it would stand in the way for ever.
    """

    agreed: Mapping[str, float]
    max_snapshots: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Row:
    """A snapshot that may be uploaded; ``sequence`` is its place in the order of storing."""

    sequence: int
    id: str
    workspace_id: str
    schema_version: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much is to be uploaded, was, and will not be.

    ``waiting`` snapshots can be leased now; ``oldest_at`` is when the oldest of them in the order of storing was
    finalised, in seconds since the epoch. ``held_back`` are older than the consent to upload. What nobody agreed to
    upload is in none of them. ``uploaded`` are those that are still here, ``last_uploaded_at`` when the latest was.
    """

    waiting: int = 0
    waiting_bytes: int = 0
    oldest_at: float | None = None
    leased: int = 0
    held_back: int = 0
    uploaded: int = 0
    last_uploaded_at: float | None = None
    parked: Mapping[str, int] = field(default_factory=dict)


def take(database: Database, lease_id: str, wanted: Wanted, clock: Clock) -> tuple[Row, ...]:
    """Lease what is wanted for ``LEASE_SECONDS``; nobody else can lease it till then. Raises StorageError."""
    with database.writing() as connection:
        now = clock()  # not before: a lease that another process took while this one waited would be of the future
        rows = _rows(connection, wanted, now, after=0)
        connection.executemany(
            "INSERT OR REPLACE INTO lease (sequence, lease_id, taken_at, ends_at) VALUES (?, ?, ?, ?)",
            [(row.sequence, lease_id, now, now + LEASE_SECONDS) for row in rows],
        )
    return rows


def peek(database: Database, wanted: Wanted, clock: Clock, *, after: int = 0) -> tuple[Row, ...]:
    """What `take` would lease of what was stored after the row ``after``; changes nothing. Raises StorageError."""
    with database.reading() as connection:
        return _rows(connection, wanted, clock(), after=after)


def park(database: Database, lease_id: str, reasons: Mapping[str, str]) -> None:
    """Send these snapshots of the lease no more, for the reason each id has here; raises StorageError."""
    with database.writing() as connection:
        _park(connection, lease_id, reasons)


def settle(database: Database, lease_id: str, accepted: Iterable[str], parked: Mapping[str, str], clock: Clock) -> None:
    """End the lease: what is ``accepted`` is uploaded, what is ``parked`` is not sent again, the rest can be leased.

    That a collector has a snapshot is true whatever became of the lease meanwhile, so it counts also where the lease
    was over and another process has the row now. What was purged stays gone. Raises StorageError.
    """
    with database.writing() as connection:
        now = clock()
        for snapshot_id in accepted:
            _mark_uploaded(connection, snapshot_id, now)
        _park(connection, lease_id, parked)
        connection.execute("DELETE FROM lease WHERE lease_id = ?", (lease_id,))


def backlog(database: Database, agreed: Mapping[str, float], clock: Clock) -> Backlog:
    """How it stands now; raises StorageError."""
    with database.reading() as connection:
        uploaded, last_uploaded_at = connection.execute(
            "SELECT count(*), max(uploaded_at) FROM snapshot WHERE (uploaded_at IS NULL) = 0"
        ).fetchone()
        parked = connection.execute("SELECT reason, count(*) FROM parked GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
        known = Backlog(uploaded=uploaded, last_uploaded_at=last_uploaded_at, parked={row[0]: row[1] for row in parked})
        if not agreed:
            return known
        with_agreed, values = _with_agreed(agreed)
        query = f"""{with_agreed} SELECT created_at < since AS is_older,
            created_at >= since AND {_IS_LEASED} AS is_leased, count(*) AS number,
            sum(length_bytes) AS length_bytes, min(sequence) AS first, finalised_at
            {_UPLOADABLE} GROUP BY 1, 2"""
        rows = connection.execute(query, {**values, "now": clock()}).fetchall()
    by_kind = {("older" if row["is_older"] else "leased" if row["is_leased"] else "waiting"): row for row in rows}
    waiting = by_kind.get("waiting")
    return replace(
        known,
        waiting=0 if waiting is None else waiting["number"],
        waiting_bytes=0 if waiting is None else waiting["length_bytes"],
        oldest_at=None if waiting is None else waiting["finalised_at"],
        leased=by_kind["leased"]["number"] if "leased" in by_kind else 0,
        held_back=by_kind["older"]["number"] if "older" in by_kind else 0,
    )


def in_flight(connection: Connection, wanted: Choice) -> list[str]:
    """The ids of those that match and that somebody leased, in a lease that is over too: it may have been sent."""
    condition, values = wanted.condition()
    rows = connection.execute(
        f"SELECT id FROM snapshot WHERE sequence IN (SELECT sequence FROM lease) AND ({condition}) ORDER BY sequence",  # noqa: S608 (ours)
        values,
    ).fetchall()
    return [row["id"] for row in rows]


def _rows(connection: Connection, wanted: Wanted, now: float, *, after: int) -> tuple[Row, ...]:
    if not wanted.agreed:
        return ()
    with_agreed, values = _with_agreed(wanted.agreed)
    query = f"""{with_agreed} SELECT sequence, length_bytes {_UPLOADABLE}
        AND created_at >= since AND NOT {_IS_LEASED} AND sequence > :after ORDER BY sequence LIMIT :limit"""
    values |= {"now": now, "after": after, "limit": wanted.max_snapshots}
    chosen: list[int] = []
    total_bytes = 0
    for row in connection.execute(query, values).fetchall():
        total_bytes += row["length_bytes"]
        if chosen and total_bytes > wanted.max_bytes:
            break
        chosen.append(row["sequence"])
    return tuple(_row(connection, sequence) for sequence in chosen)


def _row(connection: Connection, sequence: int) -> Row:
    found = connection.execute(
        """SELECT id, workspace_id, schema_version, compressed, length_bytes, sha256
            FROM snapshot JOIN payload USING (sequence) WHERE sequence = ?""",
        (sequence,),
    ).fetchone()
    payload = Payload(found["compressed"], found["length_bytes"], found["sha256"])
    return Row(sequence, found["id"], found["workspace_id"], found["schema_version"], payload)


def _with_agreed(agreed: Mapping[str, float]) -> tuple[str, dict[str, Any]]:
    """A table of the agreed workspaces for a query, and the values in it."""
    rows = ", ".join(f"(:workspace_{number}, :since_{number})" for number in range(len(agreed)))
    values: dict[str, Any] = {}
    for number, (workspace_id, since) in enumerate(agreed.items()):
        values |= {f"workspace_{number}": workspace_id, f"since_{number}": since}
    return f"WITH agreed (workspace_id, since) AS (VALUES {rows})", values


def _mark_uploaded(connection: Connection, snapshot_id: str, now: float) -> None:
    connection.execute("UPDATE snapshot SET uploaded_at = ? WHERE id = ? AND uploaded_at IS NULL", (now, snapshot_id))
    for table in ("lease", "parked"):
        connection.execute(
            f"DELETE FROM {table} WHERE sequence = (SELECT sequence FROM snapshot WHERE id = ?)",  # noqa: S608 (ours)
            (snapshot_id,),
        )


def _park(connection: Connection, lease_id: str, reasons: Mapping[str, str]) -> None:
    """What is in the lease still and not uploaded; it is in none afterwards."""
    for snapshot_id, reason in reasons.items():
        parked = connection.execute(
            """INSERT INTO parked (sequence, reason) SELECT sequence, ? FROM snapshot JOIN lease USING (sequence)
                WHERE id = ? AND lease_id = ?""",
            (reason, snapshot_id, lease_id),
        )
        if parked.rowcount:
            connection.execute(
                "DELETE FROM lease WHERE sequence = (SELECT sequence FROM snapshot WHERE id = ?)", (snapshot_id,)
            )
