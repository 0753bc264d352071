"""Reads members of ``.tar.gz``, ``.tgz``, ``.zip`` and ``.whl`` as they stand: nothing is unpacked to disk.

A link, a device, and a path that leads out of the archive are passed over. What is read is bounded, so that no archive
can fill the memory. Knows nothing of what the members are good for.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, cast

from training_export.errors import ArchiveRefused

MAX_UNPACKED_BYTES: Final = 2 * 1024 * 1024 * 1024
MAX_MEMBERS: Final = 200_000
MAX_MEMBER_BYTES: Final = 1024 * 1024

_BROKEN: Final = (
    OSError, EOFError, RuntimeError, NotImplementedError, ValueError,
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip


def members(
    path: Path, is_wanted: Callable[[str], bool], *, max_unpacked_bytes: int = MAX_UNPACKED_BYTES
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the plain files whose name ``is_wanted`` and that have at most ``MAX_MEMBER_BYTES``.

    Of an sdist and an npm package, whose files all lie in one folder, the names are those within that folder.
    Raises ArchiveRefused.
    """
    reading = _zip_members if path.suffix in {".whl", ".zip"} else _tar_members
    try:
        yield from reading(path, is_wanted, max_unpacked_bytes)
    except _BROKEN as error:
        raise ArchiveRefused(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}; delete it and fetch it again"
        ) from error


def _tar_members(path: Path, is_wanted: Callable[[str], bool], max_bytes: int) -> Iterator[tuple[str, bytes]]:
    # As a stream: nothing is looked for, and what headers claim counts as it comes.
    with (
        gzip.open(path, "rb") as unpacked,
        tarfile.open(mode="r|", fileobj=cast("IO[bytes]", _Bounded(unpacked, path, max_bytes))) as archive,
    ):
        for count, member in enumerate(archive):
            _refuse_many(path, count)
            name = _within_the_folder(member.name)
            if not member.isreg() or member.size > MAX_MEMBER_BYTES or not name or not is_wanted(name):
                continue
            content = archive.extractfile(member)
            if content is not None:
                yield name, content.read()


def _zip_members(path: Path, is_wanted: Callable[[str], bool], max_bytes: int) -> Iterator[tuple[str, bytes]]:
    left_bytes = max_bytes
    with zipfile.ZipFile(path) as archive:
        for count, member in enumerate(archive.infolist()):
            _refuse_many(path, count)
            name = _safe(member.filename)
            is_plain = not member.is_dir() and stat.S_IFMT(member.external_attr >> 16) in {0, stat.S_IFREG}
            if not is_plain or member.file_size > MAX_MEMBER_BYTES or not name or not is_wanted(name):
                continue
            with archive.open(member) as file:
                data = file.read(MAX_MEMBER_BYTES + 1)  # more than its entry claims is an error of zipfile's
            left_bytes -= len(data)
            if left_bytes < 0:
                raise _too_large(path, max_bytes)
            yield name, data


class _Bounded:
    """What a tar file is unpacked to, up to a limit."""

    def __init__(self, stream: gzip.GzipFile, path: Path, max_bytes: int) -> None:
        self._stream = stream
        self._path = path
        self._max_bytes = max_bytes
        self._left_bytes = max_bytes

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise _too_large(self._path, self._max_bytes)
        return data


def _within_the_folder(name: str) -> str:
    return _safe(_safe(name).partition("/")[2])


def _safe(name: str) -> str:
    """The name without ``./`` at its start; empty where it leads out of the archive or could be misread."""
    name = name.removeprefix("./")
    if name.startswith("/") or "\\" in name or ":" in name.split("/", 1)[0] or "\0" in name or ".." in name.split("/"):
        return ""
    return name


def _refuse_many(path: Path, count: int) -> None:
    if count >= MAX_MEMBERS:
        raise ArchiveRefused(f"{path} has more than the {MAX_MEMBERS} members that are read")


def _too_large(path: Path, max_bytes: int) -> ArchiveRefused:
    return ArchiveRefused(f"{path} is larger than the {max_bytes} bytes unpacked that are read")
