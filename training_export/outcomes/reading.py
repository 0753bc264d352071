"""Observations from wherever snapshots are: the store of this machine, a collector's folder, files of snapshots.

Each snapshot counts once, whatever parts it came in. Knows nothing of rates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from capture.snapshot.snapshot import Snapshot
from training_export.example_format.files import Rejected
from training_export.outcomes.observation import Observation, observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from training_export.exporting.sources import Found
    from training_export.exporting.wanted import Wanted


@dataclass(slots=True)
class Read:
    """``unreadable`` are snapshots that are damaged or of another version, the first with its reason."""

    observations: list[Observation] = field(default_factory=list)
    unreadable: int = 0
    first_reason: str = ""


def read_observations(
    snapshots: Iterable[Found | Rejected], wanted: Wanted, on_read: Callable[[int], None] = lambda _count: None
) -> Read:
    """All that are wanted; ``on_read`` hears how many were read."""
    read = Read()
    seen: set[bytes] = set()
    for count, found in enumerate(snapshots, start=1):
        on_read(count)
        snapshot = found if isinstance(found, Rejected) else _snapshot(found)
        if isinstance(snapshot, Rejected):
            read.unreadable += 1
            read.first_reason = read.first_reason or str(snapshot)
            continue
        number = bytes.fromhex(snapshot.id)
        if number not in seen and wanted.matches(snapshot):
            seen.add(number)
            read.observations.append(observed(snapshot))
    return read


def _snapshot(found: Found) -> Snapshot | Rejected:
    try:
        return Snapshot.from_json(orjson.loads(found.content))
    except ValueError as error:
        return Rejected(found.source, found.line, "", f"no snapshot that this foretype can read: {error}")
