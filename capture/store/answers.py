"""What the store answers. Plain values; knows nothing of how they come about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# In the first row those of the store itself; the others are found before a snapshot gets to it, save that consent may
# also end while it waits there.
RefusalReason = Literal[
    "queue_full", "low_disk", "too_large", "no_json", "busy", "off", "closed",
    "no_consent", "not_open_source", "excluded", "secret", "scan_too_long", "scan_failed", "scanner_broken", "failed",
]  # fmt: skip
StoreState = Literal["idle", "open", "off", "closed"]


@dataclass(frozen=True, slots=True)
class Stored:
    """On the disk, committed; ``sha256`` is that of the canonical bytes."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not stored, and why: for programs, and for people."""

    id: str
    reason: RefusalReason
    explanation: str


@dataclass(frozen=True, slots=True)
class Purged:
    """How many snapshots and how many damaged files are gone.

    ``is_complete`` is false while a reader kept the log, and copies in it, from being emptied: purge again.
    """

    snapshots: int
    damaged_files: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How the store is, and what became of what was put in since this process began.

    ``idle`` is a store that nothing was put into yet. ``explanation`` is for people, and empty while all is well;
    ``set_aside`` names the damaged file that a new one took the place of, if one did.
    """

    path: str
    state: StoreState
    explanation: str
    waiting: int
    stored: int
    refused: dict[str, int]
    evicted: dict[str, int]
    set_aside: str
