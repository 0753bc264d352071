"""``foretype score``: what stands in ``score``, and why it does not where it does not."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from capture.editing.unified_diff import encode_cursor
from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from capture.metrics.prediction_score import PredictionScore
from daemon.prompts.base import NewRegion
from training_export.commands.score import application
from training_export.example import Example
from training_export.patches import patch_of_region
from training_export.stage import stage_key, with_findings
from training_export.stages.score import ScoreStage

VECTORS = Path(__file__).resolve().parents[1] / "conformance" / "metrics.jsonl"
TEXT = "import cart\n\n\ndef total(items):\n    return sum(items)\n\n\nprint(total([1]))\n"
REGION = Span(TEXT.index("def"), TEXT.index("\n\nprint"))
START_ROW = 60
STAGE = ScoreStage()


def inputs(text=TEXT, start_row=START_ROW, events=(), related=None):
    return PredictionInputs(
        cursor_path="shop/cart.py",
        cursor_excerpt=text,
        cursor_offset_in_excerpt=0,
        excerpt_ranges=ExcerptRanges({"editable_350": REGION} if text == TEXT else {}),
        excerpt_start_row=start_row,
        events=tuple(events),
        related_files=related,
    )


def patch(new, cursor=None):
    return patch_of_region(inputs(), REGION, NewRegion(new, cursor))


WANTED = patch("def total(items):\n    return sum(item.cents for item in items)\n")
HALF = patch("def total(items):\n    return sum(item.count for item in items)\n")
WRONG = patch("def total(items):\n    return max(items)\n")


def prediction(actual_patch, **more):
    known = {} if actual_patch is None else {"actual_patch": actual_patch}
    return {**known, "actual_output": "", "provider": "teacher", **more}


def example(*predictions, given=None, expected=(WANTED,), **more):
    moment = given or inputs()
    fields = {
        "name": "total",
        "repository_url": "",
        "revision": "",
        "cursor_path": "shop/cart.py",
        "cursor_position": f"<|user_cursor|>{moment.cursor_excerpt}",
        "edit_history": "",
        "expected_patches": list(expected),
        "prompt_inputs": moment.to_json(),
        "predictions": list(predictions),
        "foretype": {"region": REGION.to_json()},
    }
    return Example.new(**fields | more)


def findings(of, stage=STAGE):
    with stage.opened() as work:
        return work(of)


def scores(of, stage=STAGE):
    found = findings(of, stage)
    assert found.failure == ""
    return [PredictionScore.from_json(score) for score in found.fields["score"]]


def recorded():
    for line in VECTORS.read_text(encoding="utf-8").split("\n"):
        vector = json.loads(line) if line else {}
        if vector.get("function") == "score_prediction" and "error" not in vector["output"]:
            yield vector


def alone(vector):
    given = vector["input"]
    return not any(given.get(key) for key in ("context", "old_editable_region", "excerpt_start_row"))


@pytest.mark.parametrize("vector", [pytest.param(found, id=found["id"]) for found in recorded() if alone(found)])
def test_an_example_is_scored_as_zed_scored_its_parts(vector):
    given = vector["input"]
    cursor = given["actual_cursor"]
    more = {key: given[key] for key in ("cumulative_logprob", "avg_logprob") if given.get(key) is not None}
    if cursor is not None:
        place = {"path": "", "row": cursor["row"], "column": 0, "offset": 0}
        more["actual_cursor"] = place | {"editable_region_offset": cursor.get("editable_region_offset")}
    events = map(EditEvent.from_json, given["edit_history"] or ())
    moment = replace(inputs(given["original_text"], None, events), cursor_path=given["cursor_path"] or "a.py")
    of = example(
        prediction(given["actual_patch"], **more),
        given=moment,
        expected=[encode_cursor(written, offset) for written, offset in given["expected_patches"]],
        cursor_path=given["cursor_path"] or "a.py",
        foretype={},
    )
    [score] = scores(of)
    expected = PredictionScore.from_json(vector["output"])
    singles = {
        "delta_chr_f": pytest.approx(expected.delta_chr_f),
        "reversal_ratio": pytest.approx(expected.reversal_ratio),
    }
    assert asdict(score) == asdict(expected) | singles


def test_every_prediction_has_a_score_and_an_unreadable_one_that_of_no_edit():
    right, wrong, quiet, unreadable = scores(
        example(prediction(WANTED), prediction(HALF), prediction(""), prediction(None, error="no code block"))
    )
    assert (right.delta_chr_f, right.exact_lines_fp, right.exact_lines_fn, right.kept_rate) == (100.0, 0, 0, 1.0)
    assert 0 < wrong.delta_chr_f < 100
    assert quiet.delta_chr_f == unreadable.delta_chr_f == 0.0
    assert (quiet.wrong_editable_region, unreadable.wrong_editable_region) == (False, None)


def test_what_could_not_be_read_or_applied_is_counted():
    lost = "--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -1,1 +1,1 @@\n-nowhere\n+here\n"
    found = findings(example(prediction(WANTED), prediction(None), prediction(lost)))
    assert found.tallies == {
        "predictions scored": 3,
        "predictions that could not be read": 1,
        "predictions that do not apply": 1,
    }


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (example(prediction(WANTED), prompt_inputs=None), "there are no prompt_inputs"),
        (example(), "there are no predictions to score"),
        (
            example(prediction(WANTED), expected=[WANTED, WANTED.replace("sum(items)", "nowhere")]),
            "expected_patches[1] does not apply",
        ),
        (
            example(prediction(WANTED), foretype={"region": {"start": 5, "end": 9000}}),
            "foretype.region is no part of the excerpt",
        ),
        (example(prediction(WANTED), foretype={"region": "here"}), "foretype.region is no part of the excerpt"),
    ],
)
def test_what_cannot_be_scored_says_why_and_loses_an_old_score(of, reason):
    found = findings(of.with_fields(score=[PredictionScore(delta_chr_f=1.0).to_json()]))
    assert found.failure.startswith(reason)
    after = with_findings(STAGE, of, stage_key(STAGE, of), found)
    assert (after.score, after.value["foretype"]["failures"]) == ((), {"score": found.failure})


def test_no_expected_patch_means_that_no_edit_was_wanted():
    of = example(prediction(""), prediction(WANTED), expected=())
    assert [score.delta_chr_f == 100.0 for score in scores(of)] == [True, False]
    assert findings(of).tallies["examples without an expected patch"] == 1


def test_rows_from_the_excerpts_start_and_from_the_files_are_the_same_place():
    absolute = WANTED.replace("@@ -4,", f"@@ -{4 + START_ROW},").replace("+4,", f"+{4 + START_ROW},")
    assert absolute != WANTED
    of_file, mixed, of_excerpt = (
        scores(example(prediction(predicted), expected=[expected]))[0]
        for predicted, expected in ((absolute, absolute), (WANTED, absolute), (WANTED, WANTED))
    )
    assert of_file == mixed == of_excerpt
    assert of_file.jump_location.lines_f1 == of_file.editable_context_coverage.lines_recall == 1.0


def test_the_cursor_in_a_predicted_patch_is_no_text():
    new = "def total(items):\n    return sum(item.cents for item in items)\n"
    marked = patch(new, cursor=new.index("item.cents"))
    assert "<|user_cursor|>" in marked
    score, elsewhere, without = scores(
        example(
            prediction(marked), prediction(patch(new, cursor=new.index("cents"))), prediction(WANTED), expected=[marked]
        )
    )
    assert (score.delta_chr_f, score.cursor_exact_match, score.cursor_distance) == (100.0, True, 0)
    assert (elsewhere.cursor_exact_match, elsewhere.cursor_distance) == (False, len("item."))
    assert (without.cursor_exact_match, without.cursor_distance) == (False, None)


def test_a_cursor_given_beside_the_patch_counts_before_one_in_it():
    new = "def total(items):\n    return sum(item.cents for item in items)\n"
    marked = patch(new, cursor=20)
    beside = {"path": "shop/cart.py", "row": 4, "column": 0, "offset": 0, "editable_region_offset": 23}
    [score] = scores(example(prediction(marked, actual_cursor=beside), expected=[marked]))
    assert score.cursor_distance == 3


def test_a_blank_line_under_the_predicted_cursor_is_meant():
    new = "def total(items):\n\n    return sum(items)\n"
    meant, stray = scores(example(prediction(patch(new, cursor=new.index("\n\n") + 1)), prediction(patch(new))))
    assert (meant.has_isolated_whitespace_changes, stray.has_isolated_whitespace_changes) == (False, True)


def test_a_hand_written_hunk_places_its_cursor_in_the_region():
    few = "--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -5,1 +5,1 @@\n-    return sum(items)\n+    return <|user_cursor|>max(items)\n"
    new = "def total(items):\n    return max(items)\n"
    [score] = scores(example(prediction(patch(new, cursor=new.index("max"))), expected=[few]))
    assert (score.cursor_exact_match, score.delta_chr_f) == (True, 100.0)


def test_the_region_of_a_teacher_of_zeds_is_read_from_its_prompt():
    few = "--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -5,1 +5,1 @@\n-    return sum(items)\n+    return <|user_cursor|>max(items)\n"
    region = TEXT[REGION.start : REGION.end].replace("sum", "<|user_cursor|>sum")
    prompt = {
        "input": f"# Current File\n<|editable_region_start|>\n{region}\n<|editable_region_end|>\n",
        "provider": "teacher:sonnet45:V0211SeedCoder",
        "rejected_output": None,
    }
    place = {"path": "", "row": 4, "column": 0, "offset": 0, "editable_region_offset": 29}
    predicted = prediction(few.replace("<|user_cursor|>", ""), actual_cursor=place)
    [score] = scores(example(predicted, expected=[few], prompt=prompt, foretype={}))
    assert score.cursor_exact_match is True


def test_taking_back_the_last_edit_is_seen():
    event = EditEvent(
        "shop/cart.py", "shop/cart.py", "@@ -65,1 +65,1 @@\n-    return max(items)\n+    return sum(items)\n"
    )
    back, forth = scores(example(prediction(WRONG), prediction(WANTED), given=inputs(events=[event])))
    assert back.reversal_ratio > 0.9
    assert forth.reversal_ratio < 0.5


def test_only_so_much_of_the_related_files_counts_as_shown():
    excerpts = (
        RelatedExcerpt(Span(0, 2), "aaaa\nbbbb\n", order=1),
        RelatedExcerpt(Span(10, 12), "cccc\ndddd\n", order=0),
        RelatedExcerpt(Span(10, 11), "cccc\n", order=2),
    )
    of = example(prediction(WANTED), given=inputs(related=(RelatedFile("shop/lib.py", 40, excerpts),)))
    # All rows but those of the edit itself were shown for nothing: the rows of lib.py are false positives.
    counts = [
        scores(of, ScoreStage(related_bytes=limit))[0].editable_context_coverage.lines_fp for limit in (0, 10, 19, 20)
    ]
    assert counts == [0, 2, 2, 4]


def test_a_claim_of_four_billion_rows_is_not_believed():
    huge = RelatedFile("shop/lib.py", 2**32 - 1, (RelatedExcerpt(Span(0, 2**32 - 1), "one\ntwo\n"),))
    [score] = scores(example(prediction(WANTED), given=inputs(related=(huge,))))
    assert score.editable_context_coverage.lines_fp <= 3


def test_the_stage_travels_to_other_processes_and_its_key_follows_what_it_reads():
    of = example(prediction(WANTED))
    assert pickle.loads(pickle.dumps(STAGE)) == STAGE
    key = stage_key(STAGE, of)
    assert stage_key(STAGE, of.with_fields(name="other", tags=["x"], reasoning="y")) == key
    changed = [
        stage_key(ScoreStage(related_bytes=1), of),
        stage_key(STAGE, of.with_fields(expected_patches=[WRONG])),
        stage_key(STAGE, of.with_fields(predictions=[prediction(WRONG)])),
        stage_key(STAGE, of.with_fields(foretype={"region": {"start": 0, "end": 5}})),
    ]
    assert key not in changed
    assert len(set(changed)) == len(changed)


def test_a_score_survives_being_written_and_read():
    of = example(prediction(WANTED), prediction(WRONG), prediction(None))
    written = with_findings(STAGE, of, "key", findings(of))
    read = Example.from_line(written.to_line())
    assert list(read.score) == scores(of)
    assert with_findings(STAGE, read, "key", findings(read)).to_line() == written.to_line()


def test_the_command_writes_every_line_again_with_its_scores(tmp_path):
    examples = [
        example(prediction(WANTED), prediction(None), name="one", extra={"kept": 1.0}),
        example(name="two"),
        example(prediction(WRONG), name="three"),
    ]
    source, output = tmp_path / "predicted.jsonl", tmp_path / "scored.jsonl"
    source.write_text("".join(f"{found.to_line()}\n" for found in examples), encoding="utf-8")
    result = CliRunner().invoke(application, [str(source), "-o", str(output), "--json"], catch_exceptions=False)
    summary = json.loads(result.stdout)
    assert (summary["examples"], summary["failed"], summary["tallies"]["predictions scored"]) == (3, 1, 3)
    written = [Example.from_line(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [(found.name, len(found.score)) for found in written] == [("one", 2), ("two", 0), ("three", 1)]
    for before, after in zip(examples, written, strict=True):
        rest = {key: value for key, value in after.value.items() if key not in {"score", "foretype"}}
        assert rest == {key: value for key, value in before.value.items() if key != "foretype"}


lines = st.lists(st.sampled_from(["    return sum(items)", "def total(items):", "", "  x = 1", "é = 'ß'"]), max_size=6)


@given(lines, lines)
@settings(deadline=None, max_examples=60)
def test_a_prediction_of_exactly_what_was_wanted_is_kept_whole(wanted, other):
    new, another = ("".join(f"{line}\n" for line in found) for found in (wanted, other))
    expected, predicted = patch(new), patch(another)
    exact, different = scores(example(prediction(expected), prediction(predicted), expected=[expected]))
    assert (exact.exact_lines_fp + exact.exact_lines_fn, exact.kept_rate, exact.recall_rate) == (0, 1.0, 1.0)
    assert 0 <= different.delta_chr_f <= 100


@given(
    st.text()
    | st.lists(
        st.sampled_from(["@@ -1,2 +1 @@", "@@ -99999999999 +1 @@", "--- a/x", "+++ b/x", "-def", "+a", " b", "\\"])
    ).map("\n".join)
)
@settings(deadline=None, max_examples=150)
def test_no_predicted_patch_ends_the_run(written):
    found = findings(example(prediction(written)))
    assert found.failure == ""
    assert len(found.fields["score"]) == 1
