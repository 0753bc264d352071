"""On a disk that fails storage says so, keeps what it promised, stores nothing by halves, and works again afterwards."""

from __future__ import annotations

import errno
import json
import os

import pytest

PLAN_BYTES = 32


@pytest.mark.parametrize(
    ("error", "sticky", "words"),
    [
        (errno.EIO, "once", "the system could not read or write it"),
        (errno.EIO, "sticky", "the system could not read or write it"),
        (errno.ENOSPC, "sticky", "the disk is full; free some space"),
    ],
)
def test_whichever_write_fails_what_was_promised_holds_and_it_goes_on_without_a_restart(
    start_child, faulty_disk, tmp_path, error, sticky, words
):
    plan, folder = tmp_path / "plan", tmp_path / "disk"
    plan.write_bytes(bytes(PLAN_BYTES))
    folder.mkdir()
    out, err = start_child(
        "disk_child.py",
        folder,
        plan,
        error,
        sticky,
        LD_PRELOAD=str(faulty_disk),
        FAULTY_DISK_FOLDER=os.path.realpath(folder),
        FAULTY_DISK_PLAN=str(plan),
    ).communicate(timeout=280)
    assert out, err.decode()
    found = json.loads(out)
    print(found)
    assert found["tried"] > 80
    assert sum(found["refusals"].values()) > 20
    assert any(words in refusal for refusal in found["refusals"])
    assert not any(str(folder) in refusal for refusal in found["refusals"])
