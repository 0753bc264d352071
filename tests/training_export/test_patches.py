"""A region and its patch are the same edit: no byte is lost on the way there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from training_export.patches import NotSayable, RegionLeft, patch_of_region, patched_excerpt, region_after

LINES = st.lists(
    st.sampled_from(["", "a", "b = ä", "    return x", "@@ -1 +1 @@", "-- x", "++ y", "é\u2028"]), max_size=6
)


def moment(text, cursor=0):
    return PredictionInputs("shop/cart.py", text, cursor, ExcerptRanges({}))


def of_lines(lines):
    return "".join(f"{line}\n" for line in lines)


@given(before=LINES, old=LINES, after=LINES, new=LINES)
def test_a_new_region_of_whole_lines_comes_back_from_its_patch(before, old, after, new):
    before, old, after, new = map(of_lines, (before, old, after, new))
    inputs = moment(before + old + after)
    region = Span(len(before.encode()), len((before + old).encode()))
    try:
        patch = patch_of_region(inputs, region, NewRegion(new))
    except NotSayable:
        assert any(f"\n{sign}{sign} " in f"\n{old}\n{new}" for sign in "+-")  # content that reads as a file header
        return
    assert bool(patch) == (old != new)
    assert patched_excerpt(inputs, patch) == before + new + after
    assert region_after(inputs, region, patch).text == new


def test_the_cursor_comes_back_in_bytes_of_the_region():
    inputs = moment("ä\nold\nend\n")
    new = NewRegion("éé\nnew\n", len("éé\nn".encode()))
    assert region_after(inputs, Span(3, 7), patch_of_region(inputs, Span(3, 7), new)) == new


def test_a_last_line_without_its_newline_is_replaced():
    inputs = moment("a\nb")
    patch = patch_of_region(inputs, Span(2, 3), NewRegion("c"))
    assert patched_excerpt(inputs, patch) == "a\nc"


def test_what_leaves_the_region_is_refused():
    inputs = moment("a\nb\nc\n")
    patch = patch_of_region(inputs, Span(0, 4), NewRegion("A\nB\n"))
    with pytest.raises(RegionLeft):
        region_after(inputs, Span(2, 4), patch)
