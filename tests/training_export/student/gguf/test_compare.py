"""`foretype model compare`, from a GGUF and held-out cases to a table, a report, a plot, and which one to use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")
pytest.importorskip("matplotlib", reason="make test-train installs matplotlib")

import numpy as np  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from daemon import command_line  # noqa: E402
from daemon.command_line import run  # noqa: E402
from daemon.commands import CommandEntry  # noqa: E402
from daemon.prompts.line_edits import LineEdits  # noqa: E402
from training_export.commands.model_compare import application  # noqa: E402
from training_export.errors import NothingToEvaluate, OutputRefused  # noqa: E402
from training_export.example import Example  # noqa: E402
from training_export.patches import region_after  # noqa: E402
from training_export.student.gguf.comparing import collected  # noqa: E402
from training_export.student.gguf.comparison import difference, speeds  # noqa: E402
from training_export.student.gguf.measuring import OpenModel, TextSeconds, timed_in_turns  # noqa: E402
from training_export.student.gguf.texts import Text, spread  # noqa: E402
from training_export.student.gguf.writing import About, write_gguf  # noqa: E402
from training_export.student.synthesis.moment import Moment, Place, Step, Task  # noqa: E402
from training_export.student.tokenizer import END_OF_TEXT  # noqa: E402

pytestmark = pytest.mark.train

FORMAT = LineEdits()
BEFORE = "def area(width, height):\n    size = width * height\n    return size\n"
RENAMED = BEFORE.replace("    size =", "    total =")
QUIET, LOUD = 3, 5


def moment(number: int, *, is_quiet: bool) -> Example:
    """A variable renamed where it is set; what comes next is the other place, or nothing."""
    before, after = (text.replace("area", f"area_{number}") for text in (BEFORE, RENAMED))
    expected = after if is_quiet else after.replace("return size", "return total")
    step = Step("shapes.py", after, Place(1, 9))
    task = Task.QUIET if is_quiet else Task.RENAME
    made = Moment(task, "renamed", "python", "shapes", "shapes.py", {"shapes.py": before}, (step,), expected)
    return made.example(number)


@pytest.fixture(scope="module")
def small(small_model: Any, tokenizer_of: Any) -> Any:
    controls = (END_OF_TEXT, *(token for token in FORMAT.control_tokens if "\n" not in token))
    tokenizer = tokenizer_of("gpt-2", size=700, controls=controls)
    return small_model("qwen2", tokenizer=tokenizer, tie_word_embeddings=True)


@pytest.fixture(scope="module")
def model(small: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights are random, so it says nothing that is an edit: right where nothing should change."""
    path = tmp_path_factory.mktemp("model") / "student.gguf"
    write_gguf(small.trained, path, About("student", prompt_format="line_edits"))
    return path


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cases") / "held-out.jsonl"
    examples = [moment(number, is_quiet=number < QUIET) for number in range(QUIET + LOUD)]
    path.write_text("".join(f"{example.to_line()}\n" for example in examples), encoding="utf-8")
    return path


def compare(*arguments: object) -> Any:
    found = CliRunner().invoke(application, [str(argument) for argument in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


@pytest.fixture(scope="module")
def compared(model: Path, cases: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("out") / "made"
    options = ("--quantisations", "f32,q4_k_m", "--speed-cases", 2, "--rounds", 2, "--threads", 1, "--json")
    return folder, json.loads(compare(model, "--on", cases, "--out", folder, *options).stdout)


def test_everything_is_in_the_folder_and_nothing_else(compared: tuple[Path, dict[str, Any]]) -> None:
    folder, report = compared
    assert sorted(path.name for path in folder.iterdir()) == [
        "compare.json", "compare.png", "student-f32.gguf", "student-q4_k_m.gguf",
    ]  # fmt: skip
    assert json.loads((folder / "compare.json").read_text()) == report
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")
    for row in report["quantisations"]:
        assert (folder / row["file"]).stat().st_size == row["size_bytes"]


def test_perplexity_is_what_torch_makes_of_the_same_texts(
    compared: tuple[Path, dict[str, Any]], small: Any, cases: Path
) -> None:
    tokenizer = small.trained.tokenizer
    answers, wholes = [], []
    for line in cases.read_text().splitlines():
        example = Example.from_line(line)
        inputs = example.prompt_inputs
        assert inputs is not None
        prompt = FORMAT.render(inputs, lambda text: len(tokenizer.encode(text).ids))
        is_quiet = example.expected_patches == ("",)
        answer = "<|no_edit|>" if is_quiet else "<|again|>"
        asked = tokenizer.encode(prompt.text).ids
        wanted = FORMAT.training_target(inputs, prompt, new_region(inputs, prompt, example))
        assert answer in wanted
        tokens = asked + tokenizer.encode(wanted).ids
        found = torch.tensor(small.logits(tokens)).double().log_softmax(-1)
        chosen = found[range(len(tokens) - 1), tokens[1:]].numpy()
        answers.append(chosen[len(asked) - 1 :])
        wholes.append(chosen)
    row = compared[1]["quantisations"][0]
    # The cache is of float16, as the daemon's.
    assert row["answer_perplexity"] == pytest.approx(np.exp(-np.concatenate(answers).mean()), rel=0.02)
    assert row["text_perplexity"] == pytest.approx(np.exp(-np.concatenate(wholes).mean()), rel=0.02)
    assert compared[1]["answer_tokens"] == sum(map(len, answers))
    assert compared[1]["tokens"] == sum(len(whole) + 1 for whole in wholes)


def new_region(inputs: Any, prompt: Any, example: Example) -> Any:
    return region_after(inputs, prompt.region, example.expected_patches[0])


def test_what_is_exactly_right_is_counted(compared: tuple[Path, dict[str, Any]]) -> None:
    for row in compared[1]["quantisations"]:
        assert (row["exact_right"], row["exact"], row["unanswered"]) == (QUIET, QUIET / (QUIET + LOUD), 0)
        assert row["exact_difference_95"] == [0.0, 0.0]
    assert (compared[1]["cases"], compared[1]["left_out"]) == (QUIET + LOUD, {})


def test_speed_is_told_against_the_first(compared: tuple[Path, dict[str, Any]]) -> None:
    first, *others = compared[1]["quantisations"]
    assert (first["prompt_token"]["ratio"], first["answer_token"]["ratio"], first["case_ratio"]) == (1, 1, 1)
    for row in (first, *others):
        for part in ("prompt_token", "answer_token"):
            assert 0 < row[part]["median_ms"] <= row[part]["p95_ms"]
    assert compared[1]["timed"] == {"cases": 2, "rounds": 2}


def test_people_get_a_table_and_which_one_to_use(model: Path, cases: Path, tmp_path: Path) -> None:
    options = ("--quantisations", "f16,q4_k_m", "--speed-cases", 1, "--rounds", 1, "--cases", 2, "--no-plot")
    found = compare(model, "--on", cases, "--out", tmp_path / "made", *options, "--max-mb", 0.9).stdout
    assert "q4_k_m: 15 of 15 matrices have rows of 96, 160 numbers" in found
    assert "2 cases say little of exact match: one of them is 50.0 points" in found
    assert all(len(line) <= 80 for line in found.split("cases say little")[0].splitlines())
    assert "\nchoose f16: " in found or "\nchoose q4_k_m: " in found
    assert not (tmp_path / "made" / "compare.png").exists()


def test_what_is_there_is_not_replaced_unasked(model: Path, cases: Path, tmp_path: Path) -> None:
    (tmp_path / "student-f16.gguf").write_text("mine")
    with pytest.raises(OutputRefused, match=r"student-f16.gguf exists; --force replaces it"):
        compare(model, "--on", cases, "--out", tmp_path, "--quantisations", "f16")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_without_a_case_nothing_is_made(model: Path, tmp_path: Path) -> None:
    empty = tmp_path / "none.jsonl"
    empty.write_text("")
    with pytest.raises(NothingToEvaluate, match="nothing to measure on"):
        compare(model, "--on", empty, "--out", tmp_path / "made", "--quantisations", "f16")
    assert list(tmp_path.iterdir()) == [empty]


STOPPED = """
import sys
from training_export.student.gguf import comparing
def stop(*_arguments):
    raise KeyboardInterrupt  # as Ctrl-C does, once all files are made
comparing._perplexities = stop
from typer.main import get_command
from training_export.commands.model_compare import application
from daemon.errors import ForetypeError
try:
    get_command(application)(sys.argv[1:], standalone_mode=False)
except ForetypeError as error:
    sys.stderr.write(str(error))
    sys.exit(error.exit_code)
"""


def test_ctrl_c_leaves_nothing_behind(model: Path, cases: Path, tmp_path: Path) -> None:
    mine = tmp_path / "made" / "mine.txt"
    mine.parent.mkdir()
    mine.touch()
    arguments = [str(model), "--on", str(cases), "--out", str(tmp_path / "made"), "--quantisations", "f16", "--no-plot"]
    command = [sys.executable, "-c", STOPPED, *arguments]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted; nothing was written")
    assert list(tmp_path.rglob("*")) == [mine.parent, mine]


def broken_off(folder: Path) -> None:
    with collected(folder, ["a"], force=False) as made:
        (made / "a").touch()
        raise ZeroDivisionError


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        broken_off(tmp_path / "made")
    assert list(tmp_path.iterdir()) == []
    with collected(tmp_path / "made", ["a"], force=False) as made:
        (made / "a").touch()
        (made / "scratch").touch()
    assert list((tmp_path / "made").iterdir()) == [tmp_path / "made" / "a"]


class Noted(OpenModel):
    """Takes no time and writes down when it was asked."""

    def __init__(self, name: str, asked: list[str]) -> None:
        self._name = name
        self._asked = asked

    def timed(self, text: Text) -> TextSeconds:
        self._asked.append(f"{self._name}{text.answer_start}")
        return TextSeconds(1, 1.0, (1.0,))


def test_models_take_turns_at_every_text_and_another_begins_each_time() -> None:
    asked: list[str] = []
    models = [Noted(name, asked) for name in "abc"]
    taken = list(timed_in_turns(models, [Text((1, 2), 1), Text((1, 2, 3), 2)], rounds=2))
    assert asked[:3] == ["a1", "b1", "c1"], "nobody hears of the first"
    assert asked[3:] == ["a1", "b1", "c1", "b2", "c2", "a2", "c1", "a1", "b1", "a2", "b2", "c2"]
    assert len(taken) == 4


def test_a_ratio_is_of_measurements_made_side_by_side() -> None:
    """The machine became four times slower in between, which falls on both; the other takes half the time."""
    taken = [
        [TextSeconds(100, 1.0 * load, (0.1 * load,) * 5), TextSeconds(100, 0.5 * load, (0.05 * load,) * 5)]
        for load in (1, 1, 4, 4, 4)
    ]
    (first_prompt, first_answer, first_case), (prompt, answer, case) = speeds(taken)
    assert (first_prompt.ratio, first_answer.ratio, first_case) == (1, 1, 1)
    assert (prompt.ratio, answer.ratio, case) == (pytest.approx(0.5),) * 3
    assert (prompt.median_ms, answer.median_ms) == (pytest.approx(20), pytest.approx(200))


def test_the_interval_is_of_pairs() -> None:
    first = [True, False] * 100
    assert tuple(difference(first, first)) == (0.0, 0.0)
    low, high = difference(first, [True] * 20 + first[20:])
    assert 0 < low < 0.05 < high < 0.1


def test_cases_are_taken_from_all_of_a_file() -> None:
    assert spread(range(100), 4) == [0, 25, 50, 75]
    assert spread(range(3), 0) == spread(range(3), 9) == [0, 1, 2]


def test_another_package_adds_a_subcommand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    entry = CommandEntry("Quantise in several ways.", "training_export.commands.model_compare:application")
    known = command_line.command_tables()
    monkeypatch.setattr(command_line, "command_tables", lambda: {**known, "model compare": entry})
    application = command_line.typer.Typer(cls=command_line.CommandGroup, no_args_is_help=True, add_completion=False)
    application.callback()(command_line._root)
    monkeypatch.setattr(command_line, "application", application)
    assert run(["model", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Quantise in several ways." in shown
    assert "pull" in shown
    assert run(["model", "compare", "--help"]) == 0
    assert "foretype model compare" in capsys.readouterr().out
    assert run(["--help"]) == 0
    assert "model compare" not in capsys.readouterr().out
    assert run(["model", "list", "--help"]) == 0
    assert "models on this machine" in capsys.readouterr().out
