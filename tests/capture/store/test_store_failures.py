"""The store on a disk that is full, read-only or broken: it says so, refuses, loses nothing, and harms nobody."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from capture.file_lock import FileLock
from capture.store import sqlite, stored, table
from capture.store.answers import Stored
from capture.store.choice import EVERYTHING
from capture.store.error import StorageError
from capture.store.files import files_set_aside

PLAN_BYTES = 32


@pytest.fixture
def outcome(start_child):
    """What a script said, once it has ended well."""

    def run(*arguments, **environment):
        out, err = start_child("failing_child.py", *arguments, **environment).communicate(timeout=300)
        assert out, err.decode()
        return json.loads(out)

    return run


@pytest.fixture
def on_faulty_disk(tmp_path, faulty_disk, outcome):
    def run(error, sticky):
        plan = tmp_path / "plan"
        plan.write_bytes(bytes(PLAN_BYTES))
        folder = tmp_path / "disk"
        folder.mkdir()
        return outcome(
            "every_failure",
            folder,
            plan,
            error,
            sticky,
            LD_PRELOAD=str(faulty_disk),
            FAULTY_DISK_FOLDER=os.path.realpath(folder),
            FAULTY_DISK_PLAN=str(plan),
        )

    return run


@pytest.mark.parametrize("sticky", ["once", "sticky"])
def test_whichever_write_fails_the_store_refuses_with_a_reason_and_keeps_what_it_promised(on_faulty_disk, sticky):
    found = on_faulty_disk(errno.EIO, sticky)
    print(found)
    assert found["tried"] > 60
    assert found["refused"] > 20
    assert all("could not read or write" in explanation for explanation in found["explanations"])


def test_a_disk_that_is_full_from_any_write_on_is_named(on_faulty_disk):
    found = on_faulty_disk(errno.ENOSPC, "sticky")
    assert found["refused"] > 20
    assert any("the disk is full; free some space" in explanation for explanation in found["explanations"])


def test_a_limit_on_the_size_of_files_is_met_and_everything_before_it_kept(tmp_path, outcome):
    found = outcome("limited_files", tmp_path)
    assert found["stored"] > 5
    assert found["state"] == "off"
    assert "limits on the size of files" in found["explanation"]


def test_a_folder_that_may_not_be_written_turns_the_store_off_and_is_named(outcome):
    folder = Path(tempfile.mkdtemp(prefix="ft-", dir="/tmp"))  # another user has to get there
    try:
        for found in outcome("read_only", folder):
            assert found["state"] == "off"
            assert found["reasons"] == ["off", "off"]
            assert str(folder) in found["explanation"]
            assert "writable" in found["explanation"]
    finally:
        shutil.rmtree(folder)


def write_over(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize("at", [0, 2 * 4096])
def test_a_damaged_store_is_set_aside_whole_and_a_new_one_begun_loudly(
    path, open_store, put, read, samples, caplog, at
):
    store = open_store()
    for number in range(20):
        put(store, samples.noisy(3000, number))
    assert store.close()
    write_over(path, at, b"\xa5" * 3000)
    content = path.read_bytes()
    store = open_store()
    fresh = put(store, samples.sample())
    assert isinstance(fresh, Stored)
    (aside,) = files_set_aside(path)
    assert "damaged" in aside.name
    assert aside.read_bytes() == content
    assert store.status().set_aside == aside.name
    assert aside.name in caplog.text
    assert [row.id for row in read(stored.summaries)] == [fresh.id]
    assert read(stored.statistics)["damaged_files"] == [aside.name]
    assert store.purge(EVERYTHING).result(20).damaged_files == 1
    assert not files_set_aside(path)


def test_a_damaged_store_that_nobody_uses_can_be_purged_by_its_path(path, open_store, put, samples):
    store = open_store()
    put(store, samples.sample())
    assert store.close()
    write_over(path, 0, b"\xa5" * 3000)
    assert stored.purge_file(path, EVERYTHING).damaged_files == 1
    assert not path.exists()
    assert not files_set_aside(path)


def test_a_damaged_store_is_not_moved_while_another_process_may_write_it(path, open_store, put, samples):
    store = open_store()
    put(store, samples.sample())
    assert store.close()
    write_over(path, 0, b"\xa5" * 3000)
    elsewhere = FileLock(path.with_suffix(".use.lock"))
    assert elsewhere.take(shared=True)
    store = open_store()
    assert put(store, samples.sample()).reason == "busy"
    assert not files_set_aside(path)
    elsewhere.close()
    assert isinstance(put(store, samples.sample()), Stored)
    assert files_set_aside(path)


def test_a_file_of_another_program_is_left_alone(path, open_store, put, samples):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    store = open_store()
    assert put(store, samples.sample()).reason == "off"
    assert "no file of foretype's" in store.status().explanation
    assert path.read_bytes() == content


def test_a_store_of_a_newer_version_is_left_alone(path, open_store, put, samples):
    store = open_store()
    put(store, samples.sample())
    assert store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    store = open_store()
    assert "newer foretype" in put(store, samples.sample()).explanation
    with pytest.raises(StorageError, match="newer foretype"), stored.reading(path):
        pass


def test_a_store_that_is_off_refuses_at_once_and_still_says_why(path, open_store, put, samples):
    path.parent.mkdir()
    path.mkdir()  # no file can be made there
    store = open_store()
    first = put(store, samples.sample())
    later = store.submit(samples.sample())
    assert later.done()
    assert later.result().explanation == store.status().explanation
    assert first.reason == later.result().reason == "off"
    assert str(path) in first.explanation
    assert store.status().refused == {"off": 2}


def test_a_migration_that_fails_leaves_the_store_as_it_was(path, open_store, put, read, samples):
    store = open_store()
    snapshot = samples.sample()
    put(store, snapshot)
    assert store.close()
    broken = ("ALTER TABLE snapshot ADD COLUMN note TEXT", "ALTER TABLE nowhere ADD COLUMN x")
    later = sqlite.Schema(table.SCHEMA.application_id, (*table.SCHEMA.migrations, broken))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        sqlite.open_for_writing(path, later)
    assert read(stored.get, snapshot.id) == snapshot
    assert isinstance(put(open_store(), samples.sample()), Stored)
