"""What a collector answers, checked: plain values. Knows nothing of how they come about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of each snapshot of a batch; ``rejected`` has the reason, a word in lower case, by id."""

    accepted: frozenset[str]
    duplicates: frozenset[str]
    rejected: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nothing was sent: it was not allowed any more when the call was about to begin."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A deletion; while ``parts_to_rewrite`` is not 0 bytes of it are left there, and it has to be asked for again."""

    snapshots: int
    parts_to_rewrite: int
