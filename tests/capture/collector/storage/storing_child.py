"""A collector's storage at work until it is killed: stores, deletes and seals, and announces what it was promised.

Each line of standard output is JSON: what was accepted (ids) or deleted (ids), written once the storage had answered.
"""

import asyncio
import json
import os
import random
import sys

import samples

from capture.collector.index import Sealing
from capture.collector.indexed import Upkeep
from capture.collector.opening import open_from
from capture.collector.storage import Wanted

BATCHES_AT_ONCE = 4
UPKEEP = Upkeep(sealing=Sealing(6000, 1e9), look_seconds=0.05, rewriting_seconds=20.0)


def say(**what):
    os.write(1, json.dumps(what).encode() + b"\n")


async def main(urls, first):
    storage = await open_from(urls, upkeep=UPKEEP, reserve_bytes=0)
    numbers = iter(range(first, first + 1_000_000))
    choices = random.Random(first)
    install = samples.install_of(0)
    say(begun=True)

    async def work():
        mine = []
        while True:
            arrivals = [samples.arrival_of(next(numbers)) for _ in range(choices.randrange(1, 12))]
            verdicts = await storage.store(install, arrivals)
            assert set(verdicts) == {"accepted"}, verdicts
            mine += [arrival.id for arrival in arrivals]
            say(accepted=[arrival.id for arrival in arrivals])
            if choices.random() < 0.15:
                gone = choices.sample(mine, min(len(mine), 3))
                say(deleting=gone)
                await storage.delete([install], Wanted(snapshot_ids=tuple(gone)))
                say(deleted=gone)
                mine = [snapshot_id for snapshot_id in mine if snapshot_id not in gone]

    async with asyncio.TaskGroup() as group:
        group.create_task(storage.maintain())
        for _ in range(BATCHES_AT_ONCE):
            group.create_task(work())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[2:], int(sys.argv[1])))
