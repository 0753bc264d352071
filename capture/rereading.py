"""A value that is read from one file, and read again only after the file changed. Knows nothing of what is in it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Value = TypeVar("Value")

# File systems stamp a change with a clock that stands still for some milliseconds, so two changes may bear one time. A
# file this young when it is read is read again next time.
YOUNG_NANOSECONDS = 100_000_000


class Rereading(Generic[Value]):
    """The value of the file at ``path``; ``read`` makes it, of a file that is missing too, and decides what may raise.

    ``clock_nanoseconds`` gives the time of day, as the file system has it.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], Value],
        clock_nanoseconds: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path = path
        self._read = read
        self._clock_nanoseconds = clock_nanoseconds
        self._known: tuple[_Stamp, Value] | None = None

    def current(self) -> Value:
        """The value of the file as it is now: one ``stat`` while nothing changes."""
        stamp, changed_nanoseconds = _stamp(self.path)
        known = self._known  # once: another thread may read the file anew meanwhile
        if known is not None and known[0] == stamp:
            return known[1]
        value = self._read(self.path)
        is_young = self._clock_nanoseconds() - changed_nanoseconds < YOUNG_NANOSECONDS
        self._known = None if is_young else (stamp, value)
        return value


_Stamp = tuple[int, ...]


def _stamp(path: Path) -> tuple[_Stamp, int]:
    """What differs once the file is another one or may be read otherwise, and when that last happened."""
    try:
        found = os.stat(path)  # noqa: PTH116 (asked for with every keystroke; a Path's own takes twice as long)
    except OSError as error:
        return (error.errno or -1,), 0
    changed_nanoseconds = max(found.st_mtime_ns, found.st_ctime_ns)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns), changed_nanoseconds
