"""How snapshots are put into messages: never over a limit, and never fewer than fit."""

from __future__ import annotations

import hashlib
import secrets
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.upload.batches import MAX_MESSAGE_BYTES, Limits, batches, request_of
from capture.upload.identity import Install
from capture.upload.outbox import Outgoing
from capture.wire import snapshots_pb2 as wire

INSTALL = Install("c" * 32, b"s" * 32)


def outgoing(size_bytes, schema_version=1):
    content = b"x" * size_bytes
    return Outgoing(secrets.token_hex(16), "a" * 32, schema_version, hashlib.sha256(content).hexdigest(), content)


def message_bytes(snapshots):
    return request_of(INSTALL, snapshots).ByteSize()


sizes = st.lists(st.integers(0, 3000), max_size=80)


@given(sizes, st.integers(1, 64), st.integers(4000, 20_000), st.integers(0, 2**32 - 1))
def test_all_are_in_order_in_messages_that_are_full_and_within_the_limits(sizes, most, most_bytes, version):
    limits = Limits(max_snapshots=most, max_message_bytes=most_bytes)
    snapshots = [outgoing(size, version) for size in sizes]
    assert all(map(limits.takes, snapshots))
    found = batches(snapshots, limits)
    assert [one for batch in found for one in batch] == snapshots
    assert all(len(batch) <= most and message_bytes(batch) <= most_bytes for batch in found)
    for batch, following in pairwise(found):
        assert len(batch) == most or message_bytes([*batch, following[0]]) > most_bytes


@given(st.integers(0, 70_000), st.sampled_from([1, 127, 128, 2**14, 2**21, 2**32 - 1]))
def test_whether_a_snapshot_fits_is_known_to_the_byte(size, version):
    one = outgoing(size, version)
    exact = message_bytes([one])
    assert Limits(max_message_bytes=exact).takes(one)
    assert not Limits(max_message_bytes=exact - 1).takes(one)
    assert Limits(max_content_bytes=size).takes(one)
    assert size == 0 or not Limits(max_content_bytes=size - 1).takes(one)


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=64), st.integers(0, 2**32 - 1))
def test_what_a_lease_may_hold_is_one_message(sizes, version):
    limits = Limits()
    leased, total = [], 0
    for size in sizes:
        total += size
        if total > limits.lease_bytes:
            break
        leased.append(outgoing(size, version))
    assert len(batches(leased, limits)) <= 1
    assert message_bytes(leased) <= MAX_MESSAGE_BYTES


def test_a_message_may_be_exactly_as_large_as_the_limit_and_no_byte_larger():
    pair = [outgoing(1000), outgoing(2000)]
    exact = message_bytes(pair)
    assert batches(pair, Limits(max_message_bytes=exact)) == [pair]
    assert batches(pair, Limits(max_message_bytes=exact - 1)) == [pair[:1], pair[1:]]


policies = st.builds(
    wire.PolicyReply,
    schema_versions=st.lists(st.integers(0, 2**32 - 1), max_size=3),
    max_batch_snapshots=st.integers(0, 2**32 - 1),
    max_batch_bytes=st.integers(0, 2**32 - 1),
    max_snapshot_bytes=st.integers(0, 2**32 - 1),
    max_snapshots_per_minute=st.integers(0, 2**32 - 1),
    max_bytes_per_minute=st.integers(0, 2**64 - 1),
)


@given(policies)
def test_no_policy_makes_a_lease_empty_or_larger_than_the_wire_allows(policy):
    limits = Limits.of(policy)
    assert 1 <= limits.max_snapshots <= 64
    assert 1 <= limits.lease_bytes <= MAX_MESSAGE_BYTES
    assert limits.max_message_bytes <= MAX_MESSAGE_BYTES
    assert limits.schema_versions is None or limits.schema_versions == set(policy.schema_versions)


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (Limits(), 0.0),
        (Limits(max_snapshots_per_minute=120), 5.0),
        (Limits(max_bytes_per_minute=1000), 60.0),
        (Limits(max_snapshots_per_minute=120, max_bytes_per_minute=100_000), 5.0),
    ],
)
def test_a_batch_takes_its_share_of_the_minute(limits, seconds):
    assert limits.seconds_for(10, 1000) == pytest.approx(seconds)
