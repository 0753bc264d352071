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

CounterName = Literal[
    "requests",
    "answered_by_model",
    "answered_by_reuse",
    "shown",
    "accepted",
    "rejected",
    "aborted",
    "worker_deaths",
]

LATENCY_SAMPLES = 200  # the percentiles are over this many of the latest predictions


@dataclass(slots=True)
class Counts:
    """How often things happened since the hub started (or the session began)."""

    requests: int = 0  # predictions asked for by an editor
    answered_by_model: int = 0  # of these, with an edit or with none, by work of the engine that answered no other
    answered_by_reuse: int = 0  # of these, with what was known already; the rest were given up or refused
    shown: int = 0  # predictions an editor was given and, as far as it tells, drew
    accepted: int = 0
    rejected: int = 0
    aborted: int = 0  # predictions given up because something newer came
    worker_deaths: int = 0  # always 0 for one session


@dataclass(frozen=True, slots=True)
class Work:
    """What the engine was given to do, and how much of that was of use; two of them add up.

    Tokens are those handed to llama.cpp: of the prompt as far as they were not in its cache, of the answer, and drafts
    (``Counters.tokens_evaluated``). They are *in vain* while the answer has answered no question of an editor: the work
    was aborted, cut off by its deadline or failed, or the answer came too late or was not asked for. An answer that
    still waits for its question counts as in vain until that comes, so the figure may fall. What aborted work left in
    the cache may spare later predictions some tokens; it counts as in vain all the same, since nobody knows whose
    tokens a prediction finds there. What a worker that died was at is not known and not counted.
    """

    predictions: int = 0  # that the engine began and that ended, in whatever way
    aborted: int = 0  # of these, those ended before their end: by something newer, or by their deadline
    taken: int = 0  # of these, those whose answer answered a question
    tokens_evaluated: int = 0
    tokens_taken: int = 0  # of these, those of the answers that were taken

    def __add__(self, other: Work) -> Work:
        return Work(
            self.predictions + other.predictions,
            self.aborted + other.aborted,
            self.taken + other.taken,
            self.tokens_evaluated + other.tokens_evaluated,
            self.tokens_taken + other.tokens_taken,
        )

    def to_json(self) -> dict[str, int]:
        """The wire form."""
        return {
            "predictions": self.predictions,
            "aborted": self.aborted,
            "taken": self.taken,
            "tokens_evaluated": self.tokens_evaluated,
            "tokens_in_vain": self.tokens_evaluated - self.tokens_taken,
        }


@dataclass(slots=True)
class Workload:
    """What the engine did for one window, or for all of them."""

    asked: Work = Work()  # about texts as they were: questions, and guesses at the next question
    ahead: Work = Work()  # about texts as they would be after an acceptance; done only while nobody waits

    def add(self, work: Work, *, ahead: bool) -> None:
        """Take in what one prediction was."""
        if ahead:
            self.ahead += work
        else:
            self.asked += work

    def to_json(self) -> dict[str, Any]:
        """The wire form: the figures of ``asked``, and those of ``ahead`` apart."""
        return {**self.asked.to_json(), "ahead": self.ahead.to_json()}


@dataclass(slots=True)
class SessionEntry:
    """One editor window: ``editor`` is the name it gave, ``reason`` why its last request got nothing."""

    editor: str = ""
    reason: str = ""  # empty after a prediction was found
    file: str = ""  # the file the reason is about
    settings_problem: str = ""  # what is wrong with what the editor said for itself
    counts: Counts = field(default_factory=Counts)
    work: Workload = field(default_factory=Workload)

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return {**asdict(self), "work": self.work.to_json()}


class StatusBoard:
    """Owns the counters and the reasons."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.work = Workload()
        self._sessions: dict[str, SessionEntry] = {}
        self._latencies_ms: deque[float] = deque(maxlen=LATENCY_SAMPLES)
        self._describe_model: Callable[[], dict[str, Any]] = dict
        self._describe_sessions: dict[str, Callable[[], dict[str, Any]]] = {}

    def open_session(self, session_id: str, editor: str = "") -> None:
        """Start an entry, or rename the editor of an existing one."""
        self._sessions.setdefault(session_id, SessionEntry()).editor = editor

    def close_session(self, session_id: str) -> None:
        """Forget a session; the hub's totals stay."""
        self._sessions.pop(session_id, None)
        self._describe_sessions.pop(session_id, None)

    def follow_session(self, session_id: str, describe: Callable[[], dict[str, Any]]) -> None:
        """Ask ``describe`` for what else is to be shown of a session whenever a snapshot is taken."""
        self._describe_sessions[session_id] = describe

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

    def worked(self, session_id: str, work: Work, *, ahead: bool) -> None:
        """Add what the engine did for a session to the hub's and to the session's."""
        self.work.add(work, ahead=ahead)
        entry = self._sessions.get(session_id)
        if entry is not None:
            entry.work.add(work, ahead=ahead)

    def totals(self, session_id: str) -> dict[str, Any]:
        """What a session's questions came to and what they cost, ready for JSON."""
        entry = self._sessions.get(session_id, SessionEntry())
        counts = entry.counts
        return {
            "asked": counts.requests,
            "answered_by_model": counts.answered_by_model,
            "answered_by_reuse": counts.answered_by_reuse,
            **entry.work.to_json(),
        }

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
            "work": self.work.to_json(),
            "latency_ms": self._percentiles(),
            "sessions": {
                session_id: {**entry.to_json(), **self._describe_sessions.get(session_id, dict)()}
                for session_id, entry in self._sessions.items()
            },
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
