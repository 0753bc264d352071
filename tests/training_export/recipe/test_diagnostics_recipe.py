"""The recipe that compares prompts with and without diagnostics asks the teacher once, and never again."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.training_export.recipe.conftest import DIAGNOSTICS
from training_export.teachers.stand_in.conduct import Conduct
from training_export.teachers.stand_in.server import StandIn

pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def teacher(monkeypatch):
    """A stand-in that is asked instead of Anthropic."""
    with StandIn(conduct=Conduct(mistakes=4)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
        yield server


def test_the_second_run_asks_the_teacher_nothing_and_nor_does_another_format(recipes, teacher):
    path = recipes.folder / "diagnostics.toml"
    shutil.copy(DIAGNOSTICS, path)
    text = path.read_text()

    def run():
        done = recipes.run(path)
        assert done.exit_code == 0, done.output
        manifest = json.loads((recipes.folder / "runs" / "diagnostics" / "manifest.json").read_text())
        return {step["name"]: step["summary"] for step in manifest["steps"]}

    first = run()
    # Moments without diagnostics are asked about in the same words twice: only the others cost a second question.
    examples = first["with-diagnostics"]["examples"]
    asked = sum(first[name]["tallies"].get("answers asked", 0) for name in ("with-diagnostics", "without-diagnostics"))
    assert teacher.asked == asked
    assert examples < teacher.asked <= 2 * examples
    assert teacher.complaints == []

    second = run()
    assert teacher.asked == asked
    for name in ("with-diagnostics", "without-diagnostics"):
        assert second[name]["reused"] == second[name]["examples"] == examples
        assert second[name]["tallies"] == {}

    path.write_text(text.replace('format = "zeta2_1"', 'format = "V0211Prefill"'))
    third = run()
    assert teacher.asked == asked
    assert third["prompts-with-diagnostics"]["reused"] == third["prompts-with-diagnostics"]["examples"] > 0
    assert third["prompts-without-diagnostics"]["reused"] == 0

    (recipes.folder / "runs" / "diagnostics" / "02-with-diagnostics.jsonl").unlink()
    fourth = run()
    assert teacher.asked == asked
    assert fourth["with-diagnostics"]["tallies"]["answers found"] == examples


def test_the_diagnostics_are_in_one_of_the_two_prompts(recipes, teacher):
    path = recipes.folder / "diagnostics.toml"
    shutil.copy(DIAGNOSTICS, path)
    assert recipes.run(path).exit_code == 0
    out = recipes.folder / "runs" / "diagnostics"
    shown = {
        name: sum(
            '" is not defined' in line
            for line in (out / f"sft-{name}.jsonl").read_text().replace("\\", "").splitlines()
        )
        for name in ("with-diagnostics", "without-diagnostics")
    }
    assert shown["with-diagnostics"] > 0
    assert shown["without-diagnostics"] == 0
