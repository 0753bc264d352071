"""That everything arrives once, whatever the collector and the way to it do: a real store, real consent, TLS.

Time passes only when a test says so.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.upload.client import Client
from capture.upload.outbox import Outgoing
from capture.wire import snapshots_pb2 as wire

WEEK_SECONDS = 7 * 24 * 3600


# That all arrives.


async def test_what_is_stored_arrives_once_and_is_counted(run, home, collector, target_of, clock):
    ids = home.put(5)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 5)
    await home.assert_all_arrived_once(collector, ids)
    assert collector.order == ["Policy", "UploadBatch"]
    status = uploader.status()
    assert (status["duplicates"], status["parked"], status["last_error"]) == (0, {}, "")
    assert status["last_success"] == clock.now()


async def test_each_arrives_as_the_bytes_that_the_store_has(make_uploader, home, collector, target_of):
    home.put(3)
    leased = await home.outbox.lease(64, 1 << 20)
    wanted = {one.id: one.content for one in leased.snapshots}
    await home.outbox.release(leased)
    await make_uploader(target_of(collector)).once()
    assert collector.stored == wanted


async def test_a_collector_that_is_away_for_a_week_gets_everything_once(run, home, collector, target_of, clock, caplog):
    await collector.stop()
    ids = home.put(3)
    uploader = run(target_of(collector))
    began = clock.seconds

    def a_week_is_over():
        if len(ids) < 150:
            ids.extend(home.put(1))
        assert uploader.status()["sent"] == 0
        return clock.seconds - began >= WEEK_SECONDS

    await clock.run_until(a_week_is_over, at_least=3600.0)
    status = uploader.status()
    assert status["state"] == "backing_off"
    assert collector.address in status["last_error"]
    assert len(caplog.records) == 1
    assert status["next_try_at"] > clock.now()
    await collector.start()
    clock.let_pass(300.0)
    await clock.run_until(lambda: uploader.status()["sent"] == len(ids))
    await home.assert_all_arrived_once(collector, ids)
    assert uploader.status()["last_error"] == ""


async def test_a_reply_that_is_lost_after_the_collector_stored_leads_to_a_duplicate_and_one_acknowledgement(
    run, home, collector, target_of, clock, scripted
):
    collector.script.append(scripted.take_and_lose_the_reply)
    ids = home.put(4)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["duplicates"] == 4)
    assert uploader.status()["sent"] == 0
    await home.assert_all_arrived_once(collector, ids)
    assert len(collector.batches) == 2


async def test_a_collector_that_stops_in_the_middle_and_comes_back_gets_everything_once(
    run, home, collector, target_of, clock, scripted
):
    collector.script.append(scripted.stop)
    ids = home.put(4)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["state"] == "backing_off")
    await collector.stop()
    await collector.start()
    clock.let_pass(10.0)
    await clock.run_until(lambda: uploader.status()["duplicates"] + uploader.status()["sent"] == 4)
    await home.assert_all_arrived_once(collector, ids)


async def test_large_backlogs_go_in_batches_of_64_and_of_a_mebibyte_without_waiting_between_them(
    run, home, collector, target_of, clock
):
    ids = [*home.put(130), *home.put(6, 400_000)]
    uploader = run(target_of(collector))
    began = clock.seconds
    await clock.run_until(lambda: uploader.status()["sent"] == 136)
    assert clock.seconds == began
    await home.assert_all_arrived_once(collector, ids)
    assert [len(one.snapshots) for one in collector.batches] == [64, 64, 4, 2, 2]
    assert all(one.ByteSize() <= 1 << 20 for one in collector.batches)


async def test_one_batch_is_in_memory_at_a_time(make_uploader, home, collector, target_of):
    home.put(9, 400_000)
    alive = []

    class Watched:
        """The outbox, and what is in memory whenever it is asked for more."""

        def __getattr__(self, name):
            return getattr(home.outbox, name)

        async def lease(self, max_snapshots, max_bytes):
            gc.collect()
            alive.append(sum(type(one) is Outgoing for one in gc.get_objects()))  # others may lie about their class
            return await home.outbox.lease(max_snapshots, max_bytes)

    summary = await make_uploader(target_of(collector), outbox=Watched()).once()
    assert summary.tally.sent == 9
    assert alive == [0] * 6


# Failures.


async def test_a_poisonous_snapshot_is_found_and_parked_and_all_others_arrive(
    run, home, collector, target_of, clock, scripted
):
    ids = home.put(20)
    poisonous = ids[7]

    async def stumble(collector, request, context):
        if any(one.id == poisonous for one in request.snapshots):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        return collector.take(request)

    collector.script.extend([stumble] * 100)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 19)
    assert uploader.status()["parked"] == {"invalid_argument": 1}
    assert set(collector.stored) == set(ids) - {poisonous}
    backlog = await home.backlog()
    assert (backlog.waiting, backlog.leased, backlog.parked) == (0, 0, {"invalid_argument": 1})


async def test_a_collector_that_fails_at_everything_costs_no_snapshot(run, home, collector, target_of, clock, scripted):
    collector.script.extend([scripted.refuse(grpc.StatusCode.UNKNOWN)] * 60)
    ids = home.put(30)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 30)
    assert uploader.status()["parked"] == {}
    await home.assert_all_arrived_once(collector, ids)


async def test_rejections_are_parked_by_reason_and_not_sent_again(run, home, collector, target_of, clock, scripted):
    ids = home.put(3)
    collector.script.append(
        scripted.answer(
            lambda request: wire.UploadBatchReply(
                accepted_ids=[request.snapshots[0].id],
                rejected=[
                    wire.Rejection(id=request.snapshots[1].id, reason=wire.Rejection.ID_TAKEN),
                    wire.Rejection(id=request.snapshots[2].id, reason=wire.Rejection.DELETED),
                ],
            )
        )
    )
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["sent"] == 1)
    assert uploader.status()["parked"] == {"id_taken": 1, "deleted": 1}
    clock.let_pass(WEEK_SECONDS)
    await clock.rest()
    assert [len(one.snapshots) for one in collector.batches] == [len(ids)]


async def test_a_lie_acknowledges_nothing(run, home, collector, target_of, clock, scripted):
    collector.script.append(scripted.answer(lambda _: wire.UploadBatchReply(accepted_ids=["f" * 32])))
    ids = home.put(2)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["state"] == "backing_off")
    assert (await home.backlog()).uploaded == 0
    assert "exactly once" in uploader.status()["last_error"]
    clock.let_pass(10.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 2)
    await home.assert_all_arrived_once(collector, ids)


@pytest.mark.parametrize("asked", [42.0, 100_000.0])
async def test_the_delay_that_a_collector_asks_for_is_kept_and_at_most_an_hour(
    run, home, collector, target_of, clock, scripted, asked
):
    collector.script.append(scripted.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=asked))
    home.put(1)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["state"] == "backing_off")
    failed_at = clock.seconds
    clock.let_pass(min(asked, 3600.0) - 1)
    await clock.rest()
    assert len(collector.batches) == 1
    assert (await home.backlog()).waiting == 1
    clock.let_pass(asked)
    await clock.run_until(lambda: uploader.status()["sent"] == 1)
    assert clock.seconds > failed_at + min(asked, 3600.0)


async def test_a_refused_token_pauses_is_said_once_and_a_new_token_ends_it(
    run, home, collector, target_of, clock, scripted, token_file, caplog
):
    collector.policy_script.extend([scripted.refuse(grpc.StatusCode.UNAUTHENTICATED, details="revoked")] * 2)
    home.put(1)
    with caplog.at_level(logging.WARNING, logger="capture.upload"):
        uploader = run(target_of(collector))
        await clock.run_until(lambda: uploader.status()["state"] == "paused")
        for _ in range(3):
            clock.let_pass(15.0)
            uploader.wake()  # as each snapshot that is stored does
            assert await clock.rest() == 15.0  # then it looks whether the token's file is another
        assert collector.calls["Policy"] == 1
        clock.let_pass(3600.0)
        await clock.rest()
        assert collector.calls["Policy"] == 2
    assert [record.message for record in caplog.records] == [
        f"nothing is uploaded for now: {uploader.status()['last_error']}"
    ]
    assert "(it says: revoked)" in uploader.status()["last_error"]
    token_file.write_text("a-new-token")
    clock.let_pass(15.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 1)
    assert collector.metadata[-1]["authorization"] == "Bearer a-new-token"
    assert "token-of-the-tests" not in caplog.text + json.dumps(uploader.status())


async def test_another_collector_in_the_settings_ends_a_pause_and_is_the_one_that_gets_all(
    run, home, start_collector, target_of, clock, scripted
):
    first, second = await start_collector(), await start_collector()
    first.policy_script.append(scripted.refuse(grpc.StatusCode.PERMISSION_DENIED))
    targets = [target_of(first)]
    ids = home.put(2)
    uploader = run(lambda: targets[-1])
    await clock.run_until(lambda: uploader.status()["state"] == "paused")
    targets.append(target_of(second))
    uploader.wake()
    await clock.run_until(lambda: uploader.status()["sent"] == 2)
    await home.assert_all_arrived_once(second, ids)
    assert not first.batches


async def test_a_damaged_file_of_installs_stops_uploads_and_says_so(run, home, collector, target_of, clock):
    home.installs.path.write_text("{}")
    home.installs.path.chmod(0o600)
    home.put(1)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["state"] == "backing_off")
    assert "is damaged" in uploader.status()["last_error"]
    assert not collector.batches
    home.installs.path.unlink()
    clock.let_pass(300.0)
    await clock.run_until(lambda: uploader.status()["sent"] == 1)


async def test_on_a_slow_connection_batches_become_smaller_until_one_arrives_in_time(
    run, home, collector, target_of, clock
):
    home.put(16, 30_000)

    async def slow(collector, request, context):
        if request.ByteSize() > 130_000:
            await asyncio.Event().wait()
        return collector.take(request)

    collector.script.extend([slow] * 200)
    uploader = run(target_of(collector), client=lambda target: Client(target, deadline_seconds=0.5))
    await clock.run_until(lambda: uploader.status()["sent"] == 16)
    assert uploader.status()["parked"] == {}
    sizes = [one.ByteSize() for one in collector.batches]
    assert sizes[0] > 400_000
    assert min(sizes) < 130_000


# All of it.

disturbances = st.lists(
    st.sampled_from(["take", "take_and_lose_the_reply", "unavailable", "exhausted", "unknown", "lie"]), max_size=12
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=disturbances, number=st.integers(1, 90))
async def test_whatever_goes_wrong_on_the_way_each_arrives_and_is_acknowledged_once(
    script, number, run, home, collector, target_of, clock, scripted
):
    steps = {
        "take": scripted.take,
        "take_and_lose_the_reply": scripted.take_and_lose_the_reply,
        "unavailable": scripted.refuse(grpc.StatusCode.UNAVAILABLE),
        "exhausted": scripted.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=3),
        "unknown": scripted.refuse(grpc.StatusCode.UNKNOWN),
        "lie": scripted.answer(lambda _: wire.UploadBatchReply()),
    }
    before = set(collector.stored)
    collector.script.extend(steps[name] for name in script)
    ids = home.put(number)
    uploader = run(target_of(collector))
    await clock.run_until(
        lambda: uploader.status()["sent"] + uploader.status()["duplicates"] + parked(uploader) >= number
    )
    await uploader.close()
    collector.script.clear()
    assert set(collector.stored) - before <= set(ids)
    status = uploader.status()
    assert status["sent"] + status["duplicates"] == number - parked(uploader)
    assert parked(uploader) <= script.count("unknown") // 2  # each of them failed twice, alone
    backlog = await home.backlog()
    assert (backlog.waiting, backlog.leased) == (0, 0)
    assert backlog.uploaded == len(collector.stored)


def parked(uploader):
    return sum(uploader.status()["parked"].values())
