"""Fewer lines around the cursor show the same moment and the same edit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from training_export.patches import NotSayable, patch_of_region, patched_excerpt
from training_export.student.training.windows import narrowed

LINES = st.lists(st.sampled_from(["a = 1", "b = größe", "", "    return a", "x"]), min_size=1, max_size=30)


def inputs_of(text: str, cursor: int) -> PredictionInputs:
    whole = Span(0, len(text.encode()))
    offset = len(text[:cursor].encode())
    ranges = ExcerptRanges({"editable_350": whole})
    return PredictionInputs("a.py", text, offset, ranges, excerpt_start_row=40, syntax_ranges=())


@given(LINES, LINES, LINES, LINES, st.integers(1, 12), st.data())
def test_the_edit_in_the_window_is_the_edit_in_the_whole(above, old, new, below, line_count, data):
    text, expected = "\n".join([*above, *old, *below, ""]), "\n".join([*above, *new, *below, ""])
    inputs = inputs_of(text, data.draw(st.integers(0, len(text))))
    whole = Span(0, len(text.encode()))
    try:
        patch = patch_of_region(inputs, whole, NewRegion(expected))
    except NotSayable:
        return
    window = narrowed(inputs, patch, None, line_count)
    if window is None:
        changed = len(old) if old != new else 0
        assert changed + len(above) + len(below) + 1 > line_count, "what is that short fits in"
        return
    shown = window.inputs.cursor_excerpt
    assert len(shown.split("\n")) <= line_count
    top = window.inputs.excerpt_start_row - 40
    before = "".join(f"{line}\n" for line in text.split("\n")[:top])
    assert text.startswith(before + shown)
    after = text[len(before + shown) :]
    assert before + patched_excerpt(window.inputs, window.patch) + after == expected
    assert len(before.encode()) + window.inputs.cursor_offset_in_excerpt == inputs.cursor_offset_in_excerpt


def test_a_worse_edit_outside_the_window_is_left_out_and_one_inside_kept():
    lines = [f"line {number}" for number in range(20)]
    text = "\n".join(lines)
    inputs = inputs_of(text, text.index("line 10"))
    whole = Span(0, len(text))

    def changed(number):
        return patch_of_region(inputs, whole, NewRegion(text.replace(f"line {number}\n", "other\n")))

    near = narrowed(inputs, changed(10), changed(11), 5)
    assert near.rejected_patch is not None
    assert "other" in patched_excerpt(near.inputs, near.rejected_patch)
    assert narrowed(inputs, changed(10), changed(18), 5).rejected_patch is None
    assert narrowed(inputs, changed(18), None, 5) is None, "cursor and edit are farther apart"
