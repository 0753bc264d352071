"""Whatever fails, what was captured where uploads are agreed to arrives once and unchanged, and nothing else does.

Several hubs capture what windows type at full speed, and upload it over TLS through a network that fails to one
collector. Hubs and collector are killed, stopped and started again, the collector is frozen and its disk is full. Then
the troubles end, and the oracle compares what the hubs' stores hold and have marked as uploaded with what the collector
holds. Every snapshot is typed in a window of a real hub; only the model is a script (``scripted_hub.py``), time passes
faster for the uploader, and its calls are given up sooner (``uploading_hub.py``).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import signal
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress

import pytest

from tests.e2e.capturing_machine import complaints_in
from tests.e2e.collecting import Collected, sealed_lines
from tests.e2e.faulty_proxy import MISHAPS, REFUSE, FaultyProxy
from tests.e2e.typing_window import Announcements

SNAPSHOTS = int(os.environ.get("UPLOAD_ORACLE_SNAPSHOTS", "2000"))
SEED = int(os.environ.get("UPLOAD_ORACLE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
HUBS, FILES = 3, 4
WEEK_SECONDS = 7 * 24 * 3600.0
WEEK_SPEED = 100_000.0  # of the clock while the collector is away: the week takes six seconds, and a try an hour of it
OFFLINE_SNAPSHOTS = 200
LATE_PURGES, PURGES = ("ids", "workspace", "all"), ("ids", "all", "ids")
LATE_CALL_SECONDS = 60.0
PURGED_AFTER = 60  # announcements
LINE_OF_GRPC = re.compile(r"[IWE]\d{4} [\d:.]+ +\d+ \w+\.cc:\d+\] |WARNING: All log messages before absl")
LONGEST_LIFE = max(200, SNAPSHOTS // 50)  # of a hub, in announcements
ARRIVED_IN_TROUBLE = 4  # one of so many snapshots, at least
SAY_EVERY_SECONDS = 10.0
TROUBLED_SECONDS = 240.0 + SNAPSHOTS / 5
CALM_SECONDS = 60.0 + SNAPSHOTS / 20


class Ada:
    """A person: types, and does not notice that the hub is killed under the windows, again and again."""

    def __init__(self, machine, numbers):
        self.machine = machine
        self.announced = {}
        self.private = {}
        self.deaths = Counter()
        self._numbers = numbers

    async def type(self, count):
        """Until so many snapshots were announced, in life after life of the hub."""
        while len(self.announced) < count:
            hub = await self.machine.started()
            shared, private = Announcements(), Announcements()
            windows = [await self.machine.open_window(shared), await self.machine.open_private_window(private)]
            windows[0].begin_to_type_in(self.machine.files)
            windows[1].begin_to_type_in([self.machine.private_file])
            goal = min(self._numbers.randrange(20, LONGEST_LIFE), max(1, count - len(self.announced)))
            while len(shared.found) < goal:
                await shared.until(min(goal, len(shared.found) + 100))
            await asyncio.sleep(self._numbers.uniform(0.0, 0.2))  # any moment, not that of an announcement
            await self._end(hub, windows)
            assert not shared.doubled
            assert not shared.found.keys() & self.announced.keys()
            self.announced |= shared.found
            self.private |= private.found

    async def wait(self):
        """A life of the hub in which nobody types, until some snapshots are uploaded or some seconds are over."""
        hub = await self.machine.started()
        with suppress(TimeoutError):
            step = self._numbers.randrange(1, LONGEST_LIFE)
            await self.machine.until_left(max(0, self.machine.left() - step), self._numbers.uniform(2.0, 12.0))
        await self._end(hub, ())

    async def _end(self, hub, windows):
        is_killed = self._numbers.randrange(3) > 0
        self.deaths["killed" if is_killed else "stopped"] += 1
        if is_killed:
            hub.kill()
        else:
            self.machine.stop_hub()
        for window in windows:
            await window.over()
        assert await self.machine.ended(hub) == (-signal.SIGKILL if is_killed else 0)


class Plague:
    """What befalls a collector, one thing after the other, until it is over; then it runs."""

    def __init__(self, collector, numbers):
        self.is_over = asyncio.Event()
        self._collector = collector
        self._numbers = numbers

    async def rage(self):
        kinds = (self._kill, self._stop, self._freeze, self._freeze_and_kill, self._fill)
        while True:
            for kind in self._numbers.sample(kinds, len(kinds)):
                await self._a_while()
                if self.is_over.is_set():
                    return
                await kind()

    async def _a_while(self):
        """A random number of snapshots, or some seconds."""
        wanted = self._collector.taken["accepted"] + self._numbers.randrange(1, 150)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._numbers.uniform(1.0, 6.0)):
                await self._collector.until("accepted", wanted)
                await asyncio.sleep(self._numbers.uniform(0.0, 0.1))  # any moment, not that of an answer

    async def _kill(self):
        await self._collector.kill()
        await asyncio.sleep(self._numbers.uniform(0.0, 1.0))  # nobody is there
        await self._collector.start()

    async def _stop(self):
        await self._collector.stop()
        await self._collector.start()

    async def _freeze(self):
        self._collector.freeze()
        await asyncio.sleep(self._numbers.choice((0.2, 0.5, 1.0, 4.0)))  # longer than a call, or not
        self._collector.thaw()

    async def _freeze_and_kill(self):
        self._collector.freeze()
        await asyncio.sleep(self._numbers.uniform(0.0, 0.5))
        await self._kill()

    async def _fill(self):
        self._collector.fill_disk()
        with suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await self._collector.until("refused: storage", self._collector.taken["refused: storage"] + 1)
        await asyncio.sleep(self._numbers.uniform(0.0, 0.5))
        self._collector.empty_disk()


class Team:
    """All of them; its text says how it stands."""

    def __init__(self, people, collector, proxy):
        self.people = people
        self._collector = collector
        self._proxy = proxy

    def has_seen_enough(self):
        """Whether all that the test is about did happen, and a good part of the snapshots arrived in spite of it."""
        happened, done, taken = self._proxy.happened, self._collector.done, self._collector.taken
        return (
            all(happened[kind] for kind in (*MISHAPS, REFUSE))
            and all(done[kind] for kind in ("killed", "stopped", "frozen", "full"))
            and all(taken[kind] for kind in ("duplicates", "refused: storage"))
            and all(ada.deaths["killed"] for ada in self.people)
            and taken["accepted"] >= SNAPSHOTS / ARRIVED_IN_TROUBLE
        )

    async def narrate(self):
        """For whoever watches a long run."""
        while True:
            await asyncio.sleep(SAY_EVERY_SECONDS)
            print(time.strftime("%H:%M:%S"), self, flush=True)

    def __str__(self):
        announced = sum(len(ada.announced) for ada in self.people)
        left = sum(ada.machine.left() for ada in self.people)
        deaths = sum((ada.deaths for ada in self.people), Counter())
        return (
            f"{announced} announced, {left} to be uploaded; hubs {dict(deaths)}; collector {dict(self._collector.done)},"
            f" {dict(self._collector.taken)}; {self._proxy.connections} connections, {dict(self._proxy.happened)}"
        )


@pytest.fixture
def seed():
    print(f"UPLOAD_ORACLE_SEED={SEED}")
    return SEED


async def test_what_was_captured_arrives_once_whatever_is_killed_cut_off_frozen_or_full(collector, join, seed):
    numbers = random.Random(seed)
    plague = Plague(collector, random.Random(numbers.random()))
    async with FaultyProxy(random.Random(numbers.random()), lambda: collector.port) as proxy:
        machines = [await join(f"hub-{number}", f"127.0.0.1:{proxy.port}", files=FILES) for number in range(HUBS)]
        people = [Ada(machine, random.Random(numbers.random())) for machine in machines]
        team = Team(people, collector, proxy)
        narrator = asyncio.create_task(team.narrate())
        await collector.start()
        async with asyncio.timeout(TROUBLED_SECONDS), asyncio.TaskGroup() as group:
            raging = group.create_task(plague.rage())
            await asyncio.wait([group.create_task(live(ada, team)) for ada in people])
            plague.is_over.set()
            await raging
        await proxy.heal()
        hubs = [await machine.started() for machine in machines]
        for machine in machines:
            await machine.until_left(0, CALM_SECONDS)
        fresh = [await capture_one(machine) for machine in machines]
        for machine in machines:
            await machine.until_left(0)
            status = await machine.until(lambda status: not status["backlog"]["waiting"])
            assert (status["backlog"]["leased"], status["parked"], status["last_error"]) == (0, {}, "")
        for machine, hub in zip(machines, hubs, strict=True):
            machine.stop_hub()
            assert await machine.ended(hub) == 0
        narrator.cancel()
    await collector.stop()
    print(team)
    collected = Collected(collector.data)
    for ada, found in zip(people, fresh, strict=True):
        reckon(ada, collected, {**ada.announced, **found})
    assert not collected.workspaces  # nothing that no hub ever had
    assert sorted(await lines_of(collector)) == sorted(collected.sha256.values())
    assert collected.parts > 1
    assert not collector.mistakes()


async def test_after_a_week_without_the_collector_everything_arrives_once(collector, join):
    async with FaultyProxy(random.Random(0), lambda: collector.port, is_healthy=True) as proxy:
        machine = await join("ada", f"127.0.0.1:{proxy.port}", files=FILES)
        announced = {}
        for part in (1, 2):
            hub = await machine.started(speed=WEEK_SPEED)
            announced |= await typed(machine, OFFLINE_SNAPSHOTS // 2)
            week_over = machine.epoch + part * WEEK_SECONDS / 2
            status = await machine.until(lambda status, end=week_over: (status["next_try_at"] or 0.0) > end)
            assert status["last_error"]
            assert (status["sent"], status["parked"], status["last_success"]) == (0, {}, None)
            hub.kill()
            await machine.ended(hub)
        left, tries = machine.left(), proxy.refused
        assert tries > 1
        hub = await machine.started()
        await collector.start()
        await machine.until_left(0)
        machine.stop_hub()
        await machine.ended(hub)
    await collector.stop()
    rows = machine.rows()
    assert rows.keys() >= announced.keys()
    settled = {one: row["sha256"] for one, row in rows.items() if row["state"] == "settled"}
    assert len(settled) == left >= OFFLINE_SNAPSHOTS * 3 // 4
    assert Collected(collector.data).sha256 == settled
    assert (collector.taken["accepted"], collector.taken["duplicates"]) == (left, 0)
    print(f"{tries} tries in a week; {left} snapshots arrived")
    assert_well(machine)


async def test_what_is_purged_while_it_is_on_its_way_is_refused_when_it_arrives(collector, join, seed):
    async with FaultyProxy(random.Random(0), lambda: collector.port, is_healthy=True) as proxy:
        purger = Purger(await join("ada", f"127.0.0.1:{proxy.port}", files=FILES), random.Random(seed))
        await collector.start()
        for what in LATE_PURGES:
            hub = await purger.machine.started(call_seconds=LATE_CALL_SECONDS)
            async with purger.typing(), asyncio.timeout(LATE_CALL_SECONDS / 2):
                await collector.until("accepted", collector.taken["accepted"] + 1)
                await proxy.hold_a_batch()
                refused = collector.taken["DELETED"]
                await purger.purge(what)
                proxy.release()
                await collector.until("DELETED", refused + 1)
                hub.kill()
            await purger.machine.ended(hub)
        await purger.finish()
    await collector.stop()
    await purger.reckon(collector)


async def test_nothing_that_was_purged_is_in_a_collector_that_was_killed_meanwhile(collector, join, seed):
    numbers = random.Random(seed)
    async with FaultyProxy(random.Random(numbers.random()), lambda: collector.port) as proxy:
        purger = Purger(await join("ada", f"127.0.0.1:{proxy.port}", files=FILES), numbers)
        await collector.start()
        for what in PURGES:
            hub = await purger.machine.started()
            async with purger.typing():
                await collector.until("accepted", collector.taken["accepted"] + 1)
                purging = asyncio.create_task(purger.purge(what))
                await asyncio.sleep(numbers.uniform(0.5, 2.0))  # it takes as long
                await collector.kill()
                await asyncio.sleep(numbers.uniform(0.0, 0.5))
                await collector.start()
                await purging
                hub.kill()
            await purger.machine.ended(hub)
        await proxy.heal()
        await purger.finish()
    await collector.stop()
    await purger.reckon(collector)


class Purger:
    """A person who types, and has deleted some of what was captured meanwhile."""

    def __init__(self, machine, numbers):
        self.machine = machine
        self._numbers = numbers
        self._announced = set()
        self._reached = set()  # that were in the collector when they were purged

    @asynccontextmanager
    async def typing(self):
        """Until the block has ended the hub."""
        window, found = await begin_to_type(self.machine)
        await found.until(PURGED_AFTER)
        yield
        await window.over()
        self._announced |= found.found.keys()

    async def purge(self, what):
        rows = self.machine.rows()
        words = {"workspace": ["--workspace", self.machine.workspace_id], "all": ["--all"]}
        chosen = words.get(what) or self._numbers.sample(sorted(rows), len(rows) // 2)
        self._reached |= {one for one, row in rows.items() if row["is_uploaded"]}
        await self.machine.purge(*chosen)

    async def finish(self):
        """What is left is uploaded, and what was purged is deleted there."""
        hub = await self.machine.started()
        await self.machine.until_left(0)
        await self.machine.until(lambda status: not status["deletions"] and status["state"] == "idle")
        self.machine.stop_hub()
        assert await self.machine.ended(hub) == 0

    async def reckon(self, collector):
        """The collector has what the store has, and nothing else."""
        rows = self.machine.rows()
        gone = self._announced - rows.keys()
        kept = {one: row["sha256"] for one, row in rows.items() if row["state"] == "settled"}
        print(
            f"{len(self._announced)} announced, {len(gone)} purged, {len(gone & self._reached)} of them uploaded before"
        )
        print(dict(collector.taken))
        assert Collected(collector.data).sha256 == kept
        assert sorted(await lines_of(collector)) == sorted(kept.values())
        assert gone & self._reached
        assert kept
        assert not [row for row in rows.values() if row["parked"]]
        assert_well(self.machine)


async def begin_to_type(machine):
    """A window in which somebody types, and what it is told."""
    found = Announcements()
    window = await machine.open_window(found)
    window.begin_to_type_in(machine.files)
    return window, found


async def typed(machine, count):
    """So many snapshots and some more; the window is closed by its editor's death."""
    window, found = await begin_to_type(machine)
    await found.until(count)
    window.break_off()
    await window.over()
    return found.found


async def live(ada, team):
    await ada.type(SNAPSHOTS // HUBS + 1)
    while not team.has_seen_enough():
        if ada.machine.left() < LONGEST_LIFE:
            await ada.type(len(ada.announced) + LONGEST_LIFE)
        else:
            await ada.wait()


async def capture_one(machine):
    """A snapshot that is captured now."""
    announcements = Announcements()
    window = await machine.open_window(announcements)
    assert await window.opened(machine.files[0]).key()
    await announcements.until(1)
    window.break_off()
    return announcements.found


def reckon(ada, collected, announced):
    """One hub's snapshots against the collector's, which are struck off."""
    rows = ada.machine.rows()
    assert rows.keys() >= announced.keys() | ada.private.keys()
    assert not [row for row in rows.values() if row["parked"]]
    ours = {one: row for one, row in rows.items() if row["workspace_id"] == ada.machine.workspace_id}
    theirs = {one: row for one, row in rows.items() if row["workspace_id"] != ada.machine.workspace_id}
    owed = {one for one, row in ours.items() if row["state"] == "settled"}
    assert {one for one, row in rows.items() if row["is_uploaded"]} == owed
    assert len(owed) >= len(announced) // 2
    assert {row["workspace_id"] for row in theirs.values()} == {ada.machine.private_workspace_id}
    assert not theirs.keys() & collected.sha256.keys()
    there = {one for one, workspace_id in collected.workspaces.items() if workspace_id == ada.machine.workspace_id}
    assert there == owed
    for one, content in ada.machine.contents(owed):
        assert hashlib.sha256(content).hexdigest() == collected.sha256[one]
        assert announced.get(one, collected.sha256[one]) == collected.sha256[one]
        del collected.workspaces[one]
    assert_well(ada.machine)


def assert_well(machine):
    """The hub has logged no mistake, and only gRPC said anything on standard error."""
    assert not complaints_in(machine.log_path)
    assert not [line for line in machine.said if not LINE_OF_GRPC.match(line)]


async def lines_of(collector):
    """The SHA-256 of each line that whoever trains would read."""
    return [hashlib.sha256(line).hexdigest() for line in await sealed_lines(collector.data)]
