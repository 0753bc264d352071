"""Whichever step of sealing or rewriting fails, the next round goes on, and everything is where it belongs, once."""

from __future__ import annotations

from itertools import count

import pytest

from capture.collector.index import Sealing
from capture.collector.indexed import IndexedStorage, Upkeep
from capture.collector.opening import INDEX_FILE, parts_at
from capture.collector.sqlite_index import SqliteIndex
from capture.collector.storage import Wanted

DELETED = (1, 2, 25)
UPKEEP = Upkeep(sealing=Sealing(1500, 1e9), rewriting_seconds=20.0)


async def work(storage, plan, samples):
    """Twenty snapshots in a part and some that wait, three of them deleted, and so is another part as a whole."""
    install, other = samples.install_of(0), samples.install_of(1)
    await storage.store(install, [samples.arrival_of(number) for number in range(20)])
    await plan.attempt(storage.keep_up(samples.EVERYTHING_NOW))
    await storage.store(other, [samples.arrival_of(number) for number in range(40, 48)])
    await plan.attempt(storage.keep_up(samples.EVERYTHING_NOW))
    await storage.store(install, [samples.arrival_of(number) for number in range(20, 30)])
    await plan.attempt(storage.delete([install], Wanted(snapshot_ids=tuple(map(samples.id_of, DELETED)))))
    await plan.attempt(storage.delete([other], Wanted(everything=True)))
    await plan.attempt(storage.keep_up())


@pytest.fixture
async def open_with(samples, failing):
    """A storage with its index in a directory and its parts at a URL; ``plan`` says which step fails."""
    opened = []

    async def open_one(directory, parts_url, plan):
        index = SqliteIndex(directory / INDEX_FILE, reserve_bytes=0)
        opened.append(IndexedStorage(index, parts_at(parts_url), upkeep=UPKEEP, clock=samples.Clock()))
        await opened[-1].check_belonging()
        if plan is not None:
            failing.make_failing(opened[-1], plan)
        return opened[-1]

    yield open_one
    for storage in opened:
        await storage.close()


@pytest.mark.parametrize(
    ("place", "goes_on"), [("directory", "after a restart"), ("object store", "in the same process")]
)
@pytest.mark.parametrize("how", ["not done", "done unheard", "cancelled"])
async def test_whichever_step_fails_the_next_round_puts_it_right(
    open_with, tmp_path, samples, failing, goes_on, how, place
):
    seen = set()
    for fail_at in count(1):
        directory = tmp_path / str(fail_at)
        url = str(directory) if place == "directory" else f"memory://{tmp_path.name}/{fail_at}"
        plan = failing.Plan(fail_at, how)
        storage = await open_with(directory, url, plan)
        await work(storage, plan, samples)
        if not plan.has_failed:
            break
        seen.add(plan.steps[fail_at - 1])
        plan.fail_at = 0
        if goes_on == "after a restart":
            await storage.close()
            storage = await open_with(directory, url, None)
        await storage.keep_up()
        await storage.keep_up(samples.EVERYTHING_NOW)
        left = {samples.arrival_of(number).content for number in range(30) if number not in DELETED}
        assert set(samples.kept_in(directory, url).check()) == left
        assert not list(directory.rglob("*.unfinished"))
        state = await storage.state()
        assert (state.waiting_snapshots, state.parts_to_rewrite, state.trouble) == (0, 0, "")
        await storage.close()
    assert fail_at > 40
    assert seen >= {"begin", "add", "finish", "remove", "assign", "lines", "hashes", "sealed", "rewritten", "gone"}


async def test_at_whichever_step_a_deletion_comes_the_parts_follow_it(open_with, tmp_path, samples, failing):
    """From another collector, say: it does not wait for the step to be over."""
    seen = set()
    for step in count(1):
        directory = tmp_path / str(step)
        plan = failing.Plan(step, "meanwhile")
        storage = await open_with(directory, str(directory), plan)

        async def delete(index=storage._index):
            await index.delete([samples.install_of(0)], Wanted(snapshot_ids=(samples.id_of(5), samples.id_of(25))))

        plan.meanwhile = delete
        await work(storage, plan, samples)
        if not plan.has_failed:
            break
        seen.add(plan.steps[step - 1])
        await storage.keep_up()
        await storage.keep_up(samples.EVERYTHING_NOW)
        contents = set(samples.kept_in(directory).check())
        gone = {5, *DELETED}
        assert contents == {samples.arrival_of(number).content for number in range(30) if number not in gone}
        await storage.close()
    assert seen >= {"begin", "add", "finish", "hashes", "lines", "sealed", "rewritten"}
