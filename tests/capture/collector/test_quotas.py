"""What a client may send in a minute, against a plain count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.collector.quotas import Quotas
from capture.collector.settings import Quota

calls = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob"]),
        st.integers(0, 64),
        st.sampled_from([0, 10, 300_000, 1 << 20]),
        st.sampled_from([0.0, 0.5, 10.0, 61.0]),
    ),
    max_size=40,
)


@given(calls=calls)
async def test_each_client_has_its_own_minute_and_what_is_refused_costs_nothing(calls):
    now = [1_800_000_000.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: now[0])
        quotas = Quotas(Quota(snapshots_per_minute=100, bytes_per_minute=2 << 20))
        used = {}  # (client, kind) -> what was taken in the minute that ends then
        for client, snapshots, size_bytes, pause_seconds in calls:
            now[0] += pause_seconds
            costs = {"snapshots": (snapshots, 100), "bytes": (size_bytes, 2 << 20)}
            for kind in costs:
                if used.get((client, kind), (0, 0.0))[1] <= now[0]:
                    used.pop((client, kind), None)
            too_much = [
                kind
                for kind, (cost, most) in costs.items()
                if cost and used.get((client, kind), (0, 0))[0] + cost > most
            ]
            wait_seconds = await quotas.take(client, snapshots=snapshots, size_bytes=size_bytes)
            assert (wait_seconds > 0) == bool(too_much)
            if too_much:
                until = used[client, too_much[0]][1]
                assert wait_seconds == max(1.0, until - now[0])
                continue
            for kind, (cost, _) in costs.items():
                if cost:
                    taken, until = used.get((client, kind), (0, now[0] + 60))
                    used[client, kind] = (taken + cost, until)


async def test_without_limits_everything_is_granted():
    quotas = Quotas(Quota(snapshots_per_minute=0, bytes_per_minute=0))
    for _ in range(200):
        assert await quotas.take("alice", snapshots=64, size_bytes=1 << 20) == 0
