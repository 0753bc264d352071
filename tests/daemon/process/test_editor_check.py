"""`foretype editor check` starts the daemon as an editor does and says what works."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("name", ["sidekick", "copilot-el", "eglot"])
def test_an_editor_that_is_set_up_as_printed_gets_a_prediction(world, name):
    result = world.foretype("editor", "check", name, "--json")
    tried = {each["what"]: each for each in json.loads(result.stdout)["tried"]}
    assert result.returncode == 0
    assert all(each["works"] for each in tried.values() if each["is_needed"])
    answer = next(each["text"] for what, each in tried.items() if what.startswith("textDocument/"))
    assert answer == "answered, with a prediction"


def test_where_there_is_no_prediction_it_says_why(world):
    world.write_settings("enabled = false\n")
    result = world.foretype("editor", "check", "sidekick")
    assert "answered, with none here: predictions are switched off" in result.stdout


def test_without_a_name_it_says_which_there_are(world):
    result = world.foretype("editor", "check")
    assert result.returncode == 2
    assert "sidekick" in result.stderr
