"""Diffs lead from the old text to the new one, and edits are as small as they look."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.histogram import Change, changes
from capture.editing.line_diff import apply_edits, minimal_edits
from capture.editing.myers import MAX_TOKENS, changed_tokens
from capture.editing.unified_diff import (
    PatchError,
    apply_patch,
    encode_cursor,
    extract_cursor,
    with_file_headers,
    write_hunks,
)

PIECES = [
    "a",
    "b",
    "foo",
    "bar_1",
    " ",
    "    ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "(",
    ")",
    "é",
    "e\u0301",
    "\U0001f600",
    "\x85",
    "\u2028",
]
TEXT = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
# What the dialect can carry: rows without "\r" at the end, a final newline, and nothing that reads as a header.
LINE = st.text(alphabet="ab \t()é\U0001f600\x0c\x85\u2028", max_size=4)
LINES = st.lists(LINE, max_size=20).map(lambda lines: "".join(line + "\n" for line in lines))


def rewritten(text, seed):
    """``text`` with a few random lines changed, removed or added."""
    chance = random.Random(seed)
    lines = [line + "\n" for line in text.split("\n")[:-1]]
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(lines) + 1)
        lines[at : at + chance.randrange(3)] = [f"new {chance.randrange(9)}\n"] * chance.randrange(3)
    return "".join(lines)


@given(old=st.lists(st.integers(0, 4), max_size=30), new=st.lists(st.integers(0, 4), max_size=30))
def test_between_the_changes_both_sequences_are_equal(old, new):
    old_at = new_at = 0
    for change in changes(old, new):
        assert old[old_at : change.old_start] == new[new_at : change.new_start]
        assert (change.old_start, change.new_start) != (change.old_end, change.new_end)
        old_at, new_at = change.old_end, change.new_end
    assert old[old_at:] == new[new_at:]


def test_of_a_frequent_line_only_the_first_sixty_four_places_are_tried():
    old = [*"sxpz", *"x" * 63, *"xprtrtrt"]
    assert changes(old, list("xpr")) == [Change(0, 1, 0, 0), Change(3, 69, 2, 2), Change(70, 75, 3, 3)]


def test_where_all_common_lines_are_too_frequent_the_searches_from_both_ends_meet():
    assert changes(list("xy" * 64), list("yx" * 64)) == [Change(0, 1, 0, 0), Change(128, 128, 127, 128)]


@pytest.mark.parametrize(("around", "is_taken_out"), [([1], False), ([1, 2], True)])
def test_a_frequent_line_is_taken_out_with_more_than_three_lines_around_it_that_occur_nowhere_else(
    around, is_taken_out
):
    removed, added = changed_tokens([*around, 9, *around], [9] * 8)
    assert list(removed) == [1] * len(around) + [int(is_taken_out)] + [1] * len(around)
    assert sum(added) == 7 + int(is_taken_out)


def assert_unflagged_tokens_are_equal(old, new):
    removed, added = changed_tokens(old, new)
    assert (len(removed), len(added)) == (len(old), len(new))
    assert [token for token, flag in zip(old, removed, strict=True) if not flag] == [
        token for token, flag in zip(new, added, strict=True) if not flag
    ]


@given(old=st.lists(st.integers(0, 3), max_size=40), new=st.lists(st.integers(0, 3), max_size=40))
def test_tokens_that_are_neither_removed_nor_added_are_equal(old, new):
    assert_unflagged_tokens_are_equal(old, new)


def test_a_search_that_is_cut_short_still_leads_to_the_new_sequence():
    chance = random.Random(3)
    old, new = ([chance.randrange(20) for _ in range(1_200)] for _ in range(2))
    assert_unflagged_tokens_are_equal(old, new)


def test_sequences_too_long_for_an_exact_script_are_compared_all_the_same():
    half = MAX_TOKENS // 2
    old, new = list("xy" * half), list("yx" * half)
    assert sum(change.old_end - change.old_start for change in changes(old, new)) == 1


def test_a_text_of_one_line_repeated_ten_thousand_times_is_compared_at_once():
    old = ["x"] * 5_000 + ["y"] + ["x"] * 5_000
    assert sum(change.old_end - change.old_start for change in changes(old, ["x"] * 10_000)) == 1


@given(old=TEXT, new=TEXT)
def test_minimal_edits_lead_to_the_new_text(old, new):
    edits = minimal_edits(old, new)
    assert apply_edits(old, edits) == new
    assert bool(edits) == (old != new)


@given(old=TEXT, new=TEXT)
def test_edits_are_apart_trimmed_and_never_cut_a_line_end(old, new):
    data, end = old.encode(), -1
    grown = 0
    for edit in minimal_edits(old, new):
        assert edit.range.start > end or (end == -1 and edit.range.start == 0)
        end = edit.range.end
        for cut, source in (
            (edit.range.start, data),
            (edit.range.end, data),
            (edit.range.start + grown, new.encode()),
            (edit.range.start + grown + len(edit.text.encode()), new.encode()),
        ):
            assert source[cut - 1 : cut + 1] != b"\r\n"
            source[:cut].decode()
        grown += len(edit.text.encode()) - len(edit.range)


@given(text=LINES, seed=st.integers(0, 1000))
def test_a_written_diff_applied_gives_the_new_text(text, seed):
    new = rewritten(text, seed)
    assert apply_patch(with_file_headers(write_hunks(text, new), "f.py"), text, trust_rows=True)[0] == new


@given(old=LINES, new=LINES, context_lines=st.integers(0, 4))
def test_a_written_diff_applies_with_any_amount_of_context(old, new, context_lines):
    patch = with_file_headers(write_hunks(old, new, context_lines=context_lines), "f.py")
    assert apply_patch(patch, old, trust_rows=True)[0] == new


@given(old=LINES, new=LINES, cut=st.integers(0, 60))
def test_a_cursor_put_into_a_patch_is_found_again(old, new, cut):
    patch = with_file_headers(write_hunks(old, new), "f.py")
    marked = encode_cursor(patch, cut)
    if marked == patch:
        return
    assert extract_cursor(marked) == (patch, cut)


def test_a_rename_in_a_long_line_is_one_small_edit():
    old = "result = compute(first_value, second_value)  # explain\n"
    (edit,) = minimal_edits(old, old.replace("first_value", "initial"))
    assert (old.encode()[edit.range.start : edit.range.end], edit.text) == (b"first_value", "initial")


def test_a_hunk_in_a_run_of_equal_lines_goes_where_its_header_says_if_rows_are_trusted():
    old, new = "\n" * 9, "\n" * 6 + "x\n" + "\n" * 3
    patch = "--- a/f\n+++ b/f\n@@ -4,6 +4,7 @@\n \n \n \n+x\n \n \n \n"
    assert apply_patch(patch, old, trust_rows=True)[0] == new
    assert apply_patch(patch, old)[0] == "\n" * 3 + "x\n" + "\n" * 6


def test_a_hunk_that_fits_nowhere_is_refused():
    with pytest.raises(PatchError):
        apply_patch("--- a/f\n+++ b/f\n@@ -1,1 +1,1 @@\n-a\n+b\n", "x\n")
