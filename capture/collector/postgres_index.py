"""The collector's index in a PostgreSQL database, for several collectors behind one balancer.

A commit is on the database's disk when it returns. Connections come from a pool that makes new ones when the database
was away; who works on parts has a connection of its own, and the right to do so ends with it. Needs connections that
stay with one server process: a pooler in between has to pool sessions. Knows nothing of SQL, which is in
`postgres_tables.py`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from capture.collector import postgres_tables as tables
from capture.collector.index import Counts, Entry, Line, Part, Sealing
from capture.collector.storage import InstallKey, StorageMisconfigured, StorageUnavailable, Verdict, Wanted

Result = TypeVar("Result")
Connection = AsyncConnection[Any]

CONNECTIONS = 8
WAIT_SECONDS = 5.0  # for a connection
# What is waited for when nothing is heard any more; the URL may say otherwise.
DEFAULTS = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "application_name": "foretype collect",
}
STATEMENT_TIMEOUT = "60s"


async def open_postgres_index(url: str) -> PostgresIndex:
    """Make or update the tables; raises StorageMisconfigured, StorageUnavailable."""
    try:
        conninfo = make_conninfo(
            url, **{key: value for key, value in DEFAULTS.items() if key not in conninfo_to_dict(url)}
        )
    except psycopg.ProgrammingError as error:  # whose message may repeat the URL, password and all
        raise StorageMisconfigured(
            "that is no PostgreSQL URL; write postgresql://USER@HOST/DATABASE, and the password into ~/.pgpass"
        ) from error
    try:
        async with await AsyncConnection.connect(conninfo) as connection:
            await _configure(connection)
            async with connection.transaction():
                await tables.migrate(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StorageMisconfigured(
            f"the database: its user may not make the schema {tables.SCHEMA}; grant CREATE on the database"
        ) from error
    except psycopg.OperationalError as error:  # said to whoever starts the collector: it names hosts, no passwords
        raise StorageUnavailable(f"the database: {error}") from error
    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
        conninfo,
        min_size=1,
        max_size=CONNECTIONS,
        open=False,
        timeout=WAIT_SECONDS,
        reconnect_timeout=WAIT_SECONDS,  # then whoever asks next begins anew, without the pauses that have grown
        configure=_configure,
        check=AsyncConnectionPool.check_connection,
        name="collector-index",
    )
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # its warnings name hosts and folders; ours say the same
    await pool.open()
    return PostgresIndex(conninfo, pool)


class PostgresIndex:
    """An `Index`."""

    def __init__(self, conninfo: str, pool: AsyncConnectionPool[Connection]) -> None:
        self._conninfo = conninfo
        self._pool = pool

    async def belongs_with(self) -> tuple[str, bool]:
        """See `Index`."""
        return await self._do(tables.belongs_with)

    async def store(self, install: InstallKey, entries: Sequence[Entry]) -> list[Verdict]:
        """See `Index`."""
        return await self._do(lambda connection: tables.store(connection, install, entries))

    async def delete(self, installs: Sequence[InstallKey], wanted: Wanted) -> int:
        """See `Index`."""
        return await self._do(lambda connection: tables.delete(connection, installs, wanted))

    async def parts_to_rewrite(self, installs: Sequence[InstallKey]) -> int:
        """See `Index`."""
        return await self._do(lambda connection: tables.parts_to_rewrite(connection, installs))

    async def counts(self) -> Counts:
        """See `Index`."""
        return await self._do(tables.counts)

    @asynccontextmanager
    async def round(self, within_seconds: float) -> AsyncIterator[PostgresRound | None]:
        """See `Index`."""
        with _explained():
            connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        try:
            with _explained():
                await _configure(connection)
                is_had = await _have_the_right(connection, within_seconds)
            yield PostgresRound(connection) if is_had else None
        finally:
            with suppress(psycopg.Error):  # the server sees the connection go, only later
                await connection.execute("SELECT pg_advisory_unlock_all()")
            await connection.close()

    async def close(self) -> None:
        """See `Index`."""
        await self._pool.close()

    async def _do(self, action: Callable[[Connection], Awaitable[Result]]) -> Result:
        """One transaction."""
        with _explained():
            async with self._pool.connection() as connection, connection.transaction():
                return await action(connection)


class PostgresRound:
    """A `Round`. The right is the connection's: when the database lost it, nothing more can be done with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begun(self) -> list[Part]:
        """See `Round`."""
        return await self._do(tables.begun)

    async def changed(self) -> list[Part]:
        """See `Round`."""
        return await self._do(tables.changed)

    async def assign(self, sealing: Sealing, now: float, name_of: Callable[[datetime], str]) -> Part | None:
        """See `Round`."""
        return await self._do(lambda connection: tables.assign(connection, sealing, now, name_of))

    async def lines(self, part: Part, after: int) -> list[Line]:
        """See `Round`."""
        return await self._do(lambda connection: tables.lines(connection, part, after))

    async def hashes(self, part: Part) -> set[bytes]:
        """See `Round`."""
        return await self._do(lambda connection: tables.hashes(connection, part))

    async def still_ours(self) -> None:
        """See `Round`."""
        await self._do(AsyncConnectionPool.check_connection)

    async def sealed(self, part: Part) -> None:
        """See `Round`."""
        await self._do(lambda connection: tables.sealed(connection, part))

    async def rewritten(self, part: Part) -> None:
        """See `Round`."""
        await self._do(lambda connection: tables.rewritten(connection, part))

    async def gone(self, part: Part) -> None:
        """See `Round`."""
        await self._do(lambda connection: tables.gone(connection, part))

    async def doubt(self, name: str) -> bool:
        """See `Round`."""
        return await self._do(lambda connection: tables.doubt(connection, name))

    async def _do(self, action: Callable[[Connection], Awaitable[Result]]) -> Result:
        """One transaction."""
        with _explained():
            async with self._connection.transaction():
                return await action(self._connection)


async def _configure(connection: Connection) -> None:
    """Each is what holds for the connection from now on, whatever the database or its user have for it."""
    await connection.set_autocommit(True)
    await connection.execute(f"SET search_path TO {tables.SCHEMA}")
    await connection.execute("SET synchronous_commit TO on")
    await connection.execute("SET default_transaction_isolation TO 'read committed'")
    await connection.execute(f"SET statement_timeout TO '{STATEMENT_TIMEOUT}'")


async def _have_the_right(connection: Connection, within_seconds: float) -> bool:
    if within_seconds <= 0:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (tables.KEEPING_UP,))
        row = await cursor.fetchone()
        return row is not None and bool(row[0])
    await connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{within_seconds * 1000:.0f}ms",))
    try:
        await connection.execute("SELECT pg_advisory_lock(%s)", (tables.KEEPING_UP,))
    except psycopg.errors.LockNotAvailable:
        return False
    await connection.execute("SET lock_timeout TO DEFAULT")
    return True


@contextmanager
def _explained() -> Iterator[None]:
    """What is not our mistake becomes StorageUnavailable. libpq's words are left out: they name hosts and folders."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
        code = f" {error.sqlstate}" if error.sqlstate else ""
        raise StorageUnavailable(f"the database is away or cannot do it now ({type(error).__name__}{code})") from error
