"""Many scores become one summary with the keys of Zed's."""

from collections.abc import Iterable
from typing import Any

from capture.metrics.location import patch_location_match
from capture.metrics.prediction_score import PredictionScore
from capture.metrics.summary import QaVerdict, ScoreSummary

DELETION = "--- a/src/a.py\n+++ b/src/a.py\n@@ -5,1 +5,0 @@\n-x\n"


def summarize(scores: Iterable[PredictionScore]) -> dict[str, Any]:
    summary = ScoreSummary()
    for score in scores:
        summary.add(score)
    return summary.to_json()


def test_averages_are_over_those_scores_that_say_something():
    summary = summarize(
        [
            PredictionScore(delta_chr_f=50.0, kept_rate=0.5, cursor_exact_match=True, cursor_distance=0),
            PredictionScore(delta_chr_f=100.0, cursor_exact_match=False, cursor_distance=3),
            PredictionScore(delta_chr_f=0.0, kept_rate=1.0, kept_chars=4, cursor_exact_match=False),
        ]
    )
    assert (summary["total_examples"], summary["avg_delta_chr_f"]) == (3, 50.0)
    assert (summary["avg_kept_rate"], summary["kept_rate_examples"]) == (0.75, 2)
    assert summary["total_kept_chars"] == 4
    assert (summary["cursor_exact_match_rate"], summary["cursor_exact_matches"]) == (0.33333334, 1)
    assert (summary["cursor_avg_distance"], summary["cursor_total_evaluated"]) == (1.5, 3)


def test_counts_are_pooled_and_rates_averaged():
    there = patch_location_match(DELETION, DELETION)
    missed = patch_location_match(DELETION, "")
    summary = summarize(
        [
            PredictionScore(exact_lines_tp=1, delta_chr_f_precision=0.5, jump_location=there),
            PredictionScore(exact_lines_tp=2, exact_lines_fn=1, delta_chr_f_precision=1.0, jump_location=missed),
        ]
    )
    assert (summary["exact_lines_true_positives"], summary["exact_lines_recall"]) == (3, 0.75)
    assert summary["delta_chr_f_precision"] == 0.75
    assert summary["jump_location_examples"] == 2
    assert (summary["jump_location_lines_tp"], summary["jump_location_lines_fn"]) == (1, 1)
    assert (summary["avg_jump_location_lines_recall"], summary["avg_jump_location_files_f1"]) == (0.5, 0.5)
    assert "editable_context_examples" not in summary


def test_what_a_judge_said_is_averaged_over_what_it_said():
    found = ScoreSummary()
    for verdict in (QaVerdict(True, 1), None, QaVerdict(False, None), QaVerdict(None, 4)):
        found.add(PredictionScore(), verdict)
    summary = found.to_json()
    assert (summary["qa_avg_reverts_edits"], summary["qa_avg_confidence"]) == (0.5, 2.5)


def test_retrieved_context_is_counted_once_per_example():
    found = ScoreSummary()
    for retrieved_context_bytes in (10, None, 30):
        found.add(PredictionScore(), retrieved_context_bytes=retrieved_context_bytes)
    summary = found.to_json()
    assert summary["avg_retrieved_context_bytes"] == 20.0
    assert (summary["total_retrieved_context_bytes"], summary["retrieved_context_examples"]) == (40, 2)


def test_rates_of_flags():
    summary = summarize(
        [
            PredictionScore(wrong_editable_region=True, has_isolated_whitespace_changes=True),
            PredictionScore(wrong_editable_region=None),
            PredictionScore(wrong_editable_region=False, braces_disbalance=1),
        ]
    )
    assert summary["wrong_editable_region_rate"] == 0.5
    assert (summary["isolated_whitespace_rate"], summary["isolated_whitespace_count"]) == (0.33333334, 1)
    assert summary["avg_braces_disbalance"] == 0.33333334


def test_nothing_scored_is_no_division_by_zero():
    assert summarize([]) == {
        "total_examples": 0,
        "avg_delta_chr_f": 0.0,
        "delta_chr_f_beta": 0.0,
        "delta_chr_f_true_positives": 0,
        "delta_chr_f_false_positives": 0,
        "delta_chr_f_false_negatives": 0,
        "delta_chr_f_precision": 0.0,
        "delta_chr_f_recall": 0.0,
        "avg_braces_disbalance": 0.0,
        "exact_lines_true_positives": 0,
        "exact_lines_false_positives": 0,
        "exact_lines_false_negatives": 0,
        "exact_lines_precision": 0.0,
        "exact_lines_recall": 0.0,
        "exact_lines_f1": 0.0,
        "avg_reversal_ratio": 0.0,
        "isolated_whitespace_rate": None,
    }
