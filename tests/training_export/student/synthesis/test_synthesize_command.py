"""``foretype synthesize`` as a person meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.errors import ForetypeError
from training_export.commands.synthesize import application
from training_export.example_format.files import Loaded, read_examples
from training_export.student.sources.source_file import SourceFile

Foretype = Callable[..., tuple[int, str, str]]


@pytest.fixture
def foretype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: tuple[SourceFile, ...]) -> Foretype:
    """Runs the command in a folder that holds the projects; gives exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    for source in sources:
        path = tmp_path / "projects" / source.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.text, encoding="utf-8")

    def call(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(application, [*arguments, "--workers", "1"])
        if isinstance(done.exception, ForetypeError):
            return done.exception.exit_code, done.stdout, str(done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done.exit_code, done.stdout, done.stderr

    return call


def test_a_folder_becomes_examples_and_the_table_says_which(foretype: Foretype, tmp_path: Path) -> None:
    code, _, said = foretype(
        "projects", "--side", "all", "--count", "24", "--tasks", "rename,finish_line,quiet", "-o", "moments.jsonl.zst"
    )
    assert code == 0
    found = list(read_examples(str(tmp_path / "moments.jsonl.zst")))
    assert len(found) == 24
    assert all(isinstance(one, Loaded) for one in found)
    assert "rename" in said
    assert "rule fails" in said
    assert "duplicates dropped; 6 files, 0 with wrong syntax" in said


def test_tasks_and_languages_are_chosen_and_told_to_programs(foretype: Foretype, tmp_path: Path) -> None:
    chosen = ("--tasks", "rename=1,quiet=1", "--languages", "go,rust", "--count", "20", "--side", "all")
    code, told, _ = foretype("projects", *chosen, "--json", "-o", "moments.jsonl")
    assert code == 0
    tallies = json.loads(told)["tallies"]
    counts = {name: count for name, count in tallies.items() if name.split()[0] in ("go", "rust")}
    assert set(counts) == {"go rename", "go quiet", "rust rename", "rust quiet"}
    assert sum(counts.values()) == 20 == len((tmp_path / "moments.jsonl").read_text().splitlines())


def test_what_is_there_is_not_replaced_unasked(foretype: Foretype, tmp_path: Path) -> None:
    (tmp_path / "moments.jsonl").write_text("mine\n")
    arguments = ("projects", "--side", "all", "--count", "3", "-o", "moments.jsonl")
    code, _, said = foretype(*arguments)
    assert (code, "--force replaces it" in said) == (2, True)
    assert (tmp_path / "moments.jsonl").read_text() == "mine\n"
    assert foretype(*arguments, "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("projects", "--tasks", "renam"), "there is no task renam; there are branch, "),
        (("projects", "--tasks", "rename=much"), "gives no number"),
        (("projects", "--tasks", "rename=0"), "no task is left"),
        (("projects", "--languages", "cobol"), "there is no language cobol; there are go, "),
        ((), "name a folder"),
        (("nowhere",), "there is no folder nowhere"),
        (("empty",), "nothing in empty can be learnt from"),
        (("projects", "--languages", "go", "--side", "validation"), "none of 6 files is on the side validation"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_cure(
    foretype: Foretype, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    code, _, error = foretype(*arguments, "-o", "moments.jsonl")
    assert code == 2
    assert said in error
    assert not (tmp_path / "moments.jsonl").exists()
    assert not (tmp_path / "moments.jsonl.work").exists()


def test_a_tree_with_wrong_syntax_alone_gives_no_file(foretype: Foretype, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.py").write_text("def f(:\n    pass  # and so on\n" * 20)
    code, _, error = foretype("broken", "--side", "all", "-o", "moments.jsonl")
    assert (code, "1 of which have wrong syntax" in error) == (2, True)
    assert not (tmp_path / "moments.jsonl").exists()
