"""``foretype snapshots``: a person sees, rates, exports and deletes what was captured, while the hub may have it open."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.store.store import Store

ESCAPE = "\x1b]0;stolen title\x07"


@pytest.fixture
def path(world):
    return world.data / "foretype" / "snapshots" / "snapshots.sqlite3"


@pytest.fixture
def store(path, samples):
    """The store as a hub has it open."""
    made = Store(path, disk=lambda _: samples.LARGE_DISK)
    yield made
    assert made.close()


@pytest.fixture
def keep(store):
    """Store snapshots; returns them."""

    def put(*snapshots):
        for snapshot in snapshots:
            assert store.submit(snapshot).result(20).id == snapshot.id
        return snapshots

    return put


@pytest.fixture
def run(world):
    """Run ``foretype snapshots`` and give what it printed; it must end well, and its JSON be JSON."""

    def call(*arguments):
        done = world.foretype("snapshots", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return call


@pytest.fixture
def refused(world):
    """Run ``foretype snapshots`` and give what it said when it refused."""

    def call(*arguments):
        done = world.foretype("snapshots", *arguments)
        assert done.returncode in (1, 2)
        assert done.stderr.startswith("foretype: ")
        assert "Traceback" not in done.stderr
        return done.stderr

    return call


def test_without_consent_there_is_no_store_and_looking_makes_none(world, run, refused):
    assert "nothing is captured without consent" in run("list")
    assert run("list", "--json") == []
    assert "nothing is captured" in run("stats")
    assert run("stats", "--json") is None
    assert run("export") == ""
    assert "nothing is captured" in refused("show", "abc")
    assert run("purge", "--all", "--yes").startswith("deleted 0 snapshots")
    assert not world.data.exists()


def test_the_newest_are_listed_first_and_filters_narrow_the_list(run, keep, samples):
    first, second = keep(
        samples.sample(id="1" * 32, language_id="go", path="cmd/main.go"),
        samples.sample(id="2" * 32, outcome="rejected", kept_rate=None, model="other", finalised_at=1_900_000_000.0),
    )
    lines = run("list").splitlines()
    assert [line.split()[0] for line in lines[1:]] == [second.id[:8], first.id[:8]]
    assert "cmd/main.go" in lines[2]
    assert "50%" in lines[2]
    assert [row["id"] for row in run("list", "--json", "--limit", "1")] == [second.id]
    for arguments, expected in (
        (("--outcome", "rejected"), second),
        (("--language", "go"), first),
        (("--model", "other"), second),
        (("--since", "2030-01-01"), second),
    ):
        assert [row["id"] for row in run("list", "--json", *arguments)] == [expected.id]
    assert run("list", "--workspace", samples.OTHER_WORKSPACE) == "no snapshot matches\n"


def test_a_workspace_is_named_by_its_folder(world, run, refused, keep, samples):
    book = ConsentBook(consent_path(world), PolicyFile(world.root / "no_policy"))
    consent = book.grant(str(world.project), "local")
    ours, _ = keep(samples.sample(workspace_id=consent.workspace_id), samples.sample())
    (world.project / "inner").mkdir()
    assert [row["id"] for row in run("list", "--json", "--workspace", ".")] == [ours.id]
    assert [row["id"] for row in run("list", "--json", "--workspace", "inner")] == [ours.id]
    assert "no consent is on record" in refused("list", "--workspace", str(world.home))


def consent_path(world):
    probe = "from daemon.consents import consent_path; print(consent_path())"
    found = subprocess.run([sys.executable, "-c", probe], env=world.env, capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())


def test_a_moment_is_shown_as_a_person_would_read_it(run, keep, samples):
    (snapshot,) = keep(samples.sample(rating="good", outcome_reason="typed over"))
    shown = run("show", snapshot.id[:6])
    for expected in (
        "src/sums.py (python)",
        "accepted (typed over), shown after 120 ms, decided after 900 ms",
        "rated       good",
        "src/other.py",
        "    +count = 2",
        "   11 | total = 1▮",
        "   12   print(total)",
        "diagnostic in line 12: undefined name 'totl'",
        "    +total = 2",
        "settled, as it differs from what was there, 50% of the prediction kept",
        "    +total = 3",
    ):
        assert expected in shown
    assert run("show", snapshot.id, "--json") == snapshot.to_json()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"settled": "total = 1\n"}, "settled: as it was before"),
        ({"settled": "total = 2\n"}, "settled: as predicted"),
        ({"predicted": "total = 1\n"}, "predicted no change"),
    ],
)
def test_what_became_of_the_place_is_said_in_words(run, keep, samples, changes, expected):
    (snapshot,) = keep(samples.sample(**changes))
    assert expected in run("show", snapshot.id)


def test_captured_text_cannot_steer_the_terminal(run, keep, samples):
    (snapshot,) = keep(samples.sample(code=f"total = 1\n# {ESCAPE}\n", path=f"src/{ESCAPE}.py", settled=f"{ESCAPE}\n"))
    for shown in (run("show", snapshot.id), run("list")):
        assert "stolen title" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown


def test_a_long_excerpt_is_shown_around_the_region_or_in_full(run, keep, samples):
    (snapshot,) = keep(samples.sample(code="total = 1\n" + "".join(f"row_{row} = 0\n" for row in range(50))))
    assert "row_40" not in run("show", snapshot.id)
    assert "more lines (--full shows them)" in run("show", snapshot.id)
    assert "row_40" in run("show", snapshot.id, "--full")


def test_a_difference_is_a_patch(run, keep, samples):
    (snapshot,) = keep(samples.sample())
    patch = run("diff", snapshot.id)
    assert patch == "--- a/src/sums.py\n+++ b/src/sums.py\n@@ -11,1 +11,1 @@\n-total = 2\n+total = 3\n"
    assert run("diff", snapshot.id, "--json")["diff"] == patch
    assert "-total = 1\n+total = 2\n" in run("diff", snapshot.id, "--from", "before", "--to", "predicted")
    assert run("diff", keep(samples.sample(settled="total = 2\n"))[0].id) == ""


def test_an_export_is_the_canonical_bytes_line_by_line(world, run, refused, keep, samples):
    snapshots = keep(*(samples.sample() for _ in range(3)))
    expected = b"".join(snapshot.canonical_bytes() + b"\n" for snapshot in snapshots)
    assert run("export").encode() == expected
    target = world.project / "snapshots.jsonl"
    run("export", "--out", "snapshots.jsonl")
    assert target.read_bytes() == expected
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert "is there already" in refused("export", "--out", "snapshots.jsonl")
    run("export", "--out", "snapshots.jsonl", "--force", "--limit", "1")
    assert target.read_bytes() == snapshots[0].canonical_bytes() + b"\n"
    assert [file.name for file in world.project.iterdir()] == ["snapshots.jsonl"]


def test_a_snapshot_is_rated_while_the_hub_has_the_store_open(run, store, keep, samples):
    (snapshot,) = keep(samples.sample())
    assert run("rate", snapshot.id[:8], "good", "--json")["sha256"] == snapshot.rated("good").sha256()
    assert run("show", snapshot.id, "--json")["rating"] == "good"
    run("rate", snapshot.id, "none")
    assert run("show", snapshot.id, "--json") == snapshot.to_json()
    assert store.submit(samples.sample()).result(20)


def test_a_purge_while_the_hub_has_the_store_open_leaves_no_byte(path, run, keep, samples):
    going = samples.sample(id="1" * 32, path="src/xyzzy_planted_path.py", workspace_id=samples.OTHER_WORKSPACE)
    keep(going, samples.sample(id="2" * 32))
    planted = b"xyzzy_planted_path"
    assert any(planted in file.read_bytes() for file in path.parent.iterdir())
    purged = run("purge", "--workspace", samples.OTHER_WORKSPACE, "--yes", "--json")
    assert purged == {"snapshots": 1, "damaged_files": 0, "is_complete": True, "collector": ""}
    assert not any(planted in file.read_bytes() for file in path.parent.iterdir())
    assert [row["id"] for row in run("list", "--json")] == ["2" * 32]


def test_a_purge_takes_ids_or_an_age_but_never_guesses(run, refused, keep, samples):
    keep(*(samples.sample(id=digit * 32) for digit in "123"))
    assert "say what to delete" in refused("purge", "--yes")
    assert "say what to delete" in refused("purge", "--all", "--before", "1d", "--yes")
    assert "nobody can be asked" in refused("purge", "--all")
    assert "no snapshot's id begins with" in refused("purge", "9", "--yes")
    assert "takes 90m" in refused("purge", "--before", "yesterday", "--yes")
    run("purge", "1", "--yes")
    assert [row["id"][0] for row in run("list", "--json")] == ["3", "2"]
    assert run("purge", "--before", "2020-01-01", "--yes") == "deleted 0 snapshots\n"
    assert run("purge", "--before", "2036-01-01", "--yes") == "deleted 2 snapshots\n"


@pytest.mark.parametrize(("answer", "left"), [("n", 2), ("y", 0)])
def test_a_purge_asks_first(world, run, keep, samples, answer, left):
    keep(samples.sample(), samples.sample())
    terminal, its_end = pty.openpty()
    purging = subprocess.Popen(
        [sys.executable, "-m", "daemon.main", "snapshots", "purge", "--all"],
        env=world.env, cwd=world.project, stdin=its_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(its_end)
    os.write(terminal, f"{answer}\n".encode())
    _, asked = purging.communicate(timeout=60)
    os.close(terminal)
    assert "Delete 2 snapshots for good?" in asked
    assert len(run("list", "--json")) == left


def test_the_beginning_of_several_ids_is_not_enough(refused, keep, samples):
    keep(samples.sample(id="12" + "0" * 30), samples.sample(id="13" + "0" * 30))
    assert "2 ids begin with '1'" in refused("show", "1")
    assert "no snapshot's id begins with 'x'" in refused("show", "x")


def test_statistics_are_for_people_and_programs(path, run, keep, samples):
    keep(samples.sample(), samples.sample(outcome="rejected", kept_rate=1.0))
    found = run("stats", "--json")
    assert (found["snapshots"], found["path"], found["mean_kept_rate"]) == (2, str(path), 0.75)
    shown = run("stats")
    assert str(path) in shown
    assert "1 accepted, 1 rejected" in shown
    assert "75%" in shown


def test_a_damaged_store_is_named_and_can_be_purged(path, run, refused, store, keep, samples):
    keep(samples.sample())
    assert store.close()
    with path.open("r+b") as file:
        file.write(b"\xa5" * 3000)
    assert "it is damaged" in refused("list")
    assert run("purge", "--all", "--yes") == "deleted 0 snapshots and 1 damaged stores\n"
    assert "nothing is captured" in run("list")
