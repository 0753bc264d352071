"""One lease on its way: sends its snapshots, finds the one a collector stumbles over, notes what became of each.

A batch that is refused as a whole is halved until the snapshot at fault stands alone. Where the collector itself may be
at fault, a snapshot is blamed only if it fails again once another one of the same lease got through: a collector that
fails at everything costs no snapshot. Knows nothing of leases, of gRPC or of waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capture.upload.outcomes import Withdrawn
from capture.upload.retries import Failure, verdict_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from capture.upload.outbox import Outgoing
    from capture.upload.outcomes import Taken

# So often a collector is asked that fails at everything, before it is left alone; 64 are halved 6 times.
MAX_VAIN_CALLS = 16


@dataclass(slots=True)
class Delivery:
    """What became of snapshots, by id. What is in none of the three may be sent again.

    ``parked`` has the reasons. ``failure`` is why it ended early; ``is_withdrawn``: it was not allowed any more.
    ``blamed`` is the latest failure for which a snapshot was set aside.
    """

    accepted: set[str] = field(default_factory=set)
    duplicates: set[str] = field(default_factory=set)
    parked: dict[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    blamed: Failure | None = None
    is_withdrawn: bool = False
    sent_bytes: int = 0  # of content, in calls that were answered

    @property
    def reason_to_wait(self) -> Failure | None:
        """Why the next lease is not to be sent at once: it ended early, or all it did was to set snapshots aside."""
        return self.failure or (None if self.arrived else self.blamed)

    @property
    def arrived(self) -> set[str]:
        """What the collector has."""
        return self.accepted | self.duplicates


class Sending:
    """``send`` makes one call; ``may_go_on`` says whether there is time for another."""

    def __init__(
        self,
        send: Callable[[Sequence[Outgoing]], Awaitable[Taken | Withdrawn | Failure]],
        may_go_on: Callable[[], bool],
    ) -> None:
        self.delivery = Delivery()  # true at any moment, also where `run` is cancelled
        self._send = send
        self._may_go_on = may_go_on
        self._got_through = False
        self._suspects: list[tuple[Outgoing, Failure]] = []

    async def run(self, batches: Sequence[Sequence[Outgoing]]) -> None:
        """Send the batches, in their order."""
        stack = list(reversed(batches))
        vain_calls = 0
        while stack and self._may_go_on():
            batch = stack.pop()
            failure = await self._sent(batch)
            if self._has_ended:
                return
            if failure is None:
                continue
            vain_calls += 1
            is_suspect = verdict_on(failure) == "suspect"
            if len(batch) > 1:
                middle = len(batch) // 2
                stack += [batch[middle:], batch[:middle]]
            elif is_suspect:
                self._suspects.append((batch[0], failure))
            else:
                self._blame(batch[0], failure)
            if is_suspect and not self._got_through and vain_calls >= MAX_VAIN_CALLS:
                self.delivery.failure = failure
                return
        await self._judge_suspects()

    async def _sent(self, batch: Sequence[Outgoing]) -> Failure | None:
        """One call; the failure of one that tells something of what was sent."""
        outcome = await self._send(batch)
        delivery = self.delivery
        if isinstance(outcome, Failure):
            if verdict_on(outcome) in ("divide", "suspect"):
                return outcome
            delivery.failure = outcome
        elif isinstance(outcome, Withdrawn):
            delivery.is_withdrawn = True
        else:
            self._got_through = True
            delivery.accepted |= outcome.accepted
            delivery.duplicates |= outcome.duplicates
            delivery.parked.update(outcome.rejected)
            delivery.sent_bytes += sum(len(one.content) for one in batch)
        return None

    @property
    def _has_ended(self) -> bool:
        return self.delivery.failure is not None or self.delivery.is_withdrawn

    async def _judge_suspects(self) -> None:
        """Once more, alone, now that the collector is known to work; where it is not, it is the one at fault."""
        for snapshot, failure in self._suspects:
            if not self._got_through:
                self.delivery.failure = failure
                return
            if not self._may_go_on():
                return
            again = await self._sent([snapshot])
            if self._has_ended:
                return
            if again is not None:
                self._blame(snapshot, again)

    def _blame(self, snapshot: Outgoing, failure: Failure) -> None:
        self.delivery.parked[snapshot.id] = failure.code.lower()
        self.delivery.blamed = failure
