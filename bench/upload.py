"""Snapshots a second from a store to a collector, beside OpenTelemetry's log exporter: ``python -m bench.upload``.

Every way runs in processes of its own on the same two cores, through real TLS on this machine, and every snapshot is
committed durably (SQLite, ``synchronous=FULL``) before it is acknowledged. In each round every way has its turn, in
another order; after each, what arrived is read back and compared byte for byte. The ways:

    store   our client as it is, with leases, checks and acknowledgements written to SQLite, and `foretype collect`.
            Of what a hub does only the last search for secrets is left out, which is the same with any wire.
    memory  the same client and messages from a file, without a store, and `foretype collect`: the wire alone.
    otlp    OpenTelemetry's batch processor and OTLP/gRPC exporter (records with the same bytes as body, as many in a
            call as ours, gzip as ours) and a receiver that commits in the same way. The receiver checks nothing: no
            token, no SHA-256, no form, no size; it keeps no id unique and no sealed parts.
    hub     as store, with the search; fewer snapshots, because it takes so much longer than all else.

``--soak N`` instead sends N small snapshots into one collector and watches its memory. Prints a table for people and
one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bench.uploading.payload import Payload
from bench.uploading.rounds import HUB, MEMORY, OTLP, REPOSITORY, STORE, Figures, run_round
from bench.uploading.soak import soak
from bench.uploading.trust import Trust
from daemon.tuning.record import processor_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.uploading.rounds import Way

SNAPSHOTS, SIZE_BYTES, ROUNDS, CORES = 5_000, 20_000, 5, 2
SEARCHED_SNAPSHOTS = 250
SOAK_SNAPSHOTS, SOAK_SIZE_BYTES = 1_000_000, 2_000
COLUMNS = {
    "snapshots_per_second": ("snapshots/s", 1.0),
    "bytes_per_second": ("MB/s", 1e-6),
    "client_cpu_ms_per_snapshot": ("client ms", 1.0),
    "server_cpu_ms_per_snapshot": ("server ms", 1.0),
    "client_peak_rss_bytes": ("client MiB", 2**-20),
    "server_peak_rss_bytes": ("server MiB", 2**-20),
}


def measure(ways: Sequence[tuple[Way, Payload]], rounds: int, folder: Path) -> list[Figures]:
    """Every way once in each round, each round beginning with another one. Raises ProcessFailed and Lost."""
    trust = Trust.made_in(folder / "trust")
    found = []
    for number in range(rounds):
        first = number % len(ways)
        for way, payload in [*ways[first:], *ways[:first]]:
            with tempfile.TemporaryDirectory(dir=folder) as name:
                figures = asyncio.run(run_round(way, payload, trust, Path(name)))
            found.append(figures)
            rate = figures.snapshots / figures.seconds
            print(f"round {number + 1}  {way.name:7} {figures.snapshots} snapshots, {rate:.0f} a second", flush=True)
    return found


def summarise(found: Sequence[Figures]) -> dict[str, Any]:
    """For each way the median, least and largest of its rounds, and how our rates compare with the peer's."""
    names = dict.fromkeys(one.way for one in found)
    ways = {name: _spreads([one for one in found if one.way == name]) for name in names}
    rates = {name: spreads["snapshots_per_second"]["median"] for name, spreads in ways.items()}
    peer = rates.get(OTLP.name)
    compared = (
        {} if peer is None else {name: round(rate / peer, 3) for name, rate in rates.items() if name != OTLP.name}
    )
    return {"ways": ways, "times_the_rate_of_otlp": compared}


def table(summary: dict[str, Any]) -> str:
    """Medians, and behind the rates how far they spread."""
    lines = [" " * 10 + "".join(f"{title:>12}" for title, _ in COLUMNS.values())]
    for name, spreads in summary["ways"].items():
        cells = "".join(f"{spreads[column]['median'] * unit:12.2f}" for column, (_, unit) in COLUMNS.items())
        rate = spreads["snapshots_per_second"]
        lines.append(f"{name:10}{cells}   {rate['least']:.0f} to {rate['largest']:.0f} snapshots/s")
    for name, times in summary["times_the_rate_of_otlp"].items():
        lines.append(f"{name} sends {times:.2f} times as many snapshots a second as otlp")
    lines.append("otlp's receiver checks nothing of what it is sent; a collector of ours checks all of it")
    return "\n".join(lines)


def environment(cores: Sequence[int]) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    describe = ("git", "describe", "--always", "--dirty", "--exclude=*")
    commit = subprocess.run(describe, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "processor": processor_name(),
        "cores_used": list(cores),
        "versions": {name: version(name) for name in ("grpcio", "protobuf", "opentelemetry-exporter-otlp-proto-grpc")},
        "load_before": round(os.getloadavg()[0], 2),
    }


def pin(count: int) -> list[int]:
    """Keep this process, and all that it starts, on so many cores; none where the system has no way to."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    return cores


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshots", type=int, default=SNAPSHOTS, help="in each round (default: %(default)s)")
    parser.add_argument("--size-bytes", type=int, default=SIZE_BYTES, help="of one, about (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--cores", type=int, default=CORES, help="for all processes together (default: %(default)s)")
    parser.add_argument(
        "--searched", type=int, default=SEARCHED_SNAPSHOTS, help="in each round of hub; 0: none (default: %(default)s)"
    )
    parser.add_argument(
        "--soak", type=int, nargs="?", const=SOAK_SNAPSHOTS, help="send so many small ones instead (%(const)s)"
    )
    parser.add_argument(
        "--delete-sealed", action="store_true", help="with --soak: remove sealed parts while it runs, to save the disk"
    )
    parser.add_argument("--folder", type=Path, help="where to work, on the disk to be measured (default: temporary)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing that was started outlives this process
    try:
        result = _measured(options)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    print(orjson.dumps({"bench": "upload", **result}).decode())


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    surroundings = environment(pin(options.cores))
    with tempfile.TemporaryDirectory(prefix="foretype-bench-", dir=options.folder) as name:
        folder = Path(name)
        if options.soak is not None:
            result = asyncio.run(soak(options.soak, SOAK_SIZE_BYTES, folder, delete_sealed=options.delete_sealed))
        else:
            result = _compare(options, folder)
    return {**result, **surroundings}


def _compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    payload = Payload.made_in(folder / "payload", options.snapshots, options.size_bytes)
    ways = [(way, payload) for way in (STORE, MEMORY, OTLP)]
    if options.searched:
        ways.append((HUB, Payload.made_in(folder / "searched", options.searched, options.size_bytes)))
    for way, sent in ways:
        print(f"{way.name:7} {sent.snapshots} snapshots: {way.explanation}")
    summary = summarise(measure(ways, options.rounds, folder))
    print(table(summary))
    return {
        "snapshots": payload.snapshots,
        "snapshots_searched": options.searched,
        "content_bytes": payload.content_bytes,
        "snapshots_per_call": payload.batch,
        "rounds": options.rounds,
        **summary,
    }


def _spreads(rounds: Sequence[Figures]) -> dict[str, Any]:
    rows = [one.to_json() for one in rounds]
    counts = {"rounds": len(rows), "snapshots_found": sum(one.snapshots for one in rounds)}
    return {**counts, **{column: _spread([row[column] for row in rows]) for column in COLUMNS}}


def _spread(values: Sequence[float]) -> dict[str, float]:
    figures = {"median": statistics.median(values), "least": min(values), "largest": max(values)}
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    main()
