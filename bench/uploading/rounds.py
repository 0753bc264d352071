"""One round of one way to upload: a server and a sender in processes of their own, watched, and then what arrived.

All ways share the payload, the certificates and the processor's cores; server and sender begin with empty folders.
Knows nothing of rounds before or after.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.uploading import otlp_receiver
from bench.uploading.processes import running, watching
from capture.collector.index import Sealing
from capture.collector.opening import open_from
from capture.collector.parts import read_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.uploading.payload import Payload
    from bench.uploading.trust import Trust

READY_SECONDS = 60.0
SEND_SECONDS = 1800.0
REPOSITORY = Path(__file__).parents[2]
NO_LIMIT = "0"


class Lost(Exception):
    """What arrived is not what was sent."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one round. ``seconds`` are the sender's: from the word until the last acknowledgement is dealt with."""

    way: str
    snapshots: int
    content_bytes: int
    seconds: float
    client_cpu_seconds: float
    client_peak_rss_bytes: int
    server_cpu_seconds: float
    server_peak_rss_bytes: int

    def to_json(self) -> dict[str, Any]:
        """With what is compared: rates, and processor time for each snapshot."""
        looked_at = {
            "snapshots_per_second": self.snapshots / self.seconds,
            "bytes_per_second": self.content_bytes / self.seconds,
            "client_cpu_ms_per_snapshot": 1000 * self.client_cpu_seconds / self.snapshots,
            "server_cpu_ms_per_snapshot": 1000 * self.server_cpu_seconds / self.snapshots,
        }
        return {**asdict(self), **looked_at}


@dataclass(frozen=True, slots=True)
class Way:
    """How one way is run. ``server`` is a command for a folder of its own, ``sender`` one for an address and a folder.

    ``received`` reads back what is in the server's folder once the server has ended.
    """

    name: str
    explanation: str
    server: Callable[[Trust, Path], list[str | Path]]
    sender: Callable[[Trust, Payload, str, Path], list[str | Path]]
    received: Callable[[Path], Iterator[bytes]]


def collector_command(trust: Trust, data: Path, *more: str) -> list[str | Path]:
    """Our collector with its own storage, as anybody would start it, but without quotas: one client sends all."""
    return [
        *("-m", "daemon.main", "collect", "--json", "--listen", "127.0.0.1:0", "--data", data),
        *("--certificate", trust.certificate, "--key", trust.key, "--tokens", trust.tokens),
        *("--snapshots-per-minute", NO_LIMIT, "--mebibytes-per-minute", NO_LIMIT),
        *more,
    ]


def _received_by_collector(data: Path) -> Iterator[bytes]:
    """Seal what waits, then read all parts."""

    async def seal() -> None:
        storage = await open_from([str(data)])
        await storage.keep_up(Sealing(size_bytes=0, age_seconds=0.0))
        await storage.close()

    asyncio.run(seal())
    yield from read_parts(str(data))


def _store_sender(*more: str) -> Callable[[Trust, Payload, str, Path], list[str | Path]]:
    def command(trust: Trust, payload: Payload, address: str, home: Path) -> list[str | Path]:
        payload.copy_store(home)
        return [
            "-m",
            "bench.uploading.store_sender",
            *_to(trust, address),
            "--token",
            trust.token,
            "--home",
            home,
            *more,
        ]

    return command


def _memory_sender(trust: Trust, payload: Payload, address: str, _home: Path) -> list[str | Path]:
    of = ("--token", trust.token, "--payload", payload.folder)
    return ["-m", "bench.uploading.memory_sender", *_to(trust, address), *of]


def _receiver_command(trust: Trust, data: Path) -> list[str | Path]:
    of = ("--data", data, "--certificate", trust.certificate, "--key", trust.key)
    return ["-m", "bench.uploading.otlp_receiver", *of]


def _otlp_sender(trust: Trust, payload: Payload, address: str, _home: Path) -> list[str | Path]:
    of = ("--payload", payload.lines, "--batch", str(payload.batch))
    return ["-m", "bench.uploading.otlp_sender", *_to(trust, address), *of]


def _to(trust: Trust, address: str) -> list[str | Path]:
    return ["--address", address, "--authority", trust.authority]


STORE = Way(
    "store",
    "our client with all it does to lose nothing, and our collector; only the last search for secrets is left out",
    collector_command,
    _store_sender(),
    _received_by_collector,
)
MEMORY = Way(
    "memory",
    "our client's messages from a file, without store and leases, and our collector: the wire alone",
    collector_command,
    _memory_sender,
    _received_by_collector,
)
OTLP = Way(
    "otlp",
    "OpenTelemetry's batch processor and OTLP/gRPC exporter, and a receiver that commits and checks nothing",
    _receiver_command,
    _otlp_sender,
    otlp_receiver.received,
)
HUB = Way(
    "hub",
    "as store, with the last search for secrets and names in each snapshot, as the hub does it",
    collector_command,
    _store_sender("--search"),
    _received_by_collector,
)


async def run_round(way: Way, payload: Payload, trust: Trust, folder: Path) -> Figures:
    """Run it in an empty folder. Raises ProcessFailed, and Lost where not all arrived byte for byte."""
    data, home = folder / "data", folder / "home"
    for made in (data, home):
        made.mkdir(parents=True, mode=0o700)
    env = environment_in(home)
    async with running(way.server(trust, data), folder / "server.log", env) as server:
        address = (await server.line(READY_SECONDS))["listening"]
        command = way.sender(trust, payload, address, home)
        async with running(command, folder / "sender.log", env) as sender:
            await sender.line(READY_SECONDS)
            async with watching([sender.process_id, server.process_id]) as (of_sender, of_server):
                await sender.tell()
                sent = await sender.line(SEND_SECONDS)
            await sender.tell()
            await sender.ended()
        await server.end()
    if sent["acknowledged"] != payload.snapshots:
        raise Lost(f"{way.name}: {sent['acknowledged']} of {payload.snapshots} snapshots were acknowledged")
    await asyncio.to_thread(check, way, payload, data)
    return Figures(
        way.name,
        payload.snapshots,
        payload.content_bytes,
        sent["seconds"],
        of_sender.cpu_seconds,
        of_sender.peak_rss_bytes,
        of_server.cpu_seconds,
        of_server.peak_rss_bytes,
    )


def environment_in(home: Path) -> dict[str, str]:
    """That of the processes that are started: nobody's settings, and the modules of this repository."""
    places = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "HOME": str(home)}


def check(way: Way, payload: Payload, data: Path) -> None:
    """Raise Lost unless every snapshot is in the server's folder exactly once, byte for byte, and nothing else is."""
    missing = payload.digests()
    for content in way.received(data):
        digest = sha256(content).digest()
        if digest not in missing:
            raise Lost(f"{way.name}: something arrived twice, or that was not sent")
        missing.remove(digest)
    if missing:
        raise Lost(f"{way.name}: {len(missing)} of {payload.snapshots} snapshots did not arrive")
