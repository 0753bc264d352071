"""Where a region of an excerpt lies in its document, also when the document has gone on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Bias, Document
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.state import EditingState
from capture.inputs import ExcerptRanges, PredictionInputs, Span
from capture.settling.followed_region import FollowedRegion, locate, offered_edit, text_of, whole_rows

URI = "file:///w/a.py"
TEXT = st.lists(st.sampled_from([*"ab \u00e9\U0001f600", "\n", "\r\n"]), max_size=20).map("".join)
PLACE = st.builds(Position, st.integers(0, 6), st.integers(0, 5))
CHANGE = st.builds(ContentChange, st.builds(Range, PLACE, PLACE), TEXT)


def session(text):
    state = EditingState(clock=lambda: 0.0)
    return state, state.open(URI, text, path="a.py")


def rows_of(inputs, first, last):
    """The bytes of the excerpt's rows ``first`` to ``last``, without the last one's end."""
    lines = inputs.cursor_excerpt.split("\n")
    start = sum(len(line.encode()) + 1 for line in lines[:first])
    return Span(start, start + len("\n".join(lines[first : last + 1]).encode()))


@given(TEXT, PLACE, st.integers(0, 8), st.integers(0, 3))
def test_a_region_of_the_excerpt_is_the_same_text_in_the_document(text, cursor, first, more):
    state, document = session(text)
    inputs = state.inputs(URI, cursor)
    first = min(first, inputs.cursor_excerpt.count("\n"))
    region = rows_of(inputs, first, first + more)
    where = locate(document, inputs, region)
    assert text_of(document, where) == inputs.excerpt_bytes[region.start : region.end].decode()


@given(TEXT, PLACE, PLACE, st.lists(CHANGE, max_size=5))
def test_it_follows_as_the_documents_own_anchors_do(text, start, end, changes):
    document = Document(text)
    start, end = sorted((document.clamp(start), document.clamp(end)))
    anchors = document.anchor(start, Bias.LEFT), document.anchor(end, Bias.RIGHT)
    region = FollowedRegion(Span(*(anchor.offset_bytes for anchor in anchors)))
    for change in changes:
        before = region.text_in(document)
        edit = document.apply(change)
        touched = edit is not None and region.follow(edit)
        assert region.where == Span(*(anchor.offset_bytes for anchor in anchors))
        assert touched or region.text_in(document) == before


ROWS = "".join(f"row {row}\n" for row in range(9))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (((3, 5), (3, 5), "!"), "row 3!\nrow 4"),
        (((3, 0), (4, 5), ""), ""),
        (((0, 0), (0, 0), "above\n"), "row 3\nrow 4"),
        (((7, 0), (8, 0), ""), "row 3\nrow 4"),
        (((2, 0), (3, 2), "x"), None),
        (((2, 0), (6, 0), ""), None),
    ],
)
def test_it_is_found_after_a_change_that_lies_inside_it_or_outside(change, found):
    state, document = session(ROWS)
    inputs = state.inputs(URI, Position(3, 0))
    start, end, text = change
    state.change(URI, 1, [ContentChange(Range(Position(*start), Position(*end)), text)])
    where = locate(document, inputs, rows_of(inputs, 3, 4), text_then=ROWS)
    assert (None if where is None else text_of(document, where)) == found


def test_two_changes_far_apart_around_it_are_no_place_to_find_it():
    state, document = session(ROWS)
    inputs = state.inputs(URI, Position(3, 0))
    for version, row in enumerate((0, 8), start=1):
        state.change(URI, version, [ContentChange(Range(Position(row, 0), Position(row, 0)), "x")])
    assert locate(document, inputs, rows_of(inputs, 3, 4), text_then=ROWS) is None


def test_inputs_of_another_text_have_no_place():
    state, _ = session(ROWS)
    inputs = state.inputs(URI, Position(3, 0))
    assert locate(Document("something else"), inputs, rows_of(inputs, 3, 4)) is None


@pytest.mark.parametrize("region", [Span(-1, 3), Span(3, 2), Span(0, 99), Span(1, 2)])
def test_bounds_that_are_none_have_no_place(region):
    state, document = session("\u00e9\u00e9")
    assert locate(document, state.inputs(URI, Position(0, 0)), region) is None


@pytest.mark.parametrize(
    ("marked", "new_text", "widened", "new_widened"),
    [
        ("a\nb[]c\nd", "x", "a\n[bc]\nd", "bxc"),
        ("a\nb[]c\nd", None, "a\n[bc]\nd", None),
        ("a\n[]\nd", "x", "a\n[]\nd", "x"),
        ("[a\nb]\nd", "x", "[a\nb]\nd", "x"),
        ("[a\n]b\nd", "x\n", "[a\n]b\nd", "x\n"),
        ("a[]", "(", "[a]", "a("),
        ("\u00e9[]\u00e9", "x", "[\u00e9\u00e9]", "\u00e9x\u00e9"),
    ],
)
def test_a_cursor_is_widened_to_its_row(marked, new_text, widened, new_widened):
    def parsed(text):
        before, _, rest = text.partition("[")
        inside, _, after = rest.partition("]")
        start = len(before.encode())
        return before + inside + after, Span(start, start + len(inside.encode()))

    excerpt, region = parsed(marked)
    inputs = PredictionInputs("a.py", excerpt, 0, ExcerptRanges({}), excerpt_start_row=0)
    assert whole_rows(inputs, region, new_text) == (parsed(widened)[1], new_widened)


@given(TEXT, PLACE, PLACE, PLACE)
def test_an_edit_of_the_document_is_one_of_the_excerpt(text, cursor, start, end):
    state, document = session(text)
    inputs = state.inputs(URI, cursor)
    start, end = sorted((document.clamp(start), document.clamp(end)))
    where = Range(start, end)
    edit = offered_edit(inputs, where, document.text_in(where), "new\r\n")
    assert inputs.excerpt_bytes[edit.start_bytes : edit.end_bytes].decode() == edit.text_before
    assert edit.text_after == "new\n"


def test_an_edit_outside_of_the_excerpt_is_none_of_it():
    inputs = PredictionInputs("a.py", "a\nb", 0, ExcerptRanges({}), excerpt_start_row=5)
    for first, last in ((4, 5), (6, 7), (0, 0)):
        assert offered_edit(inputs, Range(Position(first, 0), Position(last, 0)), "", "x") is None
