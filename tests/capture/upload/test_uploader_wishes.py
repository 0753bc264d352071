"""What the uploader heeds: what a collector takes, consent and deletions, and people at their keyboards."""

from __future__ import annotations

import hashlib

import grpc
import pytest

from capture.upload.client import Client
from capture.upload.selection import Selection
from capture.upload.uploader import NO_TARGET, TYPING
from capture.wire import snapshots_pb2 as wire

PATIENCE_SECONDS = 20


# What a collector says it takes.


async def test_the_policy_is_asked_once_an_hour_and_bounds_the_batches(run, home, collector, target_of, clock):
    collector.policy = wire.PolicyReply(schema_versions=[1], max_batch_snapshots=3)
    home.put(7)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 7)
    assert [len(one.snapshots) for one in collector.batches] == [3, 3, 1]
    clock.let_pass(3500.0)
    await clock.rest()
    home.put(1)
    clock.let_pass(40.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 8)
    assert collector.calls["Policy"] == 1
    clock.let_pass(100.0)
    await clock.rest()
    home.put(1)
    clock.let_pass(40.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 9)
    assert collector.calls["Policy"] == 2


async def test_a_snapshot_larger_than_the_collector_takes_is_parked_unsent_and_the_others_go(
    run, home, collector, target_of, clock
):
    collector.policy = wire.PolicyReply(schema_versions=[1], max_snapshot_bytes=5000)
    ids = home.put(2)
    home.put(1, 10_000)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 2)
    assert set(collector.stored) == set(ids)
    assert uploader.status()["parked"] == {"too_large": 1}
    assert (await home.backlog()).parked == {"too_large": 1}


async def test_a_schema_version_the_collector_does_not_take_is_left_waiting_until_it_does(
    run, home, collector, target_of, clock
):
    collector.policy = wire.PolicyReply(schema_versions=[7])
    ids = home.put(2)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["state"] == "held")
    assert "does not take snapshots of schema version 1" in uploader.status()["reason"]
    backlog = await home.backlog()
    assert (backlog.waiting, backlog.parked) == (2, {})
    assert not collector.batches
    collector.policy = wire.PolicyReply(schema_versions=[1, 7])
    clock.let_pass(3600.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 2)
    await home.assert_all_arrived_once(collector, ids)


async def test_a_rate_is_kept_without_being_refused(run, home, collector, target_of, clock):
    collector.policy = wire.PolicyReply(schema_versions=[1], max_snapshots_per_minute=10)
    home.put(30)
    uploader = run(target_of(collector))
    began = clock.seconds
    await clock.run_until(lambda: uploader.status()["sent"] == 30)
    assert [len(one.snapshots) for one in collector.batches] == [10, 10, 10]
    assert clock.seconds - began == pytest.approx(30.0 + 2 * 60.0)  # to fill, and between three batches


# Whose consent, and whose deletion.


async def test_consent_that_ends_between_lease_and_call_sends_nothing(run, home, collector, target_of, clock):
    class Revoking(Client):
        async def upload(self, install, batch, still_allowed):
            home.consents.revoke(str(home.project))
            return await super().upload(install, batch, still_allowed)

    home.put(3)
    uploader = run(target_of(collector), client=Revoking)
    await clock.run_until(lambda: uploader.status()["state"] == "held")
    assert not collector.batches
    clock.let_pass(10.0)
    await clock.run_until(lambda: uploader.status()["state"] == "idle")
    assert not collector.batches
    backlog = await home.backlog()
    assert (backlog.uploaded, backlog.leased, backlog.parked) == (0, 0, {})


async def test_what_is_purged_between_lease_and_call_is_not_sent_and_its_deletion_goes_first(
    run, home, collector, target_of, clock
):
    class Purging(Client):
        async def upload(self, install, batch, still_allowed):
            if not self.purged:
                self.purged = True
                home.installs.ask_deletion(Selection(snapshot_ids=(ids[0],)), [ids[0]])
            return await super().upload(install, batch, still_allowed)

        purged = False

    ids = home.put(2)
    uploader = run(target_of(collector), client=Purging)
    await clock.run_until(lambda: uploader.status()["sent"] == 2)
    assert collector.order == ["Policy", "Delete", "Delete", "UploadBatch"]
    assert uploader.status()["deletions"] == 0


async def test_a_purge_reaches_the_collector_before_anything_else_is_sent(run, home, collector, target_of, clock):
    ids = home.put(2)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 2)
    home.installs.ask_deletion(Selection(snapshot_ids=tuple(ids)))
    home.put(1)
    uploader.wake()
    clock.let_pass(0.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 3)
    assert collector.order == ["Policy", "UploadBatch", "Delete", "UploadBatch"]
    (proof,) = collector.deletions[0].installs
    assert hashlib.sha256(proof.secret).digest() == collector.owners[proof.id]
    assert list(collector.deletions[0].selection.snapshot_ids) == ids


async def test_a_deletion_is_asked_for_until_no_part_holds_anything_and_uploads_go_on_meanwhile(
    run, home, collector, target_of, clock, scripted
):
    home.put(1)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 1)
    home.installs.ask_deletion(Selection(everything=True))
    collector.delete_script.extend(
        scripted.answer(lambda _, left=left: wire.DeleteReply(deleted=int(left == 2), parts_to_rewrite=left))
        for left in (2, 1, 0)
    )
    uploader.wake()
    clock.let_pass(0.0)
    await clock.run_until(lambda: collector.calls["Delete"] == 1)
    assert uploader.status()["deletions"] == 1
    home.put(1)
    uploader.wake()
    began = clock.seconds
    clock.let_pass(0.0)
    await clock.run_until(lambda: uploader.status()["deletions"] == 0)
    assert collector.calls["Delete"] == 3
    assert clock.seconds - began >= 120.0
    assert uploader.status()["deleted"] == 1
    assert uploader.status()["sent"] == 2
    assert home.installs.deletions(collector.address) == ()


async def test_a_collector_that_refuses_to_delete_gets_nothing_more(run, home, collector, target_of, clock, scripted):
    home.put(1)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 1)
    home.installs.ask_deletion(Selection(everything=True))
    home.put(5)
    collector.delete_script.extend([scripted.refuse(grpc.StatusCode.PERMISSION_DENIED)] * 3)
    uploader.wake()
    clock.let_pass(0.0)
    await clock.run_until(lambda: collector.calls["Delete"] == 3)
    assert len(collector.batches) == 1
    assert uploader.status()["state"] == "paused"


async def test_deletions_go_out_while_somebody_types_on_battery_and_without_any_consent_left(
    run, home, collector, target_of, clock
):
    home.put(1)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 1)
    await uploader.close()
    home.installs.ask_deletion(Selection(everything=True))
    home.consents.revoke(str(home.project))
    again = run(target_of(collector), quiet_seconds=lambda: 0.0, may_send=lambda: "on battery")
    await clock.run_until(lambda: again.status()["deletions"] == 0 and again.status()["state"] == "held")
    assert collector.calls["Delete"] == 1


async def test_deletions_that_another_collector_owes_are_told(run, home, start_collector, target_of, clock):
    first, second = await start_collector(), await start_collector()
    home.put(1)
    uploader = run(target_of(first))
    await clock.run_until(lambda: uploader.status()["sent"] == 1)
    await uploader.close()
    home.installs.ask_deletion(Selection(everything=True))
    other = run(target_of(second))
    await clock.run_until(lambda: other.status()["state"] == "idle")
    assert (other.status()["deletions"], other.status()["deletions_elsewhere"]) == (0, 1)
    assert not second.deletions


# Kindness.


async def test_a_batch_waits_for_company_and_for_a_pause_in_typing(run, home, collector, target_of, clock):
    quiet = [0.0]
    home.put(1)
    uploader = run(target_of(collector), quiet_seconds=lambda: quiet[0])
    assert await clock.rest() == 30.0
    assert uploader.status()["state"] == "filling"
    clock.let_pass(20.0)
    uploader.wake()
    assert await clock.rest() == 10.0
    clock.let_pass(10.0)
    assert await clock.rest() == 2.0
    assert (uploader.status()["state"], uploader.status()["reason"]) == ("held", TYPING)
    quiet[0] = 0.5
    clock.let_pass(2.0)
    assert await clock.rest() == 1.5
    quiet[0] = 2.0
    clock.let_pass(1.5)
    await clock.run_until(lambda: uploader.status()["sent"] == 1)
    assert collector.calls["UploadBatch"] == 1


async def test_a_full_batch_does_not_wait_for_company(run, home, collector, target_of, clock):
    home.put(64)
    uploader = run(target_of(collector))
    began = clock.seconds
    await clock.run_until(lambda: uploader.status()["sent"] == 64)
    assert clock.seconds == began


async def test_a_reason_not_to_send_is_told_and_asked_for_again(run, home, collector, target_of, clock):
    reason = ["the machine runs on battery"]
    home.put(64)
    uploader = run(target_of(collector), may_send=lambda: reason[0])
    assert await clock.rest() == 60.0
    assert uploader.status()["reason"] == "the machine runs on battery"
    assert collector.wire_cut.connections == 0
    reason[0] = ""
    clock.let_pass(60.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 64)


async def test_without_a_collector_nothing_happens_until_there_is_one(run, home, collector, target_of, clock):
    targets = [None]
    home.put(64)
    uploader = run(lambda: targets[0])
    assert await clock.rest() is None
    assert (uploader.status()["state"], uploader.status()["reason"]) == ("off", NO_TARGET)
    targets[0] = target_of(collector)
    uploader.wake()
    await clock.run_until(lambda: uploader.status()["sent"] == 64)


async def test_setting_the_clock_neither_makes_it_spin_nor_stand_still(run, home, collector, target_of, clock):
    await collector.stop()
    home.put(64)
    uploader = run(target_of(collector))
    waits = []
    for jump in (-1e9, 1e9, -1e6, 1e6):
        waits.append(await clock.rest())
        clock.wall_seconds += jump
        clock.let_pass(waits[-1])
    assert waits == [5.0, 7.5, 11.25, 16.875]
    await clock.rest()
    await collector.start()
    clock.let_pass(60.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 64)
