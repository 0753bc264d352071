"""A prediction is scored against the best fitting edit that was wanted, and the score travels as JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.unified_diff import PatchError, with_file_headers, write_hunks
from capture.inputs import EditEvent, Span
from capture.metrics.location import ContextExcerpt
from capture.metrics.prediction_score import PredictionScore
from capture.metrics.score import (
    ExpectedPatch,
    PredictedCursor,
    RecentEdits,
    prepare_expected_patches,
    score_prediction,
)

PATH = "src/a.py"
TEXT = "def f(a):\n    return a\n\n\ndef g(b):\n    return b\n"
LINE = st.text(alphabet="ab ()é", max_size=4)
TEXTS = st.lists(LINE, max_size=8).map(lambda lines: "".join(line + "\n" for line in lines))


def patch(new, old=TEXT, path=PATH):
    return with_file_headers(write_hunks(old, new), path)


def expected(*texts):
    return prepare_expected_patches([(patch(text), None) for text in texts], TEXT)


def test_the_wanted_edit_is_all_right():
    wanted = TEXT.replace("return a", "return a + 1")
    score = score_prediction(TEXT, expected(wanted), patch(wanted))
    assert (score.delta_chr_f, score.kept_rate, score.recall_rate) == (100.0, 1.0, 1.0)
    assert score.exact_lines.f1 == 1.0
    assert score.jump_location.lines_f1 == score.jump_location.files_f1 == 1.0
    assert (score.inserted_tokens, score.deleted_tokens) == (4, 0)
    assert (score.wrong_editable_region, score.has_isolated_whitespace_changes) == (False, False)


def test_the_best_of_several_wanted_edits_counts():
    wanted, other = TEXT.replace("return a", "return 2"), TEXT.replace("def g", "def h")
    assert score_prediction(TEXT, expected(wanted, other), patch(wanted)).delta_chr_f == 100.0
    assert score_prediction(TEXT, expected(other, wanted), patch(wanted)).delta_chr_f == 100.0


def test_among_equal_wanted_edits_the_last_one_places_the_cursor():
    wanted = TEXT.replace("return a", "return 2")
    patches = prepare_expected_patches([(patch(wanted), 3), (patch(wanted), 7)], TEXT)
    score = score_prediction(TEXT, patches, patch(wanted), actual_cursor=PredictedCursor(1, 5))
    assert (score.cursor_distance, score.cursor_exact_match) == (2, False)


def test_a_cursor_on_one_side_only_is_wrong_and_on_neither_nothing():
    wanted = TEXT.replace("return a", "return 2")
    with_cursor = prepare_expected_patches([(patch(wanted), 3)], TEXT)
    missing = score_prediction(TEXT, with_cursor, patch(wanted))
    assert (missing.cursor_distance, missing.cursor_exact_match) == (None, False)
    surplus = score_prediction(TEXT, expected(wanted), patch(wanted), actual_cursor=PredictedCursor(0, 3))
    assert (surplus.cursor_distance, surplus.cursor_exact_match) == (None, False)
    assert score_prediction(TEXT, expected(wanted), patch(wanted)).cursor_exact_match is None


def test_a_cursor_without_an_offset_stands_at_the_start_of_the_region():
    wanted = TEXT.replace("return a", "return 2")
    with_cursor = prepare_expected_patches([(patch(wanted), 0)], TEXT)
    score = score_prediction(TEXT, with_cursor, patch(wanted), actual_cursor=PredictedCursor(0))
    assert score.cursor_exact_match is True


def test_the_wanted_cursor_is_moved_to_where_the_hunk_applies_in_the_region():
    region = "".join(f"row {index}\n" for index in range(10))
    wanted = region.replace("row 8", "row eight")
    written = patch(wanted, region)
    plain, placed = (prepare_expected_patches([(written, 4)], region, old) for old in (None, region))
    assert plain[0].cursor_offset == 4
    assert placed[0].cursor_offset == region.index("row 5") + 4
    assert prepare_expected_patches([(written, 4)], region, "other\n")[0].cursor_offset is None


def test_a_wanted_edit_that_does_not_apply_is_an_error():
    with pytest.raises(PatchError):
        prepare_expected_patches([(patch("x\n", "y\n"), None)], TEXT)


def test_a_prediction_that_does_not_apply_counts_as_none():
    wanted = TEXT.replace("return a", "return 2")
    score = score_prediction(TEXT, expected(wanted), patch("x\n", "y\n"))
    assert (score.delta_chr_f, score.kept_rate) == (0.0, 0.0)
    assert (score.exact_lines_fp, score.inserted_tokens) == (2, 1)


def test_without_a_wanted_edit_none_should_be_made():
    assert score_prediction(TEXT, [], "").delta_chr_f == 100.0
    assert score_prediction(TEXT, [], patch(TEXT + "x\n")).delta_chr_f < 100.0


def test_no_answer_says_nothing_of_its_region():
    assert score_prediction(TEXT, [], None).wrong_editable_region is None
    assert score_prediction(TEXT, [], "").wrong_editable_region is False


def test_only_brackets_that_lose_their_partner_count():
    wanted = TEXT.replace("return a", "return 2")
    broken = TEXT.replace("f(a)", "f((a)")
    assert score_prediction(TEXT, expected(wanted), patch(broken)).braces_disbalance == 1
    repaired = score_prediction(broken, [], patch(TEXT, broken))
    assert repaired.braces_disbalance == 0


def test_taking_back_what_was_typed_shows_in_the_score():
    before = TEXT.replace("    return b\n", "")
    recent = RecentEdits([EditEvent(PATH, PATH, write_hunks(before, TEXT))], PATH)
    assert score_prediction(TEXT, [], patch(before), recent_edits=recent).reversal_ratio == 1.0
    assert score_prediction(TEXT, [], patch(before)).reversal_ratio == 0.0


def test_with_context_a_patch_is_applied_to_the_excerpt_it_names():
    other_file = "fn value() {\n    1\n}\n"
    context = [
        ContextExcerpt(PATH, Span(0, 6), TEXT),
        ContextExcerpt("src/lib.rs", Span(40, 43), other_file),
    ]
    hunks = write_hunks(other_file, other_file.replace("1", "2"), old_start_row=40, new_start_row=40)
    wanted = with_file_headers(hunks, "src/lib.rs")
    score = score_prediction(
        TEXT, [ExpectedPatch(wanted, TEXT)], wanted.replace("/src", "/project/src"), context=context
    )
    assert (score.delta_chr_f, score.kept_chars, score.editable_context_coverage.lines_recall) == (100.0, 1, 1.0)
    missed = score_prediction(TEXT, [ExpectedPatch(wanted, TEXT)], None, context=context)
    assert (missed.delta_chr_f, missed.recall_rate) == (0.0, 0.0)


def test_a_patch_outside_the_context_cannot_be_compared():
    wanted = patch(TEXT.replace("return a", "return 2"))
    score = score_prediction(TEXT, [ExpectedPatch(wanted, TEXT)], wanted, context=[])
    assert (score.delta_chr_f, score.kept_rate, score.exact_lines_tp) == (0.0, None, 2)
    assert score_prediction(TEXT, [], "", context=[]).delta_chr_f == 100.0


def test_the_file_under_the_cursor_is_found_in_the_context_for_the_reversal():
    before = TEXT.replace("    return b\n", "")
    path = f"project/{PATH}"
    recent = RecentEdits([EditEvent(path, path, write_hunks(before, TEXT))], path, excerpt_start_row=0)
    context = [ContextExcerpt(PATH, Span(0, 6), TEXT)]
    assert score_prediction(TEXT, [], patch(before), recent_edits=recent, context=context).reversal_ratio == 1.0
    elsewhere = [ContextExcerpt("src/b.py", Span(0, 6), TEXT)]
    moved = patch(before, path="src/b.py")
    assert score_prediction(TEXT, [], moved, recent_edits=recent, context=elsewhere).reversal_ratio == 0.0


def test_the_json_has_zeds_keys_and_leaves_out_what_is_not_known():
    score = score_prediction(TEXT, expected(TEXT + "x\n"), None, avg_logprob=-0.25)
    value = score.to_json()
    assert list(value) == [
        "delta_chr_f",
        "delta_chr_f_true_positives",
        "delta_chr_f_false_positives",
        "delta_chr_f_false_negatives",
        "delta_chr_f_precision",
        "delta_chr_f_recall",
        "delta_chr_f_beta",
        "braces_disbalance",
        "exact_lines_tp",
        "exact_lines_fp",
        "exact_lines_fn",
        "reversal_ratio",
        "wrong_editable_region",
        "has_isolated_whitespace_changes",
        "inserted_tokens",
        "deleted_tokens",
        "kept_rate",
        "recall_rate",
        "kept_chars",
        "correctly_deleted_chars",
        "discarded_chars",
        "avg_logprob",
        "jump_location",
    ]
    assert value["wrong_editable_region"] is None


def test_single_precision_numbers_are_written_short():
    assert PredictionScore(delta_chr_f=66.66666412353516).to_json()["delta_chr_f"] == 66.666664
    assert PredictionScore(reversal_ratio=0.10000000149011612).to_json()["reversal_ratio"] == 0.1


def test_a_score_written_by_an_older_zed_can_be_read():
    old = {"delta_chr_f": 50.0, "braces_disbalance": 1, "wrong_editable_region": None, "something_else": 3}
    assert PredictionScore.from_json(old) == PredictionScore(delta_chr_f=50.0, braces_disbalance=1)


@given(TEXTS, TEXTS, TEXTS)
def test_scores_stay_in_their_bounds_and_survive_json(original, wanted, given_text):
    # Between equal rows a hunk has no certain place: with all rows as context it has.
    patches = [with_file_headers(write_hunks(original, text, context_lines=99), PATH) for text in (wanted, given_text)]
    prepared = prepare_expected_patches([(patches[0], None)], original)
    score = score_prediction(original, prepared, patches[1], context=[ContextExcerpt(PATH, Span(0, 9), original)])
    value = score.to_json()
    assert 0 <= score.delta_chr_f <= 100
    assert all(0 <= value[key] <= 1 for key in ("kept_rate", "recall_rate") if key in value)
    assert all(count >= 0 for count in value.values() if isinstance(count, int))
    assert PredictionScore.from_json(json.loads(json.dumps(value))).to_json() == value
    if original != wanted == given_text:
        assert score.delta_chr_f == 100.0
