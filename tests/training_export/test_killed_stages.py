"""Killed (-9) again and again, and run again: every command comes to what it would have come to, and leaves nothing.

Here are those that have no such test beside their own: `context`, `export`, `settle`, `distill`, `judge`, `repair`,
`targets`, `dedup`, `split` and `redact` are killed in their folders, the runner itself in ``running/``.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import zipfile

import pytest

from training_export.commands import COMMANDS
from training_export.example import Example
from training_export.stage import OURS

KILLS = int(os.environ.get("KILLS", "3"))
SEED = int(os.environ.get("KILL_SEED", "7"))
EXAMPLES = 400
LINES = 24
WITH_REJECTED = ("out.jsonl", "out.jsonl.rejected.jsonl")  # of some changes no example can be made


def command(name: str, *arguments: str) -> list[str]:
    """The command as a process of its own."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    return [sys.executable, "-c", f"from {module} import {attribute}; {attribute}()", *arguments]


def moment(number: int) -> Example:
    """The n-th of many moments, with a target and two predictions."""
    lines = [f"    value_{row} = price_{number}(item_{row}, {row * number})" for row in range(LINES)]
    excerpt = "\n".join([f"def total_{number}(items):", *lines, ""])

    def patch(word: str) -> str:
        hunk = [f"-{line}\n+{line.replace('price_', word)}" for line in lines]
        return "\n".join(["--- a/cart.py", "+++ b/cart.py", f"@@ -2,{LINES} +2,{LINES} @@", *hunk, ""])

    at = excerpt.index("(items)")
    span = {"start": 0, "end": len(excerpt)}
    return Example.new(
        name=f"moment-{number}",
        cursor_path=f"shop/cart_{number % 7}.py",
        cursor_position=f"{excerpt[:at]}<|user_cursor|>{excerpt[at:]}",
        expected_patches=[patch("cost_")],
        rejected_patch=patch("tax_"),
        prompt_inputs={
            "cursor_path": "cart.py",
            "cursor_excerpt": excerpt,
            "cursor_offset_in_excerpt": at,
            "events": [],
            "excerpt_ranges": dict.fromkeys(
                ("editable_150", "editable_180", "editable_350", "editable_150_context_350"), span
            )
            | dict.fromkeys(("editable_180_context_350", "editable_350_context_150"), span),
        },
        predictions=[{"actual_output": "", "actual_patch": patch(word), "provider": "p"} for word in ("cost_", "fee_")],
        **{OURS: {"region": span}},
    )


@pytest.fixture
def moments(tmp_path, monkeypatch):
    """A file of them in the folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{moment(number).to_line()}\n" for number in range(EXAMPLES)))
    return path


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Commits to be cut in two."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "shop"
    folder.mkdir()
    plain = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    names = {f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**plain, **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments):
        subprocess.run(["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True)

    git("init", "--quiet", "--template=")
    for day in range(12):
        (folder / "cart.py").write_text(version_of_cart(day))
        git("add", "--all")
        git("commit", "--quiet", "--message", f"Day {day}")
    return folder


@pytest.fixture
def releases(tmp_path, monkeypatch):
    """Three releases of a package, as their zip files."""
    monkeypatch.chdir(tmp_path)
    for day in range(3):
        with zipfile.ZipFile(tmp_path / f"shop-{day}.zip", "w") as file:
            for number in range(20):
                file.writestr(f"shop-{day}/cart_{number}.py", version_of_cart(day + number))
    return [f"shop-{day}.zip" for day in range(3)]


def version_of_cart(day: int) -> str:
    """A module in which some lines change from day to day."""
    return "".join(f"price_{row} = cost({row}, {day * (row % 5 == day % 5)})\n" for row in range(60))


def test_scoring_that_is_killed_goes_on_where_it_was(moments, stage_kills, tmp_path):
    subprocess.run(command("score", "in.jsonl", "-o", "undisturbed.jsonl"), check=True, capture_output=True)
    before = {path.name for path in tmp_path.iterdir()}
    output = tmp_path / "out.jsonl"

    seen = stage_kills(command("score", "in.jsonl", "-o", "out.jsonl", "--json"), output)

    assert output.read_bytes() == (tmp_path / "undisturbed.jsonl").read_bytes()
    assert seen.kills, "no run was killed"
    assert seen.summary["examples"] == EXAMPLES
    assert seen.summary["reused"] >= len(seen.kept[-1]), "what was kept is not done again"
    assert {path.name for path in tmp_path.iterdir()} - before == {"out.jsonl"}


def test_formatting_that_is_killed_writes_the_same_rows(moments, tmp_path):
    options = ["--format", "zeta2", "--trl-sft", "sft.jsonl", "--trl-dpo", "dpo.jsonl"]
    rows = [f"{name}.jsonl{ending}" for name in ("sft", "dpo") for ending in ("", ".format.json")]
    assert_survives_kills(
        command("format", "in.jsonl", "-o", "out.jsonl", *options), tmp_path, "out.jsonl", *rows, is_selection=False
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [("import", []), ("filter", ["--has", "predictions"]), ("sample", ["--count", "300"])],
    ids=["import", "filter", "sample"],
)
def test_a_selection_that_is_killed_appears_whole_or_not_at_all(name, options, moments, tmp_path):
    assert_survives_kills(command(name, "in.jsonl", "-o", "out.jsonl", *options), tmp_path, "out.jsonl")


def test_splitting_commits_may_be_killed(repository, tmp_path):
    options = ["--samples", "20", "-o", "out.jsonl"]
    assert_survives_kills(command("split-commit", "shop", *options), tmp_path, *WITH_REJECTED)


def test_importing_releases_may_be_killed(releases, tmp_path):
    options = ["--samples", "5", "-o", "out.jsonl"]
    assert_survives_kills(command("import", "--releases", *releases, *options), tmp_path, *WITH_REJECTED)


def assert_survives_kills(run, folder, output, *further_outputs, is_selection=True):
    """Kill it at random moments; whatever is there then is whole, and the next run is not disturbed by it."""
    inputs = {path.name for path in folder.iterdir()}
    started = time.monotonic()
    subprocess.run(run, check=True, capture_output=True)
    took_seconds = time.monotonic() - started
    undisturbed = files_of(folder, inputs)
    assert undisturbed[output].count(b"\n") > 1
    assert set(undisturbed) == {output, *further_outputs}
    chance = random.Random(f"{SEED} {output} {run[-1]}")
    for _ in range(KILLS):
        for name in undisturbed:
            (folder / name).unlink(missing_ok=True)
        process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(chance.uniform(0.4, 1.0) * took_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert all(content == undisturbed.get(name) for name, content in files_of(folder, inputs).items())
        # It may have ended, or died with nothing left to do but to clear up; then only --force does it again.
        again = [*run, "--force"] if (folder / output).exists() and is_selection else run
        subprocess.run(again, check=True, capture_output=True)
        assert files_of(folder, inputs) == undisturbed
        assert not list(folder.glob("*.work"))


def files_of(folder, inputs):
    """The files that are not the input; what is being written is in folders."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name not in inputs}
