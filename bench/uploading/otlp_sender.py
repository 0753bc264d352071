"""The peer's client: OpenTelemetry's own batch processor and OTLP/gRPC exporter, over TLS, gzip on.

    python -m bench.uploading.otlp_sender --address ADDRESS --authority FILE --payload FILE --batch N

Each line of the payload file becomes the body of a log record, as bytes. The processor drops what comes while its
queue is full, so a record is only emitted while there is room: the queue is never empty for long and nothing is lost.
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult

from bench.uploading.sending import send_when_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord

BATCHES_IN_QUEUE = 4
DEADLINE_SECONDS = 10.0  # of a call, as ours


class CountingExporter(OTLPLogExporter):
    """The exporter, and how many records it was told are there; ``room`` is what the processor's queue has left."""

    def __init__(self, room: threading.Semaphore, **options: Any) -> None:
        super().__init__(**options)
        self.exported = 0
        self._room = room

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export and count."""
        result = super().export(batch)
        if result is LogRecordExportResult.SUCCESS:
            self.exported += len(batch)
        self._room.release(len(batch))
        return result


def main() -> None:
    """Parse the arguments, send when told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--authority", type=Path, required=True)
    parser.add_argument("--payload", type=Path, required=True)
    parser.add_argument("--batch", type=int, required=True)
    options = parser.parse_args()
    capacity = BATCHES_IN_QUEUE * options.batch
    room = threading.Semaphore(capacity)
    exporter = CountingExporter(
        room,
        endpoint=f"https://{options.address}",
        credentials=grpc.ssl_channel_credentials(options.authority.read_bytes()),
        compression=grpc.Compression.Gzip,
        timeout=DEADLINE_SECONDS,
    )
    processor = BatchLogRecordProcessor(exporter, max_export_batch_size=options.batch, max_queue_size=capacity)
    provider = LoggerProvider()
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("bench")

    def send() -> int:
        with options.payload.open("rb") as payload:
            for line in payload:
                room.acquire()
                logger.emit(LogRecord(timestamp=time.time_ns(), body=line[:-1]))
        provider.force_flush()
        return exporter.exported

    send_when_told(send)
    provider.shutdown()


if __name__ == "__main__":
    main()
