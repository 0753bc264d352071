"""``foretype eval`` as a person meets it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from training_export.commands.eval import application
from training_export.errors import NothingToEvaluate
from training_export.example_format.files import write_examples


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def evaluate(here):
    """Run the command; gives standard output, and raises what it raises."""

    def call(*arguments, typed=None):
        result = CliRunner().invoke(application, list(arguments), input=typed, catch_exceptions=False)
        return result.exit_code, result.stdout

    return call


@pytest.fixture
def runs(here, make_example, text, wanted_text):
    """``new.jsonl`` predicts three of four, ``old.jsonl`` one."""

    def examples(right):
        for index in range(4):
            own = f"{index}\n"
            yield make_example(
                f"moment {index}",
                own + (wanted_text if index < right else text),
                text=own + text,
                wanted=(own + wanted_text,),
                tags=["even" if index % 2 == 0 else "odd"],
            )

    write_examples(here / "new.jsonl", examples(3))
    write_examples(here / "old.jsonl", examples(1))


def row(output, title):
    return next(line for line in output.splitlines() if line.startswith(title)).split("  ")


def cells(output, title):
    return [cell.strip() for cell in row(output, title) if cell.strip()]


def test_one_run_is_summed_up_with_intervals(evaluate, runs):
    code, output = evaluate("new.jsonl")
    assert code == 0
    assert output.startswith("new.jsonl: 4 examples, 4 predictions\n")
    title, value, interval, count = cells(output, "exact match")
    assert (title, value, count) == ("exact match", "75.0 %", "4")
    assert "to" in interval


def test_two_runs_are_compared(evaluate, runs):
    _, output = evaluate("new.jsonl", "--against", "old.jsonl")
    title, new, old, difference, *_, improved, worse, equal = cells(output, "exact match")
    assert (title, new, old, difference) == ("exact match", "75.0 %", "25.0 %", "+50.0 pp")
    assert (improved, worse, equal) == ("2", "0", "2")
    assert "moment 1" in output  # changed most


def test_a_run_against_itself_has_no_difference(evaluate, runs):
    code, output = evaluate("new.jsonl", "--against", "new.jsonl", "--json")
    compared = json.loads(output)["comparison"]
    assert code == 0
    assert {found["difference"] for found in compared["measures"].values()} == {0.0}
    assert (compared["changed_most"], compared["only_in_first"]) == ([], [])


def test_groups_have_a_table_of_their_own(evaluate, runs):
    _, output = evaluate("new.jsonl", "--by", "tag")
    assert cells(output, "even")[:4] == ["even", "2", "100.0", "100.0 %"]
    assert cells(output, "odd")[1] == "2"
    groups = json.loads(evaluate("new.jsonl", "--by", "tag", "--json")[1])["runs"][0]["groups"]
    assert (groups["even"]["exact_match"], groups["odd"]["exact_match"]) == (100.0, 50.0)


def test_the_columns_are_aligned(evaluate, runs):
    _, output = evaluate("new.jsonl", "--against", "old.jsonl")
    table = output.split("\n\n")[1].splitlines()
    assert len({len(line) for line in table}) == 1


def test_the_summary_has_zeds_keys(evaluate, runs, here):
    evaluate("new.jsonl", "--summary-json", "summary.json")
    summary = json.loads((here / "summary.json").read_text())
    assert (summary["total_examples"], summary["avg_delta_chr_f"]) == (4, 75.0)
    assert json.loads(evaluate("new.jsonl", "--summary-json", "-")[1]) == summary
    assert json.loads(evaluate("new.jsonl", "--json")[1])["runs"][0]["summary"] == summary


def test_the_page_is_written_from_standard_input_too(evaluate, runs, here):
    typed = (here / "new.jsonl").read_text()
    code, _ = evaluate("-", "--against", "old.jsonl", "--html", "page.html", typed=typed)
    page = (here / "page.html").read_text()
    assert code == 0
    assert "moment 1" in page
    assert "Most improved" in page


def test_unmatched_and_bad_lines_are_said_before_the_numbers(evaluate, runs, here):
    lines = (here / "new.jsonl").read_text().splitlines()
    (here / "some.jsonl").write_text("\n".join([*lines[1:], "{broken"]) + "\n")
    code, output = evaluate("some.jsonl", "--against", "old.jsonl")
    assert code == 0
    assert "note: 3 examples compared; 0 only in some.jsonl, 1 only in old.jsonl." in output
    assert "note: some.jsonl: 0 examples could not be scored and 1 line could not be read." in output
    assert json.loads(evaluate("some.jsonl", "--against", "old.jsonl", "--json")[1])["comparison"][
        "only_in_second"
    ] == ["moment 0"]


def test_nothing_to_say_is_an_error_with_the_reason(evaluate, make_example, runs, here, wanted_text):
    write_examples(here / "empty.jsonl", [make_example("a"), make_example("b")])
    with pytest.raises(NothingToEvaluate, match=r"2 x there are no predictions to score; .* `foretype distill`"):
        evaluate("empty.jsonl")
    write_examples(here / "others.jsonl", [make_example("z", wanted_text)])
    with pytest.raises(NothingToEvaluate, match=r"others\.jsonl and old\.jsonl have no example in common"):
        evaluate("others.jsonl", "--against", "old.jsonl")


def test_a_hostile_name_does_not_steer_the_terminal(evaluate, make_example, here, text, wanted_text):
    name = "\x1b[2J\u202eevil"
    write_examples(here / "a.jsonl", [make_example(name, wanted_text, tags=[name])])
    write_examples(here / "b.jsonl", [make_example(name, text, tags=[name])])
    _, output = evaluate("a.jsonl", "--against", "b.jsonl", "--by", "tag")
    assert "evil" in output
    assert "\x1b" not in output
    assert "\u202e" not in output
