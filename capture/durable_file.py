"""Replaces a text file in one step and for good: neither a crash nor a power cut brings the old text back."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_durably(path: Path, text: str) -> None:
    """Replace the file in a folder that is there; a link stays a link. Only its owner can read a file made so.

    Raises OSError, and then the old text still stands, or (when only the folder could not be synced) the new one may
    be lost with a power cut.
    """
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
