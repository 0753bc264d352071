"""Targets: which predictions become what a model learns, and that nothing harmful ever does."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from daemon.prompts.guards import SENTINELS
from training_export.commands.targets import application
from training_export.example import Example
from training_export.example_format.records import ExamplePrediction
from training_export.patches import patch_of_region, region_after
from training_export.stage import stage_key, with_findings
from training_export.stages.targets import NotATarget, Targets, target_of
from training_export.teachers.prompt import FORBIDDEN

EXCERPT = "above\na = 1\nb = 2\nbelow"
REGION = Span(6, 17)
INPUTS = PredictionInputs("cart.py", EXCERPT, 6, ExcerptRanges({}))


def patch_of(text, cursor=None):
    return patch_of_region(INPUTS, REGION, NewRegion(text, cursor))


ONE, TWO = patch_of("a = 1\nb = 3"), patch_of("a = 4\nb = 2")


def prediction(patch=None, provider="teacher:sonnet46", **fields):
    return {"actual_output": "raw", "provider": provider, "actual_patch": patch, **fields}


def example(*predictions, **fields):
    return Example.new(
        name="moment",
        cursor_path="cart.py",
        cursor_position="above\n<|user_cursor|>a = 1\nb = 2\nbelow",
        prompt_inputs=INPUTS.to_json(),
        predictions=[prediction(one) if isinstance(one, str) else one for one in predictions],
        **fields,
    )


def run(stage, held):
    found = stage.findings(held)
    return with_findings(stage, held, stage_key(stage, held), found), found


def chosen(*predictions, score=None, **settings):
    """The targets that come of some predictions."""
    scores = {} if score is None else {"score": [{"delta_chr_f": number} for number in score]}
    return list(run(Targets(**settings), example(*predictions, **scores))[0].expected_patches)


def test_all_predictions_are_alternatives_each_said_once():
    assert chosen(ONE, TWO, ONE) == [ONE, TWO]


def test_a_repair_stands_in_for_all():
    assert chosen(ONE, TWO, prediction(TWO, "repair")) == [TWO]
    assert chosen(ONE, prediction("", "repair")) == [""]


def test_a_repair_that_names_what_it_repairs_stands_in_for_that_alone():
    assert chosen(ONE, TWO, prediction("", "repair", foretype={"repairs": 0})) == [TWO, ""]


def test_where_a_repair_failed_what_it_was_to_repair_is_no_target_either():
    failed = prediction(None, "repair", error="cut off")
    result, found = run(Targets(), example(ONE, failed))
    assert result.expected_patches == ()
    assert found.failure == "no prediction can be a target: repair: it failed (cut off)"
    assert chosen(ONE, TWO, {**failed, "foretype": {"repairs": 0}}) == [TWO]


def test_one_provider_can_be_chosen_as_it_is():
    predictions = [prediction(ONE, "zeta2"), prediction(TWO), prediction("", "repair")]
    assert chosen(*predictions, provider="zeta2") == [ONE]
    _, found = run(Targets(provider="nobody"), example(*predictions))
    assert "none is of provider 'nobody'" in found.failure


def test_the_best_by_score_come_first():
    assert chosen(ONE, TWO, "", score=[10, 90, 50], best=2) == [TWO, ""]
    assert chosen(ONE, TWO, ONE, score=[10, 90, 95], best=2) == [ONE, TWO]


def test_the_best_cannot_be_told_without_scores():
    result, found = run(Targets(best=1), example(ONE, TWO, expected_patches=[ONE]))
    assert "foretype score" in found.failure
    assert result.expected_patches == ()


def test_no_edit_is_a_target_that_says_so():
    assert chosen("") == [""]
    assert chosen("--- a/cart.py\n+++ b/cart.py\n") == [""]
    assert chosen("", ONE, drops_no_edits=True) == [ONE]
    result, found = run(Targets(drops_no_edits=True), example(""))
    assert result.expected_patches == ()
    assert "no edit" in found.failure


def test_what_was_made_from_the_old_target_goes():
    held = example(
        ONE,
        expected_patches=[TWO],
        prompt={"input": "in", "expected_output": "out", "rejected_output": None, "provider": "zeta2"},
        score=[{"delta_chr_f": 1.0}],
        qa=[{"confidence": 4}],
        foretype={"settled": "a = 9", "region": REGION.to_json()},
    )
    result, found = run(Targets(), held)
    assert result.expected_patches == (ONE,)
    assert not {"prompt", "predictions", "score", "qa"} & set(result.value)
    assert result.value["foretype"]["settled"] == "a = 9"
    assert found.tallies == {"examples with targets": 1, "targets": 1}
    kept, _ = run(Targets(keeps_predictions=True), held)
    assert kept.value["predictions"] == held.value["predictions"]
    assert kept.value["qa"] == held.value["qa"]
    assert not {"prompt", "score"} & set(kept.value)


def test_an_old_target_does_not_survive_where_no_prediction_will_do():
    held = example(prediction(None, error="refused"), expected_patches=[TWO])
    result, found = run(Targets(), held)
    assert result.expected_patches == ()
    assert result.predictions == held.predictions
    assert "it failed (refused)" in found.failure
    assert found.tallies == {"predictions refused": 1, "no target": 1}


def test_an_example_without_predictions_keeps_the_target_it_has():
    held = example(expected_patches=[ONE])
    result, found = run(Targets(), held)
    assert result.expected_patches == (ONE,)
    assert not found.failure
    assert "foretype distill" in run(Targets(), example())[1].failure
    once, _ = run(Targets(), example(ONE))
    twice, _ = run(Targets(), once)
    assert twice.expected_patches == once.expected_patches == (ONE,)


@pytest.mark.parametrize(
    ("offset", "line"),
    [
        (16, "+b = <|user_cursor|>äö3"),
        (20, "+b = äö<|user_cursor|>3"),
        (21, "+b = äö3<|user_cursor|>"),
        (17, "+b = äö3"),  # inside a character
        (6, "+b = äö3"),  # in a line that is not added
        (999, "+b = äö3"),
    ],
)
def test_a_cursor_told_apart_from_its_patch_is_put_into_it(offset, line):
    patch = patch_of("a = 1\nb = äö3")
    cursor = {"path": "cart.py", "row": 0, "column": 0, "offset": offset, "editable_region_offset": 0}
    (target,) = chosen(prediction(patch, actual_cursor=cursor))
    assert target == patch.replace("+b = äö3", line)
    if "<|user_cursor|>" in line:
        assert region_after(INPUTS, REGION, target).cursor_offset_bytes == offset - REGION.start


def test_a_cursor_in_the_patch_stays_where_it_is():
    patch = patch_of("a = 1\nb = 3", 11)
    assert "+b = 3<|user_cursor|>" in patch
    assert chosen(prediction(patch, actual_cursor={"path": "cart.py", "row": 0, "column": 0, "offset": 12})) == [patch]


SIGNS = {"added": "+", "deleted": "-", "unchanged": " "}
CURSORS = "<|user_cursor|><|user_cursor|>"


@pytest.mark.parametrize("token", [*FORBIDDEN, CURSORS])
@pytest.mark.parametrize("place", SIGNS)
def test_no_mark_and_no_sentinel_becomes_a_target_wherever_it_stands(token, place):
    line = token.removesuffix("\n") if token.endswith("\n") else f"x {token} y"
    patch = f"--- a/cart.py\n+++ b/cart.py\n@@ -1,2 +1,2 @@\n above\n-a = 1\n+a = 2\n{SIGNS[place]}{line}\n"
    with pytest.raises(NotATarget):
        target_of(example(), ExamplePrediction("raw", "teacher:x", patch))
    assert chosen(prediction(patch), ONE) == [ONE]


@pytest.mark.parametrize("token", SENTINELS)
def test_nor_does_a_path_or_a_line_with_the_cursor_hide_one(token):
    for patch in (
        f"--- a/{token}.py\n+++ b/{token}.py\n@@ -1,1 +1,1 @@\n-a\n+b\n",
        f"--- a/cart.py\n+++ b/cart.py\n@@ -1,1 +1,1 @@\n-a\n+<|user_cursor|>{token}\n",
        f"--- a/cart.py\n+++ b/cart.py\n@@ -1,1 +1,1 @@\n-a\n+{token[:3]}<|user_cursor|>{token[3:]}\n",
    ):
        with pytest.raises(NotATarget, match=token):
            target_of(example(), ExamplePrediction("raw", "teacher:x", patch))


@given(
    st.lists(
        st.sampled_from(
            ["NO_EDITS", "KEEP_PREVIOUS", "\n", "+", "-", " ", "@@ -1,1 +1,1 @@\n", "--- a/x\n", "+++ b/x\n", "a = 1",
             "<|user_cursor|>", "<|marker_1|>", "\\ No newline", "\r"]
        ),
        max_size=14,
    ).map("".join)
)  # fmt: skip
def test_no_prediction_whatever_brings_a_sentinel_into_a_target(text):
    for patch in (text, f"--- a/cart.py\n+++ b/cart.py\n@@ -2,1 +2,2 @@\n a = 1\n+{text}\n"):
        result, _ = run(Targets(), example(prediction(patch, actual_output="NO_EDITS")))
        for target in result.expected_patches:
            assert not any(sentinel in target for sentinel in SENTINELS)
            assert "<|" not in target.replace("<|user_cursor|>", "", 1)


@pytest.mark.parametrize("patch", ["NO_EDITS", "KEEP_PREVIOUS", "a = 1", "+a = 1", "@@ -1 +1 @@\n+a\n"])
def test_text_that_is_no_patch_is_no_target(patch):
    with pytest.raises(NotATarget, match="no unified diff"):
        target_of(example(), ExamplePrediction("raw", "teacher:x", patch))


def test_what_was_not_read_is_no_target():
    with pytest.raises(NotATarget, match="never read"):
        target_of(example(), ExamplePrediction("raw", "teacher:x"))
    with pytest.raises(NotATarget, match="timed out"):
        target_of(example(), ExamplePrediction("raw", "teacher:x", ONE, error="timed out"))


def test_every_field_that_is_not_its_own_survives():
    held = example(ONE, tags=["t"], rejected_patch=TWO, zed_version="1.2.3", rating="Positive").with_fields(
        mine={"a": [1, None]}, foretype={"snapshot": {"id": "s"}}
    )
    result, _ = run(Targets(), held)
    own = {"expected_patches", "predictions", "score", "qa", "prompt", "foretype"}
    assert {key: part for key, part in result.value.items() if key not in own} == {
        key: part for key, part in held.value.items() if key not in own
    }
    assert result.value["foretype"]["snapshot"] == {"id": "s"}


def test_the_command_writes_targets_and_counts_them(tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [example(ONE, TWO), example(""), example("NO_EDITS"), example(expected_patches=[TWO])]
    source.write_text("".join(f"{line.to_line()}\n" for line in lines))
    done = CliRunner().invoke(application, [str(source), "-o", str(output), "--json", "--workers", "1"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["failed"] == 1
    assert summary["tallies"] == {
        "examples with targets": 2, "targets": 3, "targets of no edit": 1, "predictions refused": 1, "no target": 1,
        "targets kept": 1,
    }  # fmt: skip
    written = [Example.from_line(line) for line in output.read_text().splitlines()]
    assert [list(line.expected_patches) for line in written] == [[ONE, TWO], [""], [], [TWO]]
    assert "no unified diff" in written[2].value["foretype"]["failures"]["targets"]


def test_a_run_that_is_killed_comes_to_the_same(tmp_path, stage_kills):
    source, output, undisturbed = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "undisturbed.jsonl"))
    patches = [patch_of(f"a = {number}\nb = 2") for number in range(2, 302)]
    source.write_text("".join(f"{example(patch, TWO).with_fields(name=patch).to_line()}\n" for patch in patches))
    run_it = "from training_export.commands.targets import application; application()"
    command = [sys.executable, "-c", run_it, str(source), "--workers", "1", "-o"]
    assert CliRunner().invoke(application, [str(source), "-o", str(undisturbed)]).exit_code == 0
    assert stage_kills([*command, str(output)], output).kills
    assert output.read_bytes() == undisturbed.read_bytes()
    assert undisturbed.read_bytes().count(b"\n") == 300
