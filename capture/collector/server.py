"""A collector that serves: one port, its health, its numbers, and how it stops. Knows nothing of what the calls do.

Plain text is spoken to this machine alone. While the storage is away the health service says so, and the storage is
asked again and again until it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from capture.collector import service
from capture.collector.calls import Calls, Places
from capture.collector.certificates import Certificates
from capture.collector.clients import Clients
from capture.collector.health import CHECKS_AT_ONCE, Health
from capture.collector.metrics import Metrics, MetricsPage
from capture.collector.quotas import Quotas
from capture.collector.service import SnapshotService
from capture.collector.settings import MAX_BATCH_BYTES, Address, Settings, SettingsRefused
from capture.collector.storage import Storage, StorageState, StorageUnavailable

CALLS_AT_ONCE = 64
CALLS_OF_ONE_CLIENT = 16

_MINUTE_MS = 60_000
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_BATCH_BYTES),  # counted before decompression and again while it goes on
    ("grpc.max_connection_age_ms", 30 * _MINUTE_MS),  # so that a balancer gets to spread old clients
    ("grpc.max_connection_age_grace_ms", _MINUTE_MS),
    ("grpc.max_connection_idle_ms", 10 * _MINUTE_MS),
    ("grpc.max_concurrent_streams", CALLS_OF_ONE_CLIENT * 2),  # of one connection
    ("grpc.server_handshake_timeout_ms", _MINUTE_MS // 6),
    ("grpc.keepalive_time_ms", 2 * _MINUTE_MS),
    ("grpc.keepalive_timeout_ms", _MINUTE_MS // 3),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", _MINUTE_MS // 2),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.so_reuseport", 0),  # a second collector on the same port is a mistake, and is told so
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where it listens, with the ports that the system chose."""

    address: Address
    metrics: Address | None
    failed: asyncio.Future[None]  # ends, with what went wrong, when the collector cannot go on


@asynccontextmanager
async def serving(settings: Settings, storage: Storage, clients: Clients) -> AsyncIterator[Listening]:
    """Serve until left; then let calls in progress end, for ``stop_seconds`` at most. The storage stays open.

    Raises SettingsRefused.
    """
    metrics = Metrics()
    watch = _StorageWatch(storage, Health(metrics), metrics)
    snapshots = SnapshotService(storage, Quotas(settings.quota), metrics, watch.failed)
    places = Places(CALLS_AT_ONCE, CALLS_OF_ONE_CLIENT)
    calls = Calls(clients, places, metrics, message_seconds=settings.message_seconds)
    server = _server(snapshots, watch.health, calls)
    address = _listen(server, settings)
    page = _metrics_page(metrics, settings.metrics)
    work = [asyncio.create_task(task) for task in (watch.run(settings.look_at_storage_seconds), storage.maintain())]
    failed = asyncio.get_running_loop().create_future()
    for task in work:
        task.add_done_callback(lambda task: _pass_on(task, failed))
    try:
        await server.start()
        where = None if page is None or settings.metrics is None else Address(settings.metrics.host, page.port)
        yield Listening(address, where, failed)
    finally:
        watch.stop()
        await server.stop(settings.stop_seconds)
        await snapshots.close(settings.stop_seconds)
        for task in work:
            task.cancel()
        await asyncio.wait(work)
        if page is not None:
            await asyncio.to_thread(page.close)


class _StorageWatch:
    """Keeps the health and the numbers true to the storage, with a look at it every so often."""

    def __init__(self, storage: Storage, health: Health, metrics: Metrics) -> None:
        self.health = health
        self._storage = storage
        self._metrics = metrics
        self._is_stopped = False

    def failed(self, reason: str) -> None:
        """A call could not be answered; the next good look makes it healthy again."""
        if self.health.is_serving:
            _log.warning("the storage is away: %s", reason)
        self._put(None)

    def stop(self) -> None:
        """Not healthy from now on, whatever the storage says."""
        self._is_stopped = True
        self._put(None)

    async def run(self, every_seconds: float) -> None:
        """Look until cancelled."""
        while True:
            try:
                self._put(await self._storage.state())
            except StorageUnavailable as error:
                self.failed(error.reason)
            await asyncio.sleep(every_seconds)

    def _put(self, state: StorageState | None) -> None:
        self._metrics.storage(state)
        self.health.is_serving = state is not None and not self._is_stopped


def _server(snapshots: SnapshotService, health: Health, calls: Calls) -> grpc.aio.Server:
    handlers = {method.name: calls.handler(method) for method in snapshots.methods}
    # gRPC's own bound answers without saying when to try again: it only stands behind the places.
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=4 * (CALLS_AT_ONCE + CHECKS_AT_ONCE))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.NAME, handlers), health.handlers))
    return server


def _listen(server: grpc.aio.Server, settings: Settings) -> Address:
    try:
        if settings.certificates is None:
            port = server.add_insecure_port(str(settings.listen))
        else:
            port = server.add_secure_port(str(settings.listen), Certificates(settings.certificates).credentials())
    except RuntimeError as error:
        raise SettingsRefused(f"{settings.listen} cannot be listened on; is something else there already?") from error
    return Address(settings.listen.host, port)


def _metrics_page(metrics: Metrics, address: Address | None) -> MetricsPage | None:
    if address is None:
        return None
    try:
        return MetricsPage(metrics, address.host, address.port)
    except OSError as error:
        raise SettingsRefused(f"{address} cannot be listened on: {error.strerror}; take another for metrics") from error


def _pass_on(task: asyncio.Task[None], failed: asyncio.Future[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None and not failed.done():
        failed.set_exception(error)
