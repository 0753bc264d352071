"""Sends many small snapshots to a collector, made as they are sent, and says now and then how many it has.

    python -m bench.uploading.soak_sender --address ADDRESS --authority FILE --token FILE --snapshots N --size-bytes N

Our client without a store, as `memory_sender.py` has it. Each line on standard output is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson

from bench.uploading.memory_sender import upload_all
from bench.uploading.samples import WORKSPACE, contents, snapshots
from capture.snapshot.snapshot import SCHEMA_VERSION, Snapshot
from capture.upload.outbox import Outgoing
from capture.upload.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DISTINCT = 2_000
SAY_EVERY = 1_000


def outgoing(made: Sequence[Snapshot], count: int) -> Iterator[Outgoing]:
    """``count`` snapshots as our client takes them."""
    for snapshot_id, content in contents(made, count):
        yield Outgoing(snapshot_id, WORKSPACE, SCHEMA_VERSION, sha256(content).hexdigest(), content)


async def send(target: Target, sent: Iterable[Outgoing]) -> None:
    """Send all of them, and say how far it is: before the first, every `SAY_EVERY` or so, and at the end."""
    said = accepted = 0
    _say(accepted)
    async for accepted in upload_all(target, sent):
        if accepted >= said + SAY_EVERY:
            said = accepted
            _say(accepted)
    if accepted != said:
        _say(accepted)


def _say(accepted: int) -> None:
    sys.stdout.buffer.write(orjson.dumps({"acknowledged": accepted}) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Parse the arguments, send."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--authority", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--snapshots", type=int, required=True)
    parser.add_argument("--size-bytes", type=int, required=True)
    options = parser.parse_args()
    target = Target(options.address, token_file=options.token, ca_file=options.authority)
    made = snapshots(min(options.snapshots, DISTINCT), options.size_bytes)
    asyncio.run(send(target, outgoing(made, options.snapshots)))


if __name__ == "__main__":
    main()
