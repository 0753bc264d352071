"""What to do after a call that failed, and when to try again: OTLP's table, and a back-off without end.

Pure but for the clock and the random source it is given. Knows nothing of gRPC, of snapshots or of sleeping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

# again: nothing is wrong with what was sent; the same later.
# divide: what was sent is at fault; find the one snapshot and set it aside.
# suspect: what was sent or the collector is at fault; as `divide`, but only once the collector took another snapshot.
# pause: neither time nor another batch cures it, but a person can.
Verdict = Literal["again", "divide", "suspect", "pause"]

# Failures that have no status of gRPC's.
CANNOT_SEND = "CANNOT_SEND"  # something on this machine: a token, a certificate, the settings; nothing was sent
LOCAL_FILE = "LOCAL_FILE"  # the store, or the file of installs, cannot be used for now
BAD_REPLY = "BAD_REPLY"  # a reply that does not fit the request
MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"  # RESOURCE_EXHAUSTED that speaks of the message's size

_VERDICTS: dict[str, Verdict] = {
    "CANCELLED": "again",
    "DEADLINE_EXCEEDED": "again",
    "ABORTED": "again",
    "OUT_OF_RANGE": "again",
    "UNAVAILABLE": "again",
    "DATA_LOSS": "again",
    BAD_REPLY: "again",
    LOCAL_FILE: "again",
    "INVALID_ARGUMENT": "divide",
    MESSAGE_TOO_LARGE: "divide",
    "UNAUTHENTICATED": "pause",
    "PERMISSION_DENIED": "pause",
    "UNIMPLEMENTED": "pause",
    CANNOT_SEND: "pause",
}

FIRST_WAIT_SECONDS = 5.0
WAIT_FACTOR = 1.5
LONGEST_WAIT_SECONDS = 300.0
JITTER = 0.2
SHORTEST_ASKED_SECONDS = 1.0  # a collector that asks for no wait at all is not asked without pause
LONGEST_ASKED_SECONDS = 3600.0
PAUSE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed: a status of gRPC's (or one of ours) by name, and cause and cure for people.

    ``retry_after_seconds`` is what the collector asked for (RetryInfo), None where it asked for nothing.
    """

    code: str
    words: str
    retry_after_seconds: float | None = None


def verdict_on(failure: Failure) -> Verdict:
    """The row of the table for a failure; every status that is not in it may be either side's fault."""
    if failure.code == "RESOURCE_EXHAUSTED":
        return "suspect" if failure.retry_after_seconds is None else "again"
    return _VERDICTS.get(failure.code, "suspect")


class Retries:
    """When the next call may be made. ``clock`` is monotonic, in seconds; ``random`` gives numbers from 0 to 1.

    ``setup`` is whatever a person changes to cure a failure: once it differs from that of the failure, all waits end.
    """

    def __init__(self, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self._clock = clock
        self._random = random
        self._next_wait_seconds = FIRST_WAIT_SECONDS
        self._not_before = clock()
        self._setup: Hashable = None
        self.latest: Failure | None = None  # of the failures since the last success

    def failed(self, failure: Failure, setup: Hashable) -> float:
        """Note it, and return how many seconds to wait."""
        verdict = verdict_on(failure)
        if verdict == "pause":
            seconds = PAUSE_SECONDS
        elif verdict == "again" and failure.retry_after_seconds is not None:
            asked = max(failure.retry_after_seconds, SHORTEST_ASKED_SECONDS)
            # Never earlier than asked; and not all clients at once.
            seconds = min(asked * (1 + JITTER * self._random()), LONGEST_ASKED_SECONDS)
        else:
            seconds = self._next_wait_seconds * (1 + JITTER * (2 * self._random() - 1))
            self._next_wait_seconds = min(self._next_wait_seconds * WAIT_FACTOR, LONGEST_WAIT_SECONDS)
        self._not_before = self._clock() + seconds
        self._setup = setup
        self.latest = failure
        return seconds

    def succeeded(self) -> None:
        """The collector answered as it should: begin the back-off anew, with nothing to wait for."""
        self._next_wait_seconds = FIRST_WAIT_SECONDS
        self._not_before = self._clock()
        self.latest = None

    def wait_seconds(self, setup: Hashable) -> float:
        """How long no call may be made from now; 0 where none has to wait."""
        if self.latest is None:
            return 0.0
        if setup != self._setup:
            self.succeeded()
            return 0.0
        return max(0.0, self._not_before - self._clock())

    @property
    def is_paused(self) -> bool:
        """Whether only a person, or an hour, ends the wait."""
        return self.latest is not None and verdict_on(self.latest) == "pause"
