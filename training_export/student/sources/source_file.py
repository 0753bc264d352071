"""One file of source code, and on which side of the split it is. Knows nothing of where it was read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Files of training projects are hashed to 0..99; those below are never trained on.
VALIDATION_BELOW: Final = 2
TEST_BELOW: Final = 5


class Side(StrEnum):
    """What a file may be used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file. ``language`` is LSP's name of it, ``path`` is relative to the project and the same on every machine."""

    language: str
    project: str
    path: str
    text: str
    side: Side = Side.TRAIN


def side_of(project: str, path: str, project_side: Side = Side.TRAIN) -> Side:
    """The side of one file, for ever: it hangs on these three alone.

    All files of a project that is held out are on its side. Of a training project some are held out too, so that
    new files of known projects can be told from new projects.
    """
    if project_side is not Side.TRAIN:
        return project_side
    bucket = int.from_bytes(hashlib.sha256(f"{project}/{path}".encode()).digest()[:4], "big") % 100
    if bucket < VALIDATION_BELOW:
        return Side.VALIDATION
    return Side.TEST if bucket < TEST_BELOW else Side.TRAIN
