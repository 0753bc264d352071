"""What a collector's storage promises: once, whole, durable; forgotten when asked; words when it cannot."""

from __future__ import annotations

import asyncio
import stat

import pytest

from capture.collector.index import Sealing
from capture.collector.indexed import Upkeep
from capture.collector.opening import parts_at
from capture.collector.storage import Deleted, StorageMisconfigured, StorageUnavailable, Wanted, WrongSecret
from capture.store.payload import pack
from capture.store.sqlite import Database


async def test_a_snapshot_is_accepted_once_and_is_a_duplicate_ever_after(storage, samples):
    one, two = samples.arrival_of(1), samples.arrival_of(2)
    assert await storage.store(samples.install_of(0), [one, two]) == ["accepted", "accepted"]
    assert await storage.store(samples.install_of(0), [two, samples.arrival_of(3)]) == ["duplicate", "accepted"]
    await storage.keep_up(samples.EVERYTHING_NOW)
    assert await storage.store(samples.install_of(0), [one]) == ["duplicate"]


async def test_an_id_is_taken_for_other_bytes_and_for_another_install(storage, samples, directory):
    one, other = samples.arrival_of(1), samples.arrival_of(1, variant="other")
    await storage.store(samples.install_of(0), [one])
    assert await storage.store(samples.install_of(0), [other]) == ["id_taken"]
    assert await storage.store(samples.install_of(1), [one]) == ["id_taken"]
    assert set(samples.kept_in(directory).check()) == {one.content}


async def test_whoever_has_not_the_first_secret_of_an_install_neither_stores_nor_deletes(storage, samples, directory):
    await storage.store(samples.install_of(0), [samples.arrival_of(1)])
    thief = samples.InstallKey(samples.install_of(0).id, bytes(32))
    with pytest.raises(WrongSecret):
        await storage.store(thief, [samples.arrival_of(2)])
    with pytest.raises(WrongSecret):
        await storage.delete([samples.install_of(1), thief], Wanted(everything=True))
    assert set(samples.kept_in(directory).check()) == {samples.arrival_of(1).content}
    stranger = samples.InstallKey(samples.install_of(1).id, bytes(32))  # the refused call bound nobody
    assert await storage.store(stranger, [samples.arrival_of(3)]) == ["accepted"]


async def test_of_batches_that_share_a_commit_only_the_one_with_the_wrong_secret_fails(storage, samples):
    await storage.store(samples.install_of(0), [samples.arrival_of(1)])
    thief = samples.InstallKey(samples.install_of(0).id, bytes(32))
    outcomes = await asyncio.gather(
        storage.store(samples.install_of(0), [samples.arrival_of(2)]),
        storage.store(thief, [samples.arrival_of(3)]),
        storage.store(samples.install_of(0), [samples.arrival_of(4)]),
        return_exceptions=True,
    )
    assert [outcomes[0], outcomes[2]] == [["accepted"], ["accepted"]]
    assert isinstance(outcomes[1], WrongSecret)


async def test_batches_that_come_at_the_same_time_share_commits(storage, samples, monkeypatch):
    commits = []
    writing = Database.writing
    monkeypatch.setattr(Database, "writing", lambda database: commits.append(1) or writing(database))
    batches = [[samples.arrival_of(10 * batch + number) for number in range(3)] for batch in range(40)]
    found = await asyncio.gather(*(storage.store(samples.install_of(0), batch) for batch in batches))
    assert found == [["accepted"] * 3] * 40
    assert len(commits) < 20


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_what_was_deleted_is_gone_from_every_file_and_does_not_come_back(storage, samples, directory, is_sealed):
    arrivals = [samples.arrival_of(number) for number in range(6)]
    await storage.store(samples.install_of(0), arrivals)
    if is_sealed:
        await storage.keep_up(samples.EVERYTHING_NOW)
    wanted = Wanted(snapshot_ids=(arrivals[2].id, samples.id_of(77)))
    assert await storage.delete([samples.install_of(0)], wanted) == Deleted(1, 0)
    left = [*arrivals[:2], *arrivals[3:]]
    assert set(samples.kept_in(directory).check()) == {arrival.content for arrival in left}
    late = samples.arrival_of(77)
    verdicts = await storage.store(samples.install_of(0), [arrivals[2], late, arrivals[3]])
    assert verdicts == ["deleted", "deleted", "duplicate"]
    assert await storage.store(samples.install_of(1), [late]) == ["accepted"]  # who did not ask for it


async def test_deleted_bytes_stand_in_no_file_any_more(storage, samples, directory):
    arrival = samples.arrival_of(1, size_bytes=3000)
    compressed = pack(arrival.content).compressed[1000:1100]
    await storage.store(samples.install_of(0), [arrival, samples.arrival_of(2)])
    assert files_with(directory, compressed)
    await storage.delete([samples.install_of(0)], Wanted(everything=True))
    assert files_with(directory, compressed) == []


def files_with(directory, text):
    return [path for path in directory.rglob("*") if path.is_file() and text in path.read_bytes()]


async def test_a_deletion_goes_by_all_that_it_names_together_and_only_for_the_installs_that_ask(
    storage, samples, directory
):
    def arrival(number):
        return samples.arrival_of(number, workspace=number % 2, finalised_at=100.0 * number)

    await storage.store(samples.install_of(0), [arrival(number) for number in range(6)])
    await storage.store(samples.install_of(1), [arrival(number) for number in range(6, 12)])
    await storage.store(samples.install_of(2), [arrival(number) for number in range(12, 18)])
    both = [samples.install_of(0), samples.install_of(1)]
    assert await storage.delete(both, Wanted()) == Deleted(0, 0)
    wanted = Wanted(workspace_ids=(samples.id_of(0xF001),), finalised_before=700.0)
    assert (await storage.delete(both, wanted)).snapshots == 3  # 1, 3, 5; 7 was finalised at 700
    named = Wanted(snapshot_ids=tuple(samples.id_of(number) for number in (7, 8, 13)), finalised_before=750.0)
    assert (await storage.delete(both, named)).snapshots == 1
    left = set(range(18)) - {1, 3, 5, 7}
    assert set(samples.kept_in(directory).check()) == {arrival(number).content for number in left}
    assert await storage.store(samples.install_of(1), [arrival(7), arrival(8)]) == ["deleted", "duplicate"]
    assert await storage.store(samples.install_of(2), [arrival(13)]) == ["duplicate"]


async def test_a_part_is_sealed_when_it_has_the_size_and_when_its_oldest_has_the_age(
    open_at, directory, samples, clock
):
    storage = await open_at(directory, upkeep=Upkeep(sealing=Sealing(1000, 600.0)))
    arrivals = [samples.arrival_of(number) for number in range(10)]
    size_bytes = len(arrivals[0].content)
    first = -(-1000 // size_bytes)
    await storage.store(samples.install_of(0), arrivals[: first - 1])
    await storage.keep_up()
    assert (await storage.state()).sealed_parts == 0
    await storage.store(samples.install_of(0), arrivals[first - 1 :])
    await storage.keep_up()
    state = await storage.state()
    assert (state.sealed_parts, state.waiting_snapshots) == (1, 10 - first)
    assert state.waiting_bytes == (10 - first) * size_bytes
    assert state.oldest_waiting_at == samples.NOON
    clock.now += 599.0
    await storage.keep_up()
    assert (await storage.state()).sealed_parts == 1
    clock.now += 1.0
    await storage.keep_up()
    assert (await storage.state()).waiting_snapshots == 0
    samples.kept_in(directory).check()


async def test_a_part_holds_one_day_by_the_time_of_receipt_in_utc(storage, samples, clock, directory):
    clock.now = samples.NOON + 12 * 3600 - 1
    await storage.store(samples.install_of(0), [samples.arrival_of(1)])
    clock.now += 2
    await storage.store(samples.install_of(0), [samples.arrival_of(2)])
    await storage.keep_up(samples.EVERYTHING_NOW)
    days = sorted(path.parent.name for path in (directory / "parts").glob("*/part-*"))
    assert days == ["date=2026-11-23", "date=2026-11-24"]


async def test_maintenance_seals_a_part_as_soon_as_it_is_full(open_at, directory, samples, monkeypatch):
    storage = await open_at(directory, upkeep=Upkeep(sealing=Sealing(1000, 1e9), look_seconds=3600.0))
    is_done = asyncio.Event()
    keep_up = storage.keep_up

    async def watched():
        await keep_up()
        if (await storage.state()).sealed_parts:
            is_done.set()

    monkeypatch.setattr(storage, "keep_up", watched)
    maintenance = asyncio.create_task(storage.maintain())
    await storage.store(samples.install_of(0), [samples.arrival_of(number) for number in range(12)])
    await asyncio.wait_for(is_done.wait(), 20)
    maintenance.cancel()
    assert isinstance((await asyncio.gather(maintenance, return_exceptions=True))[0], asyncio.CancelledError)


async def test_everything_is_there_after_a_restart(open_at, directory, samples):
    storage = await open_at(directory)
    arrivals = [samples.arrival_of(number) for number in range(8)]
    await storage.store(samples.install_of(0), arrivals[:4])
    await storage.keep_up(samples.EVERYTHING_NOW)
    await storage.store(samples.install_of(0), arrivals[4:])
    await storage.delete([samples.install_of(0)], Wanted(snapshot_ids=(samples.id_of(99),)))
    await storage.close()
    again = await open_at(directory)
    assert await again.store(samples.install_of(0), arrivals) == ["duplicate"] * 8
    assert await again.store(samples.install_of(0), [samples.arrival_of(99)]) == ["deleted"]
    with pytest.raises(StorageUnavailable, match="stopping"):
        await storage.store(samples.install_of(0), [samples.arrival_of(9)])


async def test_nobody_else_can_read_what_is_kept(storage, samples, directory):
    await storage.store(samples.install_of(0), [samples.arrival_of(1)])
    await storage.keep_up(samples.EVERYTHING_NOW)
    for path in [directory, *directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_a_second_collector_on_the_directory_is_refused_until_the_first_has_gone(open_at, directory, storage):
    with pytest.raises(StorageMisconfigured, match="another collector uses that directory"):
        await open_at(directory)
    await storage.close()
    assert (await (await open_at(directory)).state()).waiting_snapshots == 0


async def test_while_little_of_the_disk_is_free_nothing_is_taken_and_deleting_still_works(open_at, directory, samples):
    full = await open_at(directory, reserve_bytes=1 << 60)
    with pytest.raises(StorageUnavailable, match="MiB of the disk are free"):
        await full.store(samples.install_of(0), [samples.arrival_of(1)])
    assert await full.delete([samples.install_of(0)], Wanted(everything=True)) == Deleted(0, 0)
    await full.close()
    assert await (await open_at(directory)).store(samples.install_of(0), [samples.arrival_of(1)]) == ["accepted"]


@pytest.mark.parametrize(
    "urls",
    [(), ("a", "b"), ("s3://bucket",), ("postgresql://host/database",), ("a", "postgresql://h/d", "postgres://h/e")],
)
async def test_what_data_may_be_is_said_where_it_is_something_else(open_at, urls):
    with pytest.raises(StorageMisconfigured, match="--data"):
        await open_at(*urls)


async def test_an_index_and_parts_that_do_not_belong_together_are_refused(open_at, tmp_path, samples):
    for name in ("one", "two"):
        storage = await open_at(tmp_path / name)
        await storage.store(samples.install_of(0), [samples.arrival_of(1)])
        await storage.keep_up(samples.EVERYTHING_NOW)
        await storage.close()
    (tmp_path / "one" / "parts").rename(tmp_path / "aside")
    with pytest.raises(StorageMisconfigured, match="parts that the index knows are not there"):
        await open_at(tmp_path / "one")
    (tmp_path / "two" / "parts").rename(tmp_path / "one" / "parts")
    with pytest.raises(StorageMisconfigured, match="belong with another index"):
        await open_at(tmp_path / "one")


@pytest.mark.parametrize("content", [b"no database at all" * 500, b""])
async def test_a_file_that_is_no_index_is_not_overwritten(open_at, directory, content):
    directory.mkdir()
    (directory / "index.sqlite3").write_bytes(content)
    if content:
        with pytest.raises(StorageMisconfigured, match="the collector's index"):
            await open_at(directory)
        assert (directory / "index.sqlite3").read_bytes() == content
    else:
        await open_at(directory)


async def test_what_an_arrival_promises_is_held_to(storage, samples):
    for content in (b'{"id":\n1}', b"other bytes"):
        with pytest.raises(ValueError, match=r"more than one line|another SHA-256"):
            await storage.store(samples.install_of(0), [samples.arrival_of(1), samples.lying_arrival(2, content)])
    with pytest.raises(ValueError, match="twice"):
        await storage.store(samples.install_of(0), [samples.arrival_of(1), samples.arrival_of(1)])
    assert (await storage.state()).waiting_snapshots == 0


async def test_a_damaged_part_is_named_and_left_alone_while_the_others_are_rewritten(storage, samples, directory):
    for number in range(3):
        await storage.store(samples.install_of(0), [samples.arrival_of(10 * number + one) for one in range(3)])
        await storage.keep_up(samples.EVERYTHING_NOW)
    names = {
        number: name
        for name in (path.relative_to(directory / "parts").as_posix() for path in directory.glob("parts/*/part-*"))
        for number in (0, 10, 20)
        if samples.arrival_of(number).content in parts_at(str(directory)).lines(name)
    }
    cut, missing = (directory / "parts" / names[number] for number in (0, 10))
    cut.write_bytes(cut.read_bytes()[:-20])
    missing.unlink()
    wanted = Wanted(snapshot_ids=tuple(samples.id_of(number) for number in (0, 10, 20)))
    assert await storage.delete([samples.install_of(0)], wanted) == Deleted(3, 2)
    with pytest.raises(StorageUnavailable, match="backup"):
        await storage.keep_up()
    trouble = (await storage.state()).trouble
    assert f"{names[0]} is broken off" in trouble
    assert f"{names[10]} is not there" in trouble
    third = parts_at(str(directory)).lines(names[20])
    assert list(third) == [samples.arrival_of(number).content for number in (21, 22)]
    assert await storage.store(samples.install_of(0), [samples.arrival_of(30)]) == ["accepted"]


async def test_a_part_that_lost_snapshots_is_not_rewritten_as_if_nothing_had_been(storage, samples, directory):
    await storage.store(samples.install_of(0), [samples.arrival_of(number) for number in range(5)])
    await storage.keep_up(samples.EVERYTHING_NOW)
    (name,) = parts_at(str(directory)).names()
    part = parts_at(str(directory)).begin(name)
    part.add([samples.arrival_of(1).content, samples.arrival_of(2).content])
    part.finish()
    part.let_go()
    assert await storage.delete([samples.install_of(0)], Wanted(snapshot_ids=(samples.id_of(1),))) == Deleted(1, 1)
    assert "lacks 3 of its 4 snapshots" in (await storage.state()).trouble


async def test_damaged_bytes_in_the_index_are_said_and_do_not_end_what_else_is_done(storage, samples, directory):
    await storage.store(samples.install_of(0), [samples.arrival_of(1)])
    await storage._index.write(lambda connection: connection.execute("UPDATE payload SET compressed = x'00'"))
    with pytest.raises(StorageUnavailable, match="the index holds damaged bytes"):
        await storage.keep_up(samples.EVERYTHING_NOW)
    assert await storage.store(samples.install_of(0), [samples.arrival_of(2)]) == ["accepted"]
    with pytest.raises(StorageUnavailable, match="the index holds damaged bytes"):
        await storage.keep_up(samples.EVERYTHING_NOW)
    assert (await storage.state()).sealed_parts == 1
