"""Only what was agreed to leaves, looked at once more; what is accepted never leaves again, all else is not lost."""

from __future__ import annotations

import asyncio
import importlib.util
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.inputs import EditEvent
from capture.store import stored
from capture.store.answers import Stored
from capture.store.choice import EVERYTHING
from capture.store.leases import LEASE_SECONDS, Backlog
from capture.store.store import Store
from capture.upload.identity import Installs
from capture.upload.outbox import Outbox, Preview
from capture.upload.outgoing import CheckBroken
from capture.upload.selection import Selection

PATIENCE_SECONDS = 20
MUCH = 1 << 20
GRANTED_AT = 1_800_000_000.0  # when the samples were made, too


def load_samples():
    spec = importlib.util.spec_from_file_location("outbox_samples", Path(__file__).parents[1] / "store" / "samples.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


samples = load_samples()


class House:
    """A store, a book of consents and a workspace, with an outbox over them; ``refusals`` is what the check says."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "snapshots" / "snapshots.sqlite3"
        self.root = folder / "shop"
        self.inner = self.root / "vendor"
        self.inner.mkdir(parents=True)
        self.policy_path = folder / "policy.toml"
        self.now = GRANTED_AT
        self.book = ConsentBook(folder / "consent.json", PolicyFile(self.policy_path), lambda: self.now)
        self.store = Store(self.path, disk=lambda _: samples.LARGE_DISK)
        self.refusals = {}
        self.looked_at = []
        self.outboxes = []
        self.outbox = self.new_outbox()

    def new_outbox(self, check=None):
        self.outboxes.append(Outbox(self.store, self.book, check or self.check, clock=lambda: self.now))
        return self.outboxes[-1]

    def check(self, snapshot):
        self.looked_at.append(threading.current_thread())
        return self.refusals.get(snapshot.id, "")

    def agree(self):
        return self.book.grant(str(self.root), "upload").workspace_id

    async def put(self, number, **changes):
        snapshots = [samples.sample(**changes) for _ in range(number)]
        for snapshot in snapshots:
            assert isinstance(await self.store.put(snapshot), Stored)
        return snapshots

    def uploaded(self):
        with stored.reading(self.path) as database:
            return [row.id for row in stored.summaries(database) if row.uploaded_at is not None]

    def close(self):
        for outbox in self.outboxes:
            outbox.close()
        assert self.store.close(PATIENCE_SECONDS)


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path.resolve())
    yield made
    made.close()


def ids(those):
    return [one.id for one in those]


async def test_what_is_leased_is_what_was_stored_byte_for_byte(house):
    workspace = house.agree()
    snapshots = await house.put(3, workspace_id=workspace)
    lease = await house.outbox.lease(2, MUCH)
    assert [(one.id, one.workspace_id, one.schema_version, one.sha256, one.content) for one in lease.snapshots] == [
        (one.id, workspace, 1, one.sha256(), one.canonical_bytes()) for one in snapshots[:2]
    ]
    assert house.outbox.still_allowed(lease)
    rest = await house.outbox.lease(64, MUCH)
    assert ids(rest.snapshots) == ids(snapshots[2:])
    assert await house.outbox.lease(64, MUCH) is None


async def test_without_consent_nothing_is_leased_and_no_file_is_made(house):
    assert await house.outbox.lease(64, MUCH) is None
    house.book.grant(str(house.root), "upload")
    assert await house.outbox.lease(64, MUCH) is None
    assert await house.outbox.backlog() == Backlog()
    assert await house.outbox.preview(64, MUCH) == Preview((), {}, None)
    assert not house.path.parent.exists()


async def test_a_local_consent_and_what_is_older_than_the_one_to_upload_stay_here(house):
    workspace = house.book.grant(str(house.root), "local").workspace_id
    await house.put(2, workspace_id=workspace)
    assert await house.outbox.lease(64, MUCH) is None
    assert (await house.outbox.backlog()).held_back == 0
    house.now += 60
    house.agree()
    late = {"created_at": house.now, "finalised_at": house.now + 20}
    (new,) = await house.put(1, workspace_id=workspace, **late)
    assert ids((await house.outbox.lease(64, MUCH)).snapshots) == [new.id]
    backlog = await house.outbox.backlog()
    assert (backlog.held_back, backlog.waiting, backlog.leased) == (2, 0, 1)


@pytest.mark.parametrize("how", ["revoked", "local", "local and back", "policy", "damaged"])
async def test_consent_that_ends_between_lease_and_sending_counts(house, how):
    workspace = house.agree()
    await house.put(1, workspace_id=workspace)
    lease = await house.outbox.lease(64, MUCH)
    assert house.outbox.still_allowed(lease)
    house.now += 1
    if how == "revoked":
        house.book.revoke(str(house.root))
    elif how == "policy":
        house.policy_path.write_text('upload = "forbidden"\n')
    elif how == "damaged":
        house.book.path.write_text("{")
    else:
        house.book.grant(str(house.root), "local")
        if how == "local and back":
            house.agree()
    assert not house.outbox.still_allowed(lease)
    await house.outbox.release(lease)
    assert await house.outbox.lease(64, MUCH) is None


async def test_consent_that_ends_for_one_workspace_stops_a_lease_of_two(house):
    other = house.folder / "other"
    other.mkdir()
    both = [house.agree(), house.book.grant(str(other), "upload").workspace_id]
    for workspace in both:
        await house.put(1, workspace_id=workspace)
    lease = await house.outbox.lease(64, MUCH)
    assert [one.workspace_id for one in lease.snapshots] == both
    house.book.revoke(str(other))
    assert not house.outbox.still_allowed(lease)
    await house.outbox.release(lease)
    lease = await house.outbox.lease(64, MUCH)
    assert [one.workspace_id for one in lease.snapshots] == both[:1]
    assert house.outbox.still_allowed(lease)


async def test_accepted_is_uploaded_parked_is_not_sent_again_and_the_rest_is_free(house):
    snapshots = await house.put(3, workspace_id=house.agree())
    lease = await house.outbox.lease(64, MUCH)
    await house.outbox.settle(lease, [snapshots[0].id], {snapshots[1].id: "malformed"})
    assert house.uploaded() == [snapshots[0].id]
    again = await house.outbox.lease(64, MUCH)
    assert ids(again.snapshots) == [snapshots[2].id]
    await house.outbox.release(again)
    backlog = await house.outbox.backlog()
    assert (backlog.uploaded, backlog.parked, backlog.waiting, backlog.leased) == (1, {"malformed": 1}, 1, 0)
    assert backlog.waiting_bytes == len(snapshots[2].canonical_bytes())


@pytest.mark.parametrize(
    ("accepted", "parked"), [(["f" * 32], {}), ([], {"f" * 32: "secret"}), (["one"], {"one": "x"})]
)
async def test_what_was_not_leased_can_become_nothing(house, accepted, parked):
    (one,) = await house.put(1, workspace_id=house.agree())
    lease = await house.outbox.lease(64, MUCH)
    named = {"one": one.id}
    with pytest.raises(ValueError):
        await house.outbox.settle(
            lease, [named.get(x, x) for x in accepted], {named.get(x, x): y for x, y in parked.items()}
        )
    assert house.uploaded() == []


async def test_a_lease_that_nobody_ended_comes_back_in_time(house):
    snapshots = await house.put(2, workspace_id=house.agree())
    await house.outbox.lease(64, MUCH)
    house.now += LEASE_SECONDS - 1
    assert await house.new_outbox().lease(64, MUCH) is None
    house.now += 1
    assert ids((await house.new_outbox().lease(64, MUCH)).snapshots) == ids(snapshots)


# --- the look before it goes ---


async def test_what_the_check_refuses_is_parked_with_its_reason_and_the_rest_goes(house):
    snapshots = await house.put(4, workspace_id=house.agree())
    house.refusals = {snapshots[0].id: "secret", snapshots[2].id: "excluded"}
    lease = await house.outbox.lease(64, MUCH)
    assert ids(lease.snapshots) == [snapshots[1].id, snapshots[3].id]
    await house.outbox.release(lease)
    house.refusals.clear()
    assert ids((await house.outbox.lease(64, MUCH)).snapshots) == [snapshots[1].id, snapshots[3].id]
    assert (await house.outbox.backlog()).parked == {"secret": 1, "excluded": 1}
    assert threading.main_thread() not in house.looked_at, "it takes long enough to be felt"


async def test_refused_ones_do_not_stand_before_what_may_go(house):
    snapshots = await house.put(7, workspace_id=house.agree())
    house.refusals = dict.fromkeys(ids(snapshots[:6]), "names_machine")
    assert ids((await house.outbox.lease(2, MUCH)).snapshots) == [snapshots[6].id]
    house.refusals = {snapshots[6].id: "names_machine"}
    house.now += LEASE_SECONDS
    assert await house.outbox.lease(2, MUCH) is None
    assert (await house.outbox.backlog()).parked == {"names_machine": 7}


def change(path, sql, *values):
    connection = sqlite3.connect(path)
    connection.execute(sql, values)
    connection.commit()
    connection.close()


async def test_what_is_not_as_it_was_stored_is_parked_and_never_sent(house):
    workspace = house.agree()
    snapshots = await house.put(4, workspace_id=workspace)
    newer = samples.sample(workspace_id=workspace).canonical_bytes().replace(b'"id"', b'"idea":1,"id"')
    other = samples.sample(workspace_id=samples.OTHER_WORKSPACE).canonical_bytes()
    replace_payload(house.path, snapshots[1].id, newer)
    replace_payload(house.path, snapshots[2].id, other)
    change(house.path, "UPDATE snapshot SET sha256 = ? WHERE id = ?", "0" * 64, snapshots[0].id)
    assert ids((await house.outbox.lease(64, MUCH)).snapshots) == [snapshots[3].id]
    assert (await house.outbox.backlog()).parked == {"damaged": 2, "unreadable": 1}


def replace_payload(path, snapshot_id, content):
    from capture.store.payload import pack  # noqa: PLC0415 (beside its only use)

    payload = pack(content)
    change(
        path,
        "UPDATE payload SET compressed = ? WHERE sequence = (SELECT sequence FROM snapshot WHERE id = ?)",
        payload.compressed,
        snapshot_id,
    )
    change(
        path,
        "UPDATE snapshot SET length_bytes = ?, sha256 = ? WHERE id = ?",
        payload.length_bytes,
        payload.sha256,
        snapshot_id,
    )


async def test_one_that_no_message_can_hold_is_parked_and_one_that_can_goes_alone(house):
    workspace = house.agree()
    huge, large = samples.noisy(1 << 20, 1, workspace_id=workspace), samples.noisy(1_000_000, 2, workspace_id=workspace)
    for snapshot in (huge, large):
        assert isinstance(await house.store.put(snapshot), Stored)
    await house.put(1, workspace_id=workspace)
    assert ids((await house.outbox.lease(64, 1000)).snapshots) == [large.id]
    assert (await house.outbox.backlog()).parked == {"too_large": 1}


async def test_a_folder_inside_that_has_a_consent_of_its_own_by_now_is_not_sent_under_the_one_around_it(house):
    workspace = house.agree()
    path = "vendor/lib.py"
    event = EditEvent(path, path, "@@ -1,1 +1,1 @@\n-count = 1\n+count = 2\n")
    of_inner = await house.put(1, workspace_id=workspace, path=path)
    of_inner += await house.put(1, workspace_id=workspace, later_events=(event,))
    (of_outer,) = await house.put(1, workspace_id=workspace)
    everything = await house.outbox.lease(64, MUCH)
    assert len(everything.snapshots) == 3
    await house.outbox.release(everything)
    house.book.revoke(str(house.inner))
    assert ids((await house.outbox.lease(64, MUCH)).snapshots) == [of_outer.id]
    assert (await house.outbox.backlog()).parked == {"no_consent": 2}


async def test_a_check_that_is_broken_stops_the_lease_and_keeps_nothing(house):
    snapshots = await house.put(2, workspace_id=house.agree())

    def broken(_snapshot):
        raise CheckBroken("reinstall foretype")

    with pytest.raises(CheckBroken, match="reinstall"):
        await house.new_outbox(broken).lease(64, MUCH)
    assert ids((await house.outbox.lease(64, MUCH)).snapshots) == ids(snapshots)


async def test_who_stops_waiting_for_a_lease_has_none(house):
    snapshots = await house.put(3, workspace_id=house.agree())
    is_begun, may_go_on = threading.Event(), threading.Event()

    def slow(_snapshot):
        is_begun.set()
        assert may_go_on.wait(PATIENCE_SECONDS)
        return ""

    leasing = asyncio.create_task(house.new_outbox(slow).lease(64, MUCH))
    assert await asyncio.to_thread(is_begun.wait, PATIENCE_SECONDS)
    leasing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leasing
    assert ids((await house.outbox.lease(64, MUCH)).snapshots) == ids(snapshots)
    may_go_on.set()


async def test_who_stops_waiting_at_once_has_none_either(house):
    snapshots = await house.put(3, workspace_id=house.agree())
    leasing = asyncio.create_task(house.outbox.lease(64, MUCH))
    await asyncio.sleep(0)
    leasing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leasing
    assert ids((await house.outbox.lease(64, MUCH)).snapshots) == ids(snapshots)


# --- what would be sent ---


async def test_a_preview_shows_exactly_what_the_leases_then_hold_and_changes_nothing(house):
    snapshots = await house.put(9, workspace_id=house.agree())
    house.refusals = {snapshots[0].id: "secret", snapshots[4].id: "excluded", snapshots[8].id: "secret"}
    before = await house.outbox.backlog()
    previews = [await house.outbox.preview(2, MUCH)]
    while previews[-1].after is not None:
        previews.append(await house.outbox.preview(2, MUCH, after=previews[-1].after))
    assert await house.outbox.backlog() == before
    shown = [one for preview in previews for one in preview.snapshots]
    assert {key: why for preview in previews for key, why in preview.withheld.items()} == house.refusals
    leased = []
    while lease := await house.outbox.lease(2, MUCH):
        leased += lease.snapshots
    assert leased == shown
    assert (await house.outbox.backlog()).parked == {"secret": 2, "excluded": 1}


async def test_a_preview_shows_what_no_consent_lets_go_as_held_back_only(house):
    workspace = house.book.grant(str(house.root), "local").workspace_id
    await house.put(1, workspace_id=workspace)
    preview = await house.outbox.preview(64, MUCH)
    assert (preview.snapshots, preview.withheld, preview.after) == ((), {}, None)


# --- purging ---


async def test_a_purge_has_the_collector_asked_for_what_is_on_its_way_too(house):
    snapshots = await house.put(3, workspace_id=house.agree())
    installs = Installs(house.folder / "installs.json", lambda: house.now)
    taken = installs.take("collector.example.org:443")
    lease = await house.outbox.lease(2, MUCH)
    purged = house.store.purge(EVERYTHING, installs.before_purge(EVERYTHING))
    assert (await asyncio.wrap_future(purged)).snapshots == 3
    on_its_way, everything = installs.deletions("collector.example.org:443")
    assert on_its_way.selection == Selection(snapshot_ids=tuple(ids(snapshots[:2])))
    assert everything.selection == Selection(everything=True)
    assert on_its_way.installs == everything.installs == (taken,)
    await house.outbox.settle(lease, ids(snapshots[:2]), {})
    assert await house.outbox.backlog() == Backlog()
