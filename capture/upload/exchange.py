"""What is done with one collector, step by step: have it delete, learn what it takes, send it one lease.

Holds nothing of a snapshot between two steps. Knows nothing of when to take which step, or of what a failure means for
the next.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capture.upload.batches import MAX_MESSAGE_BYTES, Limits, batches
from capture.upload.delivery import Delivery, Sending
from capture.upload.retries import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.upload.client import Client
    from capture.upload.clock import Clock
    from capture.upload.identity import Installs
    from capture.upload.outbox import Lease, Outbox, Outgoing
    from capture.upload.outcomes import Taken, Withdrawn

POLICY_SECONDS = 3600.0
REWRITE_SECONDS = 60.0  # until a deletion that is not complete is asked for again
# A lease lasts longer than this and one more call; what is left of it is leased again.
DELIVERY_SECONDS = 60.0
LEAST_BATCH_BYTES = 16 * 1024
TOO_LARGE = "too_large"


@dataclass(slots=True)
class Tally:
    """What came of it since it was made. ``parked`` counts by reason; ``last_success`` in seconds since the epoch."""

    sent: int = 0
    duplicates: int = 0
    deleted: int = 0
    parked: Counter[str] = field(default_factory=Counter)
    last_success: float | None = None

    def add(self, other: Tally) -> None:
        """Count what another one has."""
        self.sent += other.sent
        self.duplicates += other.duplicates
        self.deleted += other.deleted
        self.parked += other.parked
        self.last_success = self.last_success if other.last_success is None else other.last_success


class Exchange:
    """With the client's collector. What asks the store or the installs may raise StorageError or InstallsUnusable."""

    def __init__(self, client: Client, outbox: Outbox, installs: Installs, clock: Clock) -> None:
        self.client = client
        self.withheld = ""  # why the oldest snapshots are left waiting until the collector says otherwise
        self._outbox = outbox
        self._installs = installs
        self._clock = clock
        self._address = client.target.address
        self._limits: Limits | None = None
        self._limits_until = 0.0  # of the monotonic clock, as all that follows
        self._ask_again_at: dict[str, float] = {}  # deletions that are not complete, by id
        self._most_bytes = MAX_MESSAGE_BYTES  # of a lease; less on a slow connection

    async def delete(self, tally: Tally, *, again: bool = False) -> Failure | None:
        """Ask for what is to be deleted, except (unless ``again``) what was asked for a moment ago."""
        deletions = self._installs.deletions(self._address)
        for deletion in deletions:
            if not again and self._ask_again_at.get(deletion.id, self._clock.monotonic()) > self._clock.monotonic():
                continue
            outcome = await self.client.delete(deletion)
            if isinstance(outcome, Failure):
                return outcome
            tally.deleted += outcome.snapshots
            if outcome.parts_to_rewrite:
                self._ask_again_at[deletion.id] = self._clock.monotonic() + REWRITE_SECONDS
            else:
                await asyncio.to_thread(self._installs.deleted, deletion)
                self._ask_again_at.pop(deletion.id, None)
        return None

    def next_deletion_seconds(self) -> float | None:
        """Until a deletion has to be asked for again; None where none has."""
        due = [
            self._ask_again_at.get(deletion.id, 0.0) - self._clock.monotonic()
            for deletion in self._installs.deletions(self._address)
        ]
        return max(0.0, min(due)) if due else None

    async def limits(self) -> Limits | Failure:
        """What the collector takes, as it said within the last hour."""
        if self._limits is not None and self._clock.monotonic() < self._limits_until:
            return self._limits
        outcome = await self.client.policy()
        if isinstance(outcome, Limits):
            self._limits = outcome
            self._limits_until = self._clock.monotonic() + POLICY_SECONDS
            self.withheld = ""
        return outcome

    @property
    def known_limits(self) -> Limits:
        """What the collector took when it last said so, or what the wire allows."""
        return Limits() if self._limits is None else self._limits

    def forget_limits(self) -> None:
        """Ask again before the next batch: it may be another collector that answers there."""
        self._limits = None

    async def send(self, limits: Limits, tally: Tally) -> Delivery | None:
        """Send the oldest snapshots; None when there are none that may be sent.

        What became of each is in the store when this returns, and also when it is cancelled.
        """
        if self.withheld:
            return None
        known = {one.id for one in self._installs.deletions(self._address)}
        install = await asyncio.to_thread(self._installs.take, self._address)  # before the lease, as it asks for
        lease = await self._outbox.lease(limits.max_snapshots, min(limits.lease_bytes, self._most_bytes))
        if lease is None:
            return None

        def still_allowed() -> bool:
            # What somebody wants deleted by now is not sent first.
            asked = {one.id for one in self._installs.deletions(self._address)}
            return asked <= known and self._outbox.still_allowed(lease)

        async def send(batch: Sequence[Outgoing]) -> Taken | Withdrawn | Failure:
            return await self.client.upload(install, batch, still_allowed)

        until = self._clock.monotonic() + DELIVERY_SECONDS
        sending = Sending(send, lambda: self._clock.monotonic() < until)
        delivery = sending.delivery
        try:
            ready = self._ready(lease, limits, delivery)
            if not ready and not delivery.parked:
                return None
            await sending.run(batches(ready, limits))
        finally:
            await self._outbox.settle(lease, delivery.arrived, delivery.parked)
            self._count(delivery, tally)
        self._adapt(lease, delivery)
        return delivery

    def _ready(self, lease: Lease, limits: Limits, delivery: Delivery) -> list[Outgoing]:
        """What the collector takes of a lease; the others wait, or are parked where no update could help."""
        ready = []
        foreign: set[int] = set()
        for snapshot in lease.snapshots:
            if limits.schema_versions is not None and snapshot.schema_version not in limits.schema_versions:
                foreign.add(snapshot.schema_version)
            elif not limits.takes(snapshot):
                delivery.parked[snapshot.id] = TOO_LARGE
            else:
                ready.append(snapshot)
        if foreign and not ready and not delivery.parked:
            versions = ", ".join(map(str, sorted(foreign)))
            self.withheld = (
                f"collector {self._address} does not take snapshots of schema version {versions};"
                " they wait until it does, or until foretype is updated"
            )
        return ready

    def _count(self, delivery: Delivery, tally: Tally) -> None:
        tally.sent += len(delivery.accepted)
        tally.duplicates += len(delivery.duplicates)
        tally.parked.update(delivery.parked.values())
        if delivery.arrived:
            tally.last_success = self._clock.now()

    def _adapt(self, lease: Lease, delivery: Delivery) -> None:
        """Smaller batches where one did not arrive in time, as on a slow connection; larger again where they do."""
        if delivery.failure is not None and delivery.failure.code == "DEADLINE_EXCEEDED":
            leased_bytes = sum(len(one.content) for one in lease.snapshots)
            self._most_bytes = max(LEAST_BATCH_BYTES, min(leased_bytes, self._most_bytes) // 2)
        elif delivery.arrived:
            self._most_bytes = min(MAX_MESSAGE_BYTES, self._most_bytes * 2)
