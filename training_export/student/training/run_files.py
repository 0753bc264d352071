"""Where the files of a training run lie, and what is said where one cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from training_export.errors import RunUnwritable

LOG_NAME, PLOT_NAME, SETTINGS_NAME, LOCK_NAME = "log.jsonl", "curves.svg", "run.json", "lock"
TOKENIZER_NAME: Final = "tokenizer.json"
MODEL_FOLDER, DATA_FOLDER, CHECKPOINTS_FOLDER = "model", "data", "checkpoints"


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Raises RunUnwritable in place of the system's refusal to write there."""
    try:
        yield
    except OSError as error:
        raise RunUnwritable(
            f"cannot write {place}: {error.strerror or error}; the last good checkpoint is kept: "
            "make room and run the same command again"
        ) from error
