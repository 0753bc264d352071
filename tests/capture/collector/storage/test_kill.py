"""Whatever was promised holds after kill -9, at whatever moment: accepted is there once and whole, deleted is gone."""

from __future__ import annotations

import os
import random

import pytest

KILLS = int(os.environ.get("COLLECTOR_KILLS", "32"))
KILLS_OF_A_DIRECTORY = 16  # then a new one: each check reads all of it
EARLY_EVERY = 4  # one kill in so many comes by the clock, while the process starts, recovers or has hardly begun


@pytest.mark.parametrize("round_number", range(-(-KILLS // KILLS_OF_A_DIRECTORY)))
async def test_whatever_was_promised_holds_after_kill_nine(
    start_child, open_at, directory, samples, promises, round_number
):
    numbers = random.Random(round_number)
    made = promises.Promises()
    begun = 0
    kills = min(KILLS_OF_A_DIRECTORY, KILLS - round_number * KILLS_OF_A_DIRECTORY)
    for kill in range(kills):
        process = start_child("storing_child.py", (kill + 1) * 1_000_000, directory)
        moment = None if kill % EARLY_EVERY == EARLY_EVERY - 1 else 2 + numbers.randrange(150)
        made.hear(promises.lines_before_kill(process, moment, numbers))
        begun += samples.kept_in(directory).begun
        storage = await open_at(directory)
        await storage.keep_up()
        made.check(samples.kept_in(directory).check(), samples)
        assert not list(directory.rglob("*.unfinished"))
        await storage.close()
    print(f"{kills} kills, {len(made.accepted)} accepted, {len(made.deleted)} deleted, {begun} parts were begun")
    assert len(made.accepted) > 50 * kills
    assert made.deleted
