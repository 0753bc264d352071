"""What can be said of the VS Code extension without Node: its manifest and its source agree."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
EXTENSION = REPOSITORY / "editors" / "vscode"
KEYS_OF_THE_EDITOR = {"tab", "escape", "enter", "up", "down", "ctrl+right", "cmd+right"}
# While one of these is in force, Tab is not ours.
OTHERS_WITH_TAB = {
    "suggestWidgetVisible",
    "inSnippetMode",
    "inlineSuggestionVisible",
    "inlineEditIsVisible",
    "editorHasSelection",
    "editorTabMovesFocus",
    "editorReadonly",
}


@pytest.fixture(scope="module")
def manifest():
    return json.loads((EXTENSION / "package.json").read_text())


@pytest.fixture(scope="module")
def source():
    return "\n".join(file.read_text() for file in sorted((EXTENSION / "src").glob("*.ts")))


def test_the_version_is_the_one_of_foretype(manifest):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert manifest["version"] == project["version"]


def test_the_commands_of_the_manifest_are_those_that_the_source_registers(manifest, source):
    contributed = {entry["command"] for entry in manifest["contributes"]["commands"]}
    assert contributed == set(re.findall(r'^    "(foretype\.\w+)": ', source, re.MULTILINE))
    bound = {entry["command"] for entry in manifest["contributes"]["keybindings"]}
    steps = json.dumps(manifest["contributes"]["walkthroughs"])
    named = set(re.findall(r"(?:command|onCommand):(foretype\.\w+)", steps))
    assert named
    assert bound | named <= contributed


def test_a_key_of_the_editor_is_ours_only_while_an_edit_is_shown_and_nothing_else_wants_it(manifest, source):
    bindings = manifest["contributes"]["keybindings"]
    assert {binding["key"] for binding in bindings} <= KEYS_OF_THE_EDITOR
    for binding in bindings:
        conditions = binding["when"].split(" && ")
        assert re.fullmatch(r"foretype\.\w+", conditions[0])
        assert f'setKey("{conditions[0]}"' in source
        assert "editorTextFocus" in conditions
        if binding["key"] == "tab":
            assert {f"!{other}" for other in OTHERS_WITH_TAB} <= set(conditions)


def test_each_setting_is_read_and_no_workspace_names_the_program(manifest, source):
    settings = manifest["contributes"]["configuration"]["properties"]
    assert {f'setting("{name.removeprefix("foretype.")}"' for name in settings} == {
        found.replace("<Mode>", "").replace("<NextEdits>", "")
        for found in re.findall(r'(?<!function )setting(?:<\w+>)?\("\w+"', source)
    }
    assert settings["foretype.path"]["scope"] == "machine"


def test_the_walkthrough_and_the_package_have_their_files(manifest):
    kept = (EXTENSION / ".vscodeignore").read_text()
    for walkthrough in manifest["contributes"]["walkthroughs"]:
        for step in walkthrough["steps"]:
            assert (EXTENSION / step["media"]["markdown"]).is_file()
    assert f"!{manifest['main'].removeprefix('./')}\n" in kept
    assert "!walkthrough/*.md\n" in kept


def test_the_lock_file_names_no_registry():
    lock = json.loads((EXTENSION / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())
    assert all("integrity" in package for path, package in lock["packages"].items() if path)
