"""Which snapshots to export, told by what a snapshot and its row in the store have in common.

Knows nothing of where they are read from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Described(Protocol):
    """A snapshot, or what the store's list says of one."""

    @property
    def state(self) -> str: ...  # noqa: D102 (as in capture.snapshot)
    @property
    def workspace_id(self) -> str: ...  # noqa: D102
    @property
    def finalised_at(self) -> float: ...  # noqa: D102
    @property
    def language_id(self) -> str: ...  # noqa: D102
    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def outcome(self) -> str: ...  # noqa: D102
    @property
    def rating(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Wanted:
    """Those that meet everything that is given; an empty set gives nothing to meet.

    ``since`` and ``until`` (exclusive) are seconds since the epoch and about ``finalised_at``. A rating of ``none`` is
    that of snapshots nobody rated.
    """

    since: float | None = None
    until: float | None = None
    workspace_id: str | None = None
    state: str | None = None
    languages: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    ratings: frozenset[str] = frozenset()

    def matches(self, found: Described) -> bool:
        """Whether it is one of them."""
        return (
            (self.since is None or found.finalised_at >= self.since)
            and (self.until is None or found.finalised_at < self.until)
            and self.workspace_id in {None, found.workspace_id}
            and self.state in {None, found.state}
            and _among(found.language_id, self.languages)
            and _among(found.outcome, self.outcomes)
            and _among(found.model, self.models)
            and _among(found.rating or "none", self.ratings)
        )


def _among(value: str, chosen: frozenset[str]) -> bool:
    return not chosen or value in chosen
