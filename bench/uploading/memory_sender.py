"""Our client without a store: batches straight from a file, no leases, no acknowledgements written down.

    python -m bench.uploading.memory_sender --address ADDRESS --authority FILE --token FILE --payload FOLDER

What is left is what the wire costs: the same client, messages and checks of replies as `capture.upload` has.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bench.uploading.payload import Payload
from bench.uploading.sending import send_when_told
from capture.upload.batches import Limits, batches
from capture.upload.client import Client
from capture.upload.identity import SECRET_BYTES, Install
from capture.upload.outcomes import Taken
from capture.upload.target import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from capture.upload.outbox import Outgoing


class NotTaken(Exception):
    """The collector did not take all of a batch."""


async def upload_all(target: Target, snapshots: Iterable[Outgoing]) -> AsyncIterator[int]:
    """Upload batch after batch under a new install; after each, how many the collector has. Raises NotTaken."""
    client = Client(target)
    install = Install(secrets.token_hex(16), secrets.token_bytes(SECRET_BYTES))
    accepted = 0
    try:
        for batch in _batched(snapshots):
            answer = await client.upload(install, batch, lambda: True)
            if not isinstance(answer, Taken) or len(answer.accepted) != len(batch):
                raise NotTaken(f"after {accepted} snapshots the collector answered {answer}")
            accepted += len(answer.accepted)
            yield accepted
    finally:
        await client.close()


def _batched(snapshots: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """Batches as full as the wire allows, made as they are asked for."""
    limits = Limits()
    coming = iter(snapshots)
    waiting: list[Outgoing] = []
    while waiting := [*waiting, *islice(coming, limits.max_snapshots - len(waiting))]:
        first, *rest = batches(waiting, limits)
        yield first
        waiting = [snapshot for batch in rest for snapshot in batch]


def main() -> None:
    """Parse the arguments, send when told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--authority", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--payload", type=Path, required=True)
    options = parser.parse_args()
    target = Target(options.address, token_file=options.token, ca_file=options.authority)
    payload = Payload(options.payload, 0, 0)

    async def send() -> int:
        accepted = 0
        async for now in upload_all(target, payload.outgoing()):
            accepted = now
        return accepted

    send_when_told(lambda: asyncio.run(send()))


if __name__ == "__main__":
    main()
