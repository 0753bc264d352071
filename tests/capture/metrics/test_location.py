"""Where a patch edits is compared with where it should have, and with what was shown."""

from hypothesis import given
from hypothesis import strategies as st

from capture.inputs import Span
from capture.metrics.location import ContextExcerpt, LocationMatch, editable_context_coverage, patch_location_match

ROWS = st.sets(st.integers(0, 200), max_size=6)


def deletion(row, path="src/a.py"):
    return f"--- a/{path}\n+++ b/{path}\n@@ -{row + 1},1 +{row + 1},0 @@\n-x\n"


def insertion(row, path="src/a.py"):
    return f"--- a/{path}\n+++ b/{path}\n@@ -{row},2 +{row},3 @@\n before\n+x\n after\n"


def shown(first, last, path="src/a.py"):
    return ContextExcerpt(path, Span(first, last), "")


def test_an_edit_within_twenty_rows_is_there():
    assert patch_location_match(deletion(50), deletion(70)).lines_f1 == 1.0
    missed = patch_location_match(deletion(50), deletion(71))
    assert (missed.lines_tp, missed.lines_fp, missed.lines_fn, missed.files_tp) == (0, 1, 1, 1)


def test_each_row_answers_for_one_row_only():
    both = patch_location_match(deletion(10) + deletion(12), deletion(11))
    assert (both.lines_tp, both.lines_fp, both.lines_fn) == (1, 0, 1)
    assert (both.lines_precision, both.lines_recall) == (1.0, 0.5)


def test_an_insertion_lies_between_the_rows_beside_it():
    match = patch_location_match(insertion(30), deletion(9))
    assert (match.lines_tp, match.lines_fn) == (1, 1)


def test_another_file_is_no_match():
    match = patch_location_match(deletion(5), deletion(5, "src/b.py"))
    assert (match.files_tp, match.files_fp, match.files_fn, match.lines_tp) == (0, 1, 1, 0)


def test_the_folder_of_the_project_may_stand_before_the_path():
    assert patch_location_match(deletion(5), deletion(5, "project/src/a.py")).files_f1 == 1.0
    assert patch_location_match(deletion(5, "project/src/a.py"), deletion(5)).files_f1 == 0.0


def test_a_new_file_has_no_rows():
    new_file = "--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x\n"
    match = patch_location_match(new_file, new_file)
    assert (match.lines_tp, match.lines_fn, match.files_fn) == (0, 0, 1)


def test_no_edit_wanted_and_none_made_is_right():
    match = patch_location_match("", "")
    assert (match.lines_precision, match.lines_recall, match.files_f1) == (1.0, 1.0, 1.0)


def test_shown_rows_near_the_edit_are_right_and_only_anchors_can_be_missed():
    coverage = editable_context_coverage(deletion(50), [shown(25, 55)])
    assert (coverage.lines_tp, coverage.lines_fp, coverage.lines_fn) == (25, 5, 0)
    assert coverage.lines_recall == 1.0
    beside = editable_context_coverage(deletion(50), [shown(51, 55)])
    assert (beside.lines_tp, beside.lines_fn, beside.lines_recall) == (4, 1, 0.0)


def test_rows_shown_twice_count_once():
    coverage = editable_context_coverage(deletion(3), [shown(0, 5), shown(2, 5), shown(0, 1, "src/b.py")])
    assert (coverage.lines_tp, coverage.lines_fp) == (5, 1)
    assert (coverage.files_tp, coverage.files_fp, coverage.files_fn) == (1, 1, 0)


@given(ROWS, ROWS)
def test_every_row_matches_or_does_not(expected, actual):
    expected_patch, actual_patch = ("".join(deletion(row) for row in sorted(rows)) for rows in (expected, actual))
    match = patch_location_match(expected_patch, actual_patch)
    assert match.lines_tp + match.lines_fp == len(actual)
    assert match.lines_tp + match.lines_fn == len(expected)
    assert patch_location_match(expected_patch, expected_patch).lines_tp == len(expected)


@given(st.text(alphabet="@-+ ,1\n\\ab/"), st.text(alphabet="@-+ ,1\n\\ab/"))
def test_rates_stay_between_0_and_1_and_json_keeps_them(expected, actual):
    for match in (patch_location_match(expected, actual), editable_context_coverage(expected, [shown(0, 3, "a")])):
        assert all(
            0 <= value <= 1 for key, value in match.to_json().items() if key.endswith(("precision", "recall", "f1"))
        )
        assert LocationMatch.from_json(match.to_json()) == match
