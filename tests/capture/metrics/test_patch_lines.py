"""What a patch adds and deletes is read as Zed's metrics read it, blind spots included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.unified_diff import with_file_headers, write_hunks
from capture.metrics.lines import (
    braces_disbalance,
    exact_lines,
    has_isolated_whitespace,
    is_wrong_editable_region,
    token_changes,
)
from capture.metrics.patch_hunks import ADDED, CONTEXT, DELETED, FOREIGN, old_and_new_text, read_hunks

LINE = st.text(alphabet="ab ()é\u2028", max_size=5)
TEXT = st.lists(LINE, max_size=12).map(lambda lines: "".join(line + "\n" for line in lines))


def patch(*lines, header="@@ -1,2 +1,2 @@"):
    return "\n".join(("--- a/src/a.py", "+++ b/src/a.py", header, *lines, ""))


def test_hunks_know_their_file_their_place_and_their_lines():
    hunks = read_hunks("diff --git a b\n" + patch(" a", "-b", "+c\r", "", header="@@ -3 +4,2 @@ def f():"))
    assert [(hunk.path, hunk.old_start, hunk.new_start) for hunk in hunks] == [("src/a.py", 3, 4)]
    assert hunks[0].lines == [(CONTEXT, "a"), (DELETED, "b"), (ADDED, "c"), (FOREIGN, "")]


@pytest.mark.parametrize("header", ["@@", "@@ ... @@", "@@ -x,1 +y,1 @@", "@@ -99999999999999999999 +1 @@ -"])
def test_a_header_without_numbers_starts_at_zero(header):
    assert read_hunks(patch("+a", header=header))[0].old_start == 0


def test_a_new_file_is_known_by_its_new_path_and_a_deleted_one_by_its_old():
    assert read_hunks("--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+a\n")[0].path == "new.py"
    assert read_hunks("--- a/old.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n")[0].path == "old.py"


def test_lines_are_compared_with_their_sign_and_how_often_they_come():
    counts = exact_lines(patch("-x", "+y", "+y", "+z"), patch("+y", "-x", "-y", " z"))
    assert (counts.tp, counts.fp, counts.fn) == (2, 1, 2)
    assert (counts.precision, counts.recall) == (2 / 3, 1 / 2)
    assert counts.f1 == pytest.approx(4 / 7)


def test_no_lines_at_all_are_no_match():
    assert exact_lines("", "").f1 == 0.0


def test_content_that_looks_like_a_header_is_not_counted():
    counts = exact_lines(patch("--- sql comment", "+x"), patch("+x"))
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 0)
    assert token_changes(patch("+++ i")).inserted == 0


def test_brackets_are_counted_by_kind():
    assert braces_disbalance("f(a[1]) { ] )") == 3
    assert braces_disbalance("} {") == 0


def test_a_blank_line_alone_is_isolated_beside_a_change_it_is_not():
    assert has_isolated_whitespace(patch(" a", "+   ", " b"))
    assert has_isolated_whitespace(patch("+x", " a", "-", " b"))
    assert has_isolated_whitespace(patch("+x", "", "+"))  # an empty line of the patch separates
    assert not has_isolated_whitespace(patch("+x", "+", "+\t"))
    assert not has_isolated_whitespace(patch("-", "+x"))
    assert not has_isolated_whitespace(patch(" a", "+\x1f", " b"))


def test_a_blank_line_where_the_cursor_goes_is_meant():
    opened = patch(" a", "+", " b", header="@@ -5,2 +5,3 @@")
    assert not has_isolated_whitespace(opened, cursor_row=5)
    assert has_isolated_whitespace(opened, cursor_row=4)
    assert has_isolated_whitespace(patch(" a", "-", " b", header="@@ -5,3 +5,2 @@"), cursor_row=5)


def test_three_deletions_at_the_start_are_the_trace_of_a_misplaced_answer():
    assert is_wrong_editable_region(patch("-a", "-b", "-c", "+a"))
    assert not is_wrong_editable_region(patch("-a", "-b", "+c", "-d"))
    assert not is_wrong_editable_region(patch(" a", "-b", "-c", "-d"))
    assert not is_wrong_editable_region("")


def test_token_changes_are_counted_within_each_group_of_changes():
    moved = token_changes(patch("-a b", "+a c", " x", "-a c", "+a b"))
    assert (moved.inserted, moved.deleted) == (2, 2)
    renamed = token_changes(patch("-fooBar = 1", "+fooBaz = 1"))
    assert (renamed.inserted, renamed.deleted) == (1, 1)
    assert token_changes(patch("+a", "+b")).inserted == len(["a", "\n", "b"])


@given(TEXT, TEXT)
def test_a_patch_with_all_context_shows_both_texts(old, new):
    written = with_file_headers(write_hunks(old, new, context_lines=100), "src/a.py")
    if old != new:
        assert old_and_new_text(written) == (old.removesuffix("\n"), new.removesuffix("\n"))


@given(TEXT, TEXT)
def test_a_patch_matches_itself(old, new):
    written = with_file_headers(write_hunks(old, new), "src/a.py")
    counts = exact_lines(written, written)
    assert (counts.fp, counts.fn) == (0, 0)
    assert (counts.f1 == 1.0) == (old != new)


@given(st.text())
def test_anything_can_be_read_as_a_patch(text):
    assert all(hunk.lines for hunk in read_hunks(text))
    changes = token_changes(text)
    assert min(changes.inserted, changes.deleted, braces_disbalance(text)) >= 0
    assert is_wrong_editable_region(text) <= bool(read_hunks(text))
    assert isinstance(has_isolated_whitespace(text, 0), bool)
