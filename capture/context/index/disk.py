"""Reading regular files, and knowing whether they are still the same. Opens nothing that could block, follows no link.

Knows nothing of what the files hold.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a file from another."""

    modified_ns: int
    size_bytes: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file with this status."""
        return cls(status.st_mtime_ns, status.st_size, status.st_ino)


def read_file(path: str, max_bytes: int, *, follow_link: bool = False) -> tuple[bytes, Stamp] | None:
    """The content of the regular file at ``path``; None where it is none, or larger. Raises OSError."""
    descriptor = _open(path, follow_link=follow_link)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            return None
        content = file.read(max_bytes + 1)
        return (content, Stamp.of(status)) if len(content) == status.st_size else None


def read_part(path: str, start_byte: int, end_byte: int, stamp: Stamp) -> bytes | None:
    """A part of the file at ``path``; None where it is not the file of that stamp any more. Raises OSError."""
    descriptor = _open(path, follow_link=False)
    try:
        if Stamp.of(os.fstat(descriptor)) != stamp:
            return None
        return os.pread(descriptor, end_byte - start_byte, start_byte)
    finally:
        os.close(descriptor)


def is_folder(path: str) -> bool:
    """Whether a folder, not a link to one, is at ``path``."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _open(path: str, *, follow_link: bool) -> int:
    # O_NONBLOCK: a pipe in the place of a file would keep the reader waiting for a writer.
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_link else os.O_NOFOLLOW))
