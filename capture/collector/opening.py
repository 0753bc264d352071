"""From what ``--data`` says to a storage: which parts, which index, and what has to be said when they do not do.

A library that only one of them needs is imported with it. Knows nothing of how any of them works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from capture.collector.directory import PartsInDirectory
from capture.collector.indexed import IndexedStorage, Upkeep
from capture.collector.sqlite_index import RESERVE_BYTES, SqliteIndex
from capture.collector.storage import StorageMisconfigured
from capture.file_lock import FileLock
from capture.store.error import StorageError
from capture.store.files import make_private

if TYPE_CHECKING:
    from capture.collector.index import Index
    from capture.collector.parts import Parts

INDEX_FILE = "index.sqlite3"
LOCK_FILE = "collector.lock"
DATABASE_SCHEMES = ("postgresql", "postgres")
EXTRA = "it needs more packages; install them with: pip install 'foretype[collector]'"
_FORMS = (
    "give --data a DIRECTORY; or an object store and a database, as in"
    " --data s3://BUCKET/PREFIX --data postgresql://USER@HOST/DATABASE; or a DIRECTORY and a database"
)


async def open_from(
    urls: Sequence[str],
    *,
    upkeep: Upkeep | None = None,
    clock: Callable[[], float] = time,
    reserve_bytes: int = RESERVE_BYTES,
) -> IndexedStorage:
    """See `storage.open_storage`. ``reserve_bytes`` of the disk are left free where the index is a file."""
    databases = [url for url in urls if scheme_of(url) in DATABASE_SCHEMES]
    places = [url for url in urls if url not in databases]
    if len(places) != 1 or len(databases) > 1:
        raise StorageMisconfigured(_FORMS)
    (place,) = places
    directory = directory_of(place)
    async with AsyncExitStack() as opened:
        lock: FileLock | None = None
        index: Index
        if databases:
            index = await _database(databases[0])
        elif directory is not None:
            lock = _sole_use(directory)
            opened.callback(lock.close)
            index = SqliteIndex(directory / INDEX_FILE, reserve_bytes)
        else:
            raise StorageMisconfigured(f"an object store needs a database beside it; {_FORMS}")
        opened.push_async_callback(index.close)
        if isinstance(index, SqliteIndex):
            await index.open()
        storage = IndexedStorage(index, parts_at(place), upkeep=upkeep, clock=clock, lock=lock)
        await storage.check_belonging()
        opened.pop_all()
    return storage


def parts_at(url: str) -> Parts:
    """Where the parts are, for reading and writing; nothing is touched yet. Raises StorageMisconfigured."""
    directory = directory_of(url)
    if directory is not None:
        return PartsInDirectory(directory)
    if scheme_of(url) in DATABASE_SCHEMES:
        raise StorageMisconfigured("a database holds no parts; name the directory or the object store beside it")
    try:
        from capture.collector.object_store import PartsInObjectStore  # noqa: PLC0415 (only with such a URL)
    except ImportError as error:
        raise StorageMisconfigured(f"{scheme_of(url)}://: {EXTRA}") from error
    return PartsInObjectStore(url)


def scheme_of(url: str) -> str:
    """What stands before ``://``, in lower case; nothing for a path."""
    scheme, mark, _ = url.partition("://")
    return scheme.lower() if mark else ""


def directory_of(url: str) -> Path | None:
    """The directory that a path or a ``file://`` URL names; None for other URLs."""
    if scheme_of(url) == "file":
        return Path(unquote(urlsplit(url).path))
    return None if scheme_of(url) else Path(url).absolute()


def _sole_use(directory: Path) -> FileLock:
    try:
        make_private(directory / LOCK_FILE)
        lock = FileLock(directory / LOCK_FILE)
    except StorageError as error:
        raise StorageMisconfigured(f"the directory: {error.explanation}") from error
    except OSError as error:
        raise StorageMisconfigured(f"the directory: {error.strerror}") from error
    if not lock.take():
        lock.close()
        raise StorageMisconfigured(
            "another collector uses that directory; stop it, or give this one a directory of its own"
            " (several share a PostgreSQL database: give --data its URL too)"
        )
    return lock


async def _database(url: str) -> Index:
    try:
        from capture.collector.postgres_index import open_postgres_index  # noqa: PLC0415 (only with such a URL)
    except ImportError as error:
        raise StorageMisconfigured(f"postgresql://: {EXTRA}") from error
    return await open_postgres_index(url)
