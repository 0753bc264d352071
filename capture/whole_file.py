"""Writes a text file in one step: whoever reads it sees the old text or the new one, even after a crash."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, text: str, *, durably: bool = False) -> None:
    """Replace the file, or make it and its folders; a link stays a link and what it points at keeps its permissions.

    The text is written as it is, in UTF-8; only its owner can read a file made so. ``durably``: when this returns, not
    even a power cut brings the old text back. Raises OSError, and then nothing is left behind (where only the folder
    could not be synced, the new text stands, and may be lost with a power cut).
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target))
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            if target.exists():
                os.fchmod(file.fileno(), target.stat().st_mode & 0o777)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    if durably:
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_unfinished(path: Path) -> None:
    """Remove what `write_whole` left of this file where its process was killed; for who writes there alone.

    Raises OSError.
    """
    target = path.resolve()
    for file in target.parent.glob(f"{glob.escape(_prefix(target))}*"):
        file.unlink()


def _prefix(target: Path) -> str:
    return f".{target.name}."
