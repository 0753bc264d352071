"""A disk that is nearly full: predictions go on, status says that nothing is captured and why, until there is room."""

from __future__ import annotations

import asyncio

import pytest

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.store import stored
from capture.store.store import Store
from capture.store.writer import MEBIBYTE, Disk
from daemon.snapshot_keeper import SnapshotKeeper

PATIENCE_SECONDS = 10.0


@pytest.fixture
def disk():
    """``disk[0]`` is how it is now."""
    return [Disk(1 << 40, 10 * MEBIBYTE)]


@pytest.fixture
async def keeper(tmp_path, disk, settings, set_settings):
    set_settings('work_ahead = "off"\nsettle_seconds = 0.05\n')
    book = ConsentBook(tmp_path / "config" / "consent.json", PolicyFile(tmp_path / "policy.toml"))
    book.grant(str(tmp_path), "local")
    store = Store(tmp_path / "data" / "snapshots.sqlite3", disk=lambda _: disk[0])
    keeper = SnapshotKeeper(store, book, lambda: settings.current)
    yield keeper
    await keeper.close()


async def counted(keeper, counts):
    """Return once the keeper's counts are these."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while keeper.status()["counts"] != counts:  # noqa: ASYNC110 (what is not stored is announced to nobody)
            await asyncio.sleep(0.01)


async def test_on_a_disk_that_is_nearly_full_nothing_is_captured_until_there_is_room(window, tmp_path, keeper, disk):
    editor = await window(workspaceFolders=[{"uri": tmp_path.as_uri(), "name": "shop"}])

    async def predicts_in(name):
        uri = (tmp_path / name).as_uri()
        editor.open(f"old_name = '{name}'\n", uri)
        assert await editor.inline_edits(0, 3, uri=uri)

    await predicts_in("a.py")
    await counted(keeper, {"low_disk": 1})
    assert keeper.status()["off"] == "less than 1024 MiB of the disk are free; free some space"
    assert not keeper._store.path.exists()
    await predicts_in("b.py")
    await counted(keeper, {"low_disk": 2})
    disk[0] = Disk(1 << 40, 1 << 39)
    await predicts_in("c.py")
    await counted(keeper, {"low_disk": 2, "stored": 1})
    assert keeper.status()["off"] == ""
    with stored.reading(keeper._store.path) as database:
        assert [row.path for row in stored.summaries(database)] == ["c.py"]
