"""How the uploader ends, in the middle of things too, and what it does once when a command asks."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from capture.store.error import StorageError
from capture.upload.clock import SystemClock
from capture.upload.selection import Selection
from capture.upload.target import Target
from capture.upload.uploader import NO_TARGET
from capture.wire import snapshots_pb2 as wire

PATIENCE_SECONDS = 20


# Its ends.


async def test_closing_in_the_middle_of_a_call_is_quick_and_leaves_nothing_leased(
    run, home, collector, target_of, clock, scripted
):
    collector.script.append(scripted.never)
    ids = home.put(64)
    uploader = run(target_of(collector))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await collector.is_silent.wait()
    assert uploader.status()["state"] == "sending"
    assert (await home.backlog()).leased == 64
    async with asyncio.timeout(2.0):
        await uploader.close()
    backlog = await home.backlog()
    assert (backlog.leased, backlog.waiting, backlog.uploaded) == (0, 64, 0)
    again = run(target_of(collector))
    await clock.run_until(lambda: again.status()["sent"] == 64)
    await home.assert_all_arrived_once(collector, ids)


async def test_closing_in_the_middle_keeps_what_was_acknowledged_before(run, home, collector, target_of, scripted):
    collector.script.extend([scripted.refuse(grpc.StatusCode.INVALID_ARGUMENT), scripted.take, scripted.never])
    home.put(64)
    uploader = run(target_of(collector))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await collector.is_silent.wait()
    await uploader.close()
    backlog = await home.backlog()
    assert (backlog.leased, backlog.waiting, backlog.uploaded) == (0, 32, 32)
    assert uploader.status()["sent"] == 32


async def test_a_store_that_fails_while_it_is_closed_does_not_keep_it_running(
    make_uploader, home, collector, target_of, scripted
):
    class Failing:
        """The outbox over a disk that fails when a lease ends."""

        def __getattr__(self, name):
            return getattr(home.outbox, name)

        async def settle(self, *_):
            raise StorageError("io_error", home.folder)

    collector.script.append(scripted.never)
    home.put(64)
    uploader = make_uploader(target_of(collector), outbox=Failing())
    running = asyncio.create_task(uploader.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await collector.is_silent.wait()
        await uploader.close()
        await running
    assert uploader.status()["state"] == "closed"
    assert (await home.backlog()).uploaded == 0


async def test_closing_while_it_rests_or_before_it_runs_ends_it(run, make_uploader, collector, target_of, clock):
    resting = run(target_of(collector))
    await clock.rest()
    await resting.close()
    await asyncio.sleep(0)
    never_run = make_uploader(target_of(collector))
    await never_run.close()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await never_run.run()
    assert collector.wire_cut.connections == 0


async def test_a_mistake_of_ours_ends_the_run_with_it(make_uploader, collector, target_of, home):
    def mistake():
        raise ZeroDivisionError

    home.put(1)
    uploader = make_uploader(target_of(collector), may_send=mistake)
    with pytest.raises(ZeroDivisionError):
        await uploader.run()
    assert uploader.status()["state"] == "closed"


# Once, for the command.


async def test_once_sends_everything_without_waiting_and_tells_its_progress(
    make_uploader, home, collector, target_of, clock
):
    ids = home.put(100)
    seen = []
    uploader = make_uploader(target_of(collector), quiet_seconds=lambda: 0.0, may_send=lambda: "on battery")
    summary = await uploader.once(lambda summary: seen.append(summary.tally.sent))
    assert seen == [64, 100]
    assert (summary.tally.sent, summary.failure, summary.withheld, summary.left.waiting) == (100, "", "", 0)
    assert uploader.status()["sent"] == 100
    await home.assert_all_arrived_once(collector, ids)


async def test_once_ends_with_the_first_failure_and_says_what_is_left(
    make_uploader, home, collector, target_of, scripted
):
    collector.script.extend([scripted.take, scripted.refuse(grpc.StatusCode.UNAVAILABLE, details="the disk is full")])
    home.put(100)
    summary = await make_uploader(target_of(collector)).once()
    assert summary.tally.sent == 64
    assert "the disk is full" in summary.failure
    assert (summary.left.waiting, summary.left.leased) == (36, 0)
    assert collector.calls["UploadBatch"] == 2


async def test_once_goes_on_past_snapshots_that_are_refused_for_themselves(
    make_uploader, home, collector, target_of, scripted
):
    collector.policy = wire.PolicyReply(schema_versions=[1], max_batch_snapshots=1)
    collector.script.append(scripted.refuse(grpc.StatusCode.INVALID_ARGUMENT))
    home.put(3)
    summary = await make_uploader(target_of(collector)).once()
    assert (summary.tally.sent, summary.tally.parked, summary.failure) == (2, {"invalid_argument": 1}, "")


async def test_once_deletes_first_and_says_what_is_withheld(make_uploader, home, collector, target_of):
    await make_uploader(target_of(collector)).once()
    home.put(1)
    await make_uploader(target_of(collector)).once()
    home.installs.ask_deletion(Selection(everything=True))
    collector.policy = wire.PolicyReply(schema_versions=[2])
    home.put(1)
    summary = await make_uploader(target_of(collector)).once()
    assert "schema version 1" in summary.withheld
    assert summary.failure == ""
    assert collector.order[-2:] == ["Delete", "Policy"]


async def test_once_asks_anew_what_the_collector_takes(run, home, collector, target_of, clock):
    collector.policy = wire.PolicyReply(schema_versions=[7])
    home.put(64)
    uploader = run(target_of(collector))
    await clock.run_until(lambda: uploader.status()["state"] == "held")
    collector.policy = wire.PolicyReply(schema_versions=[1])
    assert (await uploader.once()).tally.sent == 64


async def test_once_without_a_collector_or_with_a_refused_one_says_so(make_uploader, home):
    assert (await make_uploader(None).once()).failure == NO_TARGET
    home.put(1)
    far = Target("team.example:80", plain_text=True)
    assert "this machine only" in (await make_uploader(far).once()).failure


async def test_once_beside_the_task_sends_each_snapshot_once(run, home, collector, target_of, clock):
    ids = home.put(200)
    uploader = run(target_of(collector))
    summary = await uploader.once()
    await clock.run_until(lambda: uploader.status()["sent"] == 200)
    assert summary.tally.duplicates == uploader.status()["duplicates"] == 0
    await home.assert_all_arrived_once(collector, ids)


async def test_the_system_clock_ends_a_wait_with_the_event_or_the_time():
    clock, event = SystemClock(), asyncio.Event()
    await clock.wait(event, 0.01)
    assert not event.is_set()
    event.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await clock.wait(event, None)
        await clock.wait(event, 1000.0)
