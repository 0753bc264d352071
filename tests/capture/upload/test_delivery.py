"""Finding the snapshot at fault: nothing else is set aside, and a collector that fails at everything costs nothing."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.upload.delivery import MAX_VAIN_CALLS, Sending
from capture.upload.outbox import Outgoing
from capture.upload.outcomes import Taken, Withdrawn
from capture.upload.retries import Failure

BLAMING = ("INVALID_ARGUMENT", "MESSAGE_TOO_LARGE")
SUSPECTING = ("UNKNOWN", "INTERNAL", "RESOURCE_EXHAUSTED")
ENDING = ("UNAVAILABLE", "UNAUTHENTICATED")


def outgoing(number):
    return Outgoing(f"{number:032x}", "a" * 32, 1, "0" * 64, b"{}")


class Collector:
    """Fails with a code at every batch that holds one of ``poison``."""

    def __init__(self, poison):
        self.poison = poison
        self.taken = Counter()
        self.calls = 0
        self.first_calls = []

    async def send(self, batch):
        self.calls += 1
        self.first_calls.append(len(batch))
        codes = [self.poison[one.id] for one in batch if one.id in self.poison]
        if codes:
            return Failure(codes[0], "words")
        self.taken.update(one.id for one in batch)
        return Taken(frozenset(one.id for one in batch), frozenset(), {})


async def deliver(collector, batches, may_go_on=lambda: True):
    sending = Sending(collector.send, may_go_on)
    await sending.run(batches)
    return sending.delivery


@given(st.lists(st.none() | st.sampled_from((*BLAMING, *SUSPECTING)), min_size=1, max_size=64))
def test_exactly_the_snapshots_at_fault_are_set_aside_and_all_others_arrive_once(faults):
    snapshots = [outgoing(number) for number in range(len(faults))]
    poison = {one.id: code for one, code in zip(snapshots, faults, strict=True) if code is not None}
    collector = Collector(poison)
    delivery = asyncio.run(deliver(collector, [snapshots]))
    assert delivery.accepted == set(collector.taken)
    assert set(collector.taken.values()) <= {1}
    assert delivery.parked.items() <= {name: code.lower() for name, code in poison.items()}.items()
    blamed = {name for name, code in poison.items() if code in BLAMING}
    if delivery.failure is None:
        assert delivery.accepted == {one.id for one in snapshots} - set(poison)
        assert blamed <= set(delivery.parked)
        if set(poison.values()) & set(SUSPECTING):
            assert delivery.accepted
    else:
        assert not delivery.accepted, "a collector that takes some is not given up"
        assert set(delivery.parked) <= blamed, "without another that got through nobody else is blamed"


@pytest.mark.parametrize("size", [1, 2, 64])
@pytest.mark.parametrize("code", SUSPECTING)
async def test_a_collector_that_fails_at_everything_is_left_alone_soon_and_nothing_is_parked(code, size):
    snapshots = [outgoing(number) for number in range(size)]
    collector = Collector({one.id: code for one in snapshots})
    delivery = await deliver(collector, [snapshots])
    assert delivery.parked == {}
    assert delivery.failure.code == code
    assert collector.calls <= MAX_VAIN_CALLS


@pytest.mark.parametrize("code", BLAMING)
async def test_a_snapshot_that_is_refused_alone_is_parked_and_the_next_lease_has_to_wait(code):
    delivery = await deliver(Collector({outgoing(0).id: code}), [[outgoing(0)]])
    assert delivery.parked == {outgoing(0).id: code.lower()}
    assert delivery.failure is None
    assert delivery.reason_to_wait.code == code


async def test_after_one_is_found_among_others_nothing_has_to_wait():
    delivery = await deliver(
        Collector({outgoing(3).id: "INVALID_ARGUMENT"}), [[outgoing(number) for number in range(8)]]
    )
    assert delivery.reason_to_wait is None


@pytest.mark.parametrize("code", ENDING)
async def test_other_failures_end_it_with_the_rest_unsent_and_nothing_parked(code):
    collector = Collector({outgoing(5).id: code})
    batches = [[outgoing(number), outgoing(number + 1)] for number in range(0, 10, 2)]
    delivery = await deliver(collector, batches)
    assert delivery.failure.code == code
    assert delivery.accepted == {outgoing(number).id for number in range(4)}
    assert delivery.parked == {}
    assert collector.calls == 3


async def test_what_a_reply_rejects_is_parked_with_its_reason():
    async def send(batch):
        return Taken(frozenset(), frozenset({batch[0].id}), {batch[1].id: "id_taken"})

    sending = Sending(send, lambda: True)
    await sending.run([[outgoing(0), outgoing(1)]])
    assert sending.delivery.duplicates == sending.delivery.arrived == {outgoing(0).id}
    assert sending.delivery.parked == {outgoing(1).id: "id_taken"}


async def test_once_it_is_not_allowed_any_more_nothing_else_is_sent():
    calls = []

    async def send(batch):
        calls.append(batch)
        return Withdrawn() if len(calls) == 2 else Taken(frozenset(one.id for one in batch), frozenset(), {})

    sending = Sending(send, lambda: True)
    await sending.run([[outgoing(number)] for number in range(4)])
    assert sending.delivery.is_withdrawn
    assert sending.delivery.accepted == {outgoing(0).id}
    assert len(calls) == 2


async def test_when_time_is_up_the_rest_is_left_for_the_next_lease():
    collector = Collector({})
    delivery = await deliver(collector, [[outgoing(number)] for number in range(4)], lambda: collector.calls < 2)
    assert delivery.accepted == {outgoing(0).id, outgoing(1).id}
    assert delivery.failure is None
