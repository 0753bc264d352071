"""A session's documents and history become the inputs of a prediction, and its edits come back."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capture.editing.excerpt import PRECOMPUTED_BUDGETS, cursor_excerpt, editable_and_context_ranges
from capture.editing.line_diff import TextEdit
from capture.editing.positions import ContentChange, Position, Range, split_rows
from capture.editing.state import EditingState
from capture.inputs import Span

URI = "file:///w/a.py"


def at(row, start, end, text, last_row=None):
    return ContentChange(Range(Position(row, start), Position(row if last_row is None else last_row, end)), text)


def opened(text, **how):
    state = EditingState(clock=lambda: 0.0)
    state.open(URI, text, path="w/a.py", **how)
    return state


def test_inputs_hold_the_excerpt_the_cursor_and_the_history():
    state = opened("def f(x):\r\n    return x\r\n", language_id="python")
    state.change(URI, 1, [at(0, 6, 7, "\U0001f600y")])
    inputs = state.inputs(URI, Position(1, 4))
    assert inputs.cursor_path == "w/a.py"
    assert inputs.cursor_excerpt == "def f(\U0001f600y):\n    return x\n"
    assert inputs.excerpt_bytes[inputs.cursor_offset_in_excerpt :] == b"return x\n"
    assert inputs.excerpt_start_row == 0
    assert [event.diff for event in inputs.events] == [
        "@@ -1,2 +1,2 @@\n-def f(x):\n+def f(\U0001f600y):\n     return x\n"
    ]


def test_the_excerpt_of_a_large_file_is_a_window_around_the_cursor():
    state = opened("".join(f"value_{row} = {row}\n" for row in range(20_000)))
    inputs = state.inputs(URI, Position(12_345, 3))
    assert inputs.excerpt_bytes[inputs.cursor_offset_in_excerpt - 3 :].startswith(b"value_12345 = 12345\n")
    lines = inputs.cursor_excerpt.split("\n")
    assert lines[0] == f"value_{inputs.excerpt_start_row} = {inputs.excerpt_start_row}"
    assert sum(max(1, len(line) // 3) for line in lines) <= 8192


ROWS = st.lists(
    st.tuples(
        st.text("a \U0001f600\u00e9", max_size=6) | st.integers(0, 9000).map(lambda length: length * "y"),
        st.sampled_from(("\n", "\n", "\r\n", "\r")),
    ),
    max_size=12,
)


@given(ROWS, st.sampled_from(("", "last row")), st.integers(0, 12), st.integers(0, 7))
def test_the_excerpt_is_made_of_the_lines_whatever_ends_them(rows, last, row, column):
    lines, text = [*(line for line, _ in rows), last], "".join(map("".join, rows)) + last
    assume(len(split_rows(text)) == len(lines))  # "\r" and "\n" of two rows may make one terminator
    row = min(row, len(lines) - 1)
    inputs = opened(text).inputs(URI, Position(row, column))
    span, text = cursor_excerpt(lines, row)
    assert (inputs.excerpt_start_row, inputs.cursor_excerpt) == (span.start, text)
    before_cursor = inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].decode().split("\n")
    assert before_cursor[:-1] == lines[span.start : row]
    assert lines[row].startswith(before_cursor[-1])


@given(ROWS, st.integers(0, 12), st.sampled_from(("python", "")))
def test_every_precomputed_range_is_the_one_its_budget_gives_by_itself(rows, row, language_id):
    inputs = opened("".join(f"{line}\n" for line, _ in rows), language_id=language_id).inputs(URI, Position(row, 2))
    for key, (editable_tokens, context_tokens) in PRECOMPUTED_BUDGETS.items():
        editable, context = editable_and_context_ranges(
            inputs.cursor_excerpt,
            inputs.cursor_offset_in_excerpt,
            inputs.syntax_ranges or (),
            editable_tokens,
            context_tokens or 0,
        )
        assert inputs.excerpt_ranges[key] == (editable if context_tokens is None else context)


def test_a_change_made_in_the_excerpt_lands_in_the_document_with_its_own_line_ends():
    state = opened("one\r\ntwo\U0001f600x\r\nthree\r\n")
    inputs = state.inputs(URI, Position(1, 0))
    start = inputs.cursor_excerpt.encode().index(b"x")
    (change,) = state.to_document(URI, inputs, [TextEdit(Span(start, start + 1), "y\nz")])
    assert change == at(1, 5, 6, "y\r\nz")
    state.change(URI, 1, [change])
    assert state.document(URI).text == "one\r\ntwo\U0001f600y\r\nz\r\nthree\r\n"


@pytest.mark.parametrize("told", ["before the change", "after the change"])
@pytest.mark.parametrize(
    "sent",
    [
        [at(1, 0, 3, "result")],
        [at(1, 0, 3, "res"), at(1, 3, 3, "ult")],
        [ContentChange(None, "a\nresult\nc\n")],
    ],
)
def test_an_accepted_prediction_is_recognised_by_what_it_does_to_the_text(told, sent):
    state = opened("a\nold\nc\n", version=1)
    state.change(URI, 2, [at(0, 1, 1, "!"), at(0, 1, 2, "")])
    accepted = [at(1, 0, 3, "result")]
    if told == "before the change":
        assert state.mark_accepted(URI, accepted, version=2)
    state.change(URI, 3, sent)
    if told == "after the change":
        assert state.mark_accepted(URI, accepted, version=2)
    assert [(event.predicted, "+result" in event.diff) for event in state.events] == [(True, True)]


def test_another_change_than_the_accepted_one_is_the_users_own():
    state = opened("a\nold\nc\n", version=1)
    state.mark_accepted(URI, [at(1, 0, 3, "result")], version=1)
    state.change(URI, 2, [at(1, 0, 3, "other")])
    state.change(URI, 3, [at(1, 0, 5, "result")])
    assert [event.predicted for event in state.events] == [False]
    assert not state.mark_accepted(URI, [at(1, 0, 3, "result")], version=1)


def test_typing_after_an_accepted_prediction_is_not_predicted():
    state = opened("a\nold\nc\n", version=1)
    state.mark_accepted(URI, [at(1, 0, 3, "result")], version=1)
    state.change(URI, 2, [at(1, 0, 3, "result")])
    state.change(URI, 3, [at(1, 6, 6, "s")])
    assert [event.predicted for event in state.events] == [True, False]


def test_a_file_opened_late_starts_from_the_text_it_has_then():
    state = opened("typed before\n")
    assert state.events == ()
    state.change(URI, 1, [at(0, 0, 5, "seen")])
    assert "-typed before\n+seen before" in state.events[0].diff


def test_events_outlive_a_closed_file_and_a_reopened_one_starts_afresh():
    state = opened("a\n")
    state.change(URI, 1, [at(0, 0, 0, "x")])
    state.close(URI)
    assert len(state.events) == 1
    state.open(URI, "b\n", path="w/a.py", version=0)
    state.change(URI, 1, [at(0, 0, 0, "y")])
    assert ["+xa" in event.diff for event in state.events] == [True, False]
    assert state.document("file:///unknown") is None
