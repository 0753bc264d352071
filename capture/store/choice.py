"""What stored snapshots are listed and chosen by. Knows nothing of how they are stored but the names of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of a snapshot without reading it; times in seconds since the epoch."""

    id: str
    state: str
    workspace_id: str
    path: str
    created_at: float
    finalised_at: float
    language_id: str
    model: str
    outcome: str
    rating: str
    kept_rate: float | None
    uploaded_at: float | None
    length_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which snapshots: those that meet all that is given. Times are of ``finalised_at``, ``before`` exclusive."""

    ids: tuple[str, ...] | None = None
    workspace_id: str | None = None
    since: float | None = None
    before: float | None = None
    outcome: str | None = None
    language_id: str | None = None
    model: str | None = None
    rating: str | None = None
    state: str | None = None

    def condition(self) -> tuple[str, list[Any]]:
        """As SQL, and the values that belong into it."""
        conditions = {
            "workspace_id = ?": self.workspace_id,
            "finalised_at >= ?": self.since,
            "finalised_at < ?": self.before,
            "outcome = ?": self.outcome,
            "language_id = ?": self.language_id,
            "model = ?": self.model,
            "rating = ?": self.rating,
            "state = ?": self.state,
        }
        given = {condition: value for condition, value in conditions.items() if value is not None}
        values: list[Any] = list(given.values())
        if self.ids is not None:
            given[f"id IN ({', '.join('?' * len(self.ids))})"] = True
            values.extend(self.ids)
        return " AND ".join(given) or "TRUE", values


EVERYTHING = Choice()
