"""On a disk that fails where it is told to, storage is used; then the disk is well again, and everything is looked at.

Arguments: a folder, the plan's file, the error, ``once`` or ``sticky``. Says as JSON how often what was refused.
"""

import asyncio
import json
import mmap
import os
import struct
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import samples

from capture.collector.index import Sealing
from capture.collector.indexed import Upkeep
from capture.collector.opening import open_from
from capture.collector.storage import StorageMisconfigured, StorageUnavailable, Wanted

PLAN = struct.Struct("=qqqq")  # as in faulty_disk.c
UPKEEP = Upkeep(sealing=Sealing(1500, 1e9), rewriting_seconds=20.0)
UNAVAILABLE = (StorageUnavailable, StorageMisconfigured)


async def open_at(directory):
    return await open_from([str(directory)], upkeep=UPKEEP, clock=samples.Clock(), reserve_bytes=0)


async def use(storage, refusals):
    """What was accepted, and what was asked to be deleted and what was."""
    accepted, deleting, deleted = set(), set(), set()
    install = samples.install_of(0)
    for batch in range(3):
        arrivals = [samples.arrival_of(10 * batch + number) for number in range(10)]
        try:
            verdicts = await storage.store(install, arrivals)
        except UNAVAILABLE as error:
            refusals[str(error)] += 1
        else:
            assert verdicts == ["accepted"] * 10
            accepted.update(arrival.content for arrival in arrivals)
        with suppress(*UNAVAILABLE):
            await storage.keep_up()
    gone = [samples.arrival_of(number) for number in (1, 12, 29)]
    deleting.update(arrival.content for arrival in gone)
    try:
        await storage.delete([install], Wanted(snapshot_ids=tuple(arrival.id for arrival in gone)))
    except UNAVAILABLE as error:
        refusals[str(error)] += 1
    else:
        deleted.update(deleting)
    return accepted, deleting, deleted


async def try_once(directory, plan, fail_at, sticky, error, refusals):
    """Whether the failure came."""
    PLAN.pack_into(plan, 0, 0, fail_at, sticky, error)
    try:
        storage = await open_at(directory)
    except UNAVAILABLE as refusal:
        refusals[str(refusal)] += 1
        storage, promised = None, (set(), set(), set())
    else:
        promised = await use(storage, refusals)
    count, *_ = PLAN.unpack_from(plan)
    PLAN.pack_into(plan, 0, 0, 0, 0, 0)
    accepted, deleting, deleted = promised
    if storage is None:
        storage = await open_at(directory)
    await storage.keep_up()
    late = samples.arrival_of(1000)
    assert await storage.store(samples.install_of(0), [late]) == ["accepted"]  # without a restart
    await storage.keep_up(samples.EVERYTHING_NOW)
    await storage.close()
    found = set(samples.kept_in(directory).check())
    assert found >= accepted - deleting | {late.content}
    assert not found & deleted
    return count >= fail_at


async def main(folder, plan_file, error, sticky):
    refusals = Counter()
    with mmap.mmap(os.open(plan_file, os.O_RDWR), PLAN.size) as plan:
        tried = 1
        while await try_once(Path(folder) / str(tried), plan, tried, sticky == "sticky", int(error), refusals):
            tried += 1
    print(json.dumps({"tried": tried, "refusals": refusals}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
