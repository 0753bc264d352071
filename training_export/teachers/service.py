"""What a service offers beyond answering one by one, and what its faults mean. Imports no SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from training_export.errors import TeacherRefused
from training_export.teachers.api import Ending, NotAnswered, NotAnsweredReason, Reply, Request, Teacher
from training_export.teachers.pacing import Busy

# Statuses by what they mean (https://platform.claude.com/docs/en/api/errors,
# https://developers.openai.com/api/docs/guides/error-codes).
REFUSING = {
    401: "it does not accept the key",
    402: "the account has no credit",
    403: "the key may not do this",
    404: "it knows no such model or address",
}
LATER_FOR_ALL = (408, 409, 425, 429, 503, 529)
TURNED_AWAY = (425, 429, 503, 529)  # of those: nothing was begun
SERVER_FAULT = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """A request of a batch that was not answered; it can be sent again."""

    reason: str


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is: ``done`` of ``total`` requests. ``problem`` where the service took none of it."""

    has_ended: bool
    done: int
    total: int
    problem: str = ""


class Batches(Protocol):
    """The batch interface of a service. All raise TeacherRefused; NotAnswered where the service is not available."""

    def send(self, label: str, requests: Sequence[tuple[str, Request]]) -> str:
        """Send requests under ids of ours; returns the service's id of the batch.

        Raises NotAnswered, too, where it may have arrived and nobody knows: see ``find``.
        """
        ...

    def find(self, label: str, requests: int, begun: datetime, known: frozenset[str]) -> str | None:
        """The id of a batch whose sending broke off, if it had arrived; never one of ``known``."""
        ...

    def state(self, batch_id: str) -> BatchState:
        """How far it is; one that the service does not know any more has ended."""
        ...

    def results(self, batch_id: str) -> Iterator[tuple[str, Reply | Fault]]:
        """The outcomes of one that has ended, in any order; perhaps of fewer requests than were sent."""
        ...

    def request_bytes(self, custom_id: str, request: Request) -> int:
        """What a request adds to what is sent."""
        ...


class Service(Teacher, Protocol):
    """A teacher that may have a batch interface."""

    @property
    def batches(self) -> Batches:
        """Raises BadArgument where there is none."""
        ...


def read_status(who: str, status: int, message: str, retry_after: str | None) -> Reply:
    """What an HTTP status means where it is no success: a reply that says so, or an exception.

    Raises TeacherRefused for what every request would meet, Busy for what passes.
    """
    if status in REFUSING:
        raise TeacherRefused(f"{who}: {REFUSING[status]} (HTTP {status}: {message})")
    if status in LATER_FOR_ALL:
        raise Busy(
            f"HTTP {status}: {message}",
            concerns_all=True,
            was_refused=status in TURNED_AWAY,
            retry_after_seconds=_seconds(retry_after),
        )
    if status >= SERVER_FAULT:
        raise Busy(f"HTTP {status}: {message}", concerns_all=False, retry_after_seconds=_seconds(retry_after))
    return Reply("", Ending.REJECTED, f"HTTP {status}: {message}")


def not_twice(who: str, ask: Callable[[], str]) -> Callable[[], str]:
    """``ask`` for `Pacing`, but that it is not called again where the first call may have been heard.

    A batch that is sent twice is paid twice. The exception is then NotAnswered.
    """

    def once() -> str:
        try:
            return ask()
        except Busy as error:
            if error.was_refused:
                raise
            reason = f"sending a batch to {who} broke off ({error}); whether it has arrived is found out the next time"
            raise NotAnswered(NotAnsweredReason.UNAVAILABLE, reason) from error

    return once


def _seconds(retry_after: str | None) -> float | None:
    """Of the header's number; its other form, a date, is as good as none."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return max(0.0, seconds) if seconds < float("inf") else None
