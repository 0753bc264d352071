"""A candidate beside the model in use, from the command line to what is stored: real hub, real models, real store."""

from __future__ import annotations

import json
import subprocess
import time
import tomllib

import pytest

from capture.store import stored
from daemon.command_line import run as run_command
from daemon.trying.sides import is_candidates

PATIENCE_SECONDS = 30.0
TEXT = """\
def add(numbers):
    total = 0
    for number in numbers:
        total += number
    return total
"""
NAME = (1, 4, 9)  # row and columns of the first `total`; the model renames the others


class Project:
    """A workspace with consent whose snapshots are announced to the window that is open in it."""

    def __init__(self, world, settings):
        self.world = world
        self.store_path = world.data / "foretype" / "snapshots" / "snapshots.sqlite3"
        world.write_settings(f'deadline_ms = 20000\nwork_ahead = "off"\nsettle_seconds = 250.0\n{settings}')
        subprocess.run(["git", "init", "-q", world.project], check=True, env=world.env)
        granted = world.foretype("consent", "grant", "--yes", str(world.project))
        assert granted.returncode == 0, granted.stderr
        self.open_window()

    def open_window(self):
        self.editor = self.world.editor()
        capabilities = {"experimental": {"foretype": {"snapshotStored": True}}}
        folders = [{"uri": self.world.project.as_uri(), "name": "project"}]
        self.editor.request(
            "initialize", {"processId": None, "capabilities": capabilities, "workspaceFolders": folders}
        )
        self.editor.notify("initialized")

    def uri(self, name):
        return (self.world.project / name).as_uri()

    def rename(self, name, *, accept):
        """Begin a rename in a new file, take what is predicted or not, close the file; True where there was an edit."""
        (self.world.project / name).write_text(TEXT)
        document = {"uri": self.uri(name), "languageId": "python", "version": 1, "text": TEXT}
        self.editor.notify("textDocument/didOpen", {"textDocument": document})
        row, start, end = NAME
        name_range = {"start": {"line": row, "character": start}, "end": {"line": row, "character": end}}
        self.change(name, 2, name_range, "amount")
        place = {
            "textDocument": {"uri": self.uri(name), "version": 2},
            "position": {"line": row, "character": start + len("amount")},
        }
        edits = self.editor.request("textDocument/copilotInlineEdit", place)["result"]["edits"]
        if edits and accept:
            self.change(name, 3, edits[0]["range"], edits[0]["text"])
        before = self.count()
        self.editor.notify("textDocument/didClose", {"textDocument": {"uri": self.uri(name)}})
        self.wait_for(before + 1)
        return bool(edits)

    def change(self, name, version, span, text):
        document = {"uri": self.uri(name), "version": version}
        changes = [{"range": span, "text": text}]
        self.editor.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def count(self):
        return len(self.snapshots())

    def wait_for(self, count):
        """Return once so many are stored; each is announced."""
        while self.count() < count:
            message = self.editor._messages.get(timeout=PATIENCE_SECONDS)
            assert message is not None, "the hub ended"

    def snapshots(self):
        with stored.reading(self.store_path) as database:
            return [] if database is None else stored.summaries(database)

    def stats(self):
        done = self.world.foretype("stats", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def model(self, *arguments):
        """Run `foretype model`, which must end well."""
        done = self.world.foretype("model", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def settings(self):
        return tomllib.loads(self.world.settings_path.read_text())


@pytest.fixture
def project(world):
    """``project(settings)``."""
    return lambda settings="": Project(world, settings)


def until(ask, wanted):
    """What ``ask`` gives once it is wanted: the hub follows the settings file when it is told of its change."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted(found := ask()):
        assert time.monotonic() < deadline, f"still {found}"
    return found


def test_a_trial_from_its_beginning_to_promotion_and_back(project, other_model, world, gone):
    work = project()
    assert work.rename("before.py", accept=True)
    [first] = {row.model for row in work.snapshots()}

    said = work.model("try", str(other_model), "--share", "0.5")
    assert "both models are in memory" in said
    until(world.status, lambda status: status["trial"] is not None)
    salt = work.settings()["trial"]["salt"]
    names = [f"part_{number}.py" for number in range(6)]
    sides = {name: is_candidates(work.uri(name), salt=salt, share=0.5) for name in names}
    while len(set(sides.values())) == 1:  # one trial in 32
        name = f"part_{len(sides)}.py"
        sides[name] = is_candidates(work.uri(name), salt=salt, share=0.5)
    shown = {name: work.rename(name, accept=True) for name in sides}
    models = {row.path: row.model for row in work.snapshots()}
    second = next(models[name] for name, is_ours in sides.items() if is_ours)
    assert first.startswith("foretype student@")
    assert second.startswith("another student!@")
    assert first.partition("@")[2] != second.partition("@")[2]
    assert {name: models[name] == second for name in sides} == sides

    trial = world.status()["trial"]
    assert (trial["share"], trial["state"], trial["fell_back"]) == (0.5, "ready", 0)
    assert trial["answered"] >= sum(sides.values())
    described = world.foretype("status").stdout
    assert f"trial      {other_model} in 50% of the documents: ready, another student!@" in described
    listed = {row["path"]: row["trial_share"] for row in json.loads(work.model("list", "--json"))}
    assert listed[str(other_model)] == 0.5
    stats = work.stats()
    groups = {group["by"]["model"]: group for group in stats["groups"]}
    assert groups[second]["predictions"] == sum(sides.values())
    assert groups[first]["predictions"] == 1 + len(sides) - sum(sides.values())
    assert all(shown.values())
    assert groups[second]["accepted"] == sum(sides.values())
    compared = stats["trial"]
    assert compared["candidate"]["model"] == second
    assert compared["in_use"]["predictions"] == len(sides) - sum(sides.values())  # not the one from before
    assert compared["verdict"] == "not_enough_yet"

    hub = world.hub()
    hub.kill()
    assert gone(hub)
    work.editor.close()
    work.open_window()
    again = next(name for name, is_ours in sides.items() if is_ours)
    work.rename(again, accept=False)
    assert work.snapshots()[-1].model == second

    work.model("promote")
    until(world.status, lambda status: status["trial"] is None)
    assert work.settings()["model"] == str(other_model)
    theirs = next(name for name, is_ours in sides.items() if not is_ours)
    for name in (again, theirs):
        work.rename(name, accept=False)
    assert [row.model for row in work.snapshots()[-2:]] == [second, second]
    assert "embedded is the model in use" in work.model("rollback")
    until(world.status, lambda status: status["settings"]["model"] == "embedded")
    work.rename(again, accept=False)
    assert work.snapshots()[-1].model == first
    assert "trial" not in work.settings()


def test_a_candidate_that_breaks_later_is_answered_for_and_status_says_so(project, other_model, world):
    work = project()
    work.model("try", str(other_model), "--share", "0.99")
    other_model.write_bytes(b"GGUF, not any more")
    until(world.status, lambda status: status["trial"] is not None)
    salt = work.settings()["trial"]["salt"]
    name = next(
        name
        for name in (f"part_{number}.py" for number in range(100))
        if is_candidates(work.uri(name), salt=salt, share=0.99)
    )
    work.rename(name, accept=True)
    assert work.snapshots()[-1].model.startswith("foretype student@")
    trial = world.status()["trial"]
    assert (trial["state"], trial["answered"]) == ("failed", 0)
    assert trial["fell_back"] >= 1
    described = world.foretype("status").stdout
    assert "it cannot be used: " in described
    assert "answered by the model in use instead, because it failed" in described


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("try", "TEXT"), "is not a GGUF file"),
        (("try", "embedded"), "byte for byte"),
        (("try", "/nowhere/none.gguf"), "does not exist"),
        (("try", "nothing"), "no model is called 'nothing'"),
        (("try", "OTHER", "--share", "1"), "less than 1"),
        (("try", "OTHER", "--stop"), "--stop takes no name"),
        (("try",), "which model?"),
        (("try", "--stop"), "no trial is running"),
        (("promote",), "no trial is running"),
        (("rollback",), "nothing was promoted"),
    ],
)
def test_what_cannot_be_tried_is_refused_and_nothing_changes(
    arguments, reason, other_model, tmp_path, monkeypatch, capsys
):
    settings = tmp_path / "settings.toml"
    monkeypatch.setenv("FORETYPE_CONFIG", str(settings))
    text = tmp_path / "text.gguf"
    text.write_text("just text")
    files = {"TEXT": str(text), "OTHER": str(other_model)}
    assert run_command(["model", *(files.get(word, word) for word in arguments)]) in (1, 2)
    assert reason in capsys.readouterr().err
    assert not settings.exists()


def test_a_format_that_the_candidate_cannot_speak_is_found_out_before(world, other_model):
    world.write_settings('prompt_format = "zeta2"\n')
    done = world.foretype("model", "try", str(other_model))
    assert done.returncode == 1
    assert "cannot be tried, and nothing was changed" in done.stderr
    assert world.settings_path.read_text() == 'prompt_format = "zeta2"\n'
