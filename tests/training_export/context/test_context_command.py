"""``foretype context`` from the outside, and on what ``export`` makes of a session in a real repository."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capture.editing.positions import ContentChange, Position
from capture.editing.state import EditingState
from capture.snapshot.parts import PredictionRecord, Region
from capture.snapshot.repository import repository_of
from capture.snapshot.snapshot import Snapshot
from training_export.commands.context import application
from training_export.example_format.files import Loaded, read_examples
from training_export.exporting.snapshot_example import example_of

AT_TOTAL = "        return sum(price_of(name) for name in self.names)‸"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command on examples; gives its result, the examples it wrote and where it worked."""
    monkeypatch.chdir(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def call(examples, *arguments):
        Path("in.jsonl").write_text("".join(f"{example.to_line()}\n" for example in examples))
        done = CliRunner().invoke(application, ["in.jsonl", "-o", "out.jsonl", *map(str, arguments)])
        assert list(scratch.iterdir()) == []
        found = list(read_examples("out.jsonl")) if Path("out.jsonl").exists() else []
        assert all(isinstance(item, Loaded) for item in found)
        return done, [item.example for item in found]

    return call


def test_examples_get_their_context_and_those_that_get_none_say_why(run, example, clone):
    examples = [example(AT_TOTAL, name="good"), example("nowhere‸", name="bad"), example(AT_TOTAL, name="also good")]
    done, found = run(examples, "--repos", clone.path.parents[1], "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["examples"], summary["failed"]) == (3, 1)
    assert [one.name for one in found] == ["good", "bad", "also good"]
    assert [one.prompt_inputs is not None for one in found] == [True, False, True]
    assert "is not in cart.py" in found[1].value["foretype"]["failures"]["context"]


def test_settings_are_named_on_the_command_line(run, example, clone):
    settings = ["--setting", "plain:related=none,diagnostics=none", "--setting", "code:related=definitions"]
    done, [found] = run([example(AT_TOTAL)], "--checkout", clone.path, *settings, "--use", "code")
    assert done.exit_code == 0, done.output
    contexts = found.value["foretype"]["contexts"]
    assert contexts["plain"] == {"related_files": [], "active_buffer_diagnostics": []}
    assert contexts["code"]["related_files"] == found.value["prompt_inputs"]["related_files"] != []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "say where the code is"),
        (["--checkout", ".", "--repos", "."], "say where the code is"),
        (["--checkout", "missing"], "there is no folder missing"),
        (["--checkout", ".", "--fetch"], "goes with --repos"),
        (["--checkout", ".", "--use", "other"], "no such setting"),
        (["--checkout", ".", "--setting", "a", "--setting", "a"], "two settings have one name"),
    ],
)
def test_options_that_do_not_fit_are_explained(run, example, arguments, reason):
    done, found = run([example(AT_TOTAL)], *arguments)
    assert reason in str(done.exception)
    assert found == []


def session(folder, path, texts, cursor, *, saved):
    """The snapshot of a window in which a file had these texts, one after the other, and was saved after one."""
    clock = itertools.count(step=60)
    editing = EditingState(lambda: float(next(clock)))
    editing.open("uri", texts[0], path=path, language_id="python")
    for version, text in enumerate(texts[1:], start=1):
        editing.change("uri", version, [ContentChange(None, text)])
    (folder / path).write_text(texts[saved], newline="")
    inputs = editing.inputs("uri", cursor)
    repository = asyncio.run(repository_of(folder, [path]))
    end = len(inputs.excerpt_bytes)
    return Snapshot(
        id="0" * 32,
        state="settled",
        workspace_id="a" * 32,
        created_at=1.0,
        finalised_at=12.0,
        language_id="python",
        path=path,
        prompt_format="zeta2",
        model="embedded",
        client_name="Neovim",
        inputs=inputs,
        region=Region(end, end, "", text_settled=""),
        prediction=PredictionRecord(),
        repository=replace(repository, url="https://example.org/ada/shop.git"),
    )


@pytest.mark.parametrize("saved", [0, 1, 2, 3])
@pytest.mark.parametrize("prefix", ["", "inner/"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_captured_moment_is_found_again_whenever_its_file_was_saved(run, make_clone, texts, saved, prefix, ends):
    mono = make_clone("repos/ada/shop")
    mono.commit_files({f"{prefix}{path}": text.replace("\n", ends) for path, text in texts.items()})
    cart = texts["cart.py"]
    steps = [
        cart.replace('"""A cart."""', '"""A basket."""'),  # not committed when the window was opened
        cart.replace('"""A cart."""', '"""A basket."""').replace("self.names = []", "self.items = []"),
    ]
    steps.append(steps[-1].replace("in self.names)", "in self.items)"))
    steps.append(steps[-1] + "\n\ndef empty():\n    return Cart()\n")
    row = steps[-1].split("\n").index("    def total(self):")
    taken = session(
        mono.path / prefix, "cart.py", [step.replace("\n", ends) for step in steps], Position(row, 13), saved=saved
    )
    whole = example_of(taken)
    assert whole.uncommitted_diff_contains_edit_history == (saved == 3)
    bare = whole.with_fields(prompt_inputs=None, name="bare")
    done, [found, made] = run([whole, bare], "--repos", mono.path.parents[1])
    assert "failures" not in found.value["foretype"], done.output
    now, recorded = found.value["prompt_inputs"], whole.value["prompt_inputs"]
    assert now | {"related_files": None} == recorded
    assert "def price_of" in json.dumps(now["related_files"])
    if saved == 1:  # in the middle of what the history has as one edit: then only the recorded rows tell the place
        assert "is not as the example says" in made.value["foretype"]["failures"]["context"]
        return
    again = made.value["prompt_inputs"]
    for key in ("cursor_path", "cursor_excerpt", "cursor_offset_in_excerpt", "excerpt_start_row", "syntax_ranges"):
        assert again[key] == recorded[key]
    assert again["excerpt_ranges"] == recorded["excerpt_ranges"]
    for key in ("path", "old_path", "diff", "predicted"):
        assert [event[key] for event in again["events"]] == [event[key] for event in recorded["events"]]


def test_a_run_that_is_killed_goes_on_where_it_was(stage_kills, example, clone, tmp_path):
    """At random moments, as the others are killed: the output is that of an undisturbed run."""
    lines = "".join(f"{example(AT_TOTAL, name=f'm{number}').to_line()}\n" for number in range(12))
    (tmp_path / "in.jsonl").write_text(lines)
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def command(output):
        called = "from training_export.commands.context import application; application()"
        return [sys.executable, "-c", called, str(tmp_path / "in.jsonl"), "-o", str(output), "--repos", str(clone.path)]

    undisturbed, killed = tmp_path / "undisturbed.jsonl", tmp_path / "killed.jsonl"
    subprocess.run(command(undisturbed), check=True, capture_output=True)
    stage_kills(command(killed), killed, environment={"TMPDIR": str(scratch)})
    assert killed.read_bytes() == undisturbed.read_bytes()
    assert len(killed.read_text().splitlines()) == 12
