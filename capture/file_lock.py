"""A lock between processes on a file of its own: shared by many, or held by one. Knows nothing of what it guards.

The kernel gives it back when its holder dies, however that happens.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_FILE_MODE = 0o600
LOOK_AGAIN_SECONDS = 0.01


class FileLock:
    """One lock file, open until ``close``; the file itself stays. For one thread."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when the file can neither be opened nor made."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)

    def take(self, *, shared: bool = False, within_seconds: float = 0.0) -> bool:
        """Whether it was had in time. Taken again, a shared one becomes exclusive, and the other way round."""
        wanted = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        until = time.monotonic() + within_seconds
        while True:
            try:
                fcntl.flock(self._descriptor, wanted)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(LOOK_AGAIN_SECONDS)  # the kernel offers waiting for ever or not at all
            else:
                return True

    def give_back(self) -> None:
        """Let others have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it back for good."""
        os.close(self._descriptor)
