"""Leases from a store as another process does; says on standard output what it has, a line for each lease.

`hold STORE WORKSPACE` leases five, says which, and waits to be killed. `work STORE WORKSPACE` leases and settles until
nothing is left, and says what it settled after it did.
"""

import sys
import threading
import time
import uuid
from functools import partial
from pathlib import Path

import samples

from capture.store import leases
from capture.store.store import Store

PATIENCE_SECONDS = 20


def take(store, workspace, most):
    lease_id = uuid.uuid4().hex
    wanted = leases.Wanted({workspace: 0.0}, most, 1 << 20)
    taking = partial(leases.take, lease_id=lease_id, wanted=wanted, clock=time.time)
    return lease_id, [row.id for row in store.do(taking, tuple).result(PATIENCE_SECONDS)]


def main(what, path, workspace):
    store = Store(Path(path), disk=lambda _: samples.LARGE_DISK)
    if what == "hold":
        print(*take(store, workspace, 5)[1], flush=True)
        threading.Event().wait()
    while True:
        lease_id, ids = take(store, workspace, 3)
        if not ids:
            break
        settling = partial(leases.settle, lease_id=lease_id, accepted=ids, parked={}, clock=time.time)
        store.do(settling, lambda: None).result(PATIENCE_SECONDS)
        print(*ids, flush=True)
    assert store.close(PATIENCE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
