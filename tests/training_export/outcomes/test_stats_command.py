"""``foretype stats``: what a person learns of predictions, alone and in a team, with and without a trial."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from typer.testing import CliRunner

from capture.collector.directory import PartsInDirectory
from capture.collector.parts import new_name
from capture.store.store import Store
from capture.store.writer import Disk
from daemon import paths, registry
from daemon.command_line import run as run_command
from training_export.commands.stats import application
from training_export.outcomes.observation import observed

IN_USE, CANDIDATE = "student@11111111", "student@22222222"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user's own directories."""
    for variable in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path / variable.lower()))
    monkeypatch.delenv("FORETYPE_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def store():
    """Stores snapshots as the hub does."""
    made = Store(paths.snapshots_path(), disk=lambda _: Disk(1 << 50, 1 << 50))

    def put(*snapshots):
        for one in snapshots:
            assert made.submit(one).result(20).id == one.id

    yield put
    assert made.close()


def stats(*arguments):
    """What the command prints as JSON."""
    result = CliRunner().invoke(application, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def said(*arguments):
    """What it prints for a person."""
    result = CliRunner().invoke(application, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


def outcome(name, **changes):
    """The members of a snapshot of which that became."""
    decided = None if name in ("undecided", "not_shown") else 900
    return {
        "outcome": "ignored" if name == "undecided" else name,
        "shown_after_ms": None if name == "not_shown" else 20,
        "decided_after_ms": decided,
        "kept_rate": 1.0 if name == "accepted" else 0.0,
        **changes,
    }


def simulated(snapshot, people, difference, documents, seed=11):
    """Snapshots of what people did with the predictions of two models."""
    sizes, accepted, is_candidates = people(share=0.4).work(np.random.default_rng(seed), documents, difference)
    number = 0
    for document in range(documents):
        for index in range(int(sizes[document])):
            number += 1
            yield snapshot(
                seed=number,
                path=f"src/file_{document}.py",
                model=CANDIDATE if is_candidates[document] else IN_USE,
                **outcome("accepted" if index < accepted[document] else "rejected"),
            )


def test_each_outcome_counts_where_it_belongs(store, snapshot):
    names = ("accepted", "partially_accepted", "rejected", "ignored", "undecided", "undecided", "not_shown")
    store(*(snapshot(seed=seed, path=f"{seed}.py", **outcome(name)) for seed, name in enumerate(names)))
    [group] = stats()["groups"]
    assert group["by"] == {"model": IN_USE}
    assert (group["predictions"], group["shown"], group["undecided"], group["accepted"]) == (7, 6, 2, 2)
    assert group["acceptance"]["value"] == 2 / 4
    assert group["kept_rate"]["value"] == pytest.approx(1 / 6)
    assert group["latency_ms"]["p50"]["value"] == pytest.approx(20)
    table = said()
    assert "50.0 %" in table
    assert "undecided ones were shown" in table


def test_a_prediction_that_takes_back_what_was_just_typed_is_a_revert_and_a_continued_one_is_not(snapshot):
    takes_back = snapshot(predicted="1", **outcome("rejected"))
    goes_on = snapshot(predicted="3")
    unseen = snapshot(predicted="1", **outcome("not_shown"))
    # The edit undoes itself alone: 2, which replaced 1, becomes 1 again.
    assert [observed(one).is_revert for one in (takes_back, goes_on, unseen)] == [True, False, None]


def test_predictions_are_grouped_by_what_is_asked_for(store, snapshot):
    store(
        snapshot(seed=1),
        snapshot(seed=2, language_id="rust", path="a.rs"),
        snapshot(seed=3, language_id="rust", path="b.rs", model=CANDIDATE),
    )
    groups = stats("--by", "language", "--by", "model")["groups"]
    assert {(group["by"]["language"], group["by"]["model"]) for group in groups} == {
        ("python", IN_USE),
        ("rust", IN_USE),
        ("rust", CANDIDATE),
    }
    assert [group["by"] for group in stats("--by", "origin")["groups"]] == [{"origin": "model"}]
    assert [group["predictions"] for group in stats("--by", "language")["groups"]] == [2, 1]


def test_only_those_since_then_count(store, snapshot):
    old = snapshot(seed=1, created_at=1_700_000_000.0, finalised_at=1_700_000_012.0)
    store(old, snapshot(seed=2))
    assert stats()["predictions"] == 2
    assert stats("--since", "2024-06-01")["predictions"] == 1
    assert "since 2040-01-01" in stats("--since", "2040-01-01")["why_nothing"] + said("--since", "2040-01-01")


def test_without_consent_it_says_that_and_how_to_give_it():
    assert "nobody has agreed" in stats()["why_nothing"]
    assert "foretype consent grant" in said()
    assert not paths.snapshots_path().exists()


def test_a_large_difference_between_two_models_is_found_in_a_teams_snapshots(snapshot, people, as_snapshots):
    place = as_snapshots(simulated(snapshot, people, 0.25, 120))
    trial = stats("--from", place, "--candidate", "22222222", "--against", IN_USE, "--smallest", 20)["trial"]
    assert (trial["candidate"]["model"], trial["in_use"]["model"]) == (CANDIDATE, IN_USE)
    assert trial["verdict"] == "higher"
    assert trial["differences"]["acceptance"]["low"] > 0
    text = said("--from", place, "--candidate", "22222222", "--against", IN_USE, "--smallest", 20)
    assert "The candidate is accepted more often" in text


def test_too_little_says_about_how_much_is_missing(snapshot, people, as_snapshots):
    place = as_snapshots(simulated(snapshot, people, 0.0, 60))
    named = ("--from", place, "--candidate", CANDIDATE, "--against", IN_USE)
    trial = stats(*named)["trial"]
    assert trial["verdict"] == "not_enough_yet"
    assert 1_000 < trial["more_predictions"] < 200_000
    assert f"about {trial['more_predictions']:,} more predictions" in said(*named)


def test_a_collectors_folder_is_read_like_a_file(snapshot, people, as_snapshots, tmp_path):
    lines = [one.canonical_bytes() for one in simulated(snapshot, people, 0.0, 12)]
    begun = PartsInDirectory(tmp_path / "collector").begin(new_name(datetime.now(UTC)))
    begun.add(lines)
    begun.finish()
    begun.let_go()
    found = stats("--from", tmp_path / "collector")
    assert found["predictions"] == len(lines)
    assert found["groups"] == stats("--from", as_snapshots(simulated(snapshot, people, 0.0, 12)))["groups"]


def test_who_interrupts_gets_the_exit_code_of_an_interruption(monkeypatch, as_snapshots, snapshot):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("training_export.outcomes.reading.observed", interrupted)
    assert run_command(["stats", "--from", str(as_snapshots([snapshot()]))]) == 130


def test_people_who_do_not_try_the_candidate_are_left_out_and_counted(snapshot, people, as_snapshots):
    others = [snapshot(seed=10**6 + seed, workspace_id="b" * 32, **outcome("rejected")) for seed in range(50)]
    place = as_snapshots([*simulated(snapshot, people, 0.0, 60), *others])
    named = ("--from", place, "--candidate", CANDIDATE, "--against", IN_USE)
    with_others = stats(*named)["trial"]
    assert with_others["left_out"] == 50
    alone = stats("--from", as_snapshots(simulated(snapshot, people, 0.0, 60), "alone.jsonl"), *named[2:])["trial"]
    assert with_others["differences"] == alone["differences"]
    assert "50 predictions do not count" in said(*named)


def test_a_snapshot_that_is_there_twice_counts_once_and_a_bad_line_is_named(snapshot, as_snapshots):
    path = as_snapshots([snapshot(seed=1), snapshot(seed=1), snapshot(seed=2)])
    path.write_bytes(path.read_bytes() + b"{}\n")
    found = stats("--from", path)
    assert (found["predictions"], found["unreadable"]) == (2, 1)


def test_the_trial_of_this_machine_is_compared_from_its_beginning_on(store, snapshot, tmp_path):
    files = {}
    for name in ("used", "tried"):
        file = tmp_path / f"{name}.gguf"
        file.write_bytes(b"GGUF" + name.encode())
        files[name] = (file, f"student@{registry.fingerprint(file)[:8]}")
    settings = paths.settings_path()
    settings.parent.mkdir(parents=True)
    settings.write_text(
        f'model = "{files["used"][0]}"\n[trial]\ncandidate = "{files["tried"][0]}"\nshare = 0.5\n'
        'since = "2027-01-15T08:00:00+00:00"\n'
    )
    assert "predicted is remembered yet" in stats()["trial_note"]
    before = 1_800_000_000.0 - 86_400
    for seed in range(24):
        _, model = files["tried" if seed % 2 else "used"]
        store(snapshot(seed=seed, path=f"{seed}.py", model=model))
    early = snapshot(seed=99, model=files["used"][1], created_at=before, finalised_at=before + 12)
    store(early)
    trial = stats()["trial"]
    assert trial["candidate"]["predictions"] == trial["in_use"]["predictions"] == 12
    assert trial["candidate"]["model"] == files["tried"][1]
    files["tried"][0].unlink()
    assert "cannot be compared" in stats()["trial_note"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["examples.jsonl"], "foretype census examples.jsonl"),
        (["--candidate", "x"], "go together"),
        (["--candidate", "x", "--against", "y"], "no model here"),
        (["--since", "yesterday"], "--since takes"),
        (["--from", "/nowhere"], "neither a collector's folder nor a file"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_the_way_out(arguments, reason, capsys):
    assert run_command(["stats", *arguments]) in (1, 2)
    assert reason in capsys.readouterr().err


def test_a_name_that_means_several_models_is_refused_with_their_names(snapshot, as_snapshots, capsys):
    place = as_snapshots([snapshot(seed=1, model="a@12121212"), snapshot(seed=2, model="b@12121212")])
    named = ["--candidate", "12121212", "--against", "a@12121212"]
    assert run_command(["stats", "--from", str(place), *named]) == 2
    assert "a@12121212, b@12121212" in capsys.readouterr().err
