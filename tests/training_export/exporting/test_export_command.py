"""``foretype export``: from the store, a collector's parts and files of snapshots to one file of examples."""

from __future__ import annotations

import contextlib
import json
import os
import random
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from capture.collector.directory import PartsInDirectory
from capture.collector.parts import new_name
from training_export.commands.export import application
from training_export.example_format.files import Loaded, read_examples
from training_export.exporting.exporter import Exporter
from training_export.exporting.sources import Found
from training_export.exporting.wanted import Wanted
from training_export.running.outputs import rejected_beside

NOON = 1_800_000_000.0


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in a folder of its own; gives its result."""
    monkeypatch.setattr("daemon.paths.snapshots_path", lambda: tmp_path / "store" / "snapshots.sqlite3")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(application, [*map(str, arguments)], catch_exceptions=True)


@pytest.fixture
def examples():
    def read(path):
        found = list(read_examples(str(path)))
        assert all(isinstance(item, Loaded) for item in found)
        return [item.example for item in found]

    return read


def part(folder, *lines):
    """A sealed part with these lines in a collector's folder."""
    parts = PartsInDirectory(folder)
    name = new_name(datetime.now(UTC))
    begun = parts.begin(name)
    begun.add(lines)
    begun.finish()
    begun.let_go()
    return folder / "parts" / name


def ids(found):
    return [example.value["foretype"]["snapshot"]["id"] for example in found]


def test_the_snapshots_of_this_machine_are_exported_the_oldest_first(run, store_of, snapshot, examples, tmp_path):
    later, earlier = snapshot(created_at=NOON), snapshot(created_at=NOON - 60)
    store_of(later, earlier)
    done = run("-o", "out.jsonl")
    assert done.exit_code == 0, done.output
    assert ids(examples(tmp_path / "out.jsonl")) == [earlier.id, later.id]
    assert "2 examples written to out.jsonl" in done.stderr
    assert not rejected_beside(tmp_path / "out.jsonl").exists()


def test_what_is_written_can_be_read_by_its_owner_alone(run, store_of, snapshot, tmp_path):
    store_of(snapshot())
    run("-o", "out.jsonl")
    assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == 0o600


def test_without_a_store_there_is_an_empty_file_and_a_hint(run, tmp_path):
    done = run("-o", "out.jsonl")
    assert done.exit_code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    assert "foretype consent" in done.stderr


def test_every_filter_leaves_only_what_it_names(run, store_of, snapshot, examples, tmp_path):
    plain = snapshot()
    others = {
        "--language=go": snapshot(language_id="go"),
        "--outcome=ignored": snapshot(outcome="ignored"),
        "--model=other": snapshot(model="other"),
        "--rating=good": snapshot(rating="good"),
        "--unsettled": snapshot(state="unsettled"),
        f"--workspace={'b' * 32}": snapshot(workspace_id="b" * 32),
        "--since=2027-02-01T00:00+00:00": snapshot(finalised_at=NOON + 30 * 86400),
        "--until=2027-01-15T08:00:11+00:00": snapshot(finalised_at=NOON + 1),
    }
    store_of(plain, *others.values())
    for option, wanted in others.items():
        done = run("-o", "out.jsonl", "--force", option)
        assert done.exit_code == 0, done.output
        assert ids(examples(tmp_path / "out.jsonl")) == [wanted.id], option
    run("-o", "out.jsonl", "--force", "--rating=none", "--language=python", "--language=go", "--model=embedded")
    assert len(examples(tmp_path / "out.jsonl")) == 7


def test_a_time_may_be_an_age(run, store_of, snapshot, tmp_path, examples):
    now = datetime.now(UTC).timestamp()
    old, new = (snapshot(created_at=now - days * 86400, finalised_at=now - days * 86400) for days in (9, 3))
    store_of(old, new)
    run("-o", "out.jsonl", "--since", "7d")
    assert ids(examples(tmp_path / "out.jsonl")) == [new.id]
    assert run("-o", "never.jsonl", "--since", "soon").exit_code != 0
    assert not (tmp_path / "never.jsonl").exists()


def test_a_collectors_parts_give_each_snapshot_once_whatever_part_it_is_in(run, snapshot, examples, tmp_path):
    taken = [snapshot(created_at=NOON + number) for number in range(5)]
    lines = [one.canonical_bytes() for one in taken]
    part(tmp_path / "data", lines[3], lines[1])
    part(tmp_path / "data", lines[0], lines[1], lines[4], lines[2])
    done = run("data", "-o", "out.jsonl.zst", "--json")
    assert ids(examples(tmp_path / "out.jsonl.zst")) == [one.id for one in taken]
    assert json.loads(done.stdout)["twice"] == 1


def test_a_part_that_is_broken_off_costs_only_what_is_behind_the_break(run, snapshot, examples, tmp_path):
    taken = [snapshot(created_at=NOON + number) for number in range(40)]
    broken = part(tmp_path / "data", *(one.canonical_bytes() for one in taken[:30]))
    part(tmp_path / "data", *(one.canonical_bytes() for one in taken[30:]))
    broken.write_bytes(broken.read_bytes()[:-20])
    done = run("data", "-o", "out.jsonl")
    assert done.exit_code == 0
    assert set(ids(examples(tmp_path / "out.jsonl"))) >= {one.id for one in taken[30:]}
    [line] = rejected_beside(tmp_path / "out.jsonl").read_text().splitlines()
    assert "broken off" in json.loads(line)["reason"]
    assert broken.name in json.loads(line)["source"]


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_snapshots_are_read_and_what_is_none_is_rejected_by_line(
    run, snapshot, examples, tmp_path, compressed
):
    good = snapshot()
    newer = {**snapshot().to_json(), "schema_version": 7}
    lines = b"\n".join((b"{}", good.canonical_bytes(), b"\xff\xfe", json.dumps(newer).encode(), b'{"id": "torn'))
    name = "in.jsonl.zst" if compressed else "in.jsonl"
    (tmp_path / name).write_bytes(zstandard.ZstdCompressor().compress(lines) if compressed else lines)
    done = run(name, "-o", "out.jsonl")
    assert done.exit_code == 0
    assert ids(examples(tmp_path / "out.jsonl")) == [good.id]
    rejected = [json.loads(line) for line in rejected_beside(tmp_path / "out.jsonl").read_text().splitlines()]
    assert [found["line"] for found in rejected] == [1, 3, 4, 5]
    assert "schema_version is 7" in rejected[2]["reason"]
    assert "4 rejected" in done.stderr
    strict = run(name, "-o", "strict.jsonl", "--strict")
    assert strict.exit_code != 0
    assert not (tmp_path / "strict.jsonl").exists()


def test_of_two_copies_the_rated_one_is_taken(run, snapshot, examples, tmp_path):
    before = snapshot()
    lines = [before.canonical_bytes(), before.rated("good").canonical_bytes(), before.canonical_bytes()]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    run("in.jsonl", "-o", "out.jsonl")
    assert [example.rating for example in examples(tmp_path / "out.jsonl")] == ["Positive"]


def test_for_an_evaluation_only_what_can_be_judged_is_exported(run, store_of, snapshot, examples, tmp_path):
    settled, open_ = snapshot(), snapshot(state="unsettled")
    store_of(settled, open_)
    done = run("-o", "out.jsonl", "--for-eval")
    [example] = examples(tmp_path / "out.jsonl")
    assert len(example.expected_patches) == len(example.predictions) == 1
    assert "1 left out" in done.stderr


def test_a_limit_takes_the_oldest(run, store_of, snapshot, examples, tmp_path):
    taken = [snapshot(created_at=NOON + number) for number in (3, 1, 2)]
    store_of(*taken)
    run("-o", "out.jsonl", "--limit", "2")
    assert ids(examples(tmp_path / "out.jsonl")) == [taken[1].id, taken[2].id]


def test_an_output_that_is_there_is_replaced_only_if_told_so(run, store_of, snapshot, tmp_path):
    store_of(snapshot())
    (tmp_path / "out.jsonl").write_text("mine\n")
    assert run("-o", "out.jsonl").exit_code != 0
    assert (tmp_path / "out.jsonl").read_text() == "mine\n"


def test_what_is_no_source_is_named(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for source in ("empty", "missing.jsonl", "notes.txt"):
        done = run(source, "-o", "out.jsonl")
        assert done.exit_code != 0
        assert source in str(done.exception)
        assert not (tmp_path / "out.jsonl").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(order=st.permutations(range(6)), limit=st.integers(0, 7))
def test_the_same_snapshots_give_the_same_file_whatever_order_they_come_in(order, limit, snapshot, tmp_path):
    seeded = random.Random(7)
    taken = [snapshot(id=f"{seeded.getrandbits(128):032x}", created_at=NOON + number // 2) for number in range(6)]

    def exported(numbers):
        found = (Found("f", 1, taken[number].canonical_bytes()) for number in numbers)
        return list(Exporter(Wanted(), limit=limit).lines(found, tmp_path))

    assert exported(order) == exported(range(6))
    assert len(exported(order)) == (min(limit, 6) or 6)


def test_an_export_that_is_killed_leaves_nothing_and_the_next_is_whole(run, store_of, snapshot, tmp_path, examples):
    """Killed at random moments: the file is not there until it is whole, and nothing stands in the way of the next."""
    path = store_of(*(snapshot(created_at=NOON + number) for number in range(150)))
    called = (
        "import sys; from pathlib import Path; from daemon import paths;"
        f" paths.snapshots_path = lambda: Path({str(path)!r});"
        " from training_export.commands.export import application; application()"
    )
    chance = random.Random(7)
    for _ in range(int(os.environ.get("KILLS", "3"))):
        process = subprocess.Popen([sys.executable, "-c", called, "-o", "killed.jsonl"], stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.2, 1.5))
        process.kill()
        process.wait()
        if Path("killed.jsonl").exists():
            assert len(examples(tmp_path / "killed.jsonl")) == 150
            Path("killed.jsonl").unlink()
    assert run("-o", "killed.jsonl").exit_code == 0
    assert len(examples(tmp_path / "killed.jsonl")) == 150
    assert run("-o", "whole.jsonl").exit_code == 0
    assert Path("killed.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert not Path("killed.jsonl.work").exists()
