"""The times of ``bench/keystrokes``, read from what it wrote: a whole daemon between the key and the answer.

Nothing is measured here. Knows nothing of how the benchmark types.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from training_export.errors import ExamplesUnreadable

OURS: Final = "foretype"  # among the systems that are compared


@dataclass(frozen=True, slots=True)
class Keystrokes:
    """Waits of one model in our daemon, in milliseconds: from the key to the first answer still wanted."""

    model: str
    sessions: tuple[str, ...]
    count: int
    p50_ms: float
    p95_ms: float
    machine: str
    threads: int

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "model": self.model,
            "sessions": list(self.sessions),
            "count": self.count,
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "machine": self.machine,
            "threads": self.threads,
        }


def read_keystrokes(path: Path) -> Keystrokes:
    """The measurement in a file of the benchmark, or in its folder, where there must be one of ours.

    Raises ExamplesUnreadable.
    """
    try:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        found = [cell for cell in map(_cell, files) if cell is not None]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExamplesUnreadable(f"cannot read the times in {path}: {error}") from error
    return _only(found, path)


def _only(found: Iterable[Keystrokes], path: Path) -> Keystrokes:
    cells = list(found)
    if len(cells) != 1:
        models = ", ".join(sorted(cell.model for cell in cells)) or "none"
        raise ExamplesUnreadable(
            f"{path} should hold one measurement of foretype and holds {len(cells)} ({models}); name one of its files,"
            " or measure: python -m bench.keystrokes --systems foretype --models MODEL --out FOLDER"
        )
    return cells[0]


def _cell(path: Path) -> Keystrokes | None:
    """The measurement in a file, None where it is of another system or none."""
    value = orjson.loads(path.read_bytes())
    if not isinstance(value, dict) or value.get("system") != OURS or "summary" not in value:
        return None
    waits = value["summary"]["wait_ms"]
    if waits["p50"] is None or waits["p95"] is None:
        return None
    environment = value.get("environment") or {}
    return Keystrokes(
        model=str(value["model"]),
        sessions=tuple(value.get("sessions") or ()),
        count=int(value["summary"]["keystrokes"]),
        p50_ms=float(waits["p50"]),
        p95_ms=float(waits["p95"]),
        machine=str(environment.get("machine") or ""),
        threads=int(environment.get("threads") or 0),
    )
