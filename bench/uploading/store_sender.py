"""Our client as it is: leases from the store, uploads, and writes down what the collector has, until nothing is left.

    python -m bench.uploading.store_sender --address ADDRESS --authority FILE --token FILE --home FOLDER [--search]

The folder holds a copy of a payload's store and its consent. What the hub looks for in each snapshot before it leaves,
secrets and what names the machine, is looked for only when asked: that takes longer than all else together.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING

from bench.uploading.payload import STORE, consents_in
from bench.uploading.sending import send_when_told
from capture.store.store import Store
from capture.upload.identity import Installs
from capture.upload.outbox import Outbox
from capture.upload.outgoing import OutgoingGate, machine_now
from capture.upload.target import Target
from capture.upload.uploader import Uploader

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.snapshot.snapshot import Snapshot

INSTALLS = "installs.json"


class NotUploaded(Exception):
    """The client gave up; the message says why."""


async def upload_all(target: Target, home: Path, check: Callable[[Snapshot], str]) -> int:
    """Upload what is in the store; how many the collector accepted. Raises NotUploaded."""
    store = Store(home / STORE)
    outbox = Outbox(store, consents_in(home), check)
    uploader = Uploader(
        lambda: target, outbox, Installs(home / INSTALLS), quiet_seconds=lambda: math.inf, may_send=lambda: ""
    )
    try:
        summary = await uploader.once()
    finally:
        await uploader.close()
        outbox.close()
        store.close()
    if summary.failure or summary.withheld or summary.tally.parked:
        raise NotUploaded(f"{summary.failure}{summary.withheld}; parked: {dict(summary.tally.parked)}")
    return summary.tally.sent


def main() -> None:
    """Parse the arguments, send when told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--authority", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--search", action="store_true")
    options = parser.parse_args()
    target = Target(options.address, token_file=options.token, ca_file=options.authority)
    check = OutgoingGate(machine_now(), lambda: ()) if options.search else _nothing_against
    send_when_told(lambda: asyncio.run(upload_all(target, options.home, check)))


def _nothing_against(_snapshot: Snapshot) -> str:
    return ""


if __name__ == "__main__":
    main()
