"""The files around a SQLite file: private from the start, written in turn, moved aside when damaged.

Beside the file lie two locks. One is held while anything is written to the file, by whatever process. The other is
shared by all that have it open for writing; only who holds it alone may move the file aside, because a connection
that outlived the move would delete the log of the file that took its place. Knows nothing of SQLite but the names
of its files.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from capture.file_lock import PRIVATE_FILE_MODE, FileLock
from capture.store.error import StorageError, system_errors_explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 5.0
PRIVATE_DIRECTORY_MODE = 0o700
DAMAGED_MARK = ".damaged-"
LOG_SUFFIXES = ("-wal", "-journal")
INDEX_SUFFIX = "-shm"  # of the log; made anew where it is missing


class Turns:
    """The two locks of one file, open until ``close``. For one thread."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError when the lock files cannot be made."""
        self._path = path
        with system_errors_explained(path):
            self._writing = FileLock(path.with_suffix(".writing.lock"))
            self._use = FileLock(path.with_suffix(".use.lock"))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one that writes; raises StorageError ``busy`` when that is not to be had in a few seconds."""
        if not self._writing.take(within_seconds=BUSY_SECONDS):
            raise StorageError("busy", self._path)
        try:
            yield
        finally:
            self._writing.give_back()

    def use(self, *, alone: bool = False) -> None:
        """Have the file in use until ``close``; raises StorageError ``busy`` when others do, and ``alone`` is asked."""
        if not self._use.take(shared=not alone):
            raise StorageError("busy", self._path)

    def close(self) -> None:
        """Give both back."""
        self._writing.close()
        self._use.close()


def make_private(path: Path) -> None:
    """An empty file that only its owner may read, in a folder that only its owner may enter, unless they are there.

    Raises StorageError.
    """
    directory = path.parent
    with system_errors_explained(path):
        if not directory.is_dir():
            directory.mkdir(mode=PRIVATE_DIRECTORY_MODE, parents=True)
            sync_directory(directory.parent)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE_MODE)
        except FileExistsError:
            return  # not opened here: closing it again would drop the locks that SQLite has on it
        os.close(descriptor)
        sync_directory(directory)


def set_aside(path: Path) -> Path:
    """Rename a damaged file and its log, so that a new one can begin; returns its new path.

    The caller has closed its own connections. Raises StorageError, ``busy`` while others may write the file.
    """
    path = path.absolute()
    turns = Turns(path)
    try:
        with turns.writing(), system_errors_explained(path):
            turns.use(alone=True)
            aside = _free_name(path)
            path.rename(aside)
            for suffix in LOG_SUFFIXES:
                with suppress(FileNotFoundError):
                    path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
            path.with_name(path.name + INDEX_SUFFIX).unlink(missing_ok=True)
            sync_directory(path.parent)
    finally:
        turns.close()
    return aside


def files_set_aside(path: Path) -> list[Path]:
    """The damaged files that were once at ``path``, their logs among them."""
    return sorted(path.absolute().parent.glob(f"{path.stem}{DAMAGED_MARK}*"))


def _free_name(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (path.with_name(f"{path.stem}{DAMAGED_MARK}{stamp}-{number}{path.suffix}") for number in count(1))
    return next(name for name in names if not name.exists())


def sync_directory(directory: Path) -> None:
    """Make the names in it last: a new file's own sync does not promise its name."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
