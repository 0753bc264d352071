"""Stores snapshots as fast as it can, and announces each on standard output once it is committed, until it is killed."""

import itertools
import os
import random
import sys
import threading
from pathlib import Path

import samples

from capture.store import sqlite
from capture.store.answers import Stored
from capture.store.store import Store

IN_FLIGHT = 48  # less than the queue holds, so that nothing is refused


def main(path, pragmas):
    sqlite.WRITER_PRAGMAS.update(pragmas)
    store = Store(Path(path), disk=lambda _: samples.LARGE_DISK)
    numbers = random.Random(os.getpid())
    slots = threading.Semaphore(IN_FLIGHT)

    def announce(future):
        answer = future.result()
        if not isinstance(answer, Stored):
            os.write(2, f"{answer}\n".encode())
            os._exit(3)
        os.write(1, f"{answer.id} {answer.sha256}\n".encode())
        slots.release()

    os.write(1, b"begun\n")
    for number in itertools.count():
        slots.acquire()
        store.submit(samples.noisy(numbers.randrange(200, 6000), number)).add_done_callback(announce)


if __name__ == "__main__":
    main(sys.argv[1], {name: int(value) for name, _, value in (word.partition("=") for word in sys.argv[2:])})
