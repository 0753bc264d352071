"""Predictions are scored as Zed's own code was recorded to do it."""

from dataclasses import asdict

from capture.inputs import EditEvent, Span
from capture.metrics.chr_f import delta_chr_f
from capture.metrics.kept_rate import kept_rate
from capture.metrics.lines import (
    braces_disbalance,
    exact_lines,
    has_isolated_whitespace,
    is_wrong_editable_region,
    token_changes,
)
from capture.metrics.location import ContextExcerpt, editable_context_coverage, patch_location_match
from capture.metrics.patch_hunks import old_and_new_text
from capture.metrics.reversal import reversal_ratio
from capture.metrics.score import PredictedCursor, RecentEdits, prepare_expected_patches, score_prediction

FILE = "metrics.jsonl"


def test_vector(vector, check):
    check(FUNCTIONS, vector)


def delta_chr_f_of(given):
    result = delta_chr_f(given["original"], given["expected"], given["actual"])
    rates = {"score": result.score, "precision": result.precision, "recall": result.recall, "beta": result.beta}
    return rates | asdict(result.counts)


def exact_lines_of(given):
    counts = exact_lines(given["expected_patch"], given["actual_patch"])
    return asdict(counts) | {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}


def kept_rate_of(given):
    result = kept_rate(given["base"], given["candidate"], given["reference"])
    return {
        "candidate_new_chars": result.candidate_new,
        "reference_new_chars": result.reference_new,
        "candidate_deleted_chars": result.candidate_deleted,
        "reference_deleted_chars": result.reference_deleted,
        "kept_chars": result.kept,
        "correctly_deleted_chars": result.correctly_deleted,
        "discarded_chars": result.discarded,
        "context_chars": result.context,
        "kept_rate": result.kept_rate,
        "recall_rate": result.recall_rate,
        "candidate_tokens": [list(token) for token in result.candidate_tokens()],
    }


def reversal_ratio_of(given):
    ratio = reversal_ratio(
        given["current"],
        events_of(given["edit_history"]),
        given["predicted"],
        given["cursor_path"],
        given.get("excerpt_start_row"),
    )
    return {"ratio": ratio}


def reconstruct_texts_of(given):
    old, new = old_and_new_text(given["patch"])
    return {"old": old, "new": new}


def token_changes_of(given):
    changes = token_changes(given["patch"])
    return {"inserted_tokens": changes.inserted, "deleted_tokens": changes.deleted}


def score_prediction_of(given):
    original_text, history = given["original_text"], given.get("edit_history")
    expected = prepare_expected_patches(
        [tuple(pair) for pair in given["expected_patches"]], original_text, given.get("old_editable_region")
    )
    cursor, context = given.get("actual_cursor"), given.get("context")
    return score_prediction(
        original_text,
        expected,
        given.get("actual_patch"),
        actual_cursor=None if cursor is None else PredictedCursor(cursor["row"], cursor.get("editable_region_offset")),
        recent_edits=None
        if history is None
        else RecentEdits(events_of(history), given.get("cursor_path") or "", given.get("excerpt_start_row")),
        context=None if context is None else excerpts_of(context),
        cumulative_logprob=given.get("cumulative_logprob"),
        avg_logprob=given.get("avg_logprob"),
    ).to_json()


def events_of(history):
    return [EditEvent.from_json(event) for event in history]


def excerpts_of(context):
    return [ContextExcerpt(part["path"], Span.from_json(part["row_range"]), part["content"]) for part in context]


FUNCTIONS = {
    "delta_chr_f": delta_chr_f_of,
    "exact_lines": exact_lines_of,
    "reversal_ratio": reversal_ratio_of,
    "kept_rate": kept_rate_of,
    "braces_disbalance": lambda given: {"value": braces_disbalance(given["text"])},
    "isolated_whitespace": lambda given: {"value": has_isolated_whitespace(given["patch"], given.get("cursor_row"))},
    "wrong_editable_region": lambda given: {"value": is_wrong_editable_region(given["patch"])},
    "token_changes": token_changes_of,
    "reconstruct_texts": reconstruct_texts_of,
    "patch_location_match": lambda given: patch_location_match(
        given["expected_patch"], given["actual_patch"]
    ).to_json(),
    "editable_context_coverage": lambda given: editable_context_coverage(
        given["expected_patch"], excerpts_of(given["context"])
    ).to_json(),
    "score_prediction": score_prediction_of,
}
