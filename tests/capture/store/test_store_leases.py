"""What is uploaded: a row has one lease at most, is uploaded only when somebody says so, and comes back from the dead."""

from __future__ import annotations

import sqlite3
import time

import pytest

from capture.file_lock import FileLock
from capture.store import leases, stored, table
from capture.store.choice import EVERYTHING, Choice
from capture.store.files import files_set_aside
from capture.store.leases import LEASE_SECONDS, Backlog, Wanted
from capture.store.payload import pack, unpack
from capture.store.stored import PurgeRefused

PATIENCE_SECONDS = 20
NOW = 1_900_000_000.0
MUCH = 1 << 30


def stopped(now):
    """A clock that stands still."""
    return lambda: now


@pytest.fixture
def agreed(samples):
    return {samples.WORKSPACE: 0.0}


@pytest.fixture
def ask(store):
    """Call a function of ``leases`` in the store's thread, and wait."""

    def call(function, *arguments, **options):
        return store.do(lambda database: function(database, *arguments, **options), tuple).result(PATIENCE_SECONDS)

    return call


@pytest.fixture
def take(ask, agreed):
    """The ids of a new lease."""

    def call(lease_id="one", *, now=NOW, most=64, max_bytes=MUCH, of=None):
        rows = ask(leases.take, lease_id, Wanted(agreed if of is None else of, most, max_bytes), stopped(now))
        return [row.id for row in rows]

    return call


@pytest.fixture
def put_some(store, put, samples):
    def call(number, **changes):
        return [put(store, samples.sample(**changes)).id for _ in range(number)]

    return call


def uploaded(read):
    return [row.id for row in read(stored.summaries) if row.uploaded_at is not None]


def test_a_lease_holds_the_oldest_snapshots_with_their_bytes(store, ask, put, samples, agreed):
    snapshots = [samples.sample() for _ in range(4)]
    for snapshot in snapshots:
        put(store, snapshot)
    rows = ask(leases.take, "one", Wanted(agreed, 3, MUCH), stopped(NOW))
    assert [(row.id, unpack(row.payload), row.payload.sha256, row.schema_version) for row in rows] == [
        (one.id, one.canonical_bytes(), one.sha256(), 1) for one in snapshots[:3]
    ]


def test_what_is_leased_by_one_is_not_leased_by_another_until_it_is_released(put_some, take, ask):
    ids = put_some(5)
    assert take("one", most=3) == ids[:3]
    assert take("two") == ids[3:]
    assert take("three") == []
    ask(leases.settle, "one", (), {}, stopped(NOW))
    assert take("three") == ids[:3]


def test_only_an_accepted_snapshot_is_uploaded(put_some, take, ask, read, agreed):
    ids = put_some(4)
    take()
    ask(leases.settle, "one", ids[:1], {ids[1]: "too_large"}, stopped(NOW))
    assert uploaded(read) == ids[:1]
    assert take("two") == ids[2:]
    backlog = ask(leases.backlog, agreed, stopped(NOW))
    assert (backlog.uploaded, backlog.parked, backlog.leased, backlog.waiting) == (1, {"too_large": 1}, 2, 0)


def test_a_lease_has_at_most_so_many_bytes_but_the_oldest_is_never_in_the_way(store, put, samples, take):
    sizes = [5000, 1000, 1000, 6000]
    snapshots = [samples.noisy(size, seed) for seed, size in enumerate(sizes)]
    ids = [put(store, snapshot).id for snapshot in snapshots]
    lengths = [len(snapshot.canonical_bytes()) for snapshot in snapshots]
    assert take("one", max_bytes=1) == ids[:1]
    assert take("two", max_bytes=lengths[1] + lengths[2]) == ids[1:3]
    assert take("three", max_bytes=lengths[3] - 1) == ids[3:]


def test_what_is_not_settled_or_not_agreed_to_or_older_than_that_is_not_leased(store, put, samples, take, ask):
    at = {"created_at": 1_800_000_000.0, "finalised_at": 1_800_000_020.0}
    late = put(store, samples.sample(**at)).id
    put(store, samples.sample(created_at=1_799_999_999.0, finalised_at=1_800_000_020.0))
    put(store, samples.sample(workspace_id=samples.OTHER_WORKSPACE, **at))
    json = samples.sample(kept_rate=None, **at).to_json()
    closed = {**json["region"], "text_settled": None, "text_unsettled": "total = 3\n"}
    put(store, type(samples.sample()).from_json({**json, "state": "unsettled", "region": closed}))
    since = {samples.WORKSPACE: 1_800_000_000.0, "c" * 32: 0.0}
    backlog = ask(leases.backlog, since, stopped(NOW))
    assert (backlog.waiting, backlog.held_back, backlog.oldest_at) == (1, 1, 1_800_000_020.0)
    assert take(of={}) == []
    assert take(of=since) == [late]
    assert ask(leases.backlog, {}, stopped(NOW)) == Backlog()


@pytest.mark.parametrize(
    ("seconds", "is_over"),
    [(0, False), (LEASE_SECONDS - 1, False), (LEASE_SECONDS, True), (10**9, True), (-1, True), (-(10**9), True)],
)
def test_a_lease_ends_in_time_and_when_the_clock_was_set_back(put_some, take, seconds, is_over):
    ids = put_some(2)
    take("one")
    assert take("two", now=NOW + seconds) == (ids if is_over else [])


def test_what_was_accepted_is_uploaded_also_when_the_lease_was_over_and_another_has_it(put_some, take, ask, read):
    ids = put_some(2)
    take("one")
    assert take("two", now=NOW + LEASE_SECONDS) == ids
    ask(leases.settle, "one", ids[:1], {ids[1]: "malformed"}, stopped(NOW + LEASE_SECONDS))
    assert uploaded(read) == ids[:1]
    ask(leases.settle, "two", (), {}, stopped(NOW + LEASE_SECONDS))
    assert take("three", now=NOW + LEASE_SECONDS) == ids[1:], "who lost the lease parks nothing"


def test_a_rating_given_while_it_is_on_its_way_stays_here(store, put_some, take, ask, read):
    (snapshot_id,) = put_some(1)
    take()
    store.rate(snapshot_id, "good").result(PATIENCE_SECONDS)
    ask(leases.settle, "one", [snapshot_id], {}, stopped(NOW))
    assert uploaded(read) == [snapshot_id]
    store.rate(snapshot_id, "bad").result(PATIENCE_SECONDS)
    assert take("two") == []
    assert read(stored.get, snapshot_id).rating == "bad"


def test_peeking_leases_nothing_and_goes_on_behind_a_row(put_some, ask, agreed, take):
    ids = put_some(5)
    wanted = Wanted(agreed, 2, MUCH)
    first = ask(leases.peek, wanted, stopped(NOW))
    second = ask(leases.peek, wanted, stopped(NOW), after=first[-1].sequence)
    assert [row.id for row in (*first, *second)] == ids[:4]
    assert take() == ids


# --- purging what is on its way ---


def test_a_purge_names_what_is_on_its_way_before_it_deletes(store, put_some, take, read, samples, ask):
    over, others, waiting = put_some(1), put_some(1, workspace_id=samples.OTHER_WORKSPACE), put_some(1)
    assert take("one", now=NOW - 10 * LEASE_SECONDS, most=1) == over
    assert take("two", of={samples.OTHER_WORKSPACE: 0.0}) == others
    assert take("three", of={samples.WORKSPACE: 0.0}) == [*over, *waiting]
    ask(leases.settle, "three", (), {}, stopped(NOW))
    assert take("four", now=NOW - 10 * LEASE_SECONDS, most=1) == over
    told = []

    def note(in_flight_ids):
        told.append((list(in_flight_ids), [row.id for row in read(stored.summaries)]))

    there = [*over, *others, *waiting]
    assert store.purge(Choice(workspace_id=samples.WORKSPACE), note).result(PATIENCE_SECONDS).snapshots == 2
    assert told == [(over, there)]
    assert store.purge(EVERYTHING, note).result(PATIENCE_SECONDS).snapshots == 1
    assert told[1:] == [(others, others)]


def test_what_cannot_be_asked_first_is_not_purged_and_the_store_goes_on(store, put_some, take, read):
    ids = put_some(3)

    def refuse(_in_flight_ids):
        raise PurgeRefused("the list of collectors is damaged")

    with pytest.raises(PurgeRefused, match="is damaged"):
        store.purge(EVERYTHING, refuse).result(PATIENCE_SECONDS)
    assert [row.id for row in read(stored.summaries)] == ids
    assert take() == ids


def test_a_purge_without_a_store_asks_all_the_same(path, store, read):
    told = []
    assert store.purge(EVERYTHING, told.append).result(PATIENCE_SECONDS).snapshots == 0
    assert stored.purge_file(path, EVERYTHING, told.append).snapshots == 0
    assert [list(ids) for ids in told] == [[], []]
    assert not path.parent.exists()


def test_a_purge_of_a_damaged_store_asks_before_it_removes_it(path, open_store, put, samples):
    store = open_store()
    put(store, samples.sample())
    assert store.close()
    path.write_bytes(b"\xa5" * 9000)
    there = []
    assert stored.purge_file(path, EVERYTHING, lambda _: there.append(path.exists())).damaged_files == 1
    assert there == [True]
    assert not path.exists()
    assert not files_set_aside(path)


def test_a_purged_snapshot_that_is_accepted_later_stays_gone(store, put_some, take, ask, read):
    ids = put_some(2)
    take()
    store.purge(Choice(ids=(ids[0],))).result(PATIENCE_SECONDS)
    ask(leases.settle, "one", ids, {}, stopped(NOW))
    assert uploaded(read) == [row.id for row in read(stored.summaries)] == ids[1:]


# --- files from before there were leases ---

FIRST_STATEMENTS = (
    """CREATE TABLE snapshot (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        schema_version INTEGER NOT NULL, workspace_id TEXT NOT NULL, path TEXT NOT NULL, created_at REAL NOT NULL,
        finalised_at REAL NOT NULL, language_id TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL,
        rating TEXT NOT NULL, state TEXT NOT NULL, kept_rate REAL, uploaded_at REAL, length_bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL)""",
    "CREATE INDEX snapshot_by_eviction ON snapshot (uploaded_at IS NULL, sequence)",
    "CREATE INDEX snapshot_by_workspace ON snapshot (workspace_id, sequence)",
    """CREATE TABLE payload (sequence INTEGER PRIMARY KEY REFERENCES snapshot (sequence) ON DELETE CASCADE,
        compressed BLOB NOT NULL)""",
    "CREATE TABLE eviction (kind TEXT PRIMARY KEY, snapshots INTEGER NOT NULL)",
    "PRAGMA application_id=1179931472",
    "PRAGMA user_version=1",
)


def test_a_store_of_the_first_version_keeps_its_snapshots_and_can_upload_them(
    path, open_store, put, samples, take, read, ask, integrity
):
    path.parent.mkdir(mode=0o700)
    snapshots = [samples.sample() for _ in range(3)]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    for statement in FIRST_STATEMENTS:
        connection.execute(statement)
    for snapshot in snapshots:
        table.insert(connection, snapshot, pack(snapshot.canonical_bytes()))
    connection.commit()
    connection.close()
    assert [read(stored.get, one.id) for one in snapshots] == snapshots
    ids = [one.id for one in snapshots]
    assert take() == ids
    ask(leases.settle, "one", ids[:1], {ids[1]: "secret"}, stopped(NOW))
    assert uploaded(read) == ids[:1]
    assert read(integrity) == ["ok"]


# --- other processes ---


def test_what_a_killed_process_had_leased_comes_back_after_the_lease_and_was_not_uploaded(
    path, put_some, take, read, start_child, samples
):
    ids = put_some(8)
    child = start_child("leasing_child.py", "hold", path, samples.WORKSPACE)
    held = child.stdout.readline().decode().split()
    child.kill()
    child.wait()
    assert held == ids[:5], child.stderr.read().decode()
    assert take("two", now=time.time()) == ids[5:]
    assert uploaded(read) == []
    assert take("three", now=time.time() + LEASE_SECONDS) == ids


def test_the_time_of_a_lease_is_read_when_nobody_else_can_lease(path, put_some, ask, agreed):
    """Read before the wait for its turn, it would make another's newer lease one of the future, which is over."""
    put_some(1)
    turns = []

    def clock():
        others = FileLock(path.with_suffix(".writing.lock"))
        turns.append(others.take())
        others.close()
        return NOW

    assert ask(leases.take, "one", Wanted(agreed, 1, MUCH), clock)
    assert turns == [False]


def test_processes_that_lease_at_once_never_share_a_row(path, put_some, read, start_child, samples):
    ids = put_some(120)
    children = [start_child("leasing_child.py", "work", path, samples.WORKSPACE) for _ in range(3)]
    said = [child.communicate(timeout=PATIENCE_SECONDS * 3) for child in children]
    assert [error for _, error in said] == [b""] * 3
    settled = [word.decode() for out, _ in said for word in out.split()]
    assert sorted(settled) == sorted(ids)
    assert uploaded(read) == ids
