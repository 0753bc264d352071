"""What the hub tells a recording command while it listens: one JSON object a line.

Times are seconds of a clock that never goes backwards; only their differences mean anything. Knows nothing of sockets,
of editors or of what is made of the events.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from capture.editing.positions import ContentChange, Position, Range


@dataclass(frozen=True, slots=True)
class Opened:
    """In how many editor windows the file is open now."""

    windows: int


@dataclass(frozen=True, slots=True)
class Begun:
    """The first change is about to come from one window, which is followed from now on; ``text`` is before it.

    ``path`` is relative to the window's workspace folder.
    """

    path: str
    language_id: str
    version: int
    text: str


@dataclass(frozen=True, slots=True)
class Changed:
    """One ``didChange`` as the editor sent it, for the same rules to be applied to it as in the hub."""

    at_seconds: float
    version: int | None
    changes: tuple[ContentChange, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A ``didChange`` could not be read: the text is not known until a whole one comes."""


@dataclass(frozen=True, slots=True)
class CursorAt:
    """A question of the editor's says where the cursor is, in the text of ``version`` (None: as it is now)."""

    at_seconds: float
    version: int | None
    position: Position


@dataclass(frozen=True, slots=True)
class Accepted:
    """A prediction for the text of ``version`` was accepted: its change came just before or comes next."""

    version: int
    edits: tuple[ContentChange, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The hub says nothing more, for this reason."""

    reason: str


Event = Opened | Begun | Changed | Unreadable | CursorAt | Accepted | Ended


def to_line(event: Event) -> bytes:
    """The event as one line."""
    return json.dumps({"event": type(event).__name__, **asdict(event)}).encode() + b"\n"


def from_line(line: bytes) -> Event:
    """Read ``to_line``; raises ValueError, KeyError or TypeError when it is not one."""
    value = json.loads(line)
    return _READERS[value.pop("event")](value)


def _change(value: dict[str, Any]) -> ContentChange:
    where = value["range"]
    return ContentChange(
        None if where is None else Range(Position(**where["start"]), Position(**where["end"])), value["text"]
    )


def _changes(values: list[dict[str, Any]]) -> tuple[ContentChange, ...]:
    return tuple(map(_change, values))


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "Opened": lambda value: Opened(**value),
    "Begun": lambda value: Begun(**value),
    "Changed": lambda value: Changed(value["at_seconds"], value["version"], _changes(value["changes"])),
    "Unreadable": lambda value: Unreadable(**value),
    "CursorAt": lambda value: CursorAt(value["at_seconds"], value["version"], Position(**value["position"])),
    "Accepted": lambda value: Accepted(value["version"], _changes(value["edits"])),
    "Ended": lambda value: Ended(**value),
}
