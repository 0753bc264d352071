"""A model's file that appears whole under its name or not at all. Knows nothing of what is in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from training_export.errors import ModelUnwritable

_READABLE_BY_ALL: Final = 0o644


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """The path of a new file beside ``path``, which takes its name when the block ends well and is gone when not.

    Raises ModelUnwritable for what the system refuses in the block, a full disk above all.
    """
    target = path.resolve()
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    except OSError as error:
        raise unwritable(path, error) from error
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(target.stat().st_mode & 0o777 if target.exists() else _READABLE_BY_ALL)
        part.replace(target)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def unwritable(path: Path, reason: OSError | str) -> ModelUnwritable:
    """What to raise where ``path`` cannot be written; says how much room there is."""
    # numpy raises an OSError that has a text only, and no number, when fewer bytes were taken than there were.
    why = reason if isinstance(reason, str) else reason.strerror or str(reason)
    folder = path.resolve().parent
    if not folder.is_dir():
        return ModelUnwritable(f"cannot write {path}: there is no folder {folder}")
    free = shutil.disk_usage(folder).free
    return ModelUnwritable(
        f"cannot write {path}: {why} ({free / 1e6:,.1f} MB are free there); nothing of it was kept: make room, or"
        " write to another disk"
    )
