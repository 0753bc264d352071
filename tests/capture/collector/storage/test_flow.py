"""Much goes through storage, and little of it stays in memory."""

from __future__ import annotations

import asyncio

import psutil

from capture.collector.index import Sealing
from capture.collector.indexed import Upkeep
from capture.collector.parts import read_parts
from capture.collector.storage import Wanted

SNAPSHOTS = 20_000
BATCH = 64
MAX_GROWTH_BYTES = 24 << 20  # 80 MB of content go through; a part has 1 MiB


async def test_memory_stays_flat_while_many_snapshots_are_stored_sealed_and_deleted(open_at, directory, samples):
    storage = await open_at(directory, upkeep=Upkeep(sealing=Sealing(1 << 20, 1e9), rewriting_seconds=600.0))

    process = psutil.Process()

    async def send(first):
        arrivals = [samples.arrival_of(number, size_bytes=4000) for number in range(first, first + BATCH)]
        assert await storage.store(samples.install_of(first // BATCH % 2), arrivals) == ["accepted"] * BATCH

    async def through(first, last):
        for number in range(first, last, 4 * BATCH):
            await asyncio.gather(*(send(number + BATCH * one) for one in range(4)))
            await storage.keep_up()

    await through(0, 2048)
    before_bytes = process.memory_info().rss
    await through(2048, SNAPSHOTS)
    await storage.keep_up(samples.EVERYTHING_NOW)
    deleted = await storage.delete([samples.install_of(0)], Wanted(everything=True))
    growth_bytes = process.memory_info().rss - before_bytes
    stored = -(-SNAPSHOTS // (4 * BATCH)) * 4 * BATCH
    assert (deleted.snapshots, deleted.parts_to_rewrite) == (stored // 2, 0)
    print(f"{stored} snapshots, {growth_bytes / 1e6:.1f} MB more than at the start")
    assert growth_bytes < MAX_GROWTH_BYTES
    assert sum(1 for _ in read_parts(str(directory))) == stored // 2
