"""The peer's receiver: OpenTelemetry's log records over gRPC and TLS, each durable before the reply.

    python -m bench.uploading.otlp_receiver --data FOLDER --certificate FILE --key FILE

It commits as our collector does, with the same SQLite settings: write-ahead log, ``synchronous=FULL``, one transaction
a call, one row a record, its bytes compressed by zstd at the same level. It does nothing else: it checks neither tokens
nor contents nor sizes, keeps no id unique, seals nothing and deletes nothing. Prints where it listens as one JSON line,
and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import orjson
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)

from capture.store import sqlite
from capture.store.payload import COMPRESSION_LEVEL
from capture.store.sqlite import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

FILE = "records.sqlite3"
SCHEMA = Schema(
    application_id=0x4F544C50,  # "OTLP"
    migrations=(("CREATE TABLE record (sequence INTEGER PRIMARY KEY, compressed BLOB NOT NULL)",),),
)
GRACE_SECONDS = 2.0


class Records:
    """The receiver's file. For one thread."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite.open_for_writing(path, SCHEMA)
        self._compressor = zstandard.ZstdCompressor(COMPRESSION_LEVEL, write_checksum=True)

    def add(self, bodies: Sequence[bytes]) -> None:
        """All of them in one transaction; they are on the disk when it returns."""
        rows = [(self._compressor.compress(body),) for body in bodies]
        with self._database.writing() as connection:
            connection.executemany("INSERT INTO record (compressed) VALUES (?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def received(folder: Path) -> Iterator[bytes]:
    """Every record in the receiver's folder, in the order in which they came."""
    database = sqlite.open_for_reading(folder / FILE, SCHEMA)
    try:
        with database.reading() as connection:
            for row in connection.execute("SELECT compressed FROM record ORDER BY sequence"):
                yield zstandard.ZstdDecompressor().decompress(row["compressed"])
    finally:
        database.close()


class Receiver(LogsServiceServicer):
    """Answers once a thread of its own has committed."""

    def __init__(self, folder: Path) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._folder = folder
        self._records: Records

    async def open(self) -> None:
        """Open the file, in the thread that is to use it."""
        self._records = await self._in_thread(Records, self._folder / FILE)

    async def Export(  # noqa: N802  the service's name for it
        self, request: ExportLogsServiceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> ExportLogsServiceResponse:
        """Keep the bodies of all records."""
        del context
        bodies = [
            record.body.bytes_value
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
        await self._in_thread(self._records.add, bodies)
        return ExportLogsServiceResponse()

    async def close(self) -> None:
        """Close the file."""
        await self._in_thread(self._records.close)
        self._thread.shutdown()

    async def _in_thread(self, action: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, action, *arguments)


async def serve(folder: Path, certificate: bytes, key: bytes) -> None:
    """Receive until SIGTERM or Ctrl-C."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    receiver = Receiver(folder)
    await receiver.open()
    server = grpc.aio.server()
    add_LogsServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]  # generated without types
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    await server.start()
    print(orjson.dumps({"listening": f"127.0.0.1:{port}"}).decode(), flush=True)
    await ended.wait()
    await server.stop(GRACE_SECONDS)
    await receiver.close()


def main() -> None:
    """Parse the arguments, serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.data, options.certificate.read_bytes(), options.key.read_bytes()))


if __name__ == "__main__":
    main()
