"""A hub as ``scripted_hub.py`` makes it, whose uploads live faster, and go on while somebody types.

``uploading_hub.py SPEED EPOCH CALL_SECONDS``: a second takes 1/SPEED of one for the uploader and for its leases, whose wall clock ran
like others' until EPOCH (in seconds) and is the same for all hubs that are given the same two numbers. What the network
takes is real, and a call that is not answered is given up after so many of its seconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial

from scripted_hub import run_hub

from capture.upload import uploader
from capture.upload.client import Client
from capture.upload.outbox import Outbox


class FastClock:
    """As `capture.upload.clock` has it."""

    def __init__(self, speed, epoch):
        self._speed = speed
        self._epoch = epoch

    def monotonic(self):
        return time.monotonic() * self._speed

    def now(self):
        return self._epoch + (time.time() - self._epoch) * self._speed

    async def wait(self, event, seconds):
        try:
            async with asyncio.timeout(None if seconds is None else seconds / self._speed):
                await event.wait()
        except TimeoutError:
            return


def main(speed, epoch, call_seconds):
    clock = FastClock(float(speed), float(epoch))
    uploader.QUIET_SECONDS = 0.0
    Outbox.__init__.__kwdefaults__["clock"] = clock.now
    uploader.Uploader.__init__.__kwdefaults__.update(
        clock=clock, new_client=partial(Client, deadline_seconds=float(call_seconds))
    )
    return run_hub()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
