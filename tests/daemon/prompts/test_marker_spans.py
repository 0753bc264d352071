"""Answers between markers: written for a new region, they give it back when they are read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.prompts.zed.marker_spans import (
    MarkerError,
    apply_numbered,
    apply_on_own_lines,
    apply_relative,
    encode_numbered,
    encode_on_own_lines,
    read_span,
)
from daemon.prompts.zed.markers import V0316_LIMITS, marker_offsets, write_numbered

END = b"<end>"
LINES = st.lists(st.sampled_from(["", "}", "x = 1", "return", "größe"]), max_size=40)


def read_back(old: bytes, new: bytes) -> bytes:
    answer = encode_numbered(old, new, None, END, V0316_LIMITS)
    return apply_numbered(old, answer.removesuffix(END), V0316_LIMITS)


@settings(max_examples=200, deadline=None)
@given(old=LINES, new=LINES)
def test_an_answer_written_for_a_region_gives_that_region(old, new):
    old_text = "".join(f"{line}\n" for line in [*old, "last"]).encode()
    new_text = "".join(f"{line}\n" for line in new).encode()
    assert read_back(old_text, new_text) == new_text


def test_a_change_that_joins_its_last_line_with_the_next_block_loses_nothing():
    old = "".join(f"line {number}\n" for number in range(24)).encode()
    kept = old[old.index(b"line 16") :]
    new = b"one long line without an end, " + kept
    assert len(marker_offsets(old, V0316_LIMITS)) == 4
    assert read_back(old, new) == new


@settings(max_examples=100, deadline=None)
@given(lines=LINES, data=st.data())
def test_a_region_shown_with_markers_holds_its_text_and_the_cursor_once(lines, data):
    text = "\n".join(lines).encode()
    cursor = data.draw(st.integers(0, len(text)))
    shown = write_numbered(text, cursor, V0316_LIMITS)
    assert shown.count(b"<|user_cursor|>") == 1
    for number in range(len(marker_offsets(text, V0316_LIMITS))):
        shown = shown.replace(b"<|marker_%d|>" % (number + 1), b"")
    assert shown.replace(b"<|user_cursor|>", b"") == text
    assert shown.index(b"<|user_cursor|>") == cursor


OLD = "".join(f"line {number}\n" for number in range(16)).encode()  # markers before lines 0 and 8 and at the end


@pytest.mark.parametrize("number", [b"2", b"+2", b"0000000000000000000000000002"])
def test_a_number_may_have_a_plus_and_zeros_before_it(number):
    assert read_span(b"<|marker_1|>a<|marker_" + number + b"|>").tags == (1, 2)


@pytest.mark.parametrize("number", [b"", b"-2", b" 2", b"x", b"18446744073709551616", b"9" * 5000])
def test_a_tag_without_a_number_of_64_bits_is_ordinary_text(number):
    tag = b"<|marker_" + number + b"|>"
    assert read_span(b"<|marker_1|>a" + tag + b"<|marker_2|>").text == b"a" + tag


def test_the_largest_number_of_64_bits_is_a_marker_that_no_region_has():
    with pytest.raises(MarkerError, match="outside"):
        apply_numbered(OLD, b"<|marker_1|>a\n<|marker_18446744073709551615|>", V0316_LIMITS)


@pytest.mark.parametrize("tag", [b"<|marker_0|>", b"<|marker_99|>"])
def test_a_repeated_tag_says_no_edit_even_where_no_such_marker_stands(tag):
    assert apply_numbered(OLD, tag + b"text" + tag, V0316_LIMITS) == OLD


def test_a_relative_tag_needs_no_sign():
    assert apply_relative(OLD, b"<|marker-0|>new\n<|marker1|>", 0) == b"new\n" + OLD[OLD.index(b"line 8") :]


def test_in_an_empty_region_tags_may_stand_reversed():
    assert apply_numbered(b"", b"<|marker_2|>new<|marker_1|>", V0316_LIMITS) == b"new"


def test_blocks_that_are_deleted_leave_nothing_between_their_tags():
    old = "".join(f"{letter}{number}\n" for letter in "abc" for number in range(8)).encode()
    new = old[old.index(b"c0") :]
    assert encode_numbered(old, new, None, END, V0316_LIMITS) == b"<|marker_1|><|marker_2|><|marker_3|>" + END
    assert read_back(old, new) == new


def test_whatever_is_tagged_between_the_tags_of_v0306_is_left_out():
    answer = b"<|marker_1|>\nnew\n<|marker_x|>\nlines<|marker_7|>\n<|marker_2|>\n"
    assert apply_on_own_lines(OLD, answer) == b"new\nlines\n" + OLD[OLD.index(b"line 8") :]


@pytest.mark.parametrize(
    "answer",
    [
        b"<|marker_x|>\nnew\n<|marker_1|>\nnew\n<|marker_2|>\n",
        b"<|marker_1|>\nnew\n<|marker_2|>\n<|marker_x|>",
        b"<|marker_1|>\nnew\n<|marker_2",
        b"<|marker_1|>\nnew\n<|marker_1|>\n",
        b"<|marker_2|>\nnew\n<|marker_1|>\n",
        b"<|marker_0|>\nnew\n<|marker_1|>\n",
    ],
)
def test_the_outer_tags_of_v0306_must_name_a_span(answer):
    with pytest.raises(MarkerError):
        apply_on_own_lines(OLD, answer)


def test_lines_put_in_at_a_marker_of_v0306_repeat_it_unless_the_answer_is_to_be_read():
    new = OLD.replace(b"line 8\n", b"new\nline 8\n")
    as_zed = encode_on_own_lines(OLD, new, None, b"")
    assert as_zed == b"<|marker_2|>\nnew\n<|marker_2|>\n"
    with pytest.raises(MarkerError):
        apply_on_own_lines(OLD, as_zed)
    assert apply_on_own_lines(OLD, encode_on_own_lines(OLD, new, None, b"", readable=True)) == new
