"""Releases of a package, one after the other: every text file that changed from one to the next is like a commit.

A release is an unpacked folder, an sdist (``.tar.gz`` and other tar files), a wheel or another zip. Archives are read,
never unpacked: no path can leave anywhere, a link is not followed, and what is read is bounded.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final, cast

from training_export.errors import ArchiveRefused
from training_export.importing.changes import (
    MAX_FILE_BYTES,
    ChangeSet,
    LeftOut,
    Refused,
    change_of,
)

MAX_RELEASE_BYTES: Final = 512 * 1024 * 1024  # unpacked, all files together
MAX_FILES: Final = 100_000
_ARCHIVE_SUFFIX: Final = re.compile(r"\.(?:tar(?:\.\w+)?|tgz|tbz2|txz|zip|whl)$")
_VERSIONED: Final = re.compile(r"(?P<name>.+?)[-_]v?(?P<version>\d[\w.+!-]*)$")
_WHEEL_TAGS: Final = re.compile(r"-(?:\d\w*-)?(?:py|cp|pp)\w*(?:\.\w+)*-\w+-[\w.]+$")
_META: Final = re.compile(r"(?:^|/)(?:[^/]+\.(?:dist-info|egg-info|data)|\.git|__pycache__)(?:/|$)|(?:^|/)PKG-INFO$")


@dataclass(frozen=True, slots=True)
class Release:
    """A release: what it is called and its files by path. ``left_out`` are members that are no files of it."""

    label: str
    files: dict[str, bytes]
    left_out: tuple[LeftOut, ...]


def releases_of(paths: Sequence[Path]) -> Iterator[ChangeSet | Refused]:
    """The changed files from each release to the next, by name. Raises ArchiveRefused."""
    older = read_release(paths[0])
    for path in paths[1:]:
        newer = read_release(path)
        yield from _changed_files(older, newer)
        older = newer


def read_release(path: Path) -> Release:
    """The files of a release, without the folder that holds everything. Raises ArchiveRefused."""
    try:
        if path.is_dir():
            return _release(path, _folder_members(path))
        if zipfile.is_zipfile(path):
            return _release(path, _zip_members(path))
        return _release(path, _tar_members(path))
    except (OSError, EOFError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise ArchiveRefused(
            f"cannot read {path} as a folder, tar file, zip or wheel: {getattr(error, 'strerror', None) or error}"
        ) from error


@dataclass(frozen=True, slots=True)
class _Member:
    """``data`` is None for what is no plain file, and for a file over the limit, of which only the size is known."""

    path: str
    size_bytes: int
    data: bytes | None


def _release(path: Path, members: Iterator[_Member]) -> Release:
    files: dict[str, bytes] = {}
    left_out: list[LeftOut] = []
    total_bytes = 0
    for count, member in enumerate(members):
        total_bytes += member.size_bytes
        if total_bytes > MAX_RELEASE_BYTES or count >= MAX_FILES:
            raise ArchiveRefused(
                f"{path} is larger than what is read: {MAX_RELEASE_BYTES} bytes unpacked, {MAX_FILES} files"
            )
        if member.path.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", member.path):
            left_out.append(LeftOut(member.path, "its path leaves the package"))
        elif member.data is None:
            left_out.append(LeftOut(member.path, f"is no plain file, or larger than {MAX_FILE_BYTES} bytes"))
        else:
            files[str(PurePosixPath(member.path))] = member.data
    label = _WHEEL_TAGS.sub("", _ARCHIVE_SUFFIX.sub("", path.resolve().name))
    return Release(label, _without_common_folder(files) if not path.is_dir() else files, tuple(left_out))


def _without_common_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    """An sdist has everything in a folder that is named after the version."""
    folders = {name.split("/", 1)[0] if "/" in name else "" for name in files}
    if len(folders) != 1 or "" in folders or not _VERSIONED.match(next(iter(folders))):
        return files
    return {name.split("/", 1)[1]: data for name, data in files.items()}


def _folder_members(path: Path) -> Iterator[_Member]:
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            status = file.lstat()
            data = None
            if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES:
                data = file.read_bytes()
            yield _Member(file.relative_to(path).as_posix(), 0 if data is None else len(data), data)


class _Bounded:
    """What a tar file is unpacked to, up to a limit: headers can be as large as they like, and are kept in memory."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left_bytes = MAX_RELEASE_BYTES

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise ArchiveRefused(f"{self._path} is larger than the {MAX_RELEASE_BYTES} bytes unpacked that are read")
        return data


def _tar_members(path: Path) -> Iterator[_Member]:
    with path.open("rb") as file:
        start = file.read(6)
    unpacked: IO[bytes] = path.open("rb")
    for magic, opening in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
        if start.startswith(magic):
            unpacked.close()
            unpacked = cast("IO[bytes]", opening(path, "rb"))
    # As a stream: nothing is looked for, and sizes count as they come.
    with unpacked, tarfile.open(fileobj=cast("IO[bytes]", _Bounded(unpacked, path)), mode="r|") as archive:
        for member in archive:
            if member.isdir():
                continue
            content = archive.extractfile(member) if member.isreg() and member.size <= MAX_FILE_BYTES else None
            yield _Member(member.name, member.size, None if content is None else content.read())


def _zip_members(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            data = None
            is_link = stat.S_ISLNK(member.external_attr >> 16)
            if not is_link and member.file_size <= MAX_FILE_BYTES:
                with archive.open(member) as file:
                    data = file.read(MAX_FILE_BYTES + 1)
            yield _Member(member.filename, member.file_size if data is None else len(data), data)


def _changed_files(older: Release, newer: Release) -> Iterator[ChangeSet | Refused]:
    package = (_VERSIONED.match(newer.label) or {"name": newer.label})["name"]
    for left in newer.left_out:
        yield Refused(f"{newer.label}/{left.path}", left.reason)
    for path in sorted(older.files.keys() & newer.files.keys()):
        before, after = older.files[path], newer.files[path]
        if before == after or _META.search(path):
            continue
        change = change_of(path, before, after)
        if isinstance(change, LeftOut):
            yield Refused(f"{newer.label}/{change.path}", change.reason)
            continue
        # Length before content, so that no two pairs of files are the same text.
        digest = hashlib.sha256(b"%d\0" % len(before) + before + after).hexdigest()
        yield ChangeSet(
            identity=f"{path}/{digest}",
            source=f"{newer.label}/{path}",
            name=f"{package}-{digest[:8]}",
            repository_url="",
            revision="",
            changes=(change,),
            origin={"release": {"package": package, "older": older.label, "newer": newer.label}},
        )
