"""Answers between markers: written for a new region, they give it back when they are read."""

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.prompts.zed.marker_spans import apply_numbered, encode_numbered
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
