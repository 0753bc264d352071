"""``log.jsonl`` of a run: a line every few steps. Knows nothing of what is in the lines but the step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capture.whole_file import write_whole
from training_export.errors import TrainingRefused
from training_export.student.training.run_files import LOG_NAME, writing


class Log:
    """Lines are added at the end."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_NAME

    def write(self, line: Mapping[str, Any]) -> None:
        """One more; raises RunUnwritable."""
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def cut_behind(self, step: int) -> None:
        """Forget what came behind a step: a resumed run does it again. Raises RunUnwritable."""
        if not self._path.exists():
            return
        kept = [line for line in _lines(self._path) if line["step"] <= step]
        with writing(self._path):
            write_whole(self._path, "".join(json.dumps(line) + "\n" for line in kept))


def read_log(folder: Path) -> list[dict[str, Any]]:
    """All lines; raises TrainingRefused where the folder is no run's."""
    path = folder / LOG_NAME
    if not path.exists():
        raise TrainingRefused(f"{folder} holds no {LOG_NAME}: it is no folder of a training, or one that has not begun")
    return _lines(path)


def _lines(path: Path) -> list[dict[str, Any]]:
    """A last line that a kill has torn is none."""
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found
