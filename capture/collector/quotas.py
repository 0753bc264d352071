"""How much one client may send in a minute: snapshots and bytes. Knows nothing of who the clients are.

A minute begins with a client's first call in it, and what was refused costs nothing. The counts live in this process:
of several collectors behind a balancer each grants the whole quota.
"""

from __future__ import annotations

import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from capture.collector.settings import Quota


class Quotas:
    """What each client has left. For one event loop."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._limits = {
            kind: RateLimitItemPerMinute(most, namespace=kind)
            for kind, most in (("snapshots", quota.snapshots_per_minute), ("bytes", quota.bytes_per_minute))
            if most
        }

    async def take(self, client: str, *, snapshots: int, size_bytes: int) -> float:
        """Take this much of a client's quota, and return 0; or nothing, and return the seconds until it is fresh."""
        costs = {kind: cost for kind, cost in (("snapshots", snapshots), ("bytes", size_bytes)) if cost}
        asked = [(self._limits[kind], cost) for kind, cost in costs.items() if kind in self._limits]
        for limit, cost in asked:
            if not await self._limiter.test(limit, client, cost=cost):
                fresh_at = (await self._limiter.get_window_stats(limit, client)).reset_time
                return max(1.0, fresh_at - time.time())
        for limit, cost in asked:
            await self._limiter.hit(limit, client, cost=cost)
        return 0.0
