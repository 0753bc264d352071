"""``foretype model evaluate`` with the shipped model, on a few dozen cases made here."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from daemon.engine.messages import ModelSettings
from daemon.errors import ModelNotFound
from daemon.registry import EMBEDDED_PATH
from training_export.commands.model_evaluate import application
from training_export.errors import NothingToEvaluate, OutputRefused
from training_export.example_format.files import Loaded, read_examples, write_examples
from training_export.student.evaluation.answers import MEMBER
from training_export.student.evaluation.asking import AskStudent
from training_export.student.evaluation.gate import read_limit, write_limit

pytestmark = pytest.mark.train  # the gate is written into the GGUF by the `gguf` package


@pytest.fixture(scope="module")
def cases(moments, tmp_path_factory):
    path = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    write_examples(path, [moment.example(seed=1) for moment in moments])
    return path


@pytest.fixture(scope="module")
def asked(cases, tmp_path_factory):
    """A model, and a folder in which all cases are answered by it."""
    folder = tmp_path_factory.mktemp("asked")
    model = folder / "student.gguf"
    shutil.copyfile(EMBEDDED_PATH, model)
    found = run(model, "--cases", cases, "--out", folder / "out", "--json")
    return model, folder / "out", json.loads(found.stdout)


@pytest.fixture
def answered(asked, tmp_path):
    """The same for one test to change."""
    model, out = tmp_path / "student.gguf", tmp_path / "out"
    shutil.copyfile(asked[0], model)
    shutil.copytree(asked[1], out)
    return model, out


@pytest.fixture
def asks_nothing(monkeypatch):
    """To open an engine is an error."""

    def refuse(_self):
        raise AssertionError("a model was asked")

    monkeypatch.setattr(AskStudent, "opened", refuse)


def run(*arguments):
    result = CliRunner().invoke(application, [*map(str, arguments), "--workers", "1"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def row(scores, name):
    return next(one for one in scores["by_task"] if one["name"] == name)


def test_every_case_is_scored_beside_rule_and_silence(asked) -> None:
    scores = asked[2]
    assert scores["total"]["cases"] == 24
    assert scores["left_out"] == {}
    rename, quiet = row(scores, "rename"), row(scores, "quiet")
    assert (rename["rule"]["count"], rename["rule"]["total"]) == (8, 16)
    assert (rename["never"]["count"], quiet["never"]["count"]) == (0, 8)
    assert rename["where_rule_fails"]["total"] == 8
    assert rename["alone"]["count"] >= 1, "the shipped student can follow a rename"
    assert rename["ranked"]["total"] == 16
    assert scores["latency"]["count"] == 24
    assert json.loads((asked[1] / "scores.json").read_text()) == scores


def test_what_was_answered_is_not_asked_again(answered, cases, asks_nothing, asked) -> None:
    model, out = answered
    again = json.loads(run(model, "--cases", cases, "--out", out, "--json").stdout)
    assert {**again, "model": ""} == {**asked[2], "model": ""}


def test_a_case_more_is_the_only_one_that_is_asked(answered, cases, moments, make_moment, monkeypatch) -> None:
    model, out = answered
    questions = []
    whole = AskStudent.opened

    def counting(stage):
        @contextmanager
        def opened():
            with whole(stage) as work:
                yield lambda example: (questions.append(example.name), work(example))[1]

        return opened()

    monkeypatch.setattr(AskStudent, "opened", counting)
    more = cases.parent / "more.jsonl"
    extra = make_moment("first", "second", "def f({0}):\n    x = 1\n    return {0}", "x.py").example(seed=1)
    write_examples(more, [*(moment.example(seed=1) for moment in moments), extra])
    scores = json.loads(run(model, "--cases", more, "--out", out, "--json").stdout)
    assert questions == [extra.name]
    assert scores["total"]["cases"] == 25


def test_ranked_answers_tell_what_the_student_alone_would_have_said(asked, moments) -> None:
    model, out, _ = asked
    kept = {
        one.example.name: one.example.value["foretype"][MEMBER]
        for one in read_examples(str(out / "answers.jsonl.zst"))
        if isinstance(one, Loaded)
    }
    stage = AskStudent(ModelSettings(str(model), threads=1, ranking=False), "alone")
    with stage.opened() as ask:
        for moment in moments:
            example = moment.example(seed=1)
            alone = ask(example).ours[MEMBER]
            assert alone["alone"]["new_text"] == kept[example.name]["alone"]["new_text"]
            assert alone["region"] == kept[example.name]["region"]
            assert alone["ranked"] is None
            assert kept[example.name]["ranked"] is not None


def test_the_gate_is_set_where_enough_is_right_and_asks_nothing(answered, cases, asks_nothing) -> None:
    model, out = answered
    write_limit(model, 0.99)
    scores = json.loads(run(model, "--cases", cases, "--out", out, "--set-gate", "--wanted", "0.5", "--json").stdout)
    assert scores["gate_was_chosen"]
    assert read_limit(model) == pytest.approx(scores["limit"])
    assert scores["limit"] < 0.99
    assert scores["shown_right"]["calibration"]["share"] >= 0.5


def test_where_no_gate_is_good_enough_the_model_keeps_its_own(answered, tmp_path, moments, asks_nothing, cases) -> None:
    model, out = answered
    before = read_limit(model)
    with pytest.raises(NothingToEvaluate, match=r"at no limit.*--wanted"):
        run(model, "--cases", cases, "--out", out, "--set-gate", "--wanted", "1.0", "--certain")
    assert read_limit(model) == before


def test_the_card_is_written_once(answered, cases, tmp_path, asks_nothing) -> None:
    model, out = answered
    card = tmp_path / "made" / "CARD.md"
    arguments = (model, "--cases", cases, "--out", out, "--card", card, "--check-against", cases)
    shown = run(*arguments)
    text = card.read_text()
    assert "# foretype student" in text
    assert "Of 24 cases, 24 stand word for word" in text
    assert "![Reliability" in text
    assert (card.parent / "reliability.svg").is_file()
    assert "rename" in shown.stdout
    with pytest.raises(OutputRefused, match="--force"):
        run(*arguments)
    run(*arguments, "--force")
    assert card.read_text() == text


def test_two_engines_answer_as_one(asked, cases, tmp_path) -> None:
    result = CliRunner().invoke(
        application,
        [str(asked[0]), "--cases", str(cases), "--out", str(tmp_path / "out"), "--workers", "2", "--json"],
        catch_exceptions=False,
    )
    both = json.loads(result.stdout)
    for key in ("by_task", "by_kind", "goals", "held_back"):
        assert both[key] == asked[2][key]


def test_lines_that_are_no_cases_are_counted_by_reason(answered, moments, tmp_path) -> None:
    model, _ = answered
    wanted = moments[0].example(seed=1)
    path = tmp_path / "mixed.jsonl"
    write_examples(path, [wanted, wanted.with_fields(expected_patches=[]), wanted])
    scores = json.loads(run(model, "--cases", path, "--out", tmp_path / "mixed", "--json").stdout)
    assert scores["total"]["cases"] == 1
    assert scores["left_out"] == {"it has no expected patch": 1, "the same case stands there before": 1}
    write_examples(path, [wanted.with_fields(expected_patches=[])])
    with pytest.raises(NothingToEvaluate, match="1 x it has no expected patch"):
        run(model, "--cases", path, "--out", tmp_path / "none")


def test_a_model_that_is_not_there_is_named(tmp_path, cases) -> None:
    with pytest.raises(ModelNotFound, match=r"none\.gguf does not exist"):
        run(tmp_path / "none.gguf", "--cases", cases, "--out", tmp_path / "out")


def test_failures_are_shown_of_the_cases_that_may_be_quoted(answered, asked, moments, cases, tmp_path) -> None:
    model, out = answered
    wrong = asked[2]["failures"][-1]["name"]
    own = tmp_path / "own.jsonl"
    write_examples(own, [example for moment in moments if (example := moment.example(seed=1)).name == wrong])
    found = json.loads(run(model, "--cases", cases, "--quote", own, "--out", out, "--json").stdout)
    assert [failure["name"] for failure in found["failures"]] == [wrong]
    assert found["total"] == asked[2]["total"]
