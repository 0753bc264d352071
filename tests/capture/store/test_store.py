"""The store with a real SQLite file: what goes in comes out, in order, once; what has to go goes without a trace."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import stat
import threading

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from capture.file_lock import FileLock
from capture.store import files, sqlite, stored, table
from capture.store.answers import Refused, Stored
from capture.store.choice import EVERYTHING, Choice
from capture.store.payload import LIMIT_BYTES
from capture.store.store import Store
from capture.store.writer import Disk, Limits

WINDOW_BYTES = 16


def test_a_snapshot_comes_back_as_it_was_put_in(store, put, read, samples):
    snapshot = samples.sample()
    assert put(store, snapshot) == Stored(snapshot.id, snapshot.sha256())
    assert read(stored.get, snapshot.id) == snapshot
    assert read(stored.content, snapshot.id) == snapshot.canonical_bytes()
    assert hashlib.sha256(read(stored.content, snapshot.id)).hexdigest() == snapshot.sha256()


async def test_a_put_can_be_awaited_and_a_wait_that_is_given_up_loses_nothing(store, read, samples):
    first, second = samples.sample(), samples.sample()
    assert await store.put(first) == Stored(first.id, first.sha256())
    waiting = asyncio.create_task(store.put(second))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(store.close)
    assert [row.id for row in read(stored.summaries)] == [first.id, second.id]


def test_no_file_is_made_before_the_first_snapshot(path, open_store, read):
    store = open_store()
    assert store.purge(EVERYTHING).result(20).snapshots == 0
    assert store.delete(["0" * 32]).result(20) == 0
    with pytest.raises(stored.NoSuchSnapshot):
        store.rate("0" * 32, "good").result(20)
    assert store.status().state == "idle"
    assert store.close()
    with stored.reading(path) as database:
        assert database is None
    assert not path.parent.exists()


def test_only_the_owner_can_read_the_store(path, store, put, samples):
    put(store, samples.sample())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {path.name, f"{path.name}-wal"} <= set(modes)


def test_an_id_is_stored_once(store, put, read, samples):
    snapshot = samples.sample()
    answers = {put(store, snapshot) for _ in range(3)}
    assert answers == {Stored(snapshot.id, snapshot.sha256())}
    other = samples.sample(id=snapshot.id, settled="total = 4\n")
    assert put(store, other) == Stored(snapshot.id, snapshot.sha256())
    assert read(stored.get, snapshot.id) == snapshot
    assert len(read(stored.summaries)) == 1


def test_snapshots_are_listed_in_the_order_of_storing_whatever_the_clock_says(store, put, read, samples):
    times = [1_800_000_300.0, 1_800_000_100.0, 1_800_000_200.0]
    ids = [put(store, samples.sample(created_at=at, finalised_at=at + 1)).id for at in times]
    assert [row.id for row in read(stored.summaries)] == ids
    assert [row.id for row in read(stored.summaries, EVERYTHING, 2, newest_first=True)] == ids[:0:-1]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EVERYTHING, "abcd"),
        (Choice(workspace_id="b" * 32), "b"),
        (Choice(since=1_800_000_100.0), "cd"),
        (Choice(before=1_800_000_100.0), "ab"),
        (Choice(outcome="rejected"), "cd"),
        (Choice(language_id="go"), "b"),
        (Choice(model="other"), "c"),
        (Choice(rating="bad"), "d"),
        (Choice(state="unsettled"), "d"),
        (Choice(outcome="rejected", model="embedded"), "d"),
        (Choice(outcome="rejected", language_id="go"), ""),
        (Choice(ids=("a" * 32, "d" * 32, "e" * 32)), "ad"),
        (Choice(ids=()), ""),
    ],
)
def test_snapshots_are_chosen_by_what_is_known_of_them(store, put, read, samples, wanted, expected):
    late = {"created_at": 1_800_000_090.0, "finalised_at": 1_800_000_100.0}
    put(store, samples.sample(id="a" * 32))
    put(store, samples.sample(id="b" * 32, workspace_id="b" * 32, language_id="go"))
    put(store, samples.sample(id="c" * 32, outcome="rejected", model="other", **late))
    closed = samples.sample(id="d" * 32, outcome="rejected", rating="bad", **late)
    region = {
        "start_bytes": 0,
        "end_bytes": 10,
        "text_before": "total = 1\n",
        "text_settled": None,
        "text_unsettled": "",
    }
    closed = type(closed).from_json({**closed.to_json(), "state": "unsettled", "region": region, "kept_rate": None})
    put(store, closed)
    assert "".join(row.id[0] for row in read(stored.summaries, wanted)) == expected


def test_a_rating_is_written_into_the_snapshot(store, put, read, samples):
    snapshot = samples.sample()
    put(store, snapshot)
    rated = store.rate(snapshot.id, "good").result(20)
    assert rated.sha256 == snapshot.rated("good").sha256() != snapshot.sha256()
    assert read(stored.get, snapshot.id) == snapshot.rated("good")
    assert [row.rating for row in read(stored.summaries, Choice(rating="good"))] == ["good"]


def test_what_is_deleted_is_gone_and_the_rest_stays(store, put, read, samples):
    ids = [put(store, samples.sample()).id for _ in range(3)]
    assert store.delete([ids[1], "0" * 32]).result(20) == 1
    assert [row.id for row in read(stored.summaries)] == [ids[0], ids[2]]
    with pytest.raises(stored.NoSuchSnapshot):
        read(stored.get, ids[1])


def test_a_snapshot_whose_bytes_changed_is_known_as_damaged(path, open_store, put, read, samples):
    store = open_store()
    good, bad, short = (put(store, samples.sample()).id for _ in range(3))
    assert store.close()
    with sqlite3.connect(path) as connection:
        for snapshot_id, change in ((bad, lambda data: data[:-3] + b"xyz"), (short, lambda data: data[:-9])):
            row = connection.execute(
                "SELECT sequence, compressed FROM snapshot JOIN payload USING (sequence) WHERE id = ?", (snapshot_id,)
            )
            sequence, data = row.fetchone()
            connection.execute("UPDATE payload SET compressed = ? WHERE sequence = ?", (change(data), sequence))
    connection.close()
    assert read(stored.get, good).id == good
    for snapshot_id in (bad, short):
        with pytest.raises(stored.SnapshotDamaged, match=snapshot_id):
            read(stored.get, snapshot_id)


def test_what_cannot_be_stored_is_refused_and_counted(store, put, samples):
    huge = samples.sample(code="total = 1\n" + "x" * LIMIT_BYTES + "\n")
    unwritable = samples.sample(client_name="\ud800")
    assert put(store, huge).reason == "too_large"
    assert put(store, unwritable).reason == "no_json"
    assert isinstance(put(store, samples.sample()), Stored)
    assert store.status().refused == {"too_large": 1, "no_json": 1}
    assert store.status().stored == 1


def test_nothing_is_stored_while_little_of_the_disk_is_free(open_store, put, samples):
    free = [100]
    store = open_store(limits=Limits(cap_bytes=1 << 20, reserve_bytes=1000), disk=lambda _: Disk(1 << 30, free[0]))
    refused = put(store, samples.sample())
    assert refused.reason == "low_disk"
    assert "free some space" in refused.explanation
    assert store.status().state == "idle"
    free[0] = 1000
    assert isinstance(put(store, samples.sample()), Stored)


def test_limits_are_shares_of_a_small_disk():
    limits = Limits(cap_bytes=1000, cap_share=0.1, reserve_bytes=1000, reserve_share=0.2)
    assert (limits.cap(Disk(100, 0)), limits.reserve(Disk(100, 0))) == (10, 20)
    assert (limits.cap(Disk(10**6, 0)), limits.reserve(Disk(10**6, 0))) == (1000, 1000)


def test_a_full_queue_refuses_at_once_and_counts(path, open_store, put, read, samples):
    store = open_store(queue_capacity=4)
    put(store, samples.sample())
    busy = FileLock(path.with_suffix(".writing.lock"))
    assert busy.take()
    futures = [store.submit(samples.sample()) for _ in range(100)]
    at_once = [future.result() for future in futures if future.done()]
    assert at_once
    assert {answer.reason for answer in at_once} == {"queue_full"}
    busy.close()
    answers = [future.result(20) for future in futures]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == store.status().refused["queue_full"] == len(at_once)
    assert len(read(stored.summaries)) == 101 - len(refused)


def test_another_process_that_writes_for_long_costs_a_snapshot_but_not_the_store(
    path, store, put, samples, monkeypatch
):
    put(store, samples.sample())
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.05)
    busy = FileLock(path.with_suffix(".writing.lock"))
    assert busy.take()
    assert put(store, samples.sample()).reason == "busy"
    busy.close()
    assert isinstance(put(store, samples.sample()), Stored)


def test_a_closed_store_has_stored_what_waited_and_refuses_more(open_store, put, read, samples):
    store = open_store()
    futures = [store.submit(samples.sample()) for _ in range(50)]
    assert store.close()
    assert all(isinstance(future.result(), Stored) for future in futures)
    assert put(store, samples.sample()).reason == "closed"
    with pytest.raises(stored.StorageError, match="closed"):
        store.purge(EVERYTHING).result()
    assert len(read(stored.summaries)) == 50


def test_many_threads_can_put_at_once(store, read, samples):
    answers = []

    def put_ten():
        answers.extend(store.submit(samples.sample()).result(20) for _ in range(10))

    threads = [threading.Thread(target=put_ten) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.id: row.sha256 for row in read(stored.summaries)} == {answer.id: answer.sha256 for answer in answers}


def test_another_process_can_rate_and_purge_while_the_store_is_open(path, store, put, read, samples):
    ids = [put(store, samples.sample()).id for _ in range(3)]
    with stored.changing(path) as database:
        stored.rate(database, ids[0], "bad")
    assert stored.purge_file(path, Choice(ids=(ids[1],))).snapshots == 1
    ids.append(put(store, samples.sample()).id)
    assert [(row.id, row.rating) for row in read(stored.summaries)] == [(ids[0], "bad"), (ids[2], ""), (ids[3], "")]


def payloads(path, workspace):
    """The bytes that hold the snapshots of a workspace."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    query = "SELECT compressed FROM snapshot JOIN payload USING (sequence) WHERE workspace_id = ?"
    found = [row[0] for row in connection.execute(query, (workspace,))]
    connection.close()
    return found


def windows(data, step):
    return {data[at : at + WINDOW_BYTES] for at in range(0, len(data) - WINDOW_BYTES + 1, step)}


def traces(path, wanted):
    """Which of the byte strings are in which files."""
    found = set()
    for file in path.parent.iterdir():
        content = file.read_bytes()
        found |= {(file.name, one) for one in wanted & windows(content, 1)}
    return found


def test_a_purge_leaves_no_byte_in_any_file(path, store, put, read, samples):
    marks = {"path": "src/xyzzy_planted_path.py", "model": "xyzzy_planted_model"}
    kept = []
    for number in range(40):
        put(store, samples.noisy(300 + 150 * number, number, workspace_id=samples.OTHER_WORKSPACE, **marks))
        kept.append(put(store, samples.noisy(1000, 1000 + number)).id)
    store.rate(read(stored.summaries)[0].id, "bad").result(20)
    store.delete([row.id for row in read(stored.summaries, Choice(workspace_id=samples.OTHER_WORKSPACE))[:5]]).result(
        20
    )
    secret = set().union(*(windows(data, WINDOW_BYTES) for data in payloads(path, samples.OTHER_WORKSPACE)))
    secret -= set().union(*(windows(data, 1) for data in payloads(path, samples.WORKSPACE)))
    planted = {mark.encode()[:WINDOW_BYTES] for mark in marks.values()} | {
        samples.OTHER_WORKSPACE.encode()[:WINDOW_BYTES]
    }
    assert len(traces(path, secret | planted)) > 1000
    purged = store.purge(Choice(workspace_id=samples.OTHER_WORKSPACE)).result(20)
    assert (purged.snapshots, purged.is_complete) == (35, True)
    assert not traces(path, secret | planted)
    assert [row.id for row in read(stored.summaries)] == kept
    assert all(read(stored.get, snapshot_id) for snapshot_id in kept)


def test_purging_everything_leaves_an_empty_store_that_goes_on(path, store, put, read, samples):
    for number in range(20):
        put(store, samples.noisy(2000, number))
    secret = set().union(*(windows(data, WINDOW_BYTES) for data in payloads(path, samples.WORKSPACE)))
    assert store.purge(EVERYTHING).result(20).snapshots == 20
    assert not traces(path, secret)
    assert read(stored.statistics)["snapshots"] == 0
    assert isinstance(put(store, samples.sample()), Stored)


def test_a_reader_can_keep_a_purge_from_being_complete_and_it_says_so(path, store, put, samples, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    put(store, samples.sample())
    with stored.reading(path) as database, database.reading() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM snapshot").fetchall()
        assert not store.purge(EVERYTHING).result(20).is_complete
        connection.execute("COMMIT")
    assert store.purge(EVERYTHING).result(20).is_complete


def test_statistics_count_what_there_is(store, put, read, samples):
    put(store, samples.sample(kept_rate=0.25))
    put(store, samples.sample(kept_rate=0.75, outcome="rejected", rating="good"))
    put(store, samples.sample(kept_rate=None))
    found = read(stored.statistics)
    assert (found["snapshots"], found["mean_kept_rate"], found["uploaded"]) == (3, 0.5, 0)
    assert found["counts"]["outcome"] == {"accepted": 2, "rejected": 1}
    assert found["counts"]["rating"] == {"": 2, "good": 1}
    assert 0 < found["compressed_bytes"] < found["length_bytes"]
    assert json.dumps(found)


@pytest.mark.parametrize(
    ("number", "sha256"),
    [
        (0, "381bab156a200c891a66a1454d24e81034ee5b143c94587fc0b23f06540ae777"),
        (1, "dd1ae6e1b6014dca0d334d96d883385fb3c36febb3d7e9322a697d168702cc96"),
    ],
)
def test_a_migration_is_as_it_was(number, sha256):
    """One that is there is never changed: files in use went through it as it was."""
    written = orjson.dumps(table.SCHEMA.migrations[number])
    assert hashlib.sha256(written).hexdigest() == sha256


def test_a_store_from_before_a_migration_is_brought_up_to_date_for_readers_too(
    path, open_store, put, samples, monkeypatch
):
    store = open_store()
    snapshot = samples.sample()
    put(store, snapshot)
    assert store.close()
    migrations = (*table.SCHEMA.migrations, ("ALTER TABLE snapshot ADD COLUMN note TEXT NOT NULL DEFAULT ''",))
    later = sqlite.Schema(table.SCHEMA.application_id, migrations)
    monkeypatch.setattr(stored, "SCHEMA", later)
    with stored.reading(path) as database, database.reading() as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(migrations)
        assert connection.execute("SELECT note FROM snapshot").fetchone()[0] == ""
        assert stored.get(database, snapshot.id) == snapshot


class Eviction(RuleBasedStateMachine):
    """A store under a small cap against a list: who has to go, and that nobody else does."""

    CAP_BYTES = 64 * 4096

    @initialize()
    def begin(self):
        self.folder = self.make_folder()
        self.path = self.folder / "store" / "snapshots.sqlite3"
        self.store = Store(self.path, limits=Limits(cap_bytes=self.CAP_BYTES), disk=lambda _: self.samples.LARGE_DISK)
        self.known = []  # [snapshot, whether it is uploaded], in the order of storing
        self.seed = 0
        self.evicted = 0

    def rows(self):
        with stored.reading(self.path) as database:
            return [] if database is None else stored.summaries(database)

    def used_bytes(self):
        with stored.reading(self.path) as database:
            return 0 if database is None else stored.statistics(database)["used_bytes"]

    @rule(characters=st.integers(100, 40_000), in_other=st.booleans())
    def put(self, characters, in_other):
        self.seed += 1
        workspace = self.samples.OTHER_WORKSPACE if in_other else self.samples.WORKSPACE
        snapshot = self.samples.noisy(characters, self.seed, workspace_id=workspace)
        used_before = self.used_bytes()
        assert self.store.submit(snapshot).result(20) == Stored(snapshot.id, snapshot.sha256())
        present = {row.id for row in self.rows()}
        assert snapshot.id in present, "the newest is never the one to go"
        order = sorted(self.known, key=lambda one: not one[1])  # uploaded first, else as they were stored
        gone = [one for one in order if one[0].id not in present]
        assert gone == order[: len(gone)]
        if used_before + characters + 20 * 4096 < self.CAP_BYTES:
            assert not gone, "there was room"
        assert self.used_bytes() <= self.CAP_BYTES
        self.evicted += len(gone)
        self.known = [one for one in self.known if one not in gone] + [[snapshot, False]]

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def put_again(self, data):
        snapshot = data.draw(st.sampled_from(self.known))[0]
        before = [row.id for row in self.rows()]
        assert self.store.submit(snapshot).result(20) == Stored(snapshot.id, snapshot.sha256())
        assert [row.id for row in self.rows()] == before

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def upload(self, data):
        one = data.draw(st.sampled_from(self.known))
        connection = sqlite3.connect(self.path)
        connection.execute("UPDATE snapshot SET uploaded_at = 1.0 WHERE id = ?", (one[0].id,))
        connection.commit()
        connection.close()
        one[1] = True

    @precondition(lambda self: self.known)
    @rule(data=st.data(), rating=st.sampled_from(["good", "bad", ""]))
    def rate(self, data, rating):
        one = data.draw(st.sampled_from(self.known))
        one[0] = one[0].rated(rating)
        assert self.store.rate(one[0].id, rating).result(20).sha256 == one[0].sha256()

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def delete(self, data):
        one = data.draw(st.sampled_from(self.known))
        assert self.store.delete([one[0].id]).result(20) == 1
        self.known.remove(one)

    @rule()
    def purge(self):
        of_other = [one for one in self.known if one[0].workspace_id == self.samples.OTHER_WORKSPACE]
        purged = self.store.purge(Choice(workspace_id=self.samples.OTHER_WORKSPACE)).result(20)
        assert purged.snapshots == len(of_other)
        self.known = [one for one in self.known if one not in of_other]

    @rule()
    def open_again(self):
        assert self.store.close()
        self.store = Store(self.path, limits=Limits(cap_bytes=self.CAP_BYTES), disk=lambda _: self.samples.LARGE_DISK)

    @invariant()
    def holds_what_it_should(self):
        if not hasattr(self, "known"):
            return
        assert [row.id for row in self.rows()] == [one[0].id for one in self.known]
        if self.path.exists():
            with stored.reading(self.path) as database:
                assert all(stored.get(database, one[0].id) == one[0] for one in self.known)
                assert sum(stored.statistics(database)["evicted"].values()) == self.evicted

    def teardown(self):
        if hasattr(self, "store"):
            assert self.store.close()


def test_what_makes_room_is_uploaded_first_and_old_next(tmp_path_factory, samples):
    Eviction.samples = samples
    Eviction.make_folder = staticmethod(lambda: tmp_path_factory.mktemp("eviction"))
    run_state_machine_as_test(Eviction, settings=settings(max_examples=12, stateful_step_count=25, deadline=None))
