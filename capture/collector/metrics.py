"""What a collector counts, for Prometheus. Knows nothing of what is in a snapshot, and names no client.

Its page is for whoever keeps the collector: it is served on this machine only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

if TYPE_CHECKING:
    import threading
    from wsgiref.simple_server import WSGIServer

    from capture.collector.storage import StorageState

_COMMIT_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The numbers of one collector."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = self._counter(
            "calls", "Calls, by method, status and what they were refused for.", "method", "status", "why"
        )
        self._received = self._counter("snapshots_received", "Snapshots that came in batches of the right form.")
        self._received_bytes = self._counter("received_bytes", "Bytes of the batches, before compression.")
        self._accepted = self._counter("snapshots_accepted", "Snapshots that were stored.")
        self._duplicates = self._counter("snapshots_duplicate", "Snapshots that had been stored before.")
        self._rejected = self._counter("snapshots_rejected", "Snapshots that were not taken, by reason.", "reason")
        self._deleted = self._counter("snapshots_deleted", "Snapshots that were deleted because somebody asked.")
        self._commit = Histogram(
            "foretype_collector_commit_seconds",
            "How long it took until a batch was durable.",
            buckets=_COMMIT_SECONDS,
            registry=self.registry,
        )
        self._up = self._gauge("storage_up", "Whether the storage takes snapshots: 1 or 0.")
        self._waiting = self._gauge("waiting_snapshots", "Stored snapshots that stand in no sealed part yet.")
        self._waiting_bytes = self._gauge("waiting_bytes", "Bytes of those.")
        self._sealed = self._gauge("sealed_parts", "Sealed parts.")
        self._to_rewrite = self._gauge("parts_to_rewrite", "Sealed parts that still hold bytes of deleted snapshots.")

    def call(self, method: str, status: str, why: str = "") -> None:
        """A call has ended."""
        self._calls.labels(method, status, why).inc()

    def received(self, snapshots: int, size_bytes: int) -> None:
        """A batch has come."""
        self._received.inc(snapshots)
        self._received_bytes.inc(size_bytes)

    def taken(self, *, accepted: int, duplicates: int) -> None:
        """Snapshots of a batch are durable."""
        self._accepted.inc(accepted)
        self._duplicates.inc(duplicates)

    def rejected(self, reason: str) -> None:
        """One snapshot was not taken."""
        self._rejected.labels(reason).inc()

    def deleted(self, snapshots: int) -> None:
        """Snapshots were deleted."""
        self._deleted.inc(snapshots)

    def committed(self, seconds: float) -> None:
        """A batch became durable in this time."""
        self._commit.observe(seconds)

    def storage(self, state: StorageState | None) -> None:
        """How the storage is; None while it is away."""
        self._up.set(state is not None)
        if state is not None:
            self._waiting.set(state.waiting_snapshots)
            self._waiting_bytes.set(state.waiting_bytes)
            self._sealed.set(state.sealed_parts)
            self._to_rewrite.set(state.parts_to_rewrite)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"foretype_collector_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(f"foretype_collector_{name}", help_text, registry=self.registry)


class MetricsPage:
    """Serves the numbers over HTTP until ``close``. Raises OSError when it cannot listen there."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        served: tuple[WSGIServer, threading.Thread] = start_http_server(port, addr=host, registry=metrics.registry)
        self._server, self._thread = served
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
