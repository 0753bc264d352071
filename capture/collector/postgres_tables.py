"""The tables of the collector's index in PostgreSQL, and what is done with them: each function within one transaction.

What may meet, locks in one order: the right to delete or to change parts (`order_changes`), then installs by their ids,
then snapshots by theirs. Says what `sqlite_tables.py` says; knows nothing of connections and their failures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString
from uuid import uuid4

from psycopg.rows import class_row, scalar_row

from capture.collector.index import PAGE_SNAPSHOTS, Counts, Entry, Line, Part, Sealing, authors_of, day_of
from capture.collector.storage import InstallKey, StorageMisconfigured, Verdict, Wanted, WrongSecret
from capture.store.payload import Payload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    Connection = AsyncConnection[Any]

SCHEMA = "foretype_collector"
# Numbers of advisory locks, which all users of the database share: random ones.
MIGRATING, CHANGING, KEEPING_UP = 7316202651483015, 7316202651483016, 7316202651483017
ROWS_AT_ONCE = 2000

MIGRATIONS = (
    (
        "CREATE TABLE identity (is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one), id text NOT NULL)",
        "CREATE TABLE install (id text PRIMARY KEY, secret_sha256 bytea NOT NULL)",
        """CREATE TABLE part (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL UNIQUE,
            is_sealed boolean NOT NULL DEFAULT false
        )""",
        """CREATE TABLE snapshot (
            sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            id text NOT NULL UNIQUE,
            install text NOT NULL REFERENCES install,
            workspace_id text NOT NULL,
            schema_version bigint NOT NULL,
            finalised_at double precision NOT NULL,
            received_at double precision NOT NULL,
            sha256 bytea NOT NULL,
            length_bytes bigint NOT NULL,
            part bigint REFERENCES part
        )""",
        "CREATE INDEX snapshot_by_install ON snapshot (install)",
        "CREATE INDEX snapshot_by_part ON snapshot (part, sequence)",
        # Until the part of the snapshot is sealed; apart, so that a look at the others does not read it.
        """CREATE TABLE payload (
            sequence bigint PRIMARY KEY REFERENCES snapshot ON DELETE CASCADE,
            compressed bytea NOT NULL
        )""",
        "ALTER TABLE payload ALTER compressed SET STORAGE EXTERNAL",  # it is compressed already
        # Whose snapshots went from a part that may still hold them; no install where nobody knows.
        """CREATE TABLE deletion (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            part bigint NOT NULL REFERENCES part ON DELETE CASCADE,
            install text
        )""",
        "CREATE INDEX deletion_by_part ON deletion (part)",
        "CREATE INDEX deletion_by_install ON deletion (install)",
        # Who deleted together; a tombstone holds for each of them.
        "CREATE TABLE author (authors bytea NOT NULL, install text NOT NULL, PRIMARY KEY (authors, install))",
        """CREATE TABLE tombstone (
            snapshot_id text NOT NULL,
            authors bytea NOT NULL,
            PRIMARY KEY (snapshot_id, authors)
        )""",
    ),
)

_PARTS = """SELECT number, name,
    coalesce((SELECT max(number) FROM deletion WHERE deletion.part = part.number), 0) AS last_deletion FROM part"""
_WAITING = "part IS NULL AND received_at >= %(begin)s AND received_at < %(end)s"
_WANTED = """install = ANY(%(installs)s::text[]) AND (%(everything)s OR (%(any)s
    AND (cardinality(%(ids)s::text[]) = 0 OR id = ANY(%(ids)s::text[]))
    AND (cardinality(%(workspaces)s::text[]) = 0 OR workspace_id = ANY(%(workspaces)s::text[]))
    AND (%(before)s::double precision IS NULL OR finalised_at < %(before)s::double precision)))"""


async def migrate(connection: Connection) -> None:
    """Bring the schema up to date, or make it; raises StorageMisconfigured when a newer foretype made it."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
    if not await _value(connection, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", (SCHEMA,)):
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    await connection.execute("CREATE TABLE IF NOT EXISTS migration (version bigint PRIMARY KEY)")
    version = await _value(connection, "SELECT coalesce(max(version), 0) FROM migration")
    if version > len(MIGRATIONS):
        raise StorageMisconfigured("a newer foretype made the collector's tables in that database; use that one")
    for number in range(version, len(MIGRATIONS)):
        for statement in MIGRATIONS[number]:
            await connection.execute(statement)
        await connection.execute("INSERT INTO migration (version) VALUES (%s)", (number + 1,))


async def belongs_with(connection: Connection) -> tuple[str, bool]:
    """See `Index`."""
    await connection.execute("INSERT INTO identity (id) VALUES (%s) ON CONFLICT DO NOTHING", (uuid4().hex,))
    identity = await _value(connection, "SELECT id FROM identity")
    return identity, await _value(connection, "SELECT EXISTS (SELECT FROM part)")


async def store(connection: Connection, install: InstallKey, entries: Sequence[Entry]) -> list[Verdict]:
    """See `Index`. Whoever deletes of this install waits until it is committed, or is waited for."""
    await _bind(connection, [install])
    await connection.execute("SELECT FROM install WHERE id = %s FOR KEY SHARE", (install.id,))
    deleted = await _values(
        connection,
        "SELECT snapshot_id FROM tombstone JOIN author USING (authors) WHERE snapshot_id = ANY(%s) AND install = %s",
        ([entry.id for entry in entries], install.id),
    )
    new = await _insert(connection, install, [entry for entry in entries if entry.id not in deleted])
    rest = [entry.id for entry in entries if entry.id not in deleted and entry.id not in new]
    cursor = await connection.execute(
        "SELECT id, sha256 FROM snapshot WHERE id = ANY(%s) AND install = %s", (rest, install.id)
    )
    known = {row[0]: row[1] for row in await cursor.fetchall()}
    return [_verdict(entry, deleted, new, known) for entry in entries]


async def delete(connection: Connection, installs: Sequence[InstallKey], wanted: Wanted) -> int:
    """See `Index`."""
    await order_changes(connection)
    await _bind(connection, installs)
    ids = [install.id for install in installs]
    await connection.execute("SELECT FROM install WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (ids,))
    values = {
        "authors": authors_of(installs),
        "installs": ids,
        "everything": wanted.everything,
        "any": bool(wanted.snapshot_ids or wanted.workspace_ids or wanted.finalised_before is not None),
        "ids": list(wanted.snapshot_ids),
        "workspaces": list(wanted.workspace_ids),
        "before": wanted.finalised_before,
    }
    await connection.execute(
        "INSERT INTO author (authors, install) SELECT %(authors)s, unnest(%(installs)s::text[]) ON CONFLICT DO NOTHING",
        values,
    )
    await connection.execute(
        f"""INSERT INTO deletion (part, install) SELECT DISTINCT part, install FROM snapshot
            WHERE {_WANTED} AND part IS NOT NULL""",  # noqa: S608 (ours)
        values,
    )
    await connection.execute(
        f"""INSERT INTO tombstone (snapshot_id, authors) SELECT id, %(authors)s FROM snapshot WHERE {_WANTED}
            ON CONFLICT DO NOTHING""",  # noqa: S608 (ours)
        values,
    )
    cursor = await connection.execute(f"DELETE FROM snapshot WHERE {_WANTED}", values)  # noqa: S608 (ours)
    await connection.execute(
        """INSERT INTO tombstone (snapshot_id, authors)
            SELECT DISTINCT named.id, %(authors)s::bytea FROM unnest(%(ids)s::text[]) AS named (id)
            WHERE NOT EXISTS
                (SELECT FROM snapshot WHERE snapshot.id = named.id AND install = ANY(%(installs)s::text[]))
            ON CONFLICT DO NOTHING""",
        values,
    )
    return cursor.rowcount


async def parts_to_rewrite(connection: Connection, installs: Sequence[InstallKey]) -> int:
    """See `Index`."""
    ids = [install.id for install in installs]
    number: int = await _value(connection, "SELECT count(DISTINCT part) FROM deletion WHERE install = ANY(%s)", (ids,))
    return number


async def counts(connection: Connection) -> Counts:
    """See `Index`."""
    async with connection.cursor(row_factory=class_row(Counts)) as cursor:
        await cursor.execute(
            """SELECT count(*) AS waiting_snapshots, coalesce(sum(length_bytes), 0)::bigint AS waiting_bytes,
                min(received_at) AS oldest_waiting_at, (SELECT count(*) FROM part WHERE is_sealed) AS sealed_parts,
                (SELECT count(DISTINCT part) FROM deletion) AS parts_to_rewrite
                FROM snapshot WHERE part IS NULL OR part IN (SELECT number FROM part WHERE NOT is_sealed)"""
        )
        (found,) = await cursor.fetchall()
    return found


async def begun(connection: Connection) -> list[Part]:
    """See `Round`."""
    return await _parts(connection, f"{_PARTS} WHERE NOT is_sealed ORDER BY number")


async def changed(connection: Connection) -> list[Part]:
    """See `Round`."""
    query = f"{_PARTS} WHERE is_sealed AND number IN (SELECT part FROM deletion) ORDER BY number"  # noqa: S608 (ours)
    return await _parts(connection, query)


async def assign(
    connection: Connection, sealing: Sealing, now: float, name_of: Callable[[datetime], str]
) -> Part | None:
    """See `Round`."""
    await order_changes(connection)
    oldest = await _values(connection, "SELECT received_at FROM snapshot WHERE part IS NULL ORDER BY sequence LIMIT 1")
    if not oldest:
        return None
    (received_at,) = oldest
    day, begin, end = day_of(received_at)
    last, length_bytes = 0, 0
    async with connection.cursor(name="waiting") as cursor:  # it stays on the server, but for what is asked of it
        cursor.itersize = ROWS_AT_ONCE
        await cursor.execute(
            f"SELECT sequence, length_bytes FROM snapshot WHERE {_WAITING} ORDER BY sequence",  # noqa: S608 (ours)
            {"begin": begin, "end": end},
        )
        async for sequence, its_bytes in cursor:
            last, length_bytes = sequence, length_bytes + its_bytes
            if length_bytes >= sealing.size_bytes:
                break
    if length_bytes < sealing.size_bytes and now - received_at < sealing.age_seconds:
        return None
    name = name_of(day)
    number = await _value(connection, "INSERT INTO part (name) VALUES (%s) RETURNING number", (name,))
    await connection.execute(
        f"UPDATE snapshot SET part = %(part)s WHERE {_WAITING} AND sequence <= %(last)s",  # noqa: S608 (ours)
        {"part": number, "begin": begin, "end": end, "last": last},
    )
    return Part(number, name, 0)


async def lines(connection: Connection, part: Part, after: int) -> list[Line]:
    """See `Round`."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(
            """SELECT sequence, compressed, length_bytes, sha256 FROM snapshot JOIN payload USING (sequence)
                WHERE part = %s AND sequence > %s ORDER BY sequence LIMIT %s""",
            (part.number, after, PAGE_SNAPSHOTS),
        )
        rows = await cursor.fetchall()
    return [Line(sequence, Payload(compressed, length, sha256.hex())) for sequence, compressed, length, sha256 in rows]


async def hashes(connection: Connection, part: Part) -> set[bytes]:
    """See `Round`."""
    return await _values(connection, "SELECT sha256 FROM snapshot WHERE part = %s", (part.number,))


async def sealed(connection: Connection, part: Part) -> None:
    """See `Round`."""
    await order_changes(connection)
    await connection.execute(
        "DELETE FROM payload WHERE sequence IN (SELECT sequence FROM snapshot WHERE part = %s)", (part.number,)
    )
    await connection.execute("UPDATE part SET is_sealed = true WHERE number = %s", (part.number,))
    await rewritten(connection, part)


async def rewritten(connection: Connection, part: Part) -> None:
    """See `Round`."""
    await connection.execute("DELETE FROM deletion WHERE part = %s AND number <= %s", (part.number, part.last_deletion))


async def gone(connection: Connection, part: Part) -> None:
    """See `Round`."""
    await connection.execute("DELETE FROM part WHERE number = %s", (part.number,))


async def doubt(connection: Connection, name: str) -> bool:
    """See `Round`."""
    await order_changes(connection)  # so that deletions are numbered in the order in which they are seen
    await connection.execute(
        "INSERT INTO deletion (part) SELECT number FROM part WHERE name = %s AND is_sealed", (name,)
    )
    is_known: bool = await _value(connection, "SELECT EXISTS (SELECT FROM part WHERE name = %s)", (name,))
    return is_known


async def order_changes(connection: Connection) -> None:
    """Until this transaction ends nobody else deletes snapshots or moves them into parts."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (CHANGING,))


async def _bind(connection: Connection, installs: Sequence[InstallKey]) -> None:
    """Bind those that are new; raises WrongSecret for one that is bound to another."""
    by_id = sorted(installs, key=lambda install: install.id)
    ids = [install.id for install in by_id]
    await connection.execute(
        """INSERT INTO install (id, secret_sha256) SELECT * FROM unnest(%s::text[], %b::bytea[])
            ON CONFLICT DO NOTHING""",
        (ids, [install.secret_sha256 for install in by_id]),
    )
    cursor = await connection.execute("SELECT id, secret_sha256 FROM install WHERE id = ANY(%s)", (ids,))
    bound = {row[0]: row[1] for row in await cursor.fetchall()}
    for install in by_id:
        if bound[install.id] != install.secret_sha256:
            raise WrongSecret(install.id)


async def _insert(connection: Connection, install: InstallKey, entries: Sequence[Entry]) -> set[str]:
    """Insert those whose ids nobody has, in the order of the ids; returns these."""
    by_id = sorted(entries, key=lambda entry: entry.id)
    cursor = await connection.execute(
        """INSERT INTO snapshot (id, install, workspace_id, schema_version, finalised_at, received_at, sha256,
            length_bytes)
            SELECT id, %s, workspace_id, schema_version, finalised_at, received_at, sha256, length_bytes
            FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::double precision[], %s::double precision[],
                %b::bytea[], %s::bigint[])
            AS arrived (id, workspace_id, schema_version, finalised_at, received_at, sha256, length_bytes)
            ORDER BY id COLLATE "C"
            ON CONFLICT (id) DO NOTHING RETURNING id, sequence""",
        (
            install.id,
            [entry.id for entry in by_id],
            [entry.workspace_id for entry in by_id],
            [entry.schema_version for entry in by_id],
            [entry.finalised_at for entry in by_id],
            [entry.received_at for entry in by_id],
            [entry.sha256 for entry in by_id],
            [entry.payload.length_bytes for entry in by_id],
        ),
    )
    sequences = {row[0]: row[1] for row in await cursor.fetchall()}
    added = [entry for entry in by_id if entry.id in sequences]
    await connection.execute(
        "INSERT INTO payload (sequence, compressed) SELECT * FROM unnest(%s::bigint[], %b::bytea[])",
        ([sequences[entry.id] for entry in added], [entry.payload.compressed for entry in added]),
    )
    return set(sequences)


def _verdict(entry: Entry, deleted: set[str], new: set[str], known: dict[str, bytes]) -> Verdict:
    if entry.id in deleted:
        return "deleted"
    if entry.id in new:
        return "accepted"
    return "duplicate" if known.get(entry.id) == entry.sha256 else "id_taken"


async def _parts(connection: Connection, query: LiteralString) -> list[Part]:
    async with connection.cursor(row_factory=class_row(Part)) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()


async def _values(connection: Connection, query: LiteralString, values: Sequence[Any] = ()) -> set[Any]:
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, values)
        return set(await cursor.fetchall())


async def _value(connection: Connection, query: LiteralString, values: Sequence[Any] = ()) -> Any:
    (value,) = await _values(connection, query, values)
    return value
