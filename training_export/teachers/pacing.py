"""When to ask again: one pause for all threads, so that a service that is overloaded is left alone by all of them.

The SDKs' own retries are switched off: each thread would wait for itself, one of them however long a Retry-After asks.
What is tried again, how often and after which wait is tenacity's; that the others hold meanwhile, and that after the
pause one goes ahead before the rest follow, is done here. Knows nothing of what is asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from training_export.errors import TeacherRefused
from training_export.teachers.api import NotAnswered, NotAnsweredReason

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PacingLimits:
    """``patience_seconds`` bounds how long one request is tried for; pauses grow from the first to the longest.

    A fault of the service that may be due to the request itself is tried ``attempts`` times. When ``hopeless`` requests
    in a row were given up and none was answered in between, the run ends.
    """

    patience_seconds: float = 900.0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0
    attempts: int = 5
    hopeless: int = 3


class Busy(Exception):
    """The service cannot answer now.

    ``concerns_all``: it is not due to this request, others need not try either. ``was_refused``: the service said that
    it has not taken the request; else it may have, and what came back was lost.
    """

    def __init__(
        self,
        message: str,
        *,
        concerns_all: bool,
        was_refused: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        self.concerns_all = concerns_all
        self.was_refused = was_refused
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class Pacing:
    """Lets requests of several threads through, and tries again those that found the service busy."""

    def __init__(self, limits: PacingLimits) -> None:
        """Raises ImportError where tenacity is missing."""
        import tenacity  # noqa: PLC0415  of the extra, and most of this package does without

        self._limits = limits
        self._growing = tenacity.wait_random_exponential(limits.first_pause_seconds, limits.longest_pause_seconds)
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Busy),
            wait=self._wait_seconds,
            stop=self._is_enough,
            before_sleep=self._announce,
            sleep=self._rest,
            reraise=True,
        )
        self._changed = threading.Condition()
        self._pause_ends = 0.0
        self._is_in_trouble = False
        self._somebody_goes_ahead = False
        self._given_up = 0

    def call(self, ask: Callable[[], T]) -> T:
        """What ``ask`` returns, which raises Busy to be called again later.

        Raises NotAnswered when patience is at its end, TeacherRefused when that has happened too often in a row.
        """
        try:
            answer: T = self._retrying.copy()(self._try, ask)
        except Busy as error:
            raise self._giving_up(error) from error
        else:
            return answer

    def _try(self, ask: Callable[[], T]) -> T:
        goes_ahead = self._hold()
        trouble: Busy | None = None
        try:
            answer = ask()
        except Busy as error:
            trouble = error if error.concerns_all else None
            raise
        else:
            self._given_up = 0
            return answer
        finally:
            with self._changed:
                if trouble is not None:
                    self._is_in_trouble = True
                    self._pause_until(time.monotonic() + self._shortest_wait_seconds(trouble))
                elif goes_ahead:
                    self._is_in_trouble = False
                if goes_ahead:
                    self._somebody_goes_ahead = False
                self._changed.notify_all()

    def _hold(self) -> bool:
        """Until this thread may ask; whether it goes ahead, and the others wait for what comes of it."""
        with self._changed:
            while True:
                rest_seconds = self._pause_ends - time.monotonic()
                if rest_seconds > 0:
                    self._changed.wait(rest_seconds)
                elif not self._is_in_trouble:
                    return False
                elif not self._somebody_goes_ahead:
                    self._somebody_goes_ahead = True
                    return True
                else:
                    self._changed.wait()

    def _announce(self, state: RetryCallState) -> None:
        """How long the others are to pause, too."""
        if _busy(state).concerns_all:
            with self._changed:
                self._pause_until(time.monotonic() + state.upcoming_sleep)

    def _pause_until(self, ends: float) -> None:
        self._pause_ends = max(self._pause_ends, ends)

    def _rest(self, seconds: float) -> None:
        """What tenacity does before the next attempt; never longer than that, whoever is notified of what."""
        ends = time.monotonic() + seconds
        with self._changed:
            while (rest_seconds := ends - time.monotonic()) > 0:
                self._changed.wait(rest_seconds)

    def _wait_seconds(self, state: RetryCallState) -> float:
        busy = _busy(state)
        if busy.retry_after_seconds is not None:
            return busy.retry_after_seconds
        return max(self._growing(state), self._shortest_wait_seconds(busy))

    def _shortest_wait_seconds(self, busy: Busy) -> float:
        if busy.retry_after_seconds is not None:
            return busy.retry_after_seconds
        return self._limits.first_pause_seconds / 2

    def _is_enough(self, state: RetryCallState) -> bool:
        if not _busy(state).concerns_all and state.attempt_number >= self._limits.attempts:
            return True
        return (state.seconds_since_start or 0.0) + state.upcoming_sleep > self._limits.patience_seconds

    def _giving_up(self, error: Busy) -> NotAnswered | TeacherRefused:
        with self._changed:
            self._given_up += 1
            hopeless = self._given_up >= self._limits.hopeless
        if hopeless:
            return TeacherRefused(
                f"the teacher's service has answered nothing for a while, last: {error}; what was answered is kept, and"
                " the same command goes on from there later"
            )
        return NotAnswered(NotAnsweredReason.UNAVAILABLE, f"the teacher's service was not available: {error}")


def _busy(state: RetryCallState) -> Busy:
    """Of an attempt that failed: tenacity asks for nothing else."""
    error = None if state.outcome is None else state.outcome.exception()
    assert isinstance(error, Busy)  # noqa: S101  nothing else is tried again
    return error
