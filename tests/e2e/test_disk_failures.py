"""A disk that fails costs what would have been captured, and nothing else: predictions go on, and status says why.

All of the hub is real but the model, save where the whole program is run.
"""

from __future__ import annotations

import errno
import itertools
import os
import struct
import sys
from pathlib import Path

import pytest

from capture.store.answers import Stored
from capture.store.store import Store
from tests.e2e.capturing_machine import assert_there, complaints_in
from tests.e2e.typing_window import Announcements

SETTLE_SECONDS = 0.05
PLAN = struct.Struct("=qqqq")  # as faulty_disk.c has it: count, fail_at, sticky, error
PATIENCE_SECONDS = 20.0
SNAPSHOTS = 3
IO_ERROR = "could not read or write"  # so SQLite calls it too when a sync finds the disk full
EVERY = int(os.environ.get("DISK_FAILURES_EVERY", "8"))  # operations from one that fails to the next
UNPRIVILEGED = Path(__file__).with_name("unprivileged.py")
TEXT = """\
def total_price(orders):
    total = 0
    for order in orders:
        total += order.price
    return total
"""


class Plan:
    """What the disk does next; a file that the hub has mapped."""

    def __init__(self, path):
        self.path = path
        self.work()

    def fail(self, at, error, *, sticky):
        """From now on the operation of this number fails, and all after it where that is ``sticky``."""
        self._write(0, at, sticky, error)

    def work(self):
        """Fail no more."""
        self._write(0, 0, 0, 0)

    @property
    def count(self):
        return PLAN.unpack(self.path.read_bytes())[0]

    def _write(self, *values):
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(descriptor, PLAN.pack(*values), 0)
        os.close(descriptor)


@pytest.fixture
def machine(capturing):
    return capturing(files=1, settle_seconds=SETTLE_SECONDS, settings="symbol_index = false\n")


@pytest.fixture
def plan(tmp_path):
    return Plan(tmp_path / "plan")


@pytest.fixture
def nursery(machine, faulty_disk, plan):
    disks = machine.world.root / "disks"
    return machine.start_nursery(
        LD_PRELOAD=str(faulty_disk), FAULTY_DISK_FOLDER=os.path.realpath(disks), FAULTY_DISK_PLAN=str(plan.path)
    )


async def captured_on(machine, nursery, disk):
    """A hub captures a few snapshots on that disk and is stopped: what status said of capture, what was announced."""
    nursery.start_hub(XDG_DATA_HOME=str(disk))
    announcements = Announcements()
    window = await machine.open_window(announcements)
    file = window.opened(machine.files[0])
    for known in (2, SNAPSHOTS):  # the first commit of a file is not like those that follow
        while file.keys < known:
            assert await file.key()
        capture = await machine.decided(known)
    assert await file.key()
    machine.stop_hub()
    assert nursery.ended() == 0
    await window.over()
    assert not window.complaints
    return capture, announcements.found


@pytest.mark.parametrize(
    ("error", "sticky", "every", "named"),
    [
        (errno.EIO, False, 1, IO_ERROR),
        (errno.EIO, True, EVERY, IO_ERROR),
        (errno.ENOSPC, True, EVERY, "the disk is full"),
    ],
    ids=["an error once", "errors from then on", "full from then on"],
)
async def test_whichever_write_fails_predictions_go_on_and_status_says_why_nothing_is_captured(
    machine, nursery, plan, error, sticky, every, named
):
    turned_off = 0
    explanations = set()
    for at in itertools.count(1, every):
        disk = machine.world.root / "disks" / str(at)
        plan.fail(at, error, sticky=sticky)
        capture, announced = await captured_on(machine, nursery, disk)
        operations = plan.count
        plan.work()
        stored, refused = capture["counts"].get("stored", 0), capture["counts"].get("off", 0)
        assert stored + refused == SNAPSHOTS
        assert len(announced) in (stored, stored + 1)  # the last key's is stored as the hub leaves
        assert_there(disk / "foretype" / "snapshots" / "snapshots.sqlite3", announced)
        if capture["off"]:
            turned_off += 1
            explanations.add(named in capture["off"])
            assert capture["off"].startswith(f"{disk}/foretype/snapshots/")
            assert any(name in capture["off"] for name in (named, IO_ERROR))
        else:
            assert not refused
        if operations < at:
            break
    assert not capture["off"]
    assert not complaints_in(machine.log_path)
    said = machine.log_path.read_text().count("snapshots are not stored any more")
    print(f"{at} disks, capture was turned off on {turned_off}")
    assert said >= turned_off > 50 / every  # on some the hub's last snapshot was the first that failed
    assert True in explanations


@pytest.fixture
def read_only(world, samples):
    """``read_only(is_begun)``: the user's data directory may not be written, be there a store in it or none."""
    made = []

    def make(*, is_begun):
        directory = world.data / "foretype"
        path = directory / "snapshots" / "snapshots.sqlite3"
        if is_begun:
            store = Store(path, disk=lambda _: samples.LARGE_DISK)
            assert isinstance(store.submit(samples.sample()).result(PATIENCE_SECONDS), Stored)
            assert store.close()
            made.extend(path.parent.iterdir())
            made.append(path.parent)
        else:
            directory.mkdir(parents=True)
        made.append(directory)
        for one in made:
            one.chmod(0o500 if one.is_dir() else 0o400)
        return path

    yield make
    for one in reversed(made):
        one.chmod(0o700)


@pytest.mark.parametrize("is_begun", [False, True], ids=["no store yet", "a store"])
def test_where_the_data_directory_is_read_only_the_person_is_told_and_predictions_go_on(
    world, changed, read_only, is_begun
):
    path = read_only(is_begun=is_begun)
    world.write_settings('settle_seconds = 0.2\nwork_ahead = "off"\nsymbol_index = false\ndeadline_ms = 60_000\n')
    assert world.foretype("consent", "grant", "--yes", str(world.project)).returncode == 0
    bound = [sys.executable, UNPRIVILEGED, "-m", "daemon.main", "lsp", "--stdio"]
    editor = world.editor(command=bound)
    folders = [{"uri": world.project.as_uri(), "name": "project"}]
    editor.request("initialize", {"processId": None, "capabilities": {}, "workspaceFolders": folders})
    uri = (world.project / "shop.py").as_uri()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": TEXT}
    editor.notify("textDocument/didOpen", {"textDocument": document})

    def renamed(version, row, start, end):
        """The edits that are predicted once ``total`` is ``amount`` there."""
        span = {"start": {"line": row, "character": start}, "end": {"line": row, "character": end}}
        versioned = {"uri": uri, "version": version}
        change = {"textDocument": versioned, "contentChanges": [{"range": span, "text": "amount"}]}
        editor.notify("textDocument/didChange", change)
        asked = {"textDocument": versioned, "position": {"line": row, "character": start + 6}}
        return editor.request("textDocument/copilotInlineEdit", asked)["result"]["edits"]

    assert renamed(2, 1, 4, 9)
    capture = changed(world.status, lambda status: status["capture"]["off"])["capture"]
    assert capture["off"].startswith(f"{path}: it may not be written")
    assert f"capture    off: {path}: it may not be written" in world.foretype("status").stdout
    assert capture["counts"] == {"off": 1}
    assert renamed(3, 3, 8, 13)
    assert editor.leave() == 0
    assert not complaints_in(world.state / "foretype" / "hub.log")
    assert path.exists() is is_begun
