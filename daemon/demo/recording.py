"""Reads a recorded editing session (TOML, see ``session.toml``). Knows nothing of the daemon."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path(__file__).parent / "session.toml"


@dataclass(frozen=True, slots=True)
class Action:
    """What the person did: go behind ``at`` (empty: stay), erase characters before the cursor, type; or accept."""

    note: str
    at: str = ""
    erase: int = 0
    type: str = ""
    accept: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """A file as it was, and the actions in order."""

    path: str
    text: str
    actions: tuple[Action, ...]


def read_recording(path: Path = SHIPPED) -> Recording:
    """Read a recording; raises OSError, tomllib.TOMLDecodeError, KeyError or TypeError when it is not one."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return Recording(content["path"], content["text"], tuple(Action(**action) for action in content["action"]))
