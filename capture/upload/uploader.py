"""Sends what may be sent, when it may: one task that deletes, asks, leases and uploads, and says how it stands.

It is kind: it waits while somebody types, lets batches fill, and backs off from a collector in trouble. One call at a
time, one batch in memory. What is interrupted is sent again and is a duplicate there; a snapshot counts as sent once
the collector said so and the store has it in writing. A collector that does not delete gets nothing more. Knows nothing
of settings files, of how anybody types, or of gRPC.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from capture.store.error import StorageError
from capture.store.leases import Backlog
from capture.upload.client import Client
from capture.upload.clock import Clock, SystemClock
from capture.upload.exchange import Exchange, Tally
from capture.upload.identity import InstallsUnusable
from capture.upload.retries import LOCAL_FILE, Failure, Retries
from capture.upload.target import setup_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from capture.upload.batches import Limits
    from capture.upload.identity import Installs
    from capture.upload.outbox import Outbox
    from capture.upload.target import Target

log = logging.getLogger(__name__)

# off: no collector is set. held: something else than a failure is waited for.
State = Literal["off", "idle", "filling", "held", "sending", "backing_off", "paused", "closed"]

QUIET_SECONDS = 2.0  # without a key, before a batch is sent
FILL_SECONDS = 30.0  # for a batch to become full
LOOK_AGAIN_SECONDS = 300.0  # for what nobody tells: consent that a command grants, leases of a process that died
HELD_SECONDS = 60.0  # until it is asked again whether sending may go on
PAUSED_LOOK_SECONDS = 15.0  # at the files that a person would change
CLOSE_SECONDS = 2.0

MAX_WITHDRAWN = 3  # leases of one `once` that were not sent because something changed meanwhile
TYPING = "somebody is typing"
PACED = "the collector takes only so much in a minute"
CHANGED = "consent or deletions changed while it was about to be sent"
NO_TARGET = "no collector is set; see `upload` in docs/settings.md"


@dataclass(slots=True)
class Summary:
    """What one run of `Uploader.once` did. ``failure`` and ``withheld`` are for people, empty while there is none.

    ``left`` is the backlog at its end.
    """

    tally: Tally = field(default_factory=Tally)
    failure: str = ""
    withheld: str = ""
    left: Backlog = field(default_factory=Backlog)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What the uploader does until it is woken or so many seconds have passed (None: only until it is woken)."""

    state: State
    seconds: float | None
    words: str = ""
    try_seconds: float | None = None  # until the next call, where that is later


class Uploader:
    """For one event loop. ``run`` is the whole of a task; all else may be called at any time.

    ``target`` gives the present collector, None where there is none. ``quiet_seconds`` says how long nobody typed;
    ``may_send`` why nothing is to be sent now (a battery, say), empty where it may. ``random`` gives 0 to 1.
    """

    def __init__(
        self,
        target: Callable[[], Target | None],
        outbox: Outbox,
        installs: Installs,
        *,
        quiet_seconds: Callable[[], float],
        may_send: Callable[[], str],
        clock: Clock | None = None,
        random: Callable[[], float] = random.random,
        new_client: Callable[[Target], Client] = Client,
    ) -> None:
        self._target = target
        self._outbox = outbox
        self._installs = installs
        self._quiet_seconds = quiet_seconds
        self._may_send = may_send
        self._clock = SystemClock() if clock is None else clock
        self._new_client = new_client
        self._retries = Retries(self._clock.monotonic, random)
        self._exchange: Exchange | None = None
        self._tally = Tally()
        self._backlog = Backlog()
        self._deletions = (0, 0)  # still to be asked: of this collector, of others
        self._rest = _Rest("idle", None)
        self._next_try_at: float | None = None
        self._told: set[str] = set()  # codes of failures since the last success: the log has them already
        self._fill_until: float | None = None
        self._pace_until = self._clock.monotonic()
        self._woken = asyncio.Event()
        self._busy = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._is_closing = False

    async def run(self) -> None:
        """Upload until closed. A mistake of ours ends it with the exception."""
        if self._is_closing:
            return
        work = self._work = asyncio.create_task(self._loop())
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()
            await asyncio.wait({work})
            await self._leave()
            self._rest = _Rest("closed", None)
        if not work.cancelled():
            work.result()

    async def close(self) -> None:
        """End ``run`` within `CLOSE_SECONDS`, in the middle of a call too; what it was sending will be sent again."""
        self._is_closing = True
        if self._work is None or self._work.done():
            return
        self._work.cancel()
        _, pending = await asyncio.wait({self._work}, timeout=CLOSE_SECONDS)
        if pending:
            log.warning("the upload takes long to end; what it was sending is leased until its lease is over")

    def wake(self) -> None:
        """Something changed: a snapshot was stored, a deletion asked for, a setting changed."""
        self._woken.set()

    async def once(
        self, progress: Callable[[Summary], None] | None = None, *, deletions_alone: bool = False
    ) -> Summary:
        """Send all that may be sent without waiting for anything, and end with the first failure.

        Neither typing nor a battery nor an earlier failure holds it up. ``progress`` gets the summary after each lease.
        With ``deletions_alone`` the collector is asked for what is to be deleted, and nothing is sent.
        """
        summary = Summary()
        async with self._busy:
            target = self._target()
            if target is None:
                summary.failure = NO_TARGET
                return summary
            try:
                exchange = await self._exchange_with(target)
                if deletions_alone:
                    failure = await exchange.delete(summary.tally, again=True)
                else:
                    failure = await self._all(exchange, summary, progress)
                summary.left = self._backlog = await self._outbox.backlog()
            except (StorageError, InstallsUnusable) as error:
                failure = _local(error)
            finally:
                self._tally.add(summary.tally)
                if self._work is None:
                    await self._leave()  # nobody else is going to
            if failure is None:
                self._succeeded()
            else:
                summary.failure = failure.words
                self._failed(failure, setup_of(target))
        self.wake()
        return summary

    def status(self) -> dict[str, Any]:
        """As JSON takes it.

        ``reason`` says what ``state`` waits for. Times are in seconds since the epoch, None where there is none;
        ``last_error`` names cause and cure, and is empty once a call succeeded. ``backlog`` is as it was lately.
        ``deletions`` are those that this collector is still to be asked, ``deletions_elsewhere`` those of others.
        """
        target = self._target()
        latest = self._retries.latest
        return {
            "state": self._rest.state,
            "reason": self._rest.words,
            "target": None if target is None else target.address,
            "backlog": asdict(self._backlog),
            "sent": self._tally.sent,
            "duplicates": self._tally.duplicates,
            "deleted": self._tally.deleted,
            "parked": dict(self._tally.parked),
            "deletions": self._deletions[0],
            "deletions_elsewhere": self._deletions[1],
            "last_success": self._tally.last_success,
            "last_error": "" if latest is None else latest.words,
            "next_try_at": self._next_try_at,
        }

    async def _loop(self) -> None:
        while True:
            self._woken.clear()  # before the look at what there is, so that nothing that comes meanwhile is missed
            async with self._busy:
                self._rest = await self._turn()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The store failed while it was told what had been sent, and that error took the cancellation's place.
                raise asyncio.CancelledError
            seconds = self._rest.seconds
            until_try = seconds if self._rest.try_seconds is None else self._rest.try_seconds
            self._next_try_at = None if until_try is None else self._clock.now() + until_try
            await self._clock.wait(self._woken, seconds)

    async def _turn(self) -> _Rest:
        target = self._target()
        if target is None:
            await self._leave()
            return _Rest("off", None, NO_TARGET)
        setup = setup_of(target)
        try:
            return await self._turn_with(await self._exchange_with(target), setup)
        except (StorageError, InstallsUnusable) as error:
            return self._failed(_local(error), setup)

    async def _turn_with(self, exchange: Exchange, setup: Hashable) -> _Rest:
        self._backlog = await self._outbox.backlog()
        wait_seconds = self._retries.wait_seconds(setup)
        if wait_seconds > 0:
            self._count_deletions(exchange)
            return self._backing_off(wait_seconds)
        failure = await exchange.delete(self._tally)
        self._count_deletions(exchange)
        if failure is not None:
            return self._failed(failure, setup)
        rest = self._reason_to_wait(exchange.known_limits) or await self._send(exchange, setup)
        again_seconds = exchange.next_deletion_seconds()
        if again_seconds is not None and (rest.seconds is None or again_seconds < rest.seconds):
            return replace(rest, seconds=again_seconds)
        return rest

    def _reason_to_wait(self, limits: Limits) -> _Rest | None:
        reason = self._may_send()
        if reason:
            return _Rest("held", HELD_SECONDS, reason)
        if not self._backlog.waiting:
            self._fill_until = None
            return _Rest("idle", LOOK_AGAIN_SECONDS)
        now = self._clock.monotonic()
        if self._fill_until is None:
            self._fill_until = now + FILL_SECONDS
        is_full = self._backlog.waiting >= limits.max_snapshots or self._backlog.waiting_bytes >= limits.lease_bytes
        if not is_full and now < self._fill_until:
            return _Rest("filling", self._fill_until - now)
        if now < self._pace_until:
            return _Rest("held", self._pace_until - now, PACED)
        quiet_seconds = self._quiet_seconds()
        if quiet_seconds < QUIET_SECONDS:
            return _Rest("held", QUIET_SECONDS - max(0.0, quiet_seconds), TYPING)
        return None

    async def _send(self, exchange: Exchange, setup: Hashable) -> _Rest:
        self._rest = _Rest("sending", None)
        limits = await exchange.limits()
        if isinstance(limits, Failure):
            return self._failed(limits, setup)
        delivery = await exchange.send(limits, self._tally)
        failure = None if delivery is None else delivery.reason_to_wait
        if failure is not None:
            exchange.forget_limits()
            return self._failed(failure, setup)
        self._succeeded()
        if delivery is None:
            return _Rest("held" if exchange.withheld else "idle", LOOK_AGAIN_SECONDS, exchange.withheld)
        if delivery.is_withdrawn:
            return _Rest("held", QUIET_SECONDS, CHANGED)
        share_seconds = limits.seconds_for(len(delivery.arrived), delivery.sent_bytes)
        self._pace_until = self._clock.monotonic() + share_seconds
        self._fill_until = self._clock.monotonic()  # the rest goes along, now that the connection is in use
        return _Rest("sending", 0.0)

    async def _all(
        self, exchange: Exchange, summary: Summary, progress: Callable[[Summary], None] | None
    ) -> Failure | None:
        exchange.forget_limits()
        withdrawn = 0
        failure = await exchange.delete(summary.tally, again=True)
        while failure is None:
            limits = await exchange.limits()
            if isinstance(limits, Failure):
                return limits
            delivery = await exchange.send(limits, summary.tally)
            if delivery is None:
                summary.withheld = exchange.withheld
                return None
            if progress is not None:
                progress(summary)
            if delivery.failure is not None:
                return delivery.failure
            withdrawn += delivery.is_withdrawn
            if withdrawn == MAX_WITHDRAWN:
                summary.withheld = CHANGED
                return None
            failure = await exchange.delete(summary.tally)
        return failure

    def _failed(self, failure: Failure, setup: Hashable) -> _Rest:
        seconds = self._retries.failed(failure, setup)
        if failure.code not in self._told:
            self._told.add(failure.code)
            log.warning("nothing is uploaded for now: %s", failure.words)
        return self._backing_off(seconds)

    def _backing_off(self, seconds: float) -> _Rest:
        latest = self._retries.latest
        words = "" if latest is None else latest.words
        if self._retries.is_paused:
            return _Rest("paused", min(seconds, PAUSED_LOOK_SECONDS), words, try_seconds=seconds)
        return _Rest("backing_off", seconds, words)

    def _succeeded(self) -> None:
        self._retries.succeeded()
        self._told.clear()

    def _count_deletions(self, exchange: Exchange) -> None:
        here = exchange.client.target.address
        others = (address for address in self._installs.addresses() if address != here)
        elsewhere = sum(len(self._installs.deletions(address)) for address in others)
        self._deletions = (len(self._installs.deletions(here)), elsewhere)

    async def _exchange_with(self, target: Target) -> Exchange:
        if self._exchange is None or self._exchange.client.target != target:
            await self._leave()
            self._exchange = Exchange(self._new_client(target), self._outbox, self._installs, self._clock)
        return self._exchange

    async def _leave(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.client.close()


def _local(error: StorageError | InstallsUnusable) -> Failure:
    return Failure(LOCAL_FILE, error.explanation if isinstance(error, StorageError) else str(error))
