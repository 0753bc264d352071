"""A change that is only supposed: seen as if it were made, and gone without a trace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Bias, Document
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.state import EditingState

URI = "file:///w/a.py"
TEXT = st.text("ab \n\r\t\u00e9\U0001f600", max_size=30)
POSITION = st.builds(Position, st.integers(0, 6), st.integers(0, 8))
CHANGE = st.builds(ContentChange, st.builds(lambda *ends: Range(*sorted(ends)), POSITION, POSITION), TEXT)


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def state_after(changes, text):
    state = EditingState(Clock())
    state.open(URI, text, path="a.py", language_id="python")
    for version, change in enumerate(changes, start=1):
        state.change(URI, version, [change])
    return state


@given(TEXT, st.lists(CHANGE, max_size=4), CHANGE)
def test_what_is_seen_is_what_the_change_would_make_of_it(text, changes, supposed):
    state = state_after(changes, text)
    with state.supposing(URI, supposed) as behind:
        seen = None if behind is None else state.inputs(URI, behind)
    made = state_after(changes, text)
    [*edits] = made.change(URI, len(changes) + 1, [supposed])
    if seen is None:
        assert not edits
        return
    document = made.document(URI)
    [edit] = edits
    assert behind == document.position_at(edit.start_bytes + edit.new_bytes)
    assert seen == made.inputs(URI, behind)


@given(TEXT, st.lists(CHANGE, max_size=4), CHANGE, st.lists(CHANGE, max_size=3))
def test_nothing_of_it_stays(text, changes, supposed, further):
    """Also not in what later changes lead to."""
    state, untouched = state_after(changes, text), state_after(changes, text)
    with state.supposing(URI, supposed) as behind:
        if behind is not None:
            state.inputs(URI, behind)
    for version, change in enumerate([None, *further], start=len(changes)):
        if change is not None:
            state.change(URI, version + 1, [change])
            untouched.change(URI, version + 1, [change])
        assert state.document(URI).text == untouched.document(URI).text
        assert state.document(URI).version == untouched.document(URI).version
        end = state.document(URI).end
        assert state.inputs(URI, end) == untouched.inputs(URI, end)


@given(TEXT, st.lists(st.tuples(POSITION, st.sampled_from(Bias)), max_size=5), CHANGE)
def test_anchors_are_where_they_were(text, places, supposed):
    document = Document(text)
    anchors = [document.anchor(position, bias) for position, bias in places]
    before = [anchor.offset_bytes for anchor in anchors]
    with document.supposing(supposed):
        pass
    assert [anchor.offset_bytes for anchor in anchors] == before


def test_it_is_gone_even_where_using_it_fails():
    state = state_after([], "one\n")
    with (
        pytest.raises(ZeroDivisionError),
        state.supposing(URI, ContentChange(Range(Position(0, 3), Position(0, 3)), "s")),
    ):
        1 / 0  # noqa: B018  it only has to fail
    assert state.document(URI).text == "one\n"
    assert state.events == ()
