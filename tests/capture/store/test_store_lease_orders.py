"""No order of leases, ends, purges, ratings and jumps of the clock shares a row or uploads what nobody accepted."""

from __future__ import annotations

from functools import partial

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

from capture.store import leases, stored
from capture.store.answers import Stored
from capture.store.choice import EVERYTHING, Choice
from capture.store.leases import LEASE_SECONDS, Backlog, Wanted
from capture.store.store import Store
from capture.store.stored import PurgeRefused
from capture.store.writer import Limits

PATIENCE_SECONDS = 20
NOW = 1_900_000_000.0


class Model:
    """A row as it should be."""

    def __init__(self, snapshot):
        self.snapshot = snapshot
        self.uploaded_at = None
        self.parked = None
        self.lease = None  # its id, and when it was taken

    @property
    def is_uploaded(self):
        return self.uploaded_at is not None

    def is_free(self, now):
        in_force = self.lease is not None and self.lease[1] <= now < self.lease[1] + LEASE_SECONDS
        return not (in_force or self.is_uploaded or self.parked)

    def is_agreed(self, agreed):
        since = agreed.get(self.snapshot.workspace_id)
        return since is not None and self.snapshot.created_at >= since


SINCE = (0.0, 1_800_000_005.0)


class Leases(RuleBasedStateMachine):
    """A small store against a list of rows, with several who lease, and a clock that goes where it likes."""

    CAP_BYTES = 80 * 4096

    @initialize()
    def begin(self):
        self.path = self.make_folder() / "store" / "snapshots.sqlite3"
        self.store = Store(self.path, limits=Limits(cap_bytes=self.CAP_BYTES), disk=lambda _: self.samples.LARGE_DISK)
        self.rows = []
        self.open = {}  # ids by lease, as long as nobody settled it
        self.now = NOW
        self.seed = 0
        for at in range(6):
            self.put(characters=200, in_other=at % 3 == 0, at=at)

    def do(self, function, *arguments, **options):
        return self.store.do(partial(_call, function, arguments, options), lambda: ()).result(PATIENCE_SECONDS)

    def row(self, snapshot_id):
        return next((row for row in self.rows if row.snapshot.id == snapshot_id), None)

    @rule(
        characters=st.sampled_from([100, 200, 1_000, 8_000, 30_000]),
        in_other=st.booleans(),
        at=st.integers(0, 10),
    )
    def put(self, characters, in_other, at):
        self.seed += 1
        times = {"created_at": 1_800_000_000.0 + at, "finalised_at": 1_800_000_020.0 + at}
        workspace = self.samples.OTHER_WORKSPACE if in_other else self.samples.WORKSPACE
        snapshot = self.samples.noisy(characters, self.seed, workspace_id=workspace, **times)
        assert isinstance(self.store.submit(snapshot).result(PATIENCE_SECONDS), Stored)
        present = {one.id for one in self.do(stored.summaries)}
        gone = [row for row in self.rows if row.snapshot.id not in present]
        order = sorted(self.rows, key=lambda row: not row.is_uploaded)  # what makes room
        assert gone == order[: len(gone)]
        self.rows = [*(row for row in self.rows if row not in gone), Model(snapshot)]

    @rule(
        since=st.sampled_from(SINCE),
        with_other=st.booleans(),
        most=st.integers(1, 5),
        max_bytes=st.sampled_from([1, 5_000, 50_000]),
    )
    def lease(self, since, with_other, most, max_bytes):
        self.seed += 1
        agreed = {self.samples.WORKSPACE: since} | ({self.samples.OTHER_WORKSPACE: 0.0} if with_other else {})
        free = [row for row in self.rows if row.is_free(self.now) and row.is_agreed(agreed)]
        expected, total = [], 0
        for row in free[:most]:
            total += len(row.snapshot.canonical_bytes())
            if expected and total > max_bytes:
                break
            expected.append(row)
        taken = self.do(leases.take, str(self.seed), Wanted(agreed, most, max_bytes), lambda: self.now)
        assert [(one.id, one.payload.sha256) for one in taken] == [
            (row.snapshot.id, row.snapshot.sha256()) for row in expected
        ]
        for row in expected:
            row.lease = (str(self.seed), self.now)
        if expected:
            self.open[str(self.seed)] = [row.snapshot.id for row in expected]

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(), fates=st.lists(st.sampled_from(["accepted", "secret", "too_large", ""]), min_size=5, max_size=5)
    )
    def settle_any(self, data, fates):
        self.settle(data.draw(st.sampled_from(sorted(self.open))), fates)

    @precondition(lambda self: self.open)
    @rule(fates=st.lists(st.sampled_from(["accepted", ""]), min_size=5, max_size=5))
    def settle_the_first(self, fates):
        self.settle(min(self.open, key=int), fates)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), fates=st.lists(st.sampled_from(["damaged", "excluded", ""]), min_size=5, max_size=5))
    def park(self, data, fates):
        lease_id = data.draw(st.sampled_from(sorted(self.open)))
        parked = {one: fate for one, fate in zip(self.open[lease_id], fates, strict=False) if fate}
        self.do(leases.park, lease_id, parked)
        self.note_parked(lease_id, parked)

    def settle(self, lease_id, fates):
        fates = dict(zip(self.open.pop(lease_id), fates, strict=False))
        parked = {one: fate for one, fate in fates.items() if fate not in ("", "accepted")}
        accepted = [one for one, fate in fates.items() if fate == "accepted"]
        self.do(leases.settle, lease_id, accepted, parked, lambda: self.now)
        for row in filter(None, map(self.row, accepted)):
            row.uploaded_at = self.now if row.uploaded_at is None else row.uploaded_at
            row.parked, row.lease = None, None
        self.note_parked(lease_id, parked)
        for row in self.rows:
            if row.lease is not None and row.lease[0] == lease_id:
                row.lease = None

    def note_parked(self, lease_id, parked):
        for row in self.rows:
            if row.lease is not None and row.lease[0] == lease_id and row.snapshot.id in parked:
                row.parked, row.lease = parked[row.snapshot.id], None

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS, 1e7, -1.0, -LEASE_SECONDS, -1e7]))
    def set_clock(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), rating=st.sampled_from(["good", "bad", ""]))
    def rate(self, data, rating):
        row = data.draw(st.sampled_from(self.rows))
        row.snapshot = row.snapshot.rated(rating)
        assert self.store.rate(row.snapshot.id, rating).result(PATIENCE_SECONDS).sha256 == row.snapshot.sha256()

    @rule(
        data=st.data(), by=st.sampled_from(["ids", "ids", "ids", "workspace", "everything"]), is_refused=st.booleans()
    )
    def purge(self, data, by, is_refused):
        workspace = data.draw(st.sampled_from([self.samples.WORKSPACE, self.samples.OTHER_WORKSPACE]))
        some = self.rows[:: data.draw(st.integers(2, 5))]
        wanted, matching = {
            "ids": (Choice(ids=tuple(row.snapshot.id for row in some)), some),
            "workspace": (
                Choice(workspace_id=workspace),
                [row for row in self.rows if row.snapshot.workspace_id == workspace],
            ),
            "everything": (EVERYTHING, self.rows),
        }[by]
        told = []

        def before_deleting(ids):
            told.append(list(ids))
            if is_refused:
                raise PurgeRefused("no")

        purging = self.store.purge(wanted, before_deleting)
        if is_refused:
            with pytest.raises(PurgeRefused):
                purging.result(PATIENCE_SECONDS)
        else:
            assert purging.result(PATIENCE_SECONDS).snapshots == len(matching)
            self.rows = [row for row in self.rows if row not in matching]
        assert told == [[row.snapshot.id for row in matching if row.lease is not None]]

    @rule()
    def another_process_goes_on(self):
        assert self.store.close()
        self.store = Store(self.path, limits=Limits(cap_bytes=self.CAP_BYTES), disk=lambda _: self.samples.LARGE_DISK)

    @invariant()
    def everything_is_as_it_should(self):
        if not getattr(self, "rows", None):
            return
        agreed = {self.samples.WORKSPACE: SINCE[1], self.samples.OTHER_WORKSPACE: 0.0}
        found = self.do(leases.backlog, agreed, lambda: self.now)
        counted = {row.parked for row in self.rows if row.parked}
        mine = [row for row in self.rows if row.is_agreed(agreed)]
        waiting = [row for row in mine if row.is_free(self.now)]
        assert found == Backlog(
            waiting=len(waiting),
            waiting_bytes=sum(len(row.snapshot.canonical_bytes()) for row in waiting),
            oldest_at=waiting[0].snapshot.finalised_at if waiting else None,
            leased=sum(not (row.is_free(self.now) or row.is_uploaded or row.parked) for row in mine),
            held_back=sum(not (row.is_agreed(agreed) or row.is_uploaded or row.parked) for row in self.rows),
            uploaded=sum(row.is_uploaded for row in self.rows),
            last_uploaded_at=max((row.uploaded_at for row in self.rows if row.is_uploaded), default=None),
            parked={reason: sum(row.parked == reason for row in self.rows) for reason in counted},
        )
        assert [(one.id, one.uploaded_at is not None) for one in self.do(stored.summaries)] == [
            (row.snapshot.id, row.is_uploaded) for row in self.rows
        ]

    def teardown(self):
        if hasattr(self, "store"):
            assert self.store.close()


def _call(function, arguments, options, database):
    return function(database, *arguments, **options)


def test_no_order_of_leases_and_ends_shares_a_row_or_uploads_what_nobody_accepted(tmp_path_factory, samples):
    Leases.samples = samples
    Leases.make_folder = staticmethod(lambda: tmp_path_factory.mktemp("leases"))
    run_state_machine_as_test(Leases, settings=settings(max_examples=30, stateful_step_count=40, deadline=None))
