"""What an editor needs is printed, put into its file beside what is there, and tried."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from daemon.commands.editor import application
from daemon.editors.page import page
from daemon.editors.setups import setups
from daemon.editors.writing import COMMENTS, difference, with_block

ROOT = Path(__file__).parents[3]
WRITTEN = [name for name, setup in setups().items() if not setup.by_hand]
MARKS = [f"{comment} foretype: {word}" for comment in COMMENTS.values() for word in ("begin", "end")]
PARTS = st.lists(st.sampled_from(["a", "\n", "\r\n", "-- x", *MARKS, "é"]), max_size=12).map("".join)


def run(*arguments: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(application, list(arguments), input=answer)
    return result.exit_code, result.output


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_list_names_every_editor_and_how_far_it_was_checked():
    code, output = run()
    assert code == 0
    assert all(f"{name} " in output and setup.checked in output for name, setup in setups().items())


@pytest.mark.parametrize("name", setups())
def test_the_printed_snippet_starts_a_program_that_is_there(name):
    code, output = run(name, "--json")
    printed = json.loads(output)
    assert code == 0
    assert "@FORETYPE" not in printed["snippet"]
    if "@FORETYPE" in setups()[name].snippet:
        program = setups()[name].command[0]
        assert shutil.which(program) is not None
        assert program in printed["snippet"]


@pytest.mark.parametrize("name", setups())
def test_snippets_are_of_the_language_that_they_say(name):
    setup = setups()[name]
    if setup.language == "json":
        assert json.loads(setup.text)
    elif setup.language == "toml":
        assert tomllib.loads(setup.text)
    elif setup.language in COMMENTS:
        assert setup.text.count("(") == setup.text.count(")")


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_was_shown_before_and_is_written_once(name, home):
    path = setups()[name].path
    path.parent.mkdir(parents=True)
    path.write_text("mine = 1")
    code, output = run(name, "--write", answer="n\n")
    assert code == 1
    assert path.read_text() == "mine = 1"
    code, output = run(name, "--write", answer="y\n")
    after = path.read_text()
    assert code == 0
    assert after.startswith("mine = 1\n")
    assert setups()[name].text in after
    assert difference("mine = 1", after, str(path)) in output
    assert run(name, "--write")[0] == 0
    assert path.read_text() == after


def test_what_cannot_be_edited_safely_is_left_to_the_person(home):
    code, output = run("zed", "--write", "--yes")
    assert code != 0
    assert not (home / ".config").exists()
    assert "edit_predictions" in output


@given(text=PARTS, snippet=PARTS, language=st.sampled_from(sorted(COMMENTS)))
def test_only_the_block_changes(text, snippet, language):
    snippet += "\n"
    assume(not any(mark in snippet for mark in MARKS))
    try:
        after = with_block(text, snippet, language)
    except ValueError:
        assert "foretype: " in text
        return
    begin, end = (f"{COMMENTS[language]} foretype: {word}\n" for word in ("begin", "end"))
    assert f"{begin}{snippet}{end}" in after
    before, _, behind = after.partition(begin + snippet + end)
    if text.startswith(before) and text.endswith(behind):
        between = text[len(before) : len(text) - len(behind)]
        assert between == "" or between.startswith(begin.rstrip())
    else:
        assert (before, behind) == (text + "\n", "")
    assert with_block(after, snippet, language) == after


def test_the_page_is_what_the_table_says():
    assert (ROOT / "docs" / "editors.md").read_text(encoding="utf-8") == page()


@pytest.mark.system
@pytest.mark.parametrize("name", [name for name in WRITTEN if setups()[name].language == "lua"])
def test_neovim_reads_the_snippet(name, tmp_path):
    if shutil.which("nvim") is None:
        pytest.skip("Neovim is not installed")
    file = tmp_path / "snippet.lua"
    file.write_text(setups()[name].text)
    code = f"lua local chunk, problem = loadfile({json.dumps(str(file))}); print(problem or 'reads')"
    command = ["nvim", "--clean", "--headless", "-c", code, "-c", "qa!"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr.strip().endswith("reads")


def test_an_unknown_name_says_which_there_are():
    code, _ = run("ed")
    assert code != 0
