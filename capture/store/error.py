"""Why a file of ours cannot be used: a reason for programs, cause and cure for people. Holds no content of any file."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

StorageReason = Literal[
    "broken_off", "busy", "cannot_open", "damaged", "disk_full", "foreign", "io_error", "newer", "older", "read_only"
]
_EXPLAINED: dict[StorageReason, str] = {
    "broken_off": "making it broke off, and it has to be opened for writing first",
    "busy": "another process is using it; try again when that is done",
    "cannot_open": "it cannot be opened; check that its folder is yours and on a local disk",
    "damaged": "it is damaged; the next snapshot that is stored moves it aside and begins a new file",
    "disk_full": "the disk is full; free some space",
    "foreign": "it is no file of foretype's; move it away",
    "io_error": "the system could not read or write it; check the disk, and limits on the size of files",
    "newer": "a newer foretype wrote it; use that one",
    "older": "an older foretype wrote it, and it has to be opened for writing first",
    "read_only": "it may not be written; make it and its folder writable for you",
}
_SYSTEM_REASONS: dict[int | None, StorageReason] = {
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.EROFS: "read_only",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EIO: "io_error",
}


class StorageError(Exception):
    """A file cannot be used; the message names it, the cause and the cure."""

    def __init__(self, reason: StorageReason, path: Path, detail: str = "") -> None:
        self.reason = reason
        self.explanation = _EXPLAINED[reason] + (f" ({detail})" if detail else "")
        super().__init__(f"{path}: {self.explanation}")


@contextmanager
def system_errors_explained(path: Path) -> Iterator[None]:
    """An OSError in the block becomes a StorageError about ``path``."""
    try:
        yield
    except OSError as error:
        raise StorageError(_SYSTEM_REASONS.get(error.errno, "cannot_open"), path, error.strerror or "") from error
