"""What was captured is what the example says, and only what a stage may train on stands where it would be trained on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.unified_diff import parse_patch
from capture.inputs import EditEvent
from capture.snapshot.parts import PredictionRecord
from daemon.prompts.base import NoEditReason
from training_export.errors import ExampleRejected
from training_export.example import Example
from training_export.example_format.doubts import warnings_of
from training_export.exporting.repository_diffs import edit_history, holds_history, uncommitted_diff
from training_export.exporting.snapshot_example import example_of, is_for_evaluation
from training_export.patches import patched_excerpt

# What the diff dialect cannot say is refused elsewhere; here texts are such as source files hold.
ROWS = st.lists(st.text("abc ä𝄞(=)\t#{}", max_size=12), min_size=1, max_size=12)
TEXTS = ROWS.map("\n".join)


@st.composite
def snapshots(draw, snapshot, repository):
    before, after = draw(TEXTS), draw(TEXTS)
    first = draw(st.integers(0, 11))
    state = draw(st.sampled_from(("settled", "unsettled")))
    outcome = draw(st.sampled_from(("accepted", "rejected", "ignored", "not_shown")))
    return snapshot(
        before,
        after,
        row=draw(st.integers(0, 11)),
        rows=(first, first + draw(st.integers(1, 4))),
        settled=draw(TEXTS),
        predicted=draw(st.none() | TEXTS),
        state=state,
        kept_rate=None,
        outcome=outcome,
        outcome_reason="typed on" if outcome == "rejected" else "",
        shown_after_ms=None if outcome == "not_shown" else 5,
        rating=draw(st.sampled_from(("", "good", "bad"))),
        repository=draw(st.none() | st.just(repository())),
    )


def example_or_refusal(taken, *, for_eval):
    try:
        return example_of(taken, for_eval=for_eval)
    except ExampleRejected as refused:
        return str(refused)


@given(data=st.data(), for_eval=st.booleans())
def test_what_was_captured_is_what_the_example_says(data, for_eval, snapshot, repository):
    taken = data.draw(snapshots(snapshot, repository))
    example = example_or_refusal(taken, for_eval=for_eval)
    if isinstance(example, str):
        assert for_eval
        assert "cannot say this edit" in example
        return
    read = Example.from_line(example.to_line())
    assert read == example
    assert read.value["prompt_inputs"] == taken.inputs.to_json()
    assert read.prompt_inputs == taken.inputs
    ours = read.value["foretype"]
    region = slice(ours["region"]["start"], ours["region"]["end"])
    assert read.prompt_inputs.excerpt_bytes[region].decode() == taken.region.text_before
    assert ours.get("settled") == taken.region.text_settled
    assert ours.get("unsettled") == taken.region.text_unsettled
    assert read.cursor_excerpt.text == taken.inputs.cursor_excerpt
    assert read.cursor_excerpt.offset_bytes == taken.inputs.cursor_offset_in_excerpt
    # A grammar's root may begin behind blank rows, where the cursor is: that was captured so.
    assert [found for found in warnings_of(read) if found.field != "prompt_inputs.syntax_ranges[0]"] == []
    if not for_eval:
        assert read.expected_patches == ()
        assert read.predictions == ()


@given(data=st.data())
def test_the_expected_patch_of_an_evaluation_leads_to_the_settled_text(data, snapshot, repository):
    taken = replace(data.draw(snapshots(snapshot, repository)), rating="")
    example = example_or_refusal(taken, for_eval=True)
    if isinstance(example, str):
        return
    assert len(example.expected_patches) == (taken.state == "settled") == is_for_evaluation(taken)
    for patch in example.expected_patches:
        excerpt, region = taken.inputs.excerpt_bytes, taken.region
        wanted = excerpt[: region.start_bytes] + taken.region.text_settled.encode() + excerpt[region.end_bytes :]
        assert patched_excerpt(example.prompt_inputs, patch).encode() == wanted


def test_the_name_tells_the_file_and_examples_of_one_file_apart(snapshot):
    one, other = example_of(snapshot()), example_of(snapshot())
    assert one.name.startswith("sums-")
    assert one.name != other.name


def test_paths_count_from_the_repository_and_the_models_inputs_stay_as_they_were(snapshot, repository):
    diff = "diff --git a/src/sums.py b/src/sums.py\nindex 1..2 100644\n--- a/src/sums.py\n+++ b/src/sums.py\n@@ -1,2 +1,2 @@\n-total = 1\n+total = 2\n print(totl)\n"
    taken = snapshot(repository=repository(("src/sums.py", diff), prefix="shop/"))
    example = example_of(taken)
    assert example.cursor_path == "shop/src/sums.py"
    assert example.prompt_inputs == taken.inputs
    assert example.edit_history.startswith("--- a/shop/src/sums.py\n+++ b/shop/src/sums.py\n@@ ")
    assert example.uncommitted_diff == (
        "--- a/shop/src/sums.py\n+++ b/shop/src/sums.py\n@@ -1,2 +1,2 @@\n-total = 1\n+total = 2\n print(totl)\n"
    )
    assert (example.repository_url, example.revision) == ("https://example.org/ada/shop.git", taken.repository.revision)
    assert example.value["foretype"]["snapshot"]["repository_prefix"] == "shop/"


def test_an_accepted_prediction_is_marked_in_the_history(snapshot):
    events = (
        EditEvent("a.py", "a.py", "@@ -1,1 +1,1 @@\n-x\n+y\n"),
        EditEvent("a.py", "a.py", "@@ -1,1 +1,1 @@\n-y\n+z\n", predicted=True),
    )
    inputs = replace(snapshot().inputs, events=events)
    history = example_of(snapshot(inputs=inputs)).edit_history
    assert history.split("--- a/a.py\n")[1].endswith("+y\n// User accepted prediction:\n")


@pytest.mark.parametrize("path", ["my file.py", 'a"b.py', "a\\b.py"])
def test_a_path_that_patches_would_cut_is_quoted(path):
    event = EditEvent(path, path, "@@ -1,1 +1,1 @@\n-x\n+y\n")
    assert {found.path for found in parse_patch(edit_history([event], "in here/")) if hasattr(found, "path")} == {
        f"in here/{path}"
    }


def test_a_new_file_stays_new_and_what_has_no_hunks_is_left_out(repository):
    new = "diff --git a/new.py b/new.py\nnew file mode 100644\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
    mode = "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
    diffs = repository(("new.py", new), ("run.sh", mode)).diffs
    assert uncommitted_diff(diffs, "p/") == (
        "--- /dev/null\n+++ b/p/new.py\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
    )


def test_a_deleted_comment_of_two_dashes_is_no_file_header(repository):
    diff = "--- a/q.lua\n+++ b/q.lua\n@@ -1,2 +1,1 @@\n--- old/q.lua\n x = 1\n"
    assert uncommitted_diff(repository(("q.lua", diff)).diffs, "p/").endswith(
        "@@ -1,2 +1,1 @@\n--- old/q.lua\n x = 1\n"
    )


SAVED = "--- a/src/sums.py\n+++ b/src/sums.py\n@@ -1,2 +1,2 @@\n-total = 1\n+total = 2\n print(totl)\n"
EARLIER = "--- a/src/sums.py\n+++ b/src/sums.py\n@@ -1,2 +1,2 @@\n-total = 0\n+total = 1\n print(totl)\n"


@pytest.mark.parametrize(("diff", "saved"), [(SAVED, True), (EARLIER, False), (None, False)])
def test_whether_the_file_was_saved_after_its_newest_edit_is_told_from_its_diff(snapshot, repository, diff, saved):
    diffs = repository(*([("src/sums.py", diff)] if diff else [])).diffs
    assert holds_history(diffs, snapshot().inputs.events) is saved


def test_an_answer_that_was_turned_down_is_a_rejected_patch(snapshot):
    rejected = example_of(snapshot(outcome="rejected", outcome_reason="typed on", predicted="total = 9\nprint(9)"))
    assert "+print(9)" in rejected.rejected_patch
    assert rejected.tags == ("outcome:rejected", "rejection:typed on")
    bad = example_of(snapshot(rating="bad", predicted="total = 9\nprint(9)"))
    assert "+print(9)" in bad.rejected_patch
    assert (bad.rating, bad.tags) == ("Negative", ("outcome:accepted", "rating:bad"))


def test_an_answer_that_came_true_after_all_is_not_called_wrong(snapshot):
    text = "total = 2\nprint(total)"
    assert example_of(snapshot(outcome="rejected", predicted=text, settled=text)).rejected_patch is None


def test_an_answer_called_good_is_expected_in_an_evaluation(snapshot):
    taken = snapshot(rating="good", predicted="total = 9\nprint(9)", state="unsettled")
    example = example_of(taken, for_eval=True)
    assert is_for_evaluation(taken)
    assert len(example.expected_patches) == 1
    assert "+print(9)" in example.expected_patches[0]
    assert example_of(taken).expected_patches == ()


@pytest.mark.parametrize(
    ("prediction", "patch", "error"),
    [
        (PredictionRecord(reason=NoEditReason.SAID_SO.value), "", None),
        (PredictionRecord(reason=NoEditReason.UNFINISHED.value), None, NoEditReason.UNFINISHED.value),
        (PredictionRecord(), None, "the model gave no answer"),
    ],
)
def test_what_the_model_answered_is_the_prediction_of_an_evaluation(snapshot, prediction, patch, error):
    example = example_of(snapshot(prediction=prediction), for_eval=True)
    [found] = example.predictions
    assert (found.provider, found.actual_patch, found.error) == ("zeta2:embedded", patch, error)


def test_what_the_rule_wrote_does_not_count_as_the_models(snapshot):
    by_the_rule = PredictionRecord(new_region_text="total = 2\nprint(total)", origin="rule")
    example = example_of(snapshot(prediction=by_the_rule), for_eval=True)
    assert [found.provider for found in example.predictions] == ["rule:embedded"]
    assert example.value["foretype"]["snapshot"]["origin"] == "rule"


def test_text_with_the_cursors_marker_in_it_is_refused(snapshot):
    with pytest.raises(ExampleRejected, match="user_cursor"):
        example_of(snapshot(after="a = '<|user_cursor|>'\nb\n", before="x\n"))


def test_nothing_is_in_an_example_that_is_not_in_the_snapshot(snapshot):
    taken = snapshot()
    assert "/home" not in example_of(taken).to_line()
    assert set(json.loads(example_of(taken).to_line())["foretype"]) == {"snapshot", "region", "settled", "predicted"}
