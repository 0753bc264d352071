"""Checkpoints: everything that an interrupted run needs to go on exactly where it was.

One is written beside the older ones and appears whole, so whatever happens meanwhile the last good one is there. Knows
nothing of what is in them but the step.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any, Final

import torch

from training_export.errors import RunUnwritable, TrainingRefused
from training_export.student.training.run_files import writing

KEPT: Final = 2
BEST_NAME: Final = "best.pt"
_PATTERN: Final = "step-*.pt"


def write_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write one and remove the oldest beyond `KEPT`; raises RunUnwritable."""
    path = folder / f"step-{step:08d}.pt"
    write_state(path, state)
    with writing(folder):
        for old in sorted(folder.glob(_PATTERN))[:-KEPT]:
            old.unlink()
    return path


def write_state(path: Path, state: dict[str, Any]) -> None:
    """The file appears whole or not at all; raises RunUnwritable."""
    part = path.with_suffix(".part")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                try:
                    torch.save(state, file)
                except RuntimeError as error:
                    # torch's writer of archives does not hand on what the system said
                    raise OSError(0, f"torch could not write all of it ({str(error).splitlines()[0]})") from error
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
    except RunUnwritable:
        part.unlink(missing_ok=True)
        raise


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The state of the newest one, on the CPU; None where there is none. Raises TrainingRefused for a damaged one."""
    found = sorted(folder.glob(_PATTERN))
    return read_state(found[-1]) if found else None


def read_state(path: Path) -> dict[str, Any]:
    """What was written there; raises TrainingRefused."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise TrainingRefused(
            f"{path} is damaged ({str(error).splitlines()[0]}); remove it: the one before it counts then"
        ) from error
    return state
