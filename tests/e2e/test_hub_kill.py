"""What a window was told is stored is stored, whole and once, however the hub ends: kill -9 and power cuts included.

All of the hub is real but the model. The windows type in many places at once, so that many snapshots are open and
many are on their way when the end comes.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from contextlib import ExitStack

import pytest

from capture.store import stored
from capture.store.choice import Choice
from tests.e2e.capturing_machine import assert_there, complaints_in, ended_quietly
from tests.e2e.typing_window import ROWS, Announcements

KILLS = int(os.environ.get("HUB_KILLS", "20"))
KILLS_OF_A_STORE = 20  # then a new one: each check reads all of it
LATE_KILL_AFTER = 340  # announcements at least: three in four kills are late, so 5,000 over 20 kills
EARLY_EVERY = 4  # one kill in so many comes while the first snapshots settle, or the store is being made
POWER_CUTS = int(os.environ.get("HUB_POWER_CUTS", "4"))
WINDOWS, FILES_OF_A_WINDOW = 6, 2


@pytest.fixture
def machine(capturing):
    return capturing(files=WINDOWS * FILES_OF_A_WINDOW)


async def typing_windows(machine, announcements):
    """Windows in which everybody types."""
    windows = [await machine.open_window(announcements) for _ in range(WINDOWS)]
    for number, window in enumerate(windows):
        window.begin_to_type_in(machine.files[number::WINDOWS])
    return windows


async def killed(machine, hub, windows):
    hub.kill()
    for window in windows:
        await window.over()
    assert ended_quietly(hub) == -signal.SIGKILL


@pytest.mark.parametrize("round_number", range(-(-KILLS // KILLS_OF_A_STORE)))
async def test_whatever_a_window_was_told_is_stored_is_there_after_the_hub_was_killed(machine, round_number):
    numbers = random.Random(round_number)
    kills = min(KILLS_OF_A_STORE, KILLS - round_number * KILLS_OF_A_STORE)
    announced = {}
    for kill in range(kills):
        hub = machine.start_hub()
        announcements = Announcements()
        windows = await typing_windows(machine, announcements)
        if kill % EARLY_EVERY == EARLY_EVERY - 1:
            await asyncio.sleep(numbers.uniform(0.0, 1.2))
        else:
            await announcements.until(LATE_KILL_AFTER + numbers.randrange(40))
            await asyncio.sleep(numbers.uniform(0.0, 0.05))  # any moment, not that of an announcement
        await killed(machine, hub, windows)
        assert not announcements.doubled
        assert not announcements.found.keys() & announced.keys()
        announced |= announcements.found
        assert_there(machine.store_path, announcements.found)
    there = assert_there(machine.store_path, announced)
    assert not complaints_in(machine.log_path)
    print(f"{kills} kills, {len(announced)} announced, {len(there)} stored")
    assert len(announced) >= (kills - kills // EARLY_EVERY) * LATE_KILL_AFTER


async def test_at_the_moment_a_window_is_told_another_process_finds_the_snapshot(machine):
    early = []
    with ExitStack() as stack:
        databases = []

        def look(snapshot_id, sha256):
            """Before anything else is read from the hub."""
            if not databases:
                databases.append(stack.enter_context(stored.reading(machine.store_path)))
            if not is_there(databases[0], snapshot_id, sha256):
                early.append(snapshot_id)

        announcements = Announcements(look)
        hub = machine.start_hub()
        windows = await typing_windows(machine, announcements)
        await announcements.until(300)
        await killed(machine, hub, windows)
    assert not early


def is_there(database, snapshot_id, sha256):
    return database is not None and [row.sha256 for row in stored.summaries(database, Choice(ids=(snapshot_id,)))] == [
        sha256
    ]


async def test_a_hub_that_is_told_to_stop_first_stores_what_is_open(capturing):
    machine = capturing(files=2, settle_seconds=60)
    hub = machine.start_hub()
    announcements = Announcements()
    window = await machine.open_window(announcements)
    for path in machine.files:
        file = window.opened(path)
        for _ in range(ROWS):
            assert await file.key()
    machine.stop_hub()
    assert ended_quietly(hub) == 0
    await window.over()
    there = assert_there(machine.store_path, announcements.found)
    with stored.reading(machine.store_path) as database:
        assert [row.state for row in stored.summaries(database)] == ["unsettled"] * len(there)
    assert len(there) == 2 * ROWS
    assert not complaints_in(machine.log_path)


async def test_what_was_open_in_a_window_that_breaks_off_is_stored(capturing):
    machine = capturing(files=2, settle_seconds=60)
    hub = machine.start_hub()
    window = await machine.open_window(Announcements())
    for path in machine.files:
        file = window.opened(path)
        for _ in range(ROWS):
            assert await file.key()
    window.break_off()
    assert (await machine.decided(2 * ROWS))["counts"] == {"stored": 2 * ROWS}
    machine.stop_hub()
    assert ended_quietly(hub) == 0
    assert not complaints_in(machine.log_path)


@pytest.fixture
def cut_power(machine, faulty_disk, power_loss, tmp_path):
    """Let a hub capture until the power is cut; gives a store as the disk may hold it then, and what was announced."""

    async def cut(number, *pragmas):
        numbers = random.Random(number)
        log, after = tmp_path / f"log-{number}", tmp_path / f"after-{number}"
        after.mkdir(mode=0o700)
        # Each has a disk of its own: files that were there before are in no record.
        shutil.rmtree(machine.store_path.parent, ignore_errors=True)
        hub = machine.start_hub(
            *pragmas,
            LD_PRELOAD=str(faulty_disk),
            FAULTY_DISK_FOLDER=machine.store_folder,
            FAULTY_DISK_LOG=str(log),
        )
        announcements = Announcements()
        windows = await typing_windows(machine, announcements)
        await announcements.until(numbers.choice((1, 20, 100, 300)) + numbers.randrange(20))
        await killed(machine, hub, windows)
        power_loss.restore(log.read_bytes(), after, numbers)
        log.unlink()
        return after / machine.store_path.name, announcements.found

    return cut


@pytest.mark.parametrize("number", range(POWER_CUTS))
async def test_whatever_a_window_was_told_is_stored_is_there_after_a_power_cut(cut_power, number):
    path, announced = await cut_power(number)
    assert announced
    assert_there(path, announced)


async def test_the_power_cut_is_one_that_a_hub_with_fewer_syncs_does_not_survive(cut_power):
    lost = 0
    for number in range(6):
        path, announced = await cut_power(1000 + number, "synchronous=1")
        with stored.reading(path) as database:
            lost += sum(not is_there(database, snapshot_id, sha256) for snapshot_id, sha256 in announced.items())
        if lost:
            break
    assert lost
