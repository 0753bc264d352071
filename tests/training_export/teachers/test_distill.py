"""``foretype distill`` as a person meets it: predictions, failures, the cache, money, kills."""

from __future__ import annotations

import json
import pickle
import sys

import pytest
from typer.testing import CliRunner

from daemon.errors import BadArgument
from training_export.commands.distill import application
from training_export.errors import BudgetReached, TeacherRefused
from training_export.example import Example
from training_export.patches import patched_excerpt
from training_export.stages.distill import Distill
from training_export.teachers.predicting import Asking
from training_export.teachers.stand_in.conduct import Fault

COMMAND = (sys.executable, "-c", "from training_export.commands.distill import application; application()")


@pytest.fixture
def distill(stand_in, tmp_path):
    """Runs the command on a file; gives its summary. Errors come as they are."""

    def run(source, *options, output="out.jsonl", teacher="sonnet46"):
        arguments = [str(source), "-o", str(tmp_path / output), *flags(stand_in, tmp_path, teacher), *options]
        result = CliRunner().invoke(application, arguments, catch_exceptions=True)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout) if result.stdout.startswith("{") else result.stdout

    return run


def flags(stand_in, folder, teacher="sonnet46"):
    url = stand_in.url if teacher.startswith(("sonnet", "anthropic")) else f"{stand_in.url}/v1"
    return ["--teacher", teacher, "--base-url", url, "--cache", str(folder / "answers.sqlite3"), "--json"]


@pytest.mark.parametrize("teacher", ["sonnet46", "gpt55", "anthropic:claude-opus-5", "openai:gpt-6-sol"])
def test_predictions_are_patches_and_no_edit_is_an_empty_one(
    teacher, distill, write_moments, read_lines, moment, tmp_path
):
    summary = distill(write_moments(4), teacher=teacher)
    lines = read_lines(tmp_path / "out.jsonl")
    for number, line in enumerate(lines):
        (prediction,) = line["predictions"]
        assert prediction["provider"] == f"teacher:{teacher.partition(':')[2] or teacher}"
        text = patched_excerpt(Example(line).prompt_inputs, prediction["actual_patch"])
        assert f"print(sum_{number})" in text
        assert (prediction["actual_patch"] == "") == (number % 2 == 0)
        assert "NO_EDITS" not in prediction["actual_patch"]
    assert (summary["tallies"]["edits"], summary["tallies"]["no edits"]) == (2, 2)
    assert summary["failed"] == 0


def test_every_other_field_survives_and_what_was_found_about_old_predictions_goes(
    distill, moment, read_lines, tmp_path
):
    source = tmp_path / "in.jsonl"
    old = {
        "predictions": [{"actual_output": "x", "provider": "old"}],
        "score": [{"delta_chr_f": 1.0}],
        "qa": [{"confidence": 1}],
        "prompt": {"input": "i", "rejected_output": None, "provider": "p"},
        "tags": ["kept"],
        "unknown": {"of": [1, 1.0, None]},
    }
    source.write_text(Example({**moment(1).value, **old}).to_line() + "\n", encoding="utf-8")
    distill(source)
    (line,) = read_lines(tmp_path / "out.jsonl")
    assert [prediction["provider"] for prediction in line["predictions"]] == ["teacher:sonnet46"]
    assert {"score", "qa"}.isdisjoint(line)
    assert {key: line[key] for key in ("prompt", "tags", "unknown")} == {
        key: old[key] for key in ("prompt", "tags", "unknown")
    }


def test_a_second_run_asks_nobody(distill, write_moments, stand_in, tmp_path):
    source = write_moments(6)
    first = distill(source, "--samples", "2")
    assert stand_in.asked == 12
    assert first["tallies"]["answers asked"] == 12
    second = distill(source, "--samples", "2", output="again.jsonl")
    assert stand_in.asked == 12
    assert second["tallies"]["answers found"] == 12
    assert "answers asked" not in second["tallies"]
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()


def test_more_samples_ask_only_for_those_that_are_new(distill, write_moments, stand_in):
    source = write_moments(3)
    distill(source)
    distill(source, "--samples", "3", "--force")
    assert stand_in.asked == 9


def test_another_prompt_is_another_question(distill, write_moments, stand_in):
    source = write_moments(3)
    distill(source)
    distill(source, "--diagnostics", "--force")
    assert stand_in.asked == 6


def test_equal_moments_are_one_question(distill, moment, read_lines, stand_in, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text((moment(1).to_line() + "\n") * 20, encoding="utf-8")
    distill(source)
    assert stand_in.asked == 1
    predictions = [line["predictions"] for line in read_lines(tmp_path / "out.jsonl")]
    assert predictions == predictions[:1] * 20


def test_what_cannot_be_used_is_recorded_counted_and_never_fatal(
    distill, write_moments, read_lines, stand_in, tmp_path
):
    faults = [Fault("refusal"), Fault("truncation"), Fault("status", 400)]
    stand_in.conduct.faults.extend(faults)
    summary = distill(write_moments(4), "--workers", "1")
    predictions = [line["predictions"][0] for line in read_lines(tmp_path / "out.jsonl")]
    assert ["error" in prediction for prediction in predictions] == [True, True, True, False]
    assert all("actual_patch" not in prediction for prediction in predictions[:3])
    assert predictions[1]["actual_output"], "what came of the answer is kept"
    assert summary["failed"] == 3
    counted = {"refusals": 1, "truncated answers": 1, "rejected requests": 1, "edits": 1}
    assert counted.items() <= summary["tallies"].items()


def test_a_request_that_was_not_taken_can_be_asked_again(distill, write_moments, stand_in):
    source = write_moments(1)
    stand_in.conduct.faults.append(Fault("status", 400))
    assert distill(source)["failed"] == 1
    assert distill(source, "--retry-failed")["failed"] == 0
    assert stand_in.asked == 2


def test_nonsense_is_kept_beside_the_reason(distill, write_moments, read_lines, stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr("training_export.teachers.stand_in.shapes.answer", lambda *_, **__: "Hello there.")
    summary = distill(write_moments(2))
    for line in read_lines(tmp_path / "out.jsonl"):
        (prediction,) = line["predictions"]
        assert prediction["actual_output"] == "Hello there."
        assert prediction["error"]
        assert "none of the teacher's answers can be used" in line["foretype"]["failures"]["distill"]
    assert summary["tallies"]["unreadable answers"] == 2


def test_a_time_out_is_recorded_and_asked_again_by_the_next_run(distill, write_moments, read_lines, stand_in, tmp_path):
    stand_in.conduct.faults.append(Fault("hang"))
    source = write_moments(1)
    first = distill(source, "--timeout", "1")
    (line,) = read_lines(tmp_path / "out.jsonl")
    assert "no answer within 1 seconds" in line["predictions"][0]["error"]
    assert first["tallies"]["time-outs"] == 1
    second = distill(source)
    assert second["tallies"]["answers asked"] == 1
    (line,) = read_lines(tmp_path / "out.jsonl")
    assert "failures" not in line["foretype"]


def test_an_example_without_inputs_is_a_failure_that_says_so(distill, moment, read_lines, stand_in, tmp_path):
    source = tmp_path / "in.jsonl"
    bare = {key: part for key, part in moment(1).value.items() if key != "prompt_inputs"}
    source.write_text(Example(bare).to_line() + "\n", encoding="utf-8")
    summary = distill(source)
    (line,) = read_lines(tmp_path / "out.jsonl")
    assert "prompt_inputs" in line["foretype"]["failures"]["distill"]
    assert (summary["failed"], stand_in.asked) == (1, 0)


def test_a_refused_key_ends_the_run(distill, write_moments, stand_in, keys, tmp_path):
    stand_in.conduct.refused_key = keys
    with pytest.raises(TeacherRefused, match="does not accept the key"):
        distill(write_moments(3))
    assert not (tmp_path / "out.jsonl").exists()


def test_a_model_that_takes_no_request_at_all_ends_the_run(distill, write_moments, stand_in):
    stand_in.conduct.faults.extend([Fault("status", 400)] * 99)
    with pytest.raises(TeacherRefused, match="rejected the first 5 requests"):
        distill(write_moments(50), "--workers", "1")
    assert stand_in.asked == 5


def test_a_dry_run_asks_nobody_and_says_how_many_will_be_asked(distill, write_moments, moment, stand_in, tmp_path):
    some = write_moments(5)
    distill(some)
    source = write_moments(12, "more.jsonl")
    with source.open("a", encoding="utf-8") as file:
        file.write(moment(3).to_line() + "\n{}\n")
    asked_before = stand_in.asked
    plan = distill(source, "--dry-run", "--samples", "2")
    assert stand_in.asked == asked_before
    assert (plan["examples"], plan["found"]) == (13, 5)
    summary = distill(source, "--samples", "2", output="more-out.jsonl")
    assert plan["requests"] == stand_in.asked - asked_before == summary["tallies"]["answers asked"] == 19
    assert 0 < plan["dollars"] < plan["most_dollars"]
    assert distill(source, "--dry-run", "--samples", "2")["requests"] == 0


def test_a_dry_run_speaks_to_people(distill, write_moments, stand_in, tmp_path):
    source, cache = write_moments(2), tmp_path / "answers.sqlite3"
    arguments = [str(source), "-o", "x.jsonl", "--dry-run", "--cache", str(cache), "--price", "in=1000,out=0"]
    text = CliRunner().invoke(application, arguments).stdout
    assert "2 requests to teacher:sonnet46 one by one" in text
    assert "your --price" in text
    assert stand_in.asked == 0


def test_dollars_are_what_the_tokens_cost(distill, write_moments):
    tallies = distill(write_moments(2), "--price", "in=1000000,out=2000000")["tallies"]
    assert tallies["dollars"] == tallies["input tokens"] + 2 * tallies["output tokens"]


def test_the_budget_is_never_exceeded_and_a_higher_one_goes_on(distill, write_moments, stand_in, tmp_path):
    source = write_moments(40)
    # Each answer costs as many dollars as it has tokens, and may have 200.
    costs = ["--price", "in=0,out=1000000", "--max-tokens", "200"]
    with pytest.raises(BudgetReached, match="higher budget goes on"):
        distill(source, *costs, "--budget", "500")
    asked = stand_in.asked
    assert 0 < asked < 40
    spent = distill(write_moments(40), *costs, "--budget", "500", "--dry-run")
    assert spent["found"] == asked
    summary = distill(source, *costs, "--budget", "100000")
    assert stand_in.asked == 40, "nothing was asked twice"
    assert summary["tallies"]["answers asked"] == 40 - asked


def test_a_budget_needs_a_price(distill, write_moments):
    with pytest.raises(BadArgument, match="--budget needs a price"):
        distill(write_moments(1), "--budget", "1", teacher="openai:gpt-9")


def test_a_budget_is_not_handed_to_many_processes(distill, write_moments):
    with pytest.raises(BadArgument, match="leave out --engine ray"):
        distill(write_moments(1), "--budget", "1", "--engine", "ray")


@pytest.mark.parametrize("name", ["claude", "sonnet", "compatible:m", "compatible:m@", "anthropic:", "gguf:"])
def test_a_name_that_is_none_is_answered_with_those_that_are(name, distill, write_moments):
    with pytest.raises(BadArgument, match=r"sonnet46|http://HOST"):
        CliRunner().invoke(application, [str(write_moments(1)), "-o", "x", "--teacher", name], catch_exceptions=False)


def test_killed_runs_ask_nothing_twice(stage_kills, stand_in, write_moments, tmp_path, distill):
    source, output = write_moments(60), tmp_path / "out.jsonl"
    for _ in range(30):
        stand_in.conduct.faults.append(Fault("status", 429, "0.02"))
    command = [*COMMAND, str(source), "-o", str(output), *flags(stand_in, tmp_path), "--workers", "4"]
    killed = stage_kills(command, output)
    assert killed.kills
    refused = 30 - len(stand_in.conduct.faults)
    repeated = stand_in.asked - refused - 60
    assert 0 <= repeated <= 4 * killed.kills, "but what was on its way when the process died"
    asked = stand_in.asked
    distill(source, output="undisturbed.jsonl")
    assert stand_in.asked == asked
    assert output.read_bytes() == (tmp_path / "undisturbed.jsonl").read_bytes()


def test_the_stage_is_a_value(settings_for):
    stage = Distill(settings_for(), Asking(samples=3))
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert "cache" not in json.dumps(dict(stage.settings())), "where answers lie changes none of them"
