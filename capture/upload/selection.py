"""Which snapshots a collector is to delete, as the wire has it. Knows nothing of files or calls."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capture.store.choice import Choice

MAX_SNAPSHOT_IDS = 10_000  # of one `DeleteRequest`, as the next
MAX_WORKSPACE_IDS = 1_000

_ID = re.compile(r"[0-9a-f]{32}")
_NOT_ON_THE_WIRE = ("since", "outcome", "language_id", "model", "rating", "state")


class NotSelectable(Exception):
    """A collector cannot be asked to delete by that; the message says what it can be asked by."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Snapshots that meet all that is given, or ``everything`` alone; ``finalised_before`` in seconds since the epoch.

    Ids are 32 lower-case hexadecimal digits. Raises ValueError for one that gives nothing, which would match
    everything without saying so. It may hold more ids than one request; `parts` has them in requests.
    """

    everything: bool = False
    snapshot_ids: tuple[str, ...] = ()
    workspace_ids: tuple[str, ...] = ()
    finalised_before: float | None = None

    def __post_init__(self) -> None:
        is_narrow = bool(self.snapshot_ids or self.workspace_ids) or self.finalised_before is not None
        if is_narrow == self.everything:
            raise ValueError("a selection is everything alone, or at least one of ids, workspaces and a time")
        if not all(map(_ID.fullmatch, (*self.snapshot_ids, *self.workspace_ids))):
            raise ValueError("an id is not 32 hexadecimal digits")
        if self.finalised_before is not None and not math.isfinite(self.finalised_before):
            raise ValueError("`finalised_before` is not finite")

    def parts(self) -> Iterator[Selection]:
        """The same in selections that one request can hold each."""
        for first in range(0, len(self.workspace_ids) or 1, MAX_WORKSPACE_IDS):
            workspace_ids = self.workspace_ids[first : first + MAX_WORKSPACE_IDS]
            for start in range(0, len(self.snapshot_ids) or 1, MAX_SNAPSHOT_IDS):
                ids = self.snapshot_ids[start : start + MAX_SNAPSHOT_IDS]
                yield replace(self, workspace_ids=workspace_ids, snapshot_ids=ids)

    def may_match_later(self, now: float) -> bool:
        """Whether a snapshot that is finalised after ``now`` could match; none has an id that is known already."""
        return not self.snapshot_ids and (self.finalised_before is None or self.finalised_before > now)

    def to_json(self) -> dict[str, Any]:
        """As `read_selection` reads it."""
        return {
            "everything": self.everything,
            "snapshot_ids": list(self.snapshot_ids),
            "workspace_ids": list(self.workspace_ids),
            "finalised_before": self.finalised_before,
        }


def selection_of(wanted: Choice) -> Selection | None:
    """What a choice of stored snapshots is to a collector, None where it chooses nothing; raises NotSelectable."""
    given = [name for name in _NOT_ON_THE_WIRE if getattr(wanted, name) is not None]
    if given:
        problem = f"a collector cannot be asked to delete by {', '.join(given)}"
        raise NotSelectable(f"{problem}; name the snapshots, a workspace, a time before which, or all")
    if wanted.ids == ():
        return None
    workspace_ids = () if wanted.workspace_id is None else (wanted.workspace_id,)
    everything = wanted.ids is None and not workspace_ids and wanted.before is None
    return Selection(everything, wanted.ids or (), workspace_ids, wanted.before)


def read_selection(value: object) -> Selection:
    """What `Selection.to_json` wrote, which one request can hold; raises ValueError."""
    if not isinstance(value, dict) or not isinstance(value.get("everything"), bool):
        raise ValueError("`selection` is no selection")  # noqa: TRY004 (the file is wrong, not the program)
    before = value.get("finalised_before")
    if before is not None and (not isinstance(before, int | float) or isinstance(before, bool)):
        raise ValueError("`finalised_before` is no number")
    return Selection(
        value["everything"],
        _ids(value.get("snapshot_ids"), MAX_SNAPSHOT_IDS),
        _ids(value.get("workspace_ids"), MAX_WORKSPACE_IDS),
        None if before is None else float(before),
    )


def _ids(value: object, most: int) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) for one in value):
        raise ValueError(f"ids are no list of at most {most}")
    return tuple(value)
