"""Corners of the patch dialect where Zed's reading is not the obvious one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.unified_diff import (
    CURSOR_MARKER,
    FileEnd,
    Hunk,
    PatchError,
    apply_patch,
    encode_cursor,
    extract_cursor,
    parse_patch,
    strip_metadata,
    strip_path_prefix,
    write_hunks,
)

HEADERS = "--- a/f\n+++ b/f\n"


def hunks(patch):
    return [event for event in parse_patch(patch) if isinstance(event, Hunk)]


def only_hunk(patch):
    (hunk,) = hunks(patch)
    return hunk


def edits(hunk):
    return [(edit.range.start, edit.range.end, edit.text) for edit in hunk.edits]


@pytest.mark.parametrize(
    ("header", "start_row"),
    [
        ("@@ -3,1 +3,1 @@", 2),
        ("@@ -3 +3 @@ def f():", 2),
        ("@@ -0,0 +1 @@", 0),
        ("@@ -+3,+1 ++3,+1 @@", 2),
        ("@@ -0003 +3 @@", 2),
        ("@@ -" + "0" * 5000 + "3 +3 @@", 2),
        ("@@ -4294967295 +1 @@", 4294967294),
        ("@@\x0c-3 +3", 2),
        ("@@ -3\u2028+3 @@", 2),
        ("@@ ...", None),
        ("@@ ...-7 +7 @@", None),
    ],
)
def test_a_hunk_header_says_on_which_row_the_hunk_starts(header, start_row):
    assert only_hunk(f"{HEADERS}{header}\n-a\n").start_row == start_row


@pytest.mark.parametrize(
    "line",
    [
        "@@ -3,x +3,1 @@",
        "@@ -3,1 +3,x @@",
        "@@ -3, +3 @@",
        "@@ -3,1,1 +3 @@",
        "@@ - +3 @@",
        "@@ -++3 +3 @@",
        "@@ -4294967296 +3 @@",
        "@@ -" + "9" * 5000 + " +3 @@",
        "@@ -٣ +3 @@",
        "@@ -3\x1c+3 @@",
        "@@ -3",
        "@@",
        "@@\x0b-3 +3 @@",
        "@@\u00a0-3 +3 @@",
    ],
)
def test_what_only_resembles_a_hunk_header_ends_the_file(line):
    assert parse_patch(f"{HEADERS}{line}\n-a\n") == [FileEnd(None)]
    assert strip_metadata(f"{line}\n") == ""


def test_a_hunk_without_a_row_takes_over_the_row_of_an_unused_header_before_it():
    patch = f"{HEADERS}@@ -5,1 +5,1 @@\n@@ ... @@\n-a\n@@ ... @@\n-b\n"
    assert [hunk.start_row for hunk in hunks(patch)] == [4, None]


@pytest.mark.parametrize("space", ["\x0b", "\x1c", "\x85", "\u00a0", "\u2003"])
def test_only_ascii_white_space_makes_a_file_header(space):
    patch = f"{HEADERS}@@ -1 +1 @@\n---{space}x\n+++{space}y\n"
    assert edits(only_hunk(patch)) == [(0, len(f"--{space}x".encode()) + 1, f"++{space}y\n")]


def test_a_deleted_file_is_renamed_to_nowhere_and_a_created_one_is_not_renamed():
    assert parse_patch("--- a/f\n+++ /dev/null\n")[-1] == FileEnd("/dev/null")
    assert parse_patch("--- /dev/null\n+++ b/f\n")[-1] == FileEnd(None)


def test_the_missing_newline_belongs_to_the_last_line_of_content_whatever_stands_between():
    hunk = only_hunk(f"{HEADERS}@@ -1 +1 @@\n-a\n+b\n+++ b/g\n\\ No newline at end of file\n")
    assert edits(hunk) == [(0, 2, "b")]


def test_a_missing_newline_of_unchanged_text_shortens_the_context():
    hunk = only_hunk(f"{HEADERS}@@ -1,2 +1,2 @@\n-a\n+b\n c\n\\ No newline at end of file\n")
    assert (hunk.context, edits(hunk)) == ("a\nc", [(0, 2, "b\n")])


def test_a_missing_newline_of_deleted_text_shortens_the_edit():
    hunk = only_hunk(f"{HEADERS}@@ -1 +0,0 @@\n-a\n-é\n\\ No newline at end of file\n")
    assert (hunk.context, edits(hunk)) == ("a\né", [(0, 4, "")])


def test_a_missing_newline_counts_once_in_a_hunk_even_if_the_first_stands_before_the_file():
    notice = "\\ No newline at end of file\n"
    patch = f"{notice}{HEADERS}@@ -1 +1 @@\n-a\n+b\n{notice}@@ -9 +9 @@\n-c\n+d\n{notice}"
    assert [edits(hunk) for hunk in hunks(patch)] == [[(0, 2, "b\n")], [(0, 2, "d")]]


def test_a_hunk_that_fits_at_one_place_goes_there_whatever_its_row():
    assert apply_patch(f"{HEADERS}@@ -9 +9 @@\n-b\n+c\n", "a\nb\n") == ("a\nc\n", 2)


def test_equal_places_are_looked_for_one_behind_the_other():
    patch = HEADERS + "@@ -2,2 +2,1 @@\n-a\n-a\n+b\n"
    assert apply_patch(patch, "a\na\na\n") == ("b\na\n", 0)
    with pytest.raises(PatchError):
        apply_patch(patch, "a\na\na\na\n")


def test_of_equal_places_on_the_stated_row_the_first_wins_even_in_mid_line():
    assert apply_patch(f"{HEADERS}@@ -1 +1 @@\n-a\n+b\n", "xa\na\n") == ("xb\na\n", 1)


def test_a_row_that_edits_above_moved_before_the_text_is_no_row():
    patch = f"{HEADERS}@@ -3,2 +1,0 @@\n-x\n-y\n@@ -1 +1 @@\n-a\n+b\n"
    with pytest.raises(PatchError):
        apply_patch(patch, "a\na\nx\ny\n")


def test_a_pure_insertion_goes_to_the_start_of_its_row_up_to_the_last_empty_one():
    assert apply_patch(f"{HEADERS}@@ -3,0 +3,1 @@\n+x\n", "é\nb\n") == ("é\nb\nx\n", 5)
    with pytest.raises(PatchError):
        apply_patch(f"{HEADERS}@@ -4,0 +4,1 @@\n+x\n", "é\nb\n")


def test_at_the_end_of_a_text_without_a_final_newline_none_is_added():
    assert apply_patch(f"{HEADERS}@@ -1,1 +1,2 @@\n a\n+b\n", "a") == ("ab", 0)


def test_taking_the_cursor_out_gives_newlines_and_loses_empty_lines_at_the_start():
    assert extract_cursor(f"\n\r\n+a\r\n\n+{CURSOR_MARKER}b\r") == ("+a\n\n+b\r", 5)
    assert extract_cursor("\n\n") == ("", None)


def test_a_marker_in_unchanged_text_counts_for_the_offset():
    patch = f"{HEADERS} {CURSOR_MARKER}\n+é{CURSOR_MARKER}x{CURSOR_MARKER}\n"
    assert extract_cursor(patch) == (f"{HEADERS} {CURSOR_MARKER}\n+éx\n", len(CURSOR_MARKER) + 1 + 2)


def test_putting_the_cursor_in_gives_newlines_and_replaces_markers_that_are_there():
    assert encode_cursor(f"\n+{CURSOR_MARKER}ab\r\n", 2) == f"+a{CURSOR_MARKER}b\n"
    assert encode_cursor("\n\n", 0) == "\n"
    assert encode_cursor("\r\n", None) == "\r\n"


def test_an_added_line_that_reads_as_a_header_without_its_marker_is_still_an_added_line():
    assert encode_cursor(f"+++{CURSOR_MARKER} x\n+y\n", 5) == f"+++ x\n+{CURSOR_MARKER}y\n"


def test_once_a_path_lies_in_the_folder_all_file_headers_are_written_anew():
    patch = "--- /dev/null\n+++ b/src/f\r\n@@ -0,0 +1 @@\r\n+a\r"
    assert strip_path_prefix(patch, "src") == "--- a//dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\r\n"


@pytest.mark.parametrize("prefix", ["", "src/", "sr", "src/f"])
def test_where_no_path_lies_in_the_folder_the_patch_stays_as_it_is(prefix):
    patch = "--- a/src/f\r\n+++ b/src/f\n+a"
    assert strip_path_prefix(patch, prefix) == patch


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ('"a/two words.py" 2026', "two words.py"),
        ("a/a/f", "a/f"),
        ("b/f", "b/f"),
        ('a/"a/f"', "a/f"),
        ("a\\/f\\", "f"),
        ("a/f\x0bg\u00a0h i", "f\x0bg\u00a0h"),
        ("a/", ""),
        ("", ""),
    ],
)
def test_the_path_of_a_file_header_is_read_up_to_white_space_outside_quotes(header, path):
    assert only_hunk(f"--- {header}\n-a\n").path == path


def test_lines_that_differ_only_in_their_ends_are_equal_but_for_a_last_carriage_return():
    assert write_hunks("a\r\nb", "a\nb\n") == ""
    assert write_hunks("a\r", "a") == "@@ -1,1 +1,1 @@\n-a\r\n+a\n"


HEADER_LINES = ("--- a/f", "--- /dev/null", "--- x", "+++ b/f", "@@ -2,1 +2,1 @@", "@@ ... @@", "@@ -1 @@")
CONTENT_LINES = (" a", "-a", "+b", "", f"+x{CURSOR_MARKER}y", "\\ No newline at end of file", "garbage", "\r")
PATCH_LINES = st.sampled_from(HEADER_LINES + CONTENT_LINES)


@given(lines=st.lists(PATCH_LINES, max_size=25), end=st.sampled_from(["", "\n", "\r\n"]))
def test_any_patch_is_read_into_edits_in_order_inside_their_context(lines, end):
    for hunk in hunks("\n".join(lines) + end):
        at = 0
        for edit in hunk.edits:
            assert at <= edit.range.start <= edit.range.end <= len(hunk.context.encode())
            at = edit.range.end
        assert hunk.context or hunk.edits


@given(lines=st.lists(PATCH_LINES, max_size=25), offset=st.integers(0, 40))
def test_a_cursor_is_found_where_it_was_put_in_any_patch(lines, offset):
    bare, _ = extract_cursor("\n".join(lines))
    marked = encode_cursor(bare, offset)
    assert encode_cursor(marked, offset) == marked
    assert extract_cursor(marked) == (bare, offset if marked != bare else None)
