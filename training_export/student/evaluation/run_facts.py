"""What a training run says of itself, read from its folder: how long, how much, with which seed, on which examples.

Knows nothing of training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_export.errors import ExamplesUnreadable
from training_export.student.training.log import read_log
from training_export.student.training.run_files import PLOT_NAME, SETTINGS_NAME


@dataclass(frozen=True, slots=True)
class RunFacts:
    """``curves`` is a drawing in the run's folder, None where there is none; ``base`` what it began with, or empty."""

    seed: int
    steps: int
    tokens: int
    seconds: float
    recipe: dict[str, Any]
    sources: tuple[str, ...]
    replay: tuple[str, ...]
    base: str
    number_type: str
    curves: Path | None


def read_run(folder: Path) -> RunFacts:
    """Raises ExamplesUnreadable where a file is missing or damaged, TrainingRefused where nothing was trained."""
    path = folder / SETTINGS_NAME
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        last = read_log(folder)[-1]
        curves = folder / PLOT_NAME
        return RunFacts(
            seed=int(settings["seed"]),
            steps=int(last["step"]),
            tokens=int(last["tokens"]),
            seconds=float(last["seconds"]),
            recipe=dict(settings["recipe"]),
            sources=tuple(settings["sources"]),
            replay=tuple(settings["replay"]),
            base=Path(settings["base"]).name if settings["base"] else "",
            number_type=str(settings["number_type"]),
            curves=curves if curves.is_file() else None,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ExamplesUnreadable(f"{folder} is no whole training run: {path.name} or its log: {error!r}") from error
