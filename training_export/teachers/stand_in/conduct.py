"""How a stand-in behaves, and what it has been asked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["status", "hang", "cut", "nonsense", "refusal", "truncation", "garbage"]
Outcome = Literal["errored", "invalid", "expired"]


@dataclass(frozen=True, slots=True)
class Fault:
    """How one answer goes wrong. ``status`` and ``retry_after`` are of the kind ``status``."""

    kind: Kind
    status: int = 500
    retry_after: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that was taken."""

    path: str
    body: Any
    key: str = ""


@dataclass(slots=True)
class Batch:
    """A batch of either service; it ends after it was looked at ``looks`` times."""

    id: str
    requests: list[dict[str, Any]]
    looks: int
    label: str = ""
    is_failed: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Conduct:
    """How the server behaves. ``faults`` are used up by answers, ``outcomes`` by requests of a batch, in order."""

    mistakes: int = 0
    looks: int = 1
    refused_key: str = ""
    faults: deque[Fault] = field(default_factory=deque)
    outcomes: deque[Outcome | None] = field(default_factory=deque)
    fails_batches: bool = False
    loses_batch_replies: bool = False
    drops_batches: bool = False
