"""Judge, repair and targets as commands, against stand-ins of the services: what is asked, paid once, and kept.

What a real model would say is not tested anywhere: the stand-in computes its answers.
"""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from capture.inputs import PredictionInputs, Span
from daemon.errors import ForetypeError
from daemon.prompts.base import NewRegion
from training_export.commands import judge, repair, targets
from training_export.errors import AnswersUnderway
from training_export.patches import patch_of_region

APPLICATIONS = {"judge": judge.application, "repair": repair.application, "targets": targets.application}
COUNT = 6
VERDICTS = [4, 1] * (COUNT // 2)  # every second prediction takes back what was just done


@pytest.fixture
def predicted(moment, tmp_path):
    """A file of moments with a prediction each: of odd ones it undoes the user's edit, of even ones it goes on."""

    def write(count=COUNT):
        path = tmp_path / "predicted.jsonl"
        path.write_text("".join(f"{with_prediction(number).to_line()}\n" for number in range(count)))
        return path

    def with_prediction(number):
        example = moment(number)
        excerpt = example.prompt_inputs.cursor_excerpt
        diff = example.edit_history.partition("+++ b/shop/cart.py\n")[2]
        event = {"event": "BufferChange", "path": "shop/cart.py", "old_path": "shop/cart.py", "diff": diff}
        inputs = {**example.value["prompt_inputs"], "events": [event], "excerpt_start_row": 0}
        new = excerpt.replace(f"sum_{number}", f"total_{number}", 1) if number % 2 else f"{excerpt}print(1)\n"
        patch = patch_of_region(PredictionInputs.from_json(inputs), Span(0, len(excerpt)), NewRegion(new))
        prediction = {"actual_patch": patch, "actual_output": "raw", "provider": "teacher:sonnet46"}
        return example.with_fields(prompt_inputs=inputs, predictions=[prediction])

    return write


@pytest.fixture
def run(stand_in, tmp_path):
    """Runs a command against the stand-in; its summary, and what it wrote."""

    def call(name, source, output="out.jsonl", *options):
        path = tmp_path / output
        services = [] if name == "targets" else service_options(stand_in, tmp_path, name)
        arguments = [str(source), "-o", str(path), "--json", *services, *options]
        done = CliRunner().invoke(APPLICATIONS[name], arguments)
        if isinstance(done.exception, ForetypeError):
            raise done.exception
        assert done.exit_code == 0, done.output
        lines = path.read_text().splitlines() if path.exists() else []
        return json.loads(done.stdout.splitlines()[0]), [json.loads(line) for line in lines]

    return call


def service_options(stand_in, tmp_path, name):
    path = "/v1" if name == "judge" else ""
    return ["--base-url", stand_in.url + path, "--cache", str(tmp_path / "answers.sqlite3")]


def test_a_verdict_is_asked_for_each_first_prediction_and_never_twice(predicted, run, stand_in):
    source = predicted()
    estimate, _ = run("judge", source, "none.jsonl", "--dry-run")
    assert (estimate["requests"], stand_in.asked) == (COUNT, 0)
    summary, lines = run("judge", source)
    assert [line["qa"][0]["confidence"] for line in lines] == VERDICTS
    assert (summary["tallies"]["judged"], summary["tallies"]["answers asked"], stand_in.asked) == (COUNT, COUNT, COUNT)
    again, same = run("judge", source, "again.jsonl")
    assert (again["tallies"]["answers found"], stand_in.asked) == (COUNT, COUNT)
    assert same == lines


def test_only_doubtful_predictions_are_repaired_and_become_the_targets(predicted, run, stand_in):
    source = predicted()
    estimate, _ = run("repair", source, "none.jsonl", "--dry-run")
    assert (estimate["requests"], stand_in.asked) == (COUNT // 2, 0)
    summary, lines = run("repair", source)
    assert stand_in.asked == COUNT // 2
    assert summary["tallies"] | {"flagged": 3, "not flagged": 3, "changed": 3} == summary["tallies"]
    assert [len(line["predictions"]) for line in lines] == [1, 2] * 3
    conversation = stand_in.seen[0].body["messages"]
    assert [turn["role"] for turn in conversation] == ["user", "assistant", "user"]
    run("repair", source, "again.jsonl")
    assert stand_in.asked == COUNT // 2

    _, trained = run("targets", source.with_name("out.jsonl"), "targets.jsonl")
    for number, line in enumerate(trained):
        (patch,) = line["expected_patches"]
        assert f"+total_{number}" not in patch
        assert (f"+print(sum_{number})" if number % 2 else "+print(1)") in patch
        assert "predictions" not in line


def test_what_a_judge_says_stands_in_for_the_measures(predicted, run, stand_in):
    _, lines = run("judge", predicted(), "first.jsonl")
    asked = stand_in.asked
    judged = predicted().with_name("judged.jsonl")
    for line in lines:
        line["qa"] = [{"reverts_edits": False, "confidence": 4}]
    judged.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert run("repair", judged)[0]["tallies"] == {"not flagged": COUNT}
    assert stand_in.asked == asked
    summary, _ = run("repair", judged, "strict.jsonl", "--confidence", "4")
    assert summary["tallies"]["flagged: judged unlikely to be accepted"] == COUNT


def test_verdicts_come_through_the_batch_interface_too(predicted, run, stand_in):
    stand_in.conduct.looks = 0
    source = predicted()
    with pytest.raises(AnswersUnderway):
        run("judge", source, "out.jsonl", "--batch")
    summary, lines = run("judge", source, "out.jsonl", "--batch")
    assert [line["qa"][0]["confidence"] for line in lines] == VERDICTS
    assert (len(stand_in.batches), stand_in.asked) == (1, COUNT)
    assert summary["tallies"]["answers found"] == COUNT


@pytest.mark.parametrize("name", ["judge", "repair"])
def test_a_run_that_is_killed_comes_to_the_same_and_asks_at_most_again_what_was_under_way(
    name, predicted, run, stand_in, stage_kills, tmp_path
):
    count, workers = 60, 2
    source = predicted(count)
    run(name, source, "undisturbed.jsonl", "--workers", str(workers), "--cache", str(tmp_path / "other.sqlite3"))
    asked = stand_in.asked
    output = tmp_path / "killed.jsonl"
    command = [sys.executable, "-c", f"from training_export.commands.{name} import application; application()"]
    options = [*service_options(stand_in, tmp_path, name), "--workers", str(workers)]
    seen = stage_kills([*command, str(source), "-o", str(output), *options], output)
    assert seen.kills
    assert output.read_bytes() == (tmp_path / "undisturbed.jsonl").read_bytes()
    assert asked <= stand_in.asked - asked <= asked + workers * seen.kills
    stand_in.complaints.clear()  # of requests that broke off in the middle
