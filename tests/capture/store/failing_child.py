"""A store on a disk that fails, in a process of its own: says on standard output, as JSON, how it went."""

import json
import mmap
import os
import resource
import shutil
import struct
import sys
from pathlib import Path

import samples

from capture.store import stored
from capture.store.answers import Refused, Stored
from capture.store.choice import Choice
from capture.store.error import StorageError
from capture.store.files import files_set_aside
from capture.store.store import Store

PLAN = struct.Struct("=qqqq")  # as faulty_disk.c has it: count, fail_at, sticky, error
PATIENCE_SECONDS = 20


class Plan:
    """What the disk does next."""

    def __init__(self, path):
        self._descriptor = os.open(path, os.O_RDWR)
        self._mapped = mmap.mmap(self._descriptor, PLAN.size)

    def fail(self, at, *, sticky, error):
        PLAN.pack_into(self._mapped, 0, 0, at, sticky, error)

    def work(self):
        """Fail no more; returns how many operations there were."""
        count = PLAN.unpack_from(self._mapped)[0]
        PLAN.pack_into(self._mapped, 0, 0, 0, 0, 0)
        return count


def open_store(path):
    return Store(path, disk=lambda _: samples.LARGE_DISK)


def put(store, snapshot):
    return store.submit(snapshot).result(PATIENCE_SECONDS)


def use(store, first, outcome):
    """Store, rate, purge, store; what is certain afterwards is in ``outcome``: sha256 by id, None where purged."""
    snapshots = [samples.noisy(6000, first + number) for number in range(3)]
    for snapshot in snapshots:
        answer = put(store, snapshot)
        if isinstance(answer, Stored):
            outcome["certain"][answer.id] = answer.sha256
        else:
            outcome["refused"].append(answer)
    for change in (lambda: store.rate(snapshots[0].id, "bad"), lambda: store.purge(Choice(ids=(snapshots[1].id,)))):
        try:
            change().result(PATIENCE_SECONDS)
        except (StorageError, stored.NoSuchSnapshot):
            # Told that it failed, and it may have been done: either is the truth now.
            outcome["failed_changes"] += 1
    outcome["changed"] |= {snapshots[0].id, snapshots[1].id}
    answer = put(store, samples.noisy(100, first + 3))
    if isinstance(answer, Stored):
        outcome["certain"][answer.id] = answer.sha256
    else:
        outcome["refused"].append(answer)
    assert store.close(PATIENCE_SECONDS)


def check(path, outcome):
    """The disk works again: the store is whole, holds what was promised, and goes on."""
    assert not files_set_aside(path), "nothing was damaged"
    check_readable(path, outcome)
    store = open_store(path)
    fresh = samples.sample()
    assert put(store, fresh) == Stored(fresh.id, fresh.sha256())
    assert store.close(PATIENCE_SECONDS)
    assert not files_set_aside(path), "nothing was damaged"
    with stored.reading(path) as database:
        with database.reading() as connection:
            assert [row[0] for row in connection.execute("PRAGMA integrity_check")] == ["ok"]
        there = {row.id: row.sha256 for row in stored.summaries(database)}
        for snapshot_id in there:
            stored.get(database, snapshot_id)
    for snapshot_id, sha256 in outcome["certain"].items():
        if snapshot_id not in outcome["changed"]:
            assert there[snapshot_id] == sha256
    for refused in outcome["refused"]:
        assert isinstance(refused, Refused)
        assert refused.reason in ("off", "busy"), refused
        assert refused.explanation


def check_readable(path, outcome):
    """Who reads it first finds it as it was promised: a copy of it, so that the store finds it as the failure left it."""
    copy = path.parent.with_name(f"{path.parent.name}-copy")
    if path.exists():
        shutil.copytree(path.parent, copy)
    with stored.reading(copy / path.name) as database:
        there = set() if database is None else {row.id for row in stored.summaries(database)}
    assert there >= outcome["certain"].keys() - outcome["changed"]


def every_failure(folder, plan, error, *, sticky):
    """Fail at the first operation, the second, ... until there are no more of them to fail."""
    tried = refused = 0
    explanations = set()
    prepared = folder / "prepared" / "snapshots.sqlite3"
    for begun in (False, True):
        for at in range(1, 10_000):
            path = folder / f"{begun}-{sticky}-{at}" / prepared.name
            outcome = {"certain": {}, "refused": [], "changed": set(), "failed_changes": 0}
            if begun:
                store = open_store(path)
                outcome["certain"].update((answer.id, answer.sha256) for answer in [put(store, samples.sample())])
                assert store.close(PATIENCE_SECONDS)
            plan.fail(at, sticky=sticky, error=error)
            store = open_store(path)
            use(store, at, outcome)
            count = plan.work()
            check(path, outcome)
            explanations |= {refusal.explanation.partition(": ")[2] for refusal in outcome["refused"]}
            refused += len(outcome["refused"])
            tried += 1
            if count < at:
                break
        else:
            raise AssertionError("it never ended")
    return {"tried": tried, "refused": refused, "explanations": sorted(explanations)}


def limited_files(folder):
    """No file may grow over 600 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    path = folder / "limited" / "snapshots.sqlite3"
    store = open_store(path)
    outcome = {"certain": {}, "refused": [], "changed": set()}
    for number in range(100):
        answer = put(store, samples.noisy(6000, number))
        if isinstance(answer, Stored):
            outcome["certain"][answer.id] = answer.sha256
        else:
            outcome["refused"].append(answer)
    status = store.status()
    assert store.close(PATIENCE_SECONDS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    check(path, outcome)
    return {"stored": len(outcome["certain"]), "state": status.state, "explanation": status.explanation}


def read_only(folder):
    """A folder that may not be written in, then a store that may not."""
    folder.chmod(0o777)
    if os.geteuid() == 0:
        os.seteuid(65534)  # nothing is read-only for root
    found = []
    for name in ("empty", "begun"):
        parent = folder / name
        parent.mkdir()
        path = parent / "store" / "snapshots.sqlite3"
        if name == "begun":
            store = open_store(path)
            assert isinstance(put(store, samples.sample()), Stored)
            assert store.close(PATIENCE_SECONDS)
            for file in path.parent.iterdir():
                file.chmod(0o400)
            path.parent.chmod(0o500)
        parent.chmod(0o500)
        store = open_store(path)
        answers = [put(store, samples.sample()) for _ in range(2)]
        found.append({"reasons": [answer.reason for answer in answers], **vars_of(store.status())})
        assert store.close(PATIENCE_SECONDS)
    return found


def vars_of(status):
    return {"state": status.state, "explanation": status.explanation}


def main(what, folder, *words):
    folder = Path(folder)
    if what == "every_failure":
        plan, error, sticky = words
        print(json.dumps(every_failure(folder, Plan(plan), int(error), sticky=sticky == "sticky")))
    else:
        print(json.dumps({"limited_files": limited_files, "read_only": read_only}[what](folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
