"""docs/tutorial.md is typed into a shell, command by command, and what it says is printed is printed."""

from __future__ import annotations

import json
import re

import pytest
import zstandard

from tests.e2e.tutorial_console import REPOSITORY, Step, blocks, newcomer, steps

PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS_OF_A_PAGE = 35  # a page whose blocks are not recognised has none


@pytest.fixture
def shell():
    """A newcomer's."""
    with newcomer() as found:
        yield found


def test_every_command_of_the_tutorial_prints_what_the_page_says(shell):
    for step in steps(PAGE):
        printed, exit_code = shell.run(step.command)
        said = "\n".join(printed)
        assert exit_code == 0, f"{step.command}\n{said}"
        assert step.fits(printed), (
            f"{step.command} prints\n{said}\nand not\n{chr(10).join(step.expected)}\n"
            "If that is right: python -m tests.e2e.tutorial_console docs/tutorial.md"
        )


def test_no_command_of_the_tutorial_stands_where_it_is_not_run():
    others = [text for language, text in blocks(PAGE) if language != "console"]
    assert others == []
    typed = [line for line in PAGE.splitlines() if line.startswith("$ ")]
    assert len(typed) == len(steps(PAGE)) > COMMANDS_OF_A_PAGE


def test_the_captured_session_is_small_and_names_no_machine():
    path = REPOSITORY / "docs" / "tutorial" / "captured.jsonl.zst"
    text = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()).decode()
    snapshots = [json.loads(line) for line in text.splitlines()]
    assert 20 <= len(snapshots) <= 40
    assert path.stat().st_size < 300_000
    assert not re.search(r"/(home|root|tmp|Users|var|opt)/|file://", text)
    assert {snapshot["outcome"] for snapshot in snapshots} >= {"accepted", "rejected", "not_shown"}


@pytest.mark.parametrize(
    ("expected", "printed", "does_fit"),
    [
        (("32 examples",), ["32 examples"], True),
        (("32 examples",), ["31 examples"], False),
        (("32 examples",), ["32 examples", "and more"], False),
        (("32 examples",), [], False),
        (("at port …, ready",), ["at port 8080, ready"], True),
        (("at port …, ready",), ["at port , ready"], False),
        (("at port …, ready",), ["at port 1", "2, ready"], False),
        (("first", "…", "last"), ["first", "second", "third", "last"], True),
        (("first", "…", "last"), ["first", "last"], True),
        (("first", "…", "last"), ["first", "second"], False),
        (("a.c",), ["abc"], False),
    ],
)
def test_only_an_ellipsis_allows_for_other_text(expected, printed, does_fit):
    assert Step("echo", expected).fits(printed) is does_fit
