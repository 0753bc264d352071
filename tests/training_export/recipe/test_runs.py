"""A recipe is run: once, again, with files in the way, killed, interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.training_export.conftest import KILLS, SEED
from tests.training_export.recipe.conftest import COMMAND, Recipes

PATIENCE_SECONDS = 120.0
SELECTIONS = """
[[step]]
run = "export"

[[step]]
run = "redact"

[[step]]
run = "dedup"
options = {similarity = 0.9}

[[step]]
run = "split"
output = {"train.jsonl" = "80%", "valid.jsonl" = "rest"}

[[step]]
run = "format"
from = "{folder}/train.jsonl"
options = {format = "zeta2_1", trl_sft = "{folder}/sft.jsonl"}
"""
WITH_A_MODEL = SELECTIONS.replace('run = "redact"', 'run = "settle"\noptions = {samples = 12}')
REPORT = '[[step]]\nrun = "validate"\nfrom = "format"\noutput = false\n'
BAD = """
[[step]]
run = "export"

[[step]]
run = "example"

[[step]]
run = "dedup"
"""

pytestmark = pytest.mark.usefixtures("machine")


def test_a_run_leaves_a_manifest_with_what_was_read_and_written(recipes):
    done = recipes.run(recipes.write(SELECTIONS))
    assert done.exit_code == 0, done.output
    manifest = recipes.manifest()
    assert manifest["is_complete"]
    export, redact, *_, formatted = manifest["steps"]
    [read] = export["inputs"]
    captured = (recipes.folder / "captured.jsonl.zst").read_bytes()
    assert (read["path"], read["sha256"]) == ("captured.jsonl.zst", hashlib.sha256(captured).hexdigest())
    assert redact["inputs"] == export["outputs"]
    assert redact["summary"]["examples"] == 32
    assert formatted["settings"]["version"] == 1
    written = {file["path"]: file["sha256"] for step in manifest["steps"] for file in step["outputs"]}
    assert written == {f"out/{name}": hashlib.sha256(content).hexdigest() for name, content in recipes.files().items()}
    assert manifest["recipe"]["text"].endswith(SELECTIONS)
    assert manifest["packages"]["rapidfuzz"]


def test_a_second_run_reuses_what_is_there_and_comes_to_the_same(recipes):
    path = recipes.write(SELECTIONS)
    assert recipes.run(path).exit_code == 0
    files, first = recipes.files(), recipes.manifest()
    again = recipes.run(path, "--check")
    assert again.exit_code == 0, again.output
    assert recipes.files() == files
    second = recipes.manifest()
    redact, formatted = second["steps"][1], second["steps"][-1]
    assert formatted["summary"]["reused"] == formatted["summary"]["examples"] > 0
    assert redact["summary"]["examples"] == 32
    assert _without_summaries(second) == _without_summaries(first)


def test_a_check_names_the_steps_that_came_to_something_else(recipes):
    path = recipes.write(SELECTIONS)
    assert recipes.run(path).exit_code == 0
    changed = recipes.write(SELECTIONS.replace("80%", "50%"))
    done = recipes.run(changed, "--check")
    assert done.exit_code == 1
    assert "split writes another out/train.jsonl" in done.stderr
    assert "format reads another out/train.jsonl" in done.stderr
    assert "dedup" not in [line.split()[0] for line in done.stderr.splitlines() if " another " in line]


def test_a_plan_writes_nothing(recipes):
    done = recipes.run(recipes.write(SELECTIONS), "--plan")
    assert done.exit_code == 0
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        "export:", "redact:", "dedup:", "split:", "format:"
    ]  # fmt: skip
    assert not recipes.out.exists()


def test_nothing_is_run_where_a_later_step_cannot_be(recipes):
    done = recipes.run(recipes.write(BAD))
    assert done.exit_code != 0
    assert "step example: 'example' is none of export" in str(done.exception)
    assert not recipes.out.exists()


@pytest.mark.parametrize("name", ["01-export.jsonl", "03-dedup.jsonl", "valid.jsonl", "sft.jsonl"])
def test_a_file_from_elsewhere_is_not_replaced_and_ends_the_run_before_it_begins(recipes, name):
    recipes.out.mkdir()
    (recipes.out / name).write_text("mine\n")
    done = recipes.run(recipes.write(SELECTIONS))
    assert "this recipe has not made it" in str(done.exception)
    assert recipes.files() == {name: b"mine\n"}


def test_a_manifest_from_elsewhere_is_not_replaced(recipes):
    recipes.out.mkdir()
    (recipes.out / "manifest.json").write_text('{"name": "an app"}')
    done = recipes.run(recipes.write(SELECTIONS))
    assert "is no manifest of a recipe" in str(done.exception)
    assert (recipes.out / "manifest.json").read_text() == '{"name": "an app"}'


def test_a_step_that_fails_ends_the_run_with_its_exit_code_and_what_was_done_stays(recipes):
    path = recipes.write(SELECTIONS + REPORT.replace('"format"', '"{recipe}/bad.jsonl"'))
    (recipes.folder / "bad.jsonl").write_text("no example\n")
    done = recipes.run(path)
    assert done.exit_code == 1
    assert "the step validate ended with exit code 1; what was done is kept" in done.stderr
    manifest = recipes.manifest()
    assert not manifest["is_complete"]
    assert [step["name"] for step in manifest["steps"]] == ["export", "redact", "dedup", "split", "format"]
    (recipes.folder / "bad.jsonl").unlink()
    shutil.copy(recipes.out / "train.jsonl", recipes.folder / "bad.jsonl")
    assert recipes.run(path).exit_code == 0
    assert recipes.manifest()["is_complete"]


def test_a_shorter_recipe_forgets_the_steps_it_no_longer_has(recipes):
    assert recipes.run(recipes.write(SELECTIONS)).exit_code == 0
    shorter = recipes.write(SELECTIONS[: SELECTIONS.index('[[step]]\nrun = "split"')])
    assert recipes.run(shorter).exit_code == 0
    assert [step["name"] for step in recipes.manifest()["steps"]] == ["export", "redact", "dedup"]
    assert recipes.run(recipes.write(SELECTIONS)).exit_code == 0  # and still knows its own files


def test_two_runs_at_once_do_not_mix(recipes):
    path = recipes.write(WITH_A_MODEL)
    first = _started(path)
    _wait_for(first, "[2/5]")
    second = subprocess.run(
        [*COMMAND, str(path)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert second.returncode == 2
    assert "another run is writing into" in second.stderr
    assert first.communicate(timeout=PATIENCE_SECONDS)[1] is not None
    assert first.returncode == 0


def test_a_run_that_is_killed_again_and_again_comes_to_the_same_files(recipes, tmp_path):
    whole = Recipes(_new(tmp_path / "undisturbed"))
    _finish(whole.write(WITH_A_MODEL))
    path = recipes.write(WITH_A_MODEL)
    chance = random.Random(SEED)
    for _ in range(KILLS):
        process = _started(path)
        seen = _wait_for(process, f"[{chance.randint(1, 5)}/5]")
        if seen:
            try:
                process.wait(chance.uniform(0.0, 0.5))
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()
    _finish(path)
    assert recipes.files() == whole.files()
    assert _without_summaries(recipes.manifest()) == _without_summaries(whole.manifest())
    assert not list(recipes.out.glob("*.work"))


def test_ctrl_c_ends_a_run_in_order_and_the_next_one_goes_on(recipes, interruptible):
    path = recipes.write(WITH_A_MODEL)
    process = _started(path, start_new_session=True)
    _wait_for(process, "[2/5]")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that belongs to it
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, said
    assert "interrupted; what was finished is kept" in said
    assert "Traceback" not in said
    _finish(path)
    assert recipes.manifest()["is_complete"]


def _new(folder):
    folder.mkdir()
    return folder


def _started(path, **options):
    return subprocess.Popen(
        [*COMMAND, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def _wait_for(process, beginning):
    """Read what it says until a line begins so; whether one did before it ended."""
    return any(line.startswith(beginning) for line in iter(process.stderr.readline, ""))


def _finish(path: Path):
    done = subprocess.run([*COMMAND, str(path)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr


def _without_summaries(manifest):
    steps = [{**step, "summary": None} for step in manifest["steps"]]
    return json.dumps({**manifest, "steps": steps})
