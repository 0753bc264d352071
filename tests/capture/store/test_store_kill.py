"""What the store announced survives kill -9 and a power cut, at whatever moment: whole, and once."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from capture.store import stored

KILLS = int(os.environ.get("STORE_KILLS", "20"))
KILLS_OF_A_STORE = 20  # then a new one: each check reads all of it
LATE_KILL_AFTER = 350  # announcements at least: three in four kills are late, so 5,000 over 20 kills
POWER_CUTS = int(os.environ.get("STORE_POWER_CUTS", "12"))
EARLY_EVERY = 4  # one kill in so many comes while the process starts, opens the store, or has hardly begun


def announced_before(process, moment):
    """Read announcements until ``moment`` of them are there, kill the process, and read the rest; by id."""
    assert process.stdout.readline() == b"begun\n", process.stderr.read().decode()
    lines = [process.stdout.readline() for _ in range(moment)]
    process.kill()
    lines += process.stdout.readlines()
    process.wait()
    assert process.stderr.read() == b""
    return dict(line.decode().split() for line in lines if line.endswith(b"\n"))


def killed_early(process, seconds):
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    lines = process.stdout.readlines()
    process.wait()
    assert process.stderr.read() == b""
    return dict(line.decode().split() for line in lines[1:] if line.endswith(b"\n"))


@pytest.mark.parametrize("round_number", range(-(-KILLS // KILLS_OF_A_STORE)))
def test_whatever_was_announced_is_there_after_kill_nine_whole_and_once(
    path, start_child, read, integrity, round_number
):
    numbers = random.Random(round_number)
    kills = min(KILLS_OF_A_STORE, KILLS - round_number * KILLS_OF_A_STORE)
    announced = {}
    for kill in range(kills):
        process = start_child("storing_child.py", path)
        if kill % EARLY_EVERY == EARLY_EVERY - 1:
            found = killed_early(process, numbers.uniform(0.1, 0.8))
        else:
            found = announced_before(process, LATE_KILL_AFTER + numbers.randrange(80))
        assert not found.keys() & announced.keys()
        announced |= found
        assert read(integrity) == ["ok"]
        assert read(sha256_of_each, found) == found
    there = [row.id for row in read(stored.summaries)]
    assert len(there) == len(set(there))
    assert read(sha256_of_each, there).items() >= announced.items()
    print(f"{kills} kills, {len(announced)} announced, {len(there)} stored")
    assert len(announced) >= (kills - kills // EARLY_EVERY) * LATE_KILL_AFTER


def sha256_of_each(database, ids):
    """Read whole snapshots and write them anew: what is compared is what they are, not what the store says."""
    return {snapshot_id: stored.get(database, snapshot_id).sha256() for snapshot_id in ids}


@pytest.fixture
def cut_power(tmp_path, start_child, faulty_disk, power_loss):
    """Let a process store until it is killed, and give a folder as the disk may have it then, and what was announced."""

    def cut(number, *pragmas):
        numbers = random.Random(number)
        folder, log, after = (tmp_path / f"{name}-{number}" for name in ("disk", "log", "after"))
        folder.mkdir(mode=0o700)
        after.mkdir(mode=0o700)
        process = start_child(
            "storing_child.py",
            folder / "snapshots.sqlite3",
            *pragmas,
            LD_PRELOAD=str(faulty_disk),
            FAULTY_DISK_FOLDER=os.path.realpath(folder),
            FAULTY_DISK_LOG=str(log),
        )
        announced = announced_before(process, numbers.choice((1, 20, 200, 1000)) + numbers.randrange(20))
        power_loss.restore(log.read_bytes(), after, numbers)
        log.unlink()
        return after / "snapshots.sqlite3", announced

    return cut


def lost(read, path, announced):
    there = {row.id: row.sha256 for row in read(stored.summaries, at=path)} if path.exists() else {}
    assert there.items() >= {key: value for key, value in announced.items() if key in there}.items()
    return announced.keys() - there.keys()


@pytest.mark.parametrize("number", range(POWER_CUTS))
def test_whatever_was_announced_is_there_after_a_power_cut(cut_power, read, integrity, number):
    path, announced = cut_power(number)
    assert not lost(read, path, announced)
    assert read(integrity, at=path) == ["ok"]
    assert read(sha256_of_each, announced, at=path) == announced


def test_the_power_cut_is_one_that_a_store_with_fewer_syncs_does_not_survive(cut_power, read):
    assert any(lost(read, *cut_power(1000 + number, "synchronous=1")) for number in range(6))
