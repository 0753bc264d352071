"""What counts of one snapshot: whose prediction it was, in which document, and what became of it.

Knows nothing of where snapshots are read from, and nothing of rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.metrics.reversal import reversal_ratio

if TYPE_CHECKING:
    from capture.snapshot.snapshot import Snapshot

# A word just typed that another of its length replaces has 0.5: that is how a slip is corrected. More takes it back.
LEAST_REVERSAL_OF_A_REVERT = 0.5
ROWS_AROUND_EDIT = 8  # an edit event reaches this far from what it changed, as the history groups them


@dataclass(frozen=True, slots=True)
class Observation:
    """One prediction that was remembered.

    ``document`` tells documents apart over all workspaces. ``is_accepted`` counts what was accepted in part, too;
    ``is_revert`` is that more than half of what it changed takes back what was just typed, None where it was not
    shown. ``kept_rate`` is None where nothing was shown or the text did not settle; ``seconds`` is what the engine
    took, None where it did not work for this prediction.
    """

    id: str
    made_at: float
    finalised_at: float
    workspace_id: str
    document: str
    model: str
    language: str
    origin: str
    is_shown: bool
    is_decided: bool
    is_accepted: bool
    is_revert: bool | None
    kept_rate: float | None
    seconds: float | None


def observed(snapshot: Snapshot) -> Observation:
    """The snapshot's."""
    is_shown = snapshot.shown_after_ms is not None and bool(snapshot.prediction.edits)
    return Observation(
        id=snapshot.id,
        made_at=snapshot.created_at,
        finalised_at=snapshot.finalised_at,
        workspace_id=snapshot.workspace_id,
        document=f"{snapshot.workspace_id}/{snapshot.path}",
        model=snapshot.model,
        language=snapshot.language_id,
        origin=snapshot.prediction.origin,
        is_shown=is_shown,
        is_decided=is_shown and snapshot.decided_after_ms is not None,
        is_accepted=is_shown and snapshot.outcome in ("accepted", "partially_accepted"),
        is_revert=_is_revert(snapshot) if is_shown else None,
        kept_rate=snapshot.kept_rate if is_shown else None,
        seconds=None if snapshot.prediction.reused else snapshot.prediction.seconds,
    )


def _is_revert(snapshot: Snapshot) -> bool:
    inputs, edits = snapshot.inputs, snapshot.prediction.edits
    excerpt = inputs.excerpt_bytes
    first = excerpt[: min(edit.start_bytes for edit in edits)].count(b"\n")
    last = excerpt[: max(edit.end_bytes for edit in edits)].count(b"\n")
    predicted = excerpt
    for edit in sorted(edits, key=lambda edit: edit.start_bytes, reverse=True):
        predicted = predicted[: edit.start_bytes] + edit.text_after.encode() + predicted[edit.end_bytes :]
    before, after = excerpt.decode().split("\n"), predicted.decode().split("\n")
    # Only the rows around it: comparing takes long, and an event elsewhere is not what it takes back.
    start, end = max(0, first - ROWS_AROUND_EDIT), min(len(before), last + 1 + ROWS_AROUND_EDIT)
    ratio = reversal_ratio(
        _rows(before, start, end),
        inputs.events,
        _rows(after, start, end + len(after) - len(before)),
        inputs.cursor_path,
        (inputs.excerpt_start_row or 0) + start,
    )
    return ratio > LEAST_REVERSAL_OF_A_REVERT


def _rows(lines: list[str], start: int, end: int) -> str:
    return "".join(f"{line}\n" for line in lines[start:end])
