"""Several collectors on one PostgreSQL: together they accept once, keep once, and forget; one dies, the others go on."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from contextlib import suppress
from itertools import count

import psycopg
import pytest

from capture.collector.index import Sealing
from capture.collector.indexed import Upkeep
from capture.collector.parts import read_parts
from capture.collector.storage import Deleted, StorageMisconfigured, StorageUnavailable, Wanted, WrongSecret
from capture.store.payload import Payload, unpack

pytestmark = pytest.mark.system

KILLS = int(os.environ.get("COLLECTOR_KILLS", "8"))
UPKEEP = Upkeep(sealing=Sealing(2000, 3600.0), rewriting_seconds=20.0)


@pytest.fixture(scope="module")
def server(postgres_server):
    try:
        server = postgres_server.Server()
    except postgres_server.NotInstalled as reason:
        pytest.skip(str(reason))
    yield server
    server.remove()


@pytest.fixture
def database(server):
    return server.empty_database()


@pytest.fixture
def kept(database, directory, samples):
    """What a reader of the parts and of the database finds."""

    def read(parts_url=""):
        found = samples.Kept(in_parts=Counter(read_parts(parts_url or str(directory))))
        with psycopg.connect(database) as connection:
            connection.execute("SET search_path TO foretype_collector")
            found.begun = connection.execute("SELECT count(*) FROM part WHERE NOT is_sealed").fetchone()[0]
            rows = connection.execute(
                "SELECT id, install, sha256, part, length_bytes, compressed, coalesce(is_sealed, false) FROM snapshot"
                " LEFT JOIN payload USING (sequence) LEFT JOIN part ON part = number"
            ).fetchall()
        for snapshot_id, install, sha256, part, length_bytes, compressed, is_sealed in rows:
            found.rows[snapshot_id] = (install, sha256, part)
            assert (compressed is None) == is_sealed
            if part is None:
                found.waiting[unpack(Payload(compressed, length_bytes, sha256.hex()))] += 1
        return found

    return read


@pytest.fixture
async def pair(open_at, database, directory):
    return [await open_at(directory, database, upkeep=UPKEEP) for _ in range(2)]


@pytest.fixture
async def hasty(pair):
    """Both wait a second at most for a connection."""
    for storage in pair:
        storage._index._pool.timeout = 1.0
    return pair


async def test_one_collector_gives_the_verdicts_that_the_other_would(pair, samples, kept):
    first, second = pair
    one, other = samples.arrival_of(1), samples.arrival_of(1, variant="other")
    assert await first.store(samples.install_of(0), [one, samples.arrival_of(2)]) == ["accepted", "accepted"]
    assert await second.store(samples.install_of(0), [one, samples.arrival_of(3)]) == ["duplicate", "accepted"]
    assert await second.store(samples.install_of(0), [other]) == ["id_taken"]
    assert await second.store(samples.install_of(1), [one]) == ["id_taken"]
    with pytest.raises(WrongSecret):
        await second.store(samples.InstallKey(samples.install_of(0).id, bytes(32)), [samples.arrival_of(4)])
    assert set(kept().check()) == {samples.arrival_of(number).content for number in (1, 2, 3)}


async def test_the_same_batches_at_the_same_time_are_accepted_once_among_all(pair, samples, kept):
    numbers = list(range(30))
    batches = [[samples.arrival_of(number) for number in order] for order in (numbers, numbers[::-1]) * 4]
    for batch in batches[::3]:
        batch.append(samples.arrival_of(100 + len(batch)))
    found = await asyncio.gather(
        *(pair[number % 2].store(samples.install_of(0), batch) for number, batch in enumerate(batches))
    )
    verdicts = Counter()
    for batch, answers in zip(batches, found, strict=True):
        verdicts.update((arrival.id, answer) for arrival, answer in zip(batch, answers, strict=True))
    assert {answer for _, answer in verdicts} == {"accepted", "duplicate"}
    accepted = [
        snapshot_id for (snapshot_id, answer), times in verdicts.items() for _ in range(times) if answer == "accepted"
    ]
    assert len(accepted) == len(set(accepted)) == 31
    assert len(kept().check()) == 31


async def test_the_same_id_from_two_installs_at_the_same_time_is_one_of_theirs(pair, samples, kept):
    for number in range(20):
        arrival = samples.arrival_of(number)
        found = await asyncio.gather(*(pair[side].store(samples.install_of(side), [arrival]) for side in (0, 1)))
        assert sorted(found) == [["accepted"], ["id_taken"]]
    assert len(kept().check()) == 20


async def test_two_secrets_at_the_same_time_bind_the_install_to_one(pair, samples, kept):
    keys = [samples.InstallKey(samples.id_of(7), bytes([side]) * 32) for side in (0, 1)]
    found = await asyncio.gather(
        *(pair[side].store(keys[side], [samples.arrival_of(side)]) for side in (0, 1)), return_exceptions=True
    )
    assert sorted(map(type, found), key=str) == sorted([list, WrongSecret], key=str)
    assert len(kept().check()) == 1


async def test_a_deletion_and_an_upload_of_the_same_id_at_the_same_time_never_leave_both(pair, samples, kept):
    for number in range(40):
        arrival = samples.arrival_of(number)
        (verdict,), deleted = await asyncio.gather(
            pair[0].store(samples.install_of(0), [arrival]),
            pair[1].delete([samples.install_of(0)], Wanted(snapshot_ids=(arrival.id,))),
        )
        assert (verdict, deleted.snapshots) in {("accepted", 1), ("deleted", 0)}
    assert not kept().check()


async def test_both_seal_at_the_same_time_and_every_snapshot_is_in_one_part(pair, samples, kept):
    for batch in range(10):
        arrivals = [samples.arrival_of(10 * batch + number) for number in range(10)]
        await pair[batch % 2].store(samples.install_of(batch % 3), arrivals)
        await asyncio.gather(*(storage.keep_up() for storage in pair))
    await asyncio.gather(*(storage.keep_up(samples.EVERYTHING_NOW) for storage in pair))
    assert len(kept().check()) == 100
    assert (await pair[0].state()).waiting_snapshots == 0
    assert (await pair[0].state()).sealed_parts > 5


async def test_what_one_sealed_the_other_rewrites_when_it_is_deleted_there(pair, samples, kept, directory):
    await pair[0].store(samples.install_of(0), [samples.arrival_of(number) for number in range(30)])
    await pair[0].store(samples.install_of(1), [samples.arrival_of(number) for number in range(30, 40)])
    await pair[0].keep_up(samples.EVERYTHING_NOW)
    wanted = Wanted(snapshot_ids=(samples.id_of(3), samples.id_of(35), samples.id_of(99)))
    assert await pair[1].delete([samples.install_of(0)], wanted) == Deleted(1, 0)
    assert set(kept().check()) == {samples.arrival_of(number).content for number in range(40) if number != 3}
    assert await pair[0].delete([samples.install_of(0)], Wanted(everything=True)) == Deleted(29, 0)
    assert set(kept().check()) == {samples.arrival_of(number).content for number in range(30, 40)}
    late = [samples.arrival_of(number) for number in (3, 5, 99)]
    assert await pair[1].store(samples.install_of(0), late) == ["deleted"] * 3
    assert await pair[1].store(samples.install_of(1), late) == ["accepted"] * 3


async def test_a_deletion_while_the_other_works_on_parts_says_how_many_are_left(pair, samples, kept, failing):
    first, second = pair
    await first.store(samples.install_of(0), [samples.arrival_of(number) for number in range(5)])
    await first.keep_up(samples.EVERYTHING_NOW)
    second._upkeep = Upkeep(rewriting_seconds=0.05)
    async with first._index.round(0.0) as held:
        assert held is not None
        assert await second.delete([samples.install_of(0)], Wanted(snapshot_ids=(samples.id_of(1),))) == Deleted(1, 1)
    await first.keep_up()
    assert await second.delete([samples.install_of(0)], Wanted(snapshot_ids=(samples.id_of(1),))) == Deleted(0, 0)
    assert len(kept().check()) == 4


@pytest.mark.parametrize("how", ["not done", "done unheard", "cancelled"])
async def test_whichever_step_fails_the_other_collector_goes_on(open_at, server, tmp_path, samples, failing, how):
    """The one that failed is not heard of again."""
    seen = set()
    for fail_at in count(1):
        database, directory = server.empty_database(), tmp_path / str(fail_at)
        first = await open_at(directory, database, upkeep=UPKEEP)
        second = await open_at(directory, database, upkeep=UPKEEP)
        plan = failing.Plan(fail_at, how)
        failing.make_failing(first, plan)
        await first.store(samples.install_of(0), [samples.arrival_of(number) for number in range(30)])
        await plan.attempt(first.keep_up())
        wanted = Wanted(snapshot_ids=(samples.id_of(2), samples.id_of(29)))
        await plan.attempt(first.delete([samples.install_of(0)], wanted))
        await first.close()
        if not plan.has_failed:
            break
        seen.add(plan.steps[fail_at - 1])
        await second.keep_up()
        await second.keep_up(samples.EVERYTHING_NOW)
        lines = Counter(read_parts(str(directory)))
        assert set(lines.values()) == {1}
        assert set(lines) == {samples.arrival_of(number).content for number in range(30) if number not in (2, 29)}
        assert (await second.state()).parts_to_rewrite == 0
        await second.close()
    assert seen >= {"begin", "add", "finish", "assign", "lines", "hashes", "sealed", "rewritten", "still_ours"}


async def test_a_write_that_reaches_the_parts_too_late_is_put_right_by_who_made_it(
    open_at, database, tmp_path, samples, kept, failing
):
    """The right was lost in the middle, another collector went on and deleted, and then the old bytes arrive."""
    url = f"memory://{tmp_path.name}"
    first, second = [await open_at(url, database, upkeep=UPKEEP) for _ in range(2)]
    await first.store(samples.install_of(0), [samples.arrival_of(number) for number in range(5)])
    arrive = failing.make_late(first)
    with pytest.raises(StorageUnavailable, match="nobody knows"):
        await first.keep_up(samples.EVERYTHING_NOW)
    await second.keep_up()
    assert await second.delete([samples.install_of(0)], Wanted(snapshot_ids=(samples.id_of(2),))) == Deleted(1, 0)
    arrive()
    assert samples.arrival_of(2).content in kept(url).in_parts  # back again
    await first.keep_up()
    assert len(kept(url).check()) == 4
    arrive = failing.make_late(first)
    await first.store(samples.install_of(0), [samples.arrival_of(7)])
    with pytest.raises(StorageUnavailable, match="nobody knows"):
        await first.keep_up(samples.EVERYTHING_NOW)
    assert await second.delete([samples.install_of(0)], Wanted(everything=True)) == Deleted(5, 0)
    arrive()
    await first.keep_up()
    assert not kept(url).check()


async def test_a_database_that_goes_away_is_said_and_is_used_again_when_it_is_back(server, hasty, samples, kept):
    await hasty[0].store(samples.install_of(0), [samples.arrival_of(1)])
    server.stop()
    with pytest.raises(StorageUnavailable, match="the database is away"):
        await hasty[0].store(samples.install_of(0), [samples.arrival_of(2)])
    with pytest.raises(StorageUnavailable, match="the database is away"):
        await hasty[0].keep_up()
    with pytest.raises(StorageUnavailable, match="the database is away"):
        await hasty[1].state()
    server.start()
    await until_back(hasty)
    assert await hasty[0].store(samples.install_of(0), [samples.arrival_of(number) for number in (1, 2)]) == [
        "duplicate",
        "accepted",
    ]
    await hasty[1].keep_up(samples.EVERYTHING_NOW)
    assert (await hasty[0].state()).trouble
    await hasty[0].keep_up()
    assert (await hasty[0].state()).trouble == ""
    assert len(kept().check()) == 2


async def test_what_was_accepted_is_there_after_the_database_crashed_at_any_moment(server, hasty, samples, kept):
    accepted = set()
    numbers = count()
    for crash in range(3):
        is_enough = asyncio.Event()

        needed = len(accepted) + 40 * (crash + 1)

        async def send(storage, is_enough=is_enough, needed=needed):
            with suppress(StorageUnavailable):
                while True:
                    arrivals = [samples.arrival_of(next(numbers)) for _ in range(5)]
                    verdicts = await storage.store(samples.install_of(0), arrivals)
                    assert verdicts == ["accepted"] * 5
                    accepted.update(arrival.content for arrival in arrivals)
                    if len(accepted) >= needed:
                        is_enough.set()

        sending = [asyncio.create_task(send(storage)) for storage in hasty * 2]
        await asyncio.wait_for(is_enough.wait(), 60)
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        await asyncio.wait_for(asyncio.gather(*sending), 60)
        server.start()
        await until_back(hasty)
    await hasty[0].keep_up(samples.EVERYTHING_NOW)
    found = kept().check()
    assert len(accepted) >= 120
    assert found.keys() >= accepted
    assert {json.loads(content)["id"] for content in found} <= {
        samples.id_of(number) for number in range(next(numbers))
    }


async def until_back(pair):
    """What a client does: it asks again. Each attempt waits for a connection itself."""
    for storage in pair:
        for _ in range(30):
            with suppress(StorageUnavailable):
                await storage.state()
                break
        else:
            raise AssertionError("it is never back")


async def test_when_one_collector_is_killed_in_the_middle_the_other_goes_on_and_all_promises_hold(
    start_child, open_at, database, directory, samples, promises, kept
):
    numbers = random.Random(0)
    made = promises.Promises()
    begun = 0
    for kill in range(KILLS):
        urls = (directory, database)
        dies, stays = [start_child("storing_child.py", (2 * kill + side + 1) * 1_000_000, *urls) for side in (0, 1)]
        made.hear(promises.lines_before_kill(dies, 2 + numbers.randrange(60), numbers))
        made.hear(promises.lines_before_kill(stays, 60 + numbers.randrange(60), numbers))
        begun += kept().begun
        storage = await open_at(directory, database)
        await storage.keep_up(within_seconds=30.0)  # until the server has seen that they are gone
        made.check(kept().check(), samples)
        await storage.close()
    print(f"{KILLS} kills, {len(made.accepted)} accepted, {len(made.deleted)} deleted, {begun} parts were begun")
    assert len(made.accepted) > 100 * KILLS
    assert made.deleted


async def test_parts_in_an_object_store_and_the_index_in_a_database(open_at, database, samples, kept, tmp_path):
    url = f"memory://{tmp_path.name}/team"
    pair = [await open_at(*urls, upkeep=UPKEEP) for urls in ((url, database), (database, url))]
    await pair[0].store(samples.install_of(0), [samples.arrival_of(number) for number in range(30)])
    await pair[1].keep_up()
    await pair[0].delete([samples.install_of(0)], Wanted(snapshot_ids=(samples.id_of(1),)))
    assert len(kept(url).check()) == 29
    with pytest.raises(StorageMisconfigured, match="parts that the index knows are not there"):
        await open_at(f"memory://{tmp_path.name}/other", database)


@pytest.mark.parametrize("url", ["postgresql://u:hushhush@[::1/x", "postgresql://u:hushhush@/x?no_such_word=1"])
async def test_a_database_url_that_is_none_is_refused_without_repeating_it(open_at, directory, url):
    with pytest.raises(StorageMisconfigured, match="no PostgreSQL URL") as refusal:
        await open_at(directory, url)
    assert "hushhush" not in str(refusal.value)


async def test_a_database_that_cannot_be_reached_is_said_at_the_start(open_at, directory, tmp_path):
    with pytest.raises(StorageUnavailable, match="the database: connection"):
        await open_at(directory, f"postgresql:///nowhere?host={tmp_path}")


async def test_a_user_who_may_not_make_tables_is_told_what_to_grant(server, database, open_at, directory):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
    with pytest.raises(StorageMisconfigured, match="grant CREATE on the database"):
        await open_at(directory, database.replace("user=collector", "user=reader"))
