"""What the hub knows about its own predictions: why there is none, how many, how fast.

One board per hub; sessions and the scheduler write to it, ``foretype status`` and ``doctor`` read a
snapshot. It never holds text of the user's files; names of files are allowed. Knows nothing of LSP or the
engine's insides.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

CounterName = Literal["requests", "shown", "accepted", "rejected", "aborted", "worker_deaths"]

LATENCY_SAMPLES = 200  # the percentiles are over this many of the latest predictions


@dataclass(slots=True)
class Counts:
    """How often things happened since the hub started (or the session began)."""

    requests: int = 0  # predictions asked for by an editor
    shown: int = 0  # predictions an editor was given and, as far as it tells, drew
    accepted: int = 0
    rejected: int = 0
    aborted: int = 0  # predictions given up because something newer came
    worker_deaths: int = 0  # always 0 for one session


@dataclass(slots=True)
class SessionEntry:
    """One editor window: ``editor`` is the name it gave, ``reason`` why its last request got nothing."""

    editor: str = ""
    reason: str = ""  # empty after a prediction was found
    file: str = ""  # the file the reason is about
    settings_problem: str = ""  # what is wrong with what the editor said for itself
    counts: Counts = field(default_factory=Counts)


class StatusBoard:
    """Owns the counters and the reasons."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._sessions: dict[str, SessionEntry] = {}
        self._latencies_ms: deque[float] = deque(maxlen=LATENCY_SAMPLES)
        self._describe_model: Callable[[], dict[str, Any]] = dict

    def open_session(self, session_id: str, editor: str = "") -> None:
        """Start an entry, or rename the editor of an existing one."""
        self._sessions.setdefault(session_id, SessionEntry()).editor = editor

    def close_session(self, session_id: str) -> None:
        """Forget a session; the hub's totals stay."""
        self._sessions.pop(session_id, None)

    def reason(self, session_id: str, reason: str, file: str = "") -> None:
        """Record why the last request of a session got nothing; an empty reason means it got a prediction."""
        entry = self._sessions.get(session_id)
        if entry is not None:
            entry.reason, entry.file = reason, file

    def settings_problem(self, session_id: str, problem: str) -> None:
        """Record what is wrong with an editor's own settings; empty when nothing is."""
        entry = self._sessions.get(session_id)
        if entry is not None:
            entry.settings_problem = problem

    def last_reason(self, session_id: str) -> str:
        """The recorded reason, empty when there is none."""
        entry = self._sessions.get(session_id)
        return "" if entry is None else entry.reason

    def count(self, name: CounterName, session_id: str | None = None) -> None:
        """Add one to the counter ``name`` (a field of ``Counts``) of the hub and of the session."""
        setattr(self.counts, name, getattr(self.counts, name) + 1)
        entry = None if session_id is None else self._sessions.get(session_id)
        if entry is not None:
            setattr(entry.counts, name, getattr(entry.counts, name) + 1)

    def latency(self, seconds: float) -> None:
        """Record how long an editor waited for one prediction."""
        self._latencies_ms.append(seconds * 1000)

    def follow_model(self, describe: Callable[[], dict[str, Any]]) -> None:
        """Ask ``describe`` for the model's state whenever a snapshot is taken."""
        self._describe_model = describe

    def snapshot(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "model": self._describe_model(),
            "counts": asdict(self.counts),
            "latency_ms": self._percentiles(),
            "sessions": {session_id: asdict(entry) for session_id, entry in self._sessions.items()},
        }

    def _percentiles(self) -> dict[str, float] | None:
        """Median, 90th and 99th percentile of the latest predictions; None before the first."""
        if not self._latencies_ms:
            return None
        if len(self._latencies_ms) == 1:
            only = round(self._latencies_ms[0], 2)
            return {"p50": only, "p90": only, "p99": only}
        hundredths = quantiles(self._latencies_ms, n=100, method="inclusive")
        return {
            "p50": round(hundredths[49], 2),
            "p90": round(hundredths[89], 2),
            "p99": round(hundredths[98], 2),
        }
