"""Recipes are read strictly: what is misspelt is said, not passed over."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.errors import RecipeRefused
from training_export.student.training.recipe import read_recipe, recipe_of, shipped_recipes

GOOD = """
prompt_format = "line_edits"
[sizes]
width = 64
[[stages]]
steps = 10
batch_tokens = 1000
max_tokens = 500
"""


def test_every_shipped_recipe_can_be_read():
    names = shipped_recipes()
    assert {"line_edits", "zeta2", "smoke", "continue"} <= set(names)
    for name in names:
        assert read_recipe(name).name == name


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ('"line_edits"', '"line_edit"', "prompt_format: 'line_edit' is none of"),
        ("width", "widht", "sizes.widht: is not known; known: architecture"),
        ("width = 64", 'width = "64"', "sizes.width: '64' is no int"),
        ("width = 64", "width = true", "sizes.width: True is no int"),
        ("width = 64", "width = 65", "heads must divide width"),
        ("width = 64", 'architecture = "bert"', "sizes.architecture: 'bert' is neither qwen2 nor llama"),
        ("steps = 10\n", "", r"stages\[0\].steps: is missing"),
        ("max_tokens = 500", "max_tokens = 5000", "batch_tokens no less than max_tokens"),
        ("batch_tokens = 1000\nmax_tokens = 500", "batch_tokens = 9000\nmax_tokens = 9000", "do not fit sizes.context"),
        ("[sizes]", "[optimiser]\nkind = 'sgd'\n[sizes]", "optimiser.kind: 'sgd' is none of muon, adamw"),
        ("[sizes]", "[optimiser]\ndecay_part = 2\n[sizes]", "decay_part runs from 0 to 1"),
        ("max_tokens = 500", "max_tokens = 500\ntasks = {rename = -1}", r"tasks: \{'rename': -1\} cannot be taken"),
    ],
)
def test_a_recipe_with_a_fault_is_refused_by_the_name_of_the_key(good, bad, told):
    with pytest.raises(RecipeRefused, match=told):
        recipe_of("mine", tomllib.loads(GOOD.replace(good, bad, 1)))


def test_a_recipe_that_is_not_there_or_no_toml_is_refused(tmp_path):
    with pytest.raises(RecipeRefused, match=r"there is no recipe 'fast'; known: .*line_edits"):
        read_recipe("fast")
    path = tmp_path / "mine.toml"
    path.write_text("stages = [")
    with pytest.raises(RecipeRefused, match="is not TOML"):
        read_recipe(str(path))


@given(st.lists(st.integers(1, 500), min_size=1, max_size=5), st.integers(1, 5000))
def test_other_steps_are_shared_out_as_before(stage_steps, wanted):
    stages = [{"steps": steps, "batch_tokens": 100, "max_tokens": 100} for steps in stage_steps]
    recipe = recipe_of("mine", {"prompt_format": "line_edits", "stages": stages}).with_steps(wanted)
    assert all(stage.steps >= 1 for stage in recipe.stages)
    assert recipe.steps == max(wanted, recipe.steps - recipe.stages[-1].steps + 1)
    if wanted >= 50 * len(stage_steps):
        shares = [steps / sum(stage_steps) for steps in stage_steps]
        for stage, share in zip(recipe.stages, shares, strict=True):
            assert abs(stage.steps - wanted * share) <= len(stage_steps)
