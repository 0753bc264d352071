"""What is counted of a run."""

from __future__ import annotations

import pytest

from capture.metrics.prediction_score import PredictionScore
from capture.metrics.summary import QaVerdict, ScoreSummary
from training_export.example_format.files import Loaded, Rejected
from training_export.reports.measures import INDEX
from training_export.reports.run import read_run

# Zed's keys (`summary.rs` at 09adbb01) that are there whatever the scores say.
ZED_KEYS = {
    "total_examples", "avg_delta_chr_f", "delta_chr_f_beta", "delta_chr_f_true_positives",
    "delta_chr_f_false_positives", "delta_chr_f_false_negatives", "delta_chr_f_precision", "delta_chr_f_recall",
    "avg_braces_disbalance", "exact_lines_true_positives", "exact_lines_false_positives",
    "exact_lines_false_negatives", "exact_lines_precision", "exact_lines_recall", "exact_lines_f1",
    "avg_reversal_ratio", "isolated_whitespace_rate",
}  # fmt: skip


def value(run, key):
    return float(run.values()[INDEX[key]])


def test_exact_quiet_and_unreadable_predictions_are_counted(make_example, make_run, text, wanted_text):
    run = make_run(
        make_example("right", wanted_text),
        make_example("wrong", text.replace("3", "33")),
        make_example("missed", text),
        make_example("unreadable", None),
        make_example("rightly quiet", text, wanted=(text,)),
    )
    assert value(run, "exact_match") == pytest.approx(40.0)
    assert value(run, "quiet") == pytest.approx(60.0)
    assert value(run, "unreadable") == pytest.approx(20.0)
    assert value(run, "no_edit_agreement") == pytest.approx(60.0)
    assert value(run, "missed") == pytest.approx(50.0)  # of the four where an edit was wanted
    assert value(run, "needless") == pytest.approx(0.0)


def test_an_edit_where_none_was_wanted_is_needless(make_example, make_run, text, wanted_text):
    run = make_run(make_example("a", wanted_text, wanted=()), make_example("b", text, wanted=()))
    assert value(run, "needless") == pytest.approx(50.0)
    assert run.without_expected == 2


def test_where_both_are_wanted_both_agree(make_example, make_run, text, wanted_text):
    run = make_run(make_example("a", wanted_text, text, wanted=(wanted_text, text)))
    assert value(run, "no_edit_agreement") == value(run, "exact_match") == 100.0


def test_another_patch_to_the_same_text_is_exact(make_example, make_run, wanted_text):
    short = "--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -42,1 +42,1 @@\n-second = 2\n+second = 22\n"
    example = make_example("a", wanted_text)
    other = example.with_fields(predictions=[{"actual_output": "", "provider": "x", "actual_patch": short}])
    assert other.predictions[0].actual_patch != example.predictions[0].actual_patch
    assert value(make_run(other), "exact_match") == 100.0


def test_scores_that_are_there_are_taken_and_missing_ones_made(make_example, make_run, wanted_text):
    given = PredictionScore(delta_chr_f=12.5).to_json()
    run = make_run(
        make_example("old", wanted_text, score=[given]),
        make_example("new", wanted_text),
        make_example("half scored", wanted_text, wanted_text, score=[given]),
    )
    assert run.column("delta_chr_f").tolist() == [12.5, 100.0, 100.0, 100.0]
    assert run.summary()["avg_delta_chr_f"] == 78.125


def test_the_summary_is_zeds(make_example, make_run, text, wanted_text):
    scores = [PredictionScore(delta_chr_f=100.0, kept_rate=0.5), PredictionScore(cursor_distance=3)]
    verdicts = [QaVerdict(True, 2), None]
    judged = {"score": [score.to_json() for score in scores], "qa": [{"reverts_edits": True, "confidence": 2}, None]}
    summary = make_run(make_example("a", wanted_text, text, **judged)).summary()
    expected = ScoreSummary()
    for score, verdict in zip(scores, verdicts, strict=True):
        expected.add(score, verdict)
    assert summary == expected.to_json()  # there are no related files at all
    assert set(summary) >= ZED_KEYS
    assert (summary["total_examples"], summary["avg_delta_chr_f"]) == (2, 50.0)
    assert (summary["qa_avg_reverts_edits"], summary["qa_avg_confidence"]) == (1.0, 2.0)


def test_context_is_counted_once_for_each_example(make_example, make_run, wanted_text):
    example = make_example("a", wanted_text, wanted_text)
    related = [{"path": "b.py", "max_row": 9, "excerpts": [{"row_range": {"start": 0, "end": 1}, "text": "abc\n"}]}]
    inputs = {**example.value["prompt_inputs"], "related_files": related}
    summary = make_run(example.with_fields(prompt_inputs=inputs)).summary()
    assert (summary["total_retrieved_context_bytes"], summary["retrieved_context_examples"]) == (4, 1)


def test_what_cannot_be_scored_or_read_is_counted_and_named(make_example, wanted_text):
    found = [
        Loaded("a.jsonl", 1, make_example("fine", wanted_text)),
        Loaded("a.jsonl", 2, make_example("empty")),
        Rejected("a.jsonl", 3, "", "not JSON"),
    ]
    told = []
    run = read_run("a.jsonl", found, seen=told.append)
    assert (len(run.examples), run.left_out.count, run.bad_lines.count) == (1, 1, 1)
    assert run.left_out.names == ["empty: there are no predictions to score; ask for some with `foretype distill`"]
    assert run.bad_lines.names == ["a.jsonl:3: not JSON"]
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("language", {"rust": [0], "python": [1]}),
        ("provider", {"teacher": [0, 1]}),
        ("tag", {"rename": [0, 1], "hard": [0]}),
        ("outcome", {"accepted": [0], "(unknown)": [1]}),
        ("class", {"learnable": [0], "(unknown)": [1]}),
    ],
)
def test_predictions_are_grouped(make_example, make_run, wanted_text, by, expected):
    ours = {"snapshot": {"language_id": "rust", "outcome": "accepted"}, "settle": {"class": "learnable"}}
    run = make_run(
        make_example("a", wanted_text, tags=["rename", "hard"], foretype=ours),
        make_example("b", wanted_text, tags=["rename"], foretype={}),
        by=by,
    )
    assert run.members() == expected


def test_a_group_has_its_own_values(make_example, make_run, text, wanted_text):
    run = make_run(
        make_example("a", wanted_text, tags=["x"]),
        make_example("b", text, tags=["y"]),
        make_example("c", text, tags=["y"]),
        by="tag",
    )
    values = {label: float(run.values(rows)[INDEX["exact_match"]]) for label, rows in run.members().items()}
    assert values == {"y": 0.0, "x": 100.0}


def test_a_prediction_is_shown_with_the_example_that_it_is_of(make_example, make_run, text, wanted_text):
    run = make_run(make_example("a", wanted_text), make_example("b", text, wanted_text, text), make_example("c", text))
    assert [run.examples.owner(index).name for index in range(5)] == ["a", "b", "b", "b", "c"]
    assert [(example.name, example.line, example.first, example.count) for example in run.examples] == [
        ("a", 1, 0, 1), ("b", 2, 1, 3), ("c", 3, 4, 1),
    ]  # fmt: skip
    assert [example.name for example in run.examples[1:]] == ["b", "c"]
    assert run.examples[-1] == run.examples[2]
    assert len({example.expected for example in run.examples}) == 1
    with pytest.raises(IndexError):
        run.examples[3]
