"""The three calls of proto/snapshots.proto, for a client that is known by name: upload, delete, what is taken.

A batch is checked as a whole, then against the client's quota, then snapshot by snapshot; what passes is durable before
the reply. Knows nothing of tokens, connections, or how snapshots are kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc

from capture.collector import checks, settings
from capture.collector.calls import TROUBLE_RETRY_SECONDS, Method, Refused
from capture.collector.checks import Malformed, Refusal
from capture.collector.metrics import Metrics
from capture.collector.quotas import Quotas
from capture.collector.storage import (
    Arrival,
    InstallKey,
    Storage,
    StorageUnavailable,
    Verdict,
    WrongSecret,
)
from capture.snapshot.snapshot import SCHEMA_VERSIONS
from capture.wire import snapshots_pb2 as wire

NAME: str = wire.DESCRIPTOR.services_by_name["Snapshots"].full_name

_REFUSALS: dict[Verdict, Refusal] = {
    "id_taken": Refusal(wire.Rejection.ID_TAKEN, "the id is another snapshot's, or another installation's"),
    "deleted": Refusal(wire.Rejection.DELETED, "it was deleted here, and does not come back"),
}

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class SnapshotService:
    """Answers the calls. ``storage_failed`` is told why when the storage turns out to be away. For one event loop."""

    def __init__(
        self, storage: Storage, quotas: Quotas, metrics: Metrics, storage_failed: Callable[[str], None]
    ) -> None:
        self._storage = storage
        self._quotas = quotas
        self._metrics = metrics
        self._storage_failed = storage_failed
        self._checking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checks")
        self._with_storage: set[asyncio.Task[Any]] = set()

    @property
    def methods(self) -> tuple[Method[Any], ...]:
        """What is served."""
        return (
            Method("UploadBatch", wire.UploadBatchRequest, self.upload),
            Method("Delete", wire.DeleteRequest, self.delete),
            Method("Policy", wire.PolicyRequest, self.policy),
        )

    async def upload(self, client: str, request: wire.UploadBatchRequest, size_bytes: int) -> wire.UploadBatchReply:
        """Store what may be stored. Raises Refused, and then nothing of the batch was."""
        try:
            install = checks.read_install(request)
        except Malformed as error:
            raise _malformed(error) from error
        await self._take_quota(client, len(request.snapshots), size_bytes)
        self._metrics.received(len(request.snapshots), size_bytes)
        loop = asyncio.get_running_loop()
        arrivals, refused = await loop.run_in_executor(self._checking, checks.check_snapshots, request.snapshots)
        verdicts = await self._store(install, arrivals)
        reply = _reply(arrivals, verdicts, refused)
        self._count(client, reply, size_bytes)
        return reply

    async def delete(self, client: str, request: wire.DeleteRequest, size_bytes: int) -> wire.DeleteReply:
        """Forget what the installs sent whose secrets are shown. Raises Refused, and then nothing was deleted."""
        try:
            installs, wanted = checks.read_deletion(request)
        except Malformed as error:
            raise _malformed(error) from error
        await self._take_quota(client, 0, size_bytes)
        deleted = await self._ask_storage(self._storage.delete(installs, wanted))
        self._metrics.deleted(deleted.snapshots)
        fields = {"client": client, "installs": len(installs), "deleted": deleted.snapshots}
        _log.info("deleted", extra={"fields": {**fields, "parts_to_rewrite": deleted.parts_to_rewrite}})
        return wire.DeleteReply(deleted=deleted.snapshots, parts_to_rewrite=deleted.parts_to_rewrite)

    async def policy(self, _client: str, _request: wire.PolicyRequest, _size_bytes: int) -> wire.PolicyReply:
        """What this collector takes."""
        return wire.PolicyReply(
            schema_versions=SCHEMA_VERSIONS,
            max_batch_snapshots=settings.MAX_BATCH_SNAPSHOTS,
            max_batch_bytes=settings.MAX_BATCH_BYTES,
            max_snapshot_bytes=checks.MAX_SNAPSHOT_BYTES,
            max_snapshots_per_minute=self._quotas.quota.snapshots_per_minute,
            max_bytes_per_minute=self._quotas.quota.bytes_per_minute,
        )

    async def close(self, within_seconds: float) -> None:
        """Wait for what the storage was asked, then give it up; nothing may be asked after it."""
        if self._with_storage:
            _, late = await asyncio.wait(self._with_storage, timeout=within_seconds)
            for task in late:
                task.cancel()
            if late:
                _log.warning("the storage has not answered in time; its clients will send again")
                await asyncio.wait(late)
        self._checking.shutdown()

    async def _take_quota(self, client: str, snapshots: int, size_bytes: int) -> None:
        wait_seconds = await self._quotas.take(client, snapshots=snapshots, size_bytes=size_bytes)
        if wait_seconds:
            raise Refused(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "quota",
                f"{client} has sent as much as it may in a minute; try again in {wait_seconds:.0f} s",
                retry_seconds=wait_seconds,
            )

    async def _store(self, install: InstallKey, arrivals: list[Arrival]) -> list[Verdict]:
        if not arrivals:
            return []
        started = time.perf_counter()
        verdicts = await self._ask_storage(self._storage.store(install, arrivals))
        self._metrics.committed(time.perf_counter() - started)
        return verdicts

    async def _ask_storage(self, asked: Coroutine[Any, Any, Result]) -> Result:
        """Have the storage finish what it was asked, even if the client goes away meanwhile."""
        task = asyncio.ensure_future(asked)
        self._with_storage.add(task)
        task.add_done_callback(self._storage_answered)
        try:
            return await asyncio.shield(task)
        except WrongSecret as error:
            raise Refused(
                grpc.StatusCode.PERMISSION_DENIED, "wrong_secret", "an install of the call is bound to another secret"
            ) from error
        except StorageUnavailable as error:
            raise Refused(
                grpc.StatusCode.UNAVAILABLE,
                "storage",
                "the collector cannot reach its storage, or write to it; its log says why",
                retry_seconds=TROUBLE_RETRY_SECONDS,
            ) from error

    def _storage_answered(self, task: asyncio.Task[Any]) -> None:
        self._with_storage.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StorageUnavailable):
            self._storage_failed(error.reason)

    def _count(self, client: str, reply: wire.UploadBatchReply, size_bytes: int) -> None:
        accepted, duplicates = len(reply.accepted_ids), len(reply.duplicate_ids)
        self._metrics.taken(accepted=accepted, duplicates=duplicates)
        reasons: dict[str, int] = {}
        for rejection in reply.rejected:
            reason = wire.Rejection.Reason.Name(rejection.reason)
            self._metrics.rejected(reason)
            reasons[reason] = reasons.get(reason, 0) + 1
        fields = {"client": client, "bytes": size_bytes, "accepted": accepted, "duplicates": duplicates}
        _log.info("uploaded", extra={"fields": {**fields, "rejected": reasons}})


def _malformed(error: Malformed) -> Refused:
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, "malformed", str(error))


def _reply(
    arrivals: Sequence[Arrival], verdicts: Sequence[Verdict], refused: Sequence[tuple[str, Refusal]]
) -> wire.UploadBatchReply:
    reply = wire.UploadBatchReply()
    every_refusal = list(refused)
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        if verdict == "accepted":
            reply.accepted_ids.append(arrival.id)
        elif verdict == "duplicate":
            reply.duplicate_ids.append(arrival.id)
        else:
            every_refusal.append((arrival.id, _REFUSALS[verdict]))
    for identifier, refusal in every_refusal:
        reply.rejected.add(id=identifier, reason=refusal.reason, explanation=refusal.explanation)
    return reply
