"""What becomes of a prediction when the text changes: the same outcome for the person, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.state import EditingState, inputs_after
from daemon.engine.messages import Counters, EngineAnswer
from daemon.prediction import Nothing, Prediction, Source, TextEdit, to_prediction
from daemon.reuse import ROWS_KEPT, FrozenText, carried, may_still_hold, repeats_typing, typed_into

URI = "file:///x.py"
TOP = Position(0, 0)
LINE_ENDS = ("\n", "\r\n", "\r")

# Rows that are often alike, and rows that are not.
lines = st.lists(st.sampled_from("a"), min_size=1, max_size=12) | st.lists(
    st.sampled_from(["", "a", "b"]) | st.text(alphabet="ab \t(é)\U0001f600", max_size=5), min_size=1, max_size=12
)
typed_texts = st.text(alphabet="ab(é\U0001f600\r\n", max_size=4) | st.sampled_from(["a\n", "a\na\n", "\n"])


def predict(text, wanted, cursor=TOP):
    """A document and the prediction when the model makes ``wanted`` (lines ending in \\n) of its whole text."""
    state = EditingState(lambda: 0.0)
    document = state.open(URI, text, path="x.py", version=3)
    inputs = state.inputs(URI, cursor)
    answer = EngineAnswer(
        1, 0, len(inputs.excerpt_bytes), wanted, confidence=0.8, seconds=0.5, counters=Counters(prompt_tokens=9)
    )
    return document, to_prediction(inputs, answer, URI, document, min_confidence=0.0)


def change(document, start, end, text):
    document.change(None, [ContentChange(Range(start, end), text)])


def accept(text, *edits):
    """``text`` with edits made whose ranges all count in it."""
    document = Document(text)
    for edit in sorted(edits, key=lambda edit: edit.range.start, reverse=True):
        for place in (edit.range.start, edit.range.end):
            assert document.clamp(place) == place
        document.apply(ContentChange(edit.range, edit.text))
    return document.text


def predicted(before, after, line_end, row):
    """A drawn document, its frozen text and its prediction."""
    document, prediction = predict(line_end.join(before), "\n".join(after), Position(min(row, len(before) - 1), 0))
    assume(isinstance(prediction, Prediction))
    return document, FrozenText.of(document), prediction


def check_form(found, original, document):
    """What holds for whatever is reused: it is about the text of now and costs nothing."""
    prediction = found.prediction
    assert prediction.version == document.version
    assert prediction.replaced == tuple(document.text_in(edit.range) for edit in prediction.edits)
    assert prediction.edits[0].text != prediction.replaced[0]
    assert (prediction.counters, prediction.seconds) == (Counters(), 0.0)
    assert prediction.confidence == original.confidence
    assert (prediction.id == original.id) is (prediction.source is not Source.REST)
    if found.cursor is not None:
        assert document.clamp(found.cursor) == found.cursor


@given(lines, lines, lines, lines, st.sampled_from(LINE_ENDS), st.integers(0, 36), st.data())
def test_after_any_edit_accepting_leads_where_the_prediction_and_the_edit_lead_or_nothing_is_reused(
    above, before, after, below, line_end, row, data
):
    document, then, prediction = predicted([*above, *before, *below], [*above, *after, *below], line_end, row)
    text_then = document.text
    start, end = sorted(data.draw(st.integers(0, document.length_bytes)) for _ in range(2))
    user = Range(document.position_at(start), document.position_at(end))
    [edit] = prediction.edits
    if data.draw(st.booleans()):
        user = data.draw(st.sampled_from([edit.range, Range(edit.range.start, edit.range.start)]))
    typed = data.draw(typed_texts | st.sampled_from([edit.text, edit.text[:1], edit.text[:-1], edit.text + "b"]))
    change(document, user.start, user.end, typed)
    found = carried(prediction, then, FrozenText.of(document), TOP)
    if found is None or found.prediction is None:
        return
    event(found.prediction.source)
    check_form(found, prediction, document)
    [edit], [original] = found.prediction.edits, prediction.edits
    outcome = accept(document.text, edit)
    match found.prediction.source:
        case Source.UNCHANGED:
            assert (document.text, edit) == (text_then, original)
        case Source.TYPED_INTO:
            assert outcome == accept(text_then, original)
        case Source.REST:
            assert document.text == accept(text_then, original)
            assert outcome in [accept(text_then, original, other) for other in prediction.rest]
        case Source.MOVED:
            assert user.end < original.range.start or original.range.end < user.start
            assert outcome == accept(text_then, original, TextEdit(user, typed))


@given(lines, lines, st.sampled_from(LINE_ENDS), st.integers(0, 12), st.data())
def test_typing_into_a_prediction_in_steps_always_leads_to_the_predicted_text(before, after, line_end, row, data):
    document, then, prediction = predicted(before, after, line_end, row)
    goal = accept(document.text, prediction.edits[0])
    first = prediction
    for _ in range(4):
        [edit] = prediction.edits
        boundaries = [index for index in range(1, len(edit.text)) if edit.text[index - 1 : index + 1] != "\r\n"]
        if not boundaries:
            break
        length = data.draw(st.sampled_from(boundaries))
        over = data.draw(st.booleans())  # as after selecting what is to be replaced, or in front of it
        change(document, edit.range.start, edit.range.end if over else edit.range.start, edit.text[:length])
        now = FrozenText.of(document)
        found = carried(prediction, then, now, edit.range.start)
        assume(found is not None and found.prediction is not None)  # what was replaced may look like what was typed
        assert found.prediction.source is Source.TYPED_INTO
        check_form(found, first, document)
        assert accept(document.text, *found.prediction.edits) == goal
        prediction, then = found.prediction, now


@given(lines, lines, st.sampled_from(LINE_ENDS), st.integers(0, 12))
def test_taking_a_prediction_part_by_part_makes_all_that_the_model_wanted(before, after, line_end, row):
    document, then, prediction = predicted(before, after, line_end, row)
    while prediction is not None:
        [edit] = prediction.edits
        change(document, edit.range.start, edit.range.end, edit.text)
        now = FrozenText.of(document)
        found = carried(prediction, then, now, TOP)
        assert found is not None
        if found.prediction is not None:
            assert found.prediction.source is Source.REST
            check_form(found, prediction, document)
        prediction, then = found.prediction, now
    assert [document.line(number) for number in range(document.row_count)] == after


@given(lines, st.integers(0, 12), typed_texts)
def test_a_text_frozen_and_edited_is_the_text_edited(before, row, typed):
    document = Document("\r\n".join(before))
    row = min(row, document.row_count - 1)
    edit = TextEdit(Range(Position(0, 0), Position(row, 0)), typed)
    after, applied = FrozenText.of(document).edited(edit, 0)
    assume(not (typed.endswith("\r") and document.line(row) == ""))  # would join a line end that stays
    change(document, edit.range.start, edit.range.end, typed)
    assert "".join(after.all_rows) == document.text
    assert applied.row_delta == document.row_count - len(before)


def after_typing(text, wanted, start, end, typed, *, cursor=TOP):
    """The outcome when ``typed`` takes the place of one row's columns ``start`` to ``end``."""
    document, prediction = predict(text, wanted, cursor)
    then = FrozenText.of(document)
    change(document, Position(*start), Position(*end), typed)
    return carried(prediction, then, FrozenText.of(document), cursor)


@pytest.mark.parametrize(
    ("start", "end", "typed", "left"),
    [
        ((0, 4), (0, 4), "fo", ((0, 6), (0, 6), "o(a, b)")),
        ((0, 4), (0, 4), "foo()", ((0, 8), (0, 8), "a, b")),  # the editor closed the bracket
        ((0, 4), (0, 4), "foo(a, b", ((0, 12), (0, 12), ")")),
    ],
)
def test_typing_the_beginning_leaves_the_rest(start, end, typed, left):
    found = after_typing("x = \n", "x = foo(a, b)\n", start, end, typed)
    [edit] = found.prediction.edits
    places = (edit.range.start, edit.range.end)
    assert (*((place.line, place.character_utf16) for place in places), edit.text) == left
    assert found.cursor == edit.range.start


def test_the_old_word_may_be_gone_or_stand_behind_what_was_typed():
    for end, replaced in ((7, ""), (5, "ld"), (4, "old")):
        found = after_typing("x = old_name\n", "x = new_name\n", (0, 4), (0, end), "n")
        assert (found.prediction.edits[0].text, found.prediction.replaced) == ("ew", (replaced,))


@pytest.mark.parametrize(
    ("start", "end", "typed"),
    [
        ((0, 4), (0, 4), "g"),  # something else
        ((0, 4), (0, 4), "fox"),  # goes wrong on the way
        ((0, 4), (0, 4), "foo()]"),  # closes more than the prediction does
        ((0, 0), (0, 1), "y"),  # in the same row
        ((1, 0), (1, 0), "y"),  # too near
        ((0, 3), (0, 4), ""),  # what stays is taken away
        ((0, 0), (6, 0), ""),  # everything is taken away
    ],
)
def test_whatever_else_is_typed_near_a_prediction_ends_it(start, end, typed):
    assert after_typing("x = \n\n\n\n\nend\n", "x = foo(a, b)\n\n\n\n\nend\n", start, end, typed) is None


def test_lines_that_the_prediction_keeps_are_not_put_back_after_they_were_deleted():
    text, wanted = "old_a\nkept\nold_b\n", "new_a\nkept\nnew_b\n"
    assert after_typing(text, wanted, (0, 0), (2, 0), "n") is None
    assert after_typing(text, wanted, (0, 0), (0, 0), "n") is not None


def test_the_whole_prediction_typed_leaves_nothing_and_is_not_void():
    found = after_typing("x = \n", "x = 1\n", (0, 4), (0, 4), "1")
    assert (found.prediction, found.cursor) == (None, None)


@pytest.mark.parametrize("rows_between", range(5))
def test_a_change_elsewhere_moves_a_prediction_unless_it_is_near(rows_between):
    text = "".join(f"{row}\n" for row in range(10)) + "old\n"
    place = (10 - rows_between, 0)
    found = after_typing(text, text.replace("old", "new"), place, place, "more\n", cursor=Position(10, 0))
    if rows_between < ROWS_KEPT:
        assert found is None
    else:
        assert found.prediction.edits[0].range.start == Position(11, 0)
        assert found.cursor == Position(11, 0)


def test_a_prediction_among_rows_that_are_alike_is_void_when_their_number_changes():
    text, wanted = "a\n" * 20, "a\n" * 10 + "b\n" + "a\n" * 9
    for row in (0, 19):
        assert after_typing(text, wanted, (row, 0), (row, 0), "a\n", cursor=Position(10, 0)) is None
        assert after_typing(text, wanted, (row, 0), (row, 1), "c", cursor=Position(10, 0)) is not None
    near_the_top = "a\nb\n" + "a\n" * 18
    for row in (0, 10):  # the row that is predicted about may be gone
        assert after_typing(text, near_the_top, (row, 0), (row + 2, 0), "") is None


def test_a_character_deleted_beside_the_prediction_is_not_taken_for_the_one_on_its_other_side():
    for column in range(4):
        assert after_typing("aaaa\n", "aabaa\n", (0, column), (0, column + 1), "") is None


def test_a_prediction_moves_while_the_person_types_at_a_cursor_that_is_not_the_same_any_more():
    text = "x = \n" + "\n" * 9 + "old\n"
    found = after_typing(text, text.replace("old", "new"), (0, 4), (0, 4), "1", cursor=Position(0, 4))
    assert found.prediction.source is Source.MOVED
    assert found.cursor is None


def test_the_same_text_again_brings_the_same_prediction_again():
    document, prediction = predict("x = \n", "x = foo\n", Position(0, 4))
    then = FrozenText.of(document)
    change(document, Position(0, 4), Position(0, 4), "g")
    assert carried(prediction, then, FrozenText.of(document), Position(0, 4)) is None
    change(document, Position(0, 4), Position(0, 5), "")
    found = carried(prediction, then, FrozenText.of(document), Position(0, 4))
    assert (found.prediction.edits, found.cursor) == (prediction.edits, Position(0, 4))
    assert found.prediction.source is Source.UNCHANGED


@pytest.mark.parametrize(
    ("now", "replaced", "predicted", "typed"),
    [
        ("", "", "new", None),
        ("n", "", "new", 1),
        ("new", "old", "new", 3),
        ("nold", "old", "new", 1),
        ("nd", "old", "new", 1),
        ("ol", "old", "new", None),
        ("no", "old", "new", None),
        ("f()", "", "f(a)", 2),
        ("f())", "", "f(a)", None),
        ("f(b)", "", "f(a)", None),
    ],
)
def test_what_was_typed_of_a_prediction(now, replaced, predicted, typed):
    assert typed_into(now, replaced, predicted) == typed


@pytest.mark.parametrize(
    ("start", "end", "typed", "holds"),
    [
        ((5, 3), (5, 3), "x", True),  # at the cursor
        ((5, 3), (5, 3), "x\n    y", True),
        ((0, 0), (0, 0), "import x\n", True),  # far from it
        ((5, 2), (5, 3), "", False),  # a character deleted
        ((5, 0), (5, 0), "x", False),  # elsewhere in the row
        ((4, 0), (4, 0), "x", False),  # close to it
    ],
)
def test_an_answer_to_come_may_still_hold_when_text_is_typed_at_the_cursor_or_far_from_it(start, end, typed, holds):
    document = Document("row\n" * 9)
    then = FrozenText.of(document)
    change(document, Position(*start), Position(*end), typed)
    assert may_still_hold(then, FrozenText.of(document), Position(5, 3)) is holds


@given(lines, lines, st.integers(0, 12), st.integers(0, 11))
def test_the_inputs_of_an_edit_that_nobody_made_are_those_of_the_edit_made(before, after, row, typed_row):
    state = EditingState(lambda: 0.0)
    document = state.open(URI, "\n".join(before), path="x.py", version=1, language_id="python")
    typed_at = Position(min(typed_row, len(before) - 1), 0)
    state.change(URI, 2, [ContentChange(Range(typed_at, typed_at), "b")])
    cursor = Position(min(row, len(before) - 1), 0)
    inputs = state.inputs(URI, cursor)
    answer = EngineAnswer(1, 0, len(inputs.excerpt_bytes), "\n".join(after))
    prediction = to_prediction(inputs, answer, URI, document, min_confidence=0.0)
    assume(not isinstance(prediction, Nothing))
    [edit] = prediction.edits
    text_before, events_before = document.text, state.events
    text, applied = FrozenText.of(document).edited(edit, document.offset_bytes(edit.range.start))
    supposed = inputs_after(inputs, applied, text, edit.range.start, language_id="python")
    assert (document.text, state.events, document.version) == (text_before, events_before, 2)
    accepted = [ContentChange(edit.range, edit.text)]
    state.mark_accepted(URI, accepted, version=2)
    state.change(URI, 3, accepted)
    assert supposed == state.inputs(URI, edit.range.start)


@pytest.mark.parametrize(
    ("before", "cursor", "after", "made_from_it"),
    [
        ("def f(t):\n\n\n\n    return toks\n", Position(0, 7), "def f(t):\n\n\n\n    return t\n", True),
        ("def f(to):\n\n\n\n    return toks\n", Position(0, 8), "def f(to):\n\n\n\n    return to\n", True),
        ("größe = 1\n\n\n\nprint(old)\n", Position(0, 3), "größe = 1\n\n\n\nprint(größe)\n", True),
        ("def f(t):\n\n\n\n    return toks\n", Position(0, 7), "def f(t):\n\n\n\n    return None\n", False),
        ("def f():\n\n\n\n    return t, t\n", Position(0, 8), "def f():\n\n\n\n    return t, u\n", False),
        ("x = t\n\n\n\nt = t + 1\n", Position(0, 5), "x = t\n\n\n\nt = t + 2\n", False),
    ],
)
def test_an_edit_that_writes_the_word_at_the_cursor_elsewhere_was_made_from_it(before, cursor, after, made_from_it):
    document, prediction = predict(before, after, cursor)
    assert repeats_typing(prediction, FrozenText.of(document), cursor) is made_from_it
