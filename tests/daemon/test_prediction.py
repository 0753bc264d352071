"""From the engine's answer to one edit of the document."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.histogram import changes
from capture.editing.positions import ContentChange, Position
from capture.editing.state import EditingState
from capture.inputs import Span
from daemon.engine.messages import EngineAnswer, StopReason
from daemon.prediction import Nothing, Prediction, Source, as_ghost_text, to_prediction
from daemon.prompts.base import FileEdit

URI = "file:///x.py"
LINE_ENDS = ("\n", "\r\n", "\r")

lines = st.lists(st.text(alphabet="ab \t(é\U0001f600\f\x85\u2028", max_size=5), min_size=1, max_size=7)


START = Position(0, 0)


def predict(text, wanted, cursor=START, *, region=None, min_confidence=0.0, **answer):
    """The prediction when the model makes ``wanted`` (lines ending in \\n) of the whole text or of its ``region``."""
    state = EditingState(lambda: 0.0)
    document = state.open(URI, text, path="x.py", version=3)
    inputs = state.inputs(URI, cursor)
    start, end = region or (0, len(inputs.excerpt_bytes))
    answered = EngineAnswer(1, start, end, wanted, **answer)
    return document, to_prediction(inputs, answered, URI, document, min_confidence=min_confidence)


def applied(document, prediction):
    """The document's text with the prediction applied, positions being inside the text as it is."""
    result = Document(document.text)
    for edit in prediction.edits:
        for place in (edit.range.start, edit.range.end):
            assert document.clamp(place) == place
        result.apply(ContentChange(edit.range, edit.text))
    return result.text


@given(lines, lines, st.sampled_from(LINE_ENDS), st.integers(0, 8))
def test_applying_the_edits_one_after_the_other_makes_the_predicted_text(before, after, line_end, row):
    text = line_end.join(before)
    for _ in range(20):  # each edit is near the cursor; what is far comes with the next prediction
        document, prediction = predict(text, "\n".join(after), Position(min(row, len(before) - 1), 0))
        if isinstance(prediction, Nothing):
            break
        assert prediction.version == 3
        assert prediction.replaced == tuple(document.text_in(edit.range) for edit in prediction.edits)
        changed = applied(document, prediction)
        assert changed != text
        text = changed
    document = Document(text)
    assert [document.line(row) for row in range(document.row_count)] == after


@given(lines, lines, st.sampled_from(LINE_ENDS), st.data())
def test_ghost_text_changes_the_document_exactly_as_the_prediction_does(before, after, line_end, data):
    row = data.draw(st.integers(0, len(before) - 1))
    column = data.draw(st.integers(0, len(before[row].encode("utf-16-le")) // 2))
    text = line_end.join(before)
    document, prediction = predict(text, "\n".join(after), Position(row, column))
    if isinstance(prediction, Nothing):
        return
    cursor = document.clamp(Position(row, column))
    ghost = as_ghost_text(prediction, cursor, document.line(row), document.line_ending)
    if ghost is None:
        return
    [edit] = ghost.edits
    assert applied(document, ghost) == applied(document, prediction)
    assert edit.range.start <= cursor <= edit.range.end
    assert edit.range.start.line == edit.range.end.line == cursor.line
    before_cursor = document.text_in(type(edit.range)(edit.range.start, cursor))
    assert edit.text.startswith(before_cursor)


@pytest.mark.parametrize(
    ("before", "after", "edit"),
    [
        ("a\nb\nc\n", "a\nc\n", ((1, 0), (2, 0), "")),  # a line in the middle goes
        ("a\nb\n", "a\n", ((0, 1), (1, 1), "")),  # the last one, without naming the line after it
        ("a\nb", "a", ((0, 1), (1, 1), "")),
        ("a\n", "a\nb\n", ((0, 1), (0, 1), "\nb")),
        ("a\r\n", "a\nb\n", ((0, 1), (0, 1), "\r\nb")),
        ("x = old\n", "x = new\n", ((0, 4), (0, 7), "new")),
        ("\U0001f600 old", "\U0001f600 new", ((0, 3), (0, 6), "new")),
    ],
)
def test_edits_are_as_small_as_a_person_would_make_them(before, after, edit):
    _, prediction = predict(before, after)
    [found] = prediction.edits
    start, end = found.range.start, found.range.end
    assert ((start.line, start.character_utf16), (end.line, end.character_utf16), found.text) == edit


def test_unchanged_lines_between_changes_keep_their_own_line_ends():
    document, prediction = predict("old\nx\r\ny old\r", "new\nx\ny new\n")
    assert applied(document, prediction) == "new\nx\r\ny new\r"


def test_what_else_the_answer_changes_is_kept_from_the_top_down():
    filler = "".join(f"{row}\n" for row in range(5))
    text = filler.join(["old\n"] * 4)
    document, prediction = predict(text, text.replace("old", "new"), Position(12, 0))
    assert [edit.range.start.line for edit in (*prediction.edits, *prediction.rest)] == [12, 0, 6, 18]
    assert prediction.source is Source.MODEL
    result = Document(document.text)
    for edit in (*prediction.edits, *prediction.rest):
        result.apply(ContentChange(edit.range, edit.text))
    assert result.text == text.replace("old", "new")


def test_among_blank_lines_nothing_is_moved_about():
    text = "old\n\nold\n" + "\n" * 20 + "old\n"
    document, prediction = predict(text, text.replace("old", "new"))
    assert applied(document, prediction) == "new\n\nnew\n" + "\n" * 20 + "old\n"


@pytest.mark.parametrize(
    ("wanted", "answer", "reason"),
    [
        (None, {"reason": "the model predicts no edit"}, "the model predicts no edit"),
        ("a b", {}, "equals the current text"),
        ("a c", {"stop": StopReason.ANSWER_BUDGET}, "end marker"),
        ("a c", {"stop": StopReason.ABORTED}, "end marker"),
        ("a c", {"confidence": 0.4, "min_confidence": 0.5}, "min_confidence"),
        ("a c", {"region": (0, 99)}, "outside"),
        ("a c", {"region": (3, 1)}, "outside"),
        ("a c", {"region": (-1, 2)}, "outside"),
        ("a <|im_end|>", {}, "control tokens"),
        ("", {"stop": StopReason.CONTEXT_FULL}, "end marker"),
    ],
)
def test_what_must_not_be_shown_is_nothing_with_a_reason(wanted, answer, reason):
    _, found = predict("a b", wanted, **answer)
    assert isinstance(found, Nothing)
    assert reason in found.reason


def test_a_region_that_cuts_a_character_is_refused():
    _, found = predict("é", "x", region=(1, 2))
    assert isinstance(found, Nothing)


def test_text_that_holds_a_control_token_already_may_keep_it():
    document, prediction = predict('end = "<|im_end|>"  # old\n', 'end = "<|im_end|>"  # new\n')
    assert isinstance(prediction, Prediction)
    assert applied(document, prediction).endswith("# new\n")


def predict_edits(text, edits, cursor=START, **answer):
    """The prediction when the model answers with edits of rows of files."""
    state = EditingState(lambda: 0.0)
    document = state.open(URI, text, path="x.py", version=3)
    answered = EngineAnswer(1, file_edits=tuple(edits), **answer)
    found = to_prediction(state.inputs(URI, cursor), answered, URI, document, min_confidence=0.5)
    return document, found


def in_x(first, end, old_text, new_text):
    return FileEdit("x.py", Span(first, end), old_text, new_text)


def row_edits(before, after):
    """The edits of whole rows between two texts, as a format says them."""
    old, new = ([line + "\n" for line in text] for text in (before, after))
    return [
        in_x(c.old_start, c.old_end, "".join(old[c.old_start : c.old_end]), "".join(new[c.new_start : c.new_end]))
        for c in changes(old, new)
    ]


@given(lines, lines, st.sampled_from(LINE_ENDS), st.booleans(), st.integers(0, 8))
def test_edits_of_rows_one_after_the_other_make_the_predicted_text(before, after, line_end, closed, row):
    """With a last row that a line end closes and without one."""
    text = line_end.join([*before, ""] if closed else before)
    for _ in range(20):
        document = Document(text)
        rows = [document.line(number) for number in range(document.row_count - closed)]
        document, prediction = predict_edits(text, row_edits(rows, after), Position(min(row, len(rows) - 1), 0))
        if isinstance(prediction, Nothing):
            break
        assert prediction.replaced == tuple(document.text_in(edit.range) for edit in prediction.edits)
        changed = applied(document, prediction)
        assert changed != text
        text = changed
    document = Document(text)
    assert [document.line(number) for number in range(document.row_count)] == ([*after, ""] if closed else after)


def test_the_edit_nearest_to_the_cursor_is_shown_however_far_it_is():
    text = "".join(f"row_{row} = {row}\n" for row in range(9000))  # more than any excerpt holds
    edits = [in_x(row, row + 1, f"row_{row} = {row}\n", "new\n") for row in (10, 8000)]
    for cursor, row in ((0, 10), (8999, 8000), (10, 10)):
        _, prediction = predict_edits(text, edits, Position(cursor, 0))
        assert [edit.range.start.line for edit in prediction.edits] == [row]


def test_an_edit_of_text_that_has_changed_is_passed_over():
    stale, held = in_x(0, 1, "old\n", "x\n"), in_x(2, 3, "c\n", "y\n")
    document, prediction = predict_edits("a\nb\nc\nd\n", [stale, held])
    assert applied(document, prediction) == "a\nb\ny\nd\n"
    for edit in (stale, in_x(3, 9, "d\n", "x\n"), in_x(-1, 0, "", "x\n"), in_x(1, 1, "b\n", "x\n")):
        _, found = predict_edits("a\nb\nc\nd\n", [edit])
        assert isinstance(found, Nothing)
        assert "does not stand in the document" in found.reason


def test_edits_of_other_files_alone_are_named_and_not_shown():
    there = FileEdit("src/y.py", Span(0, 1), "a\n", "b\n")
    _, found = predict_edits("a\n", [there])
    assert found == Nothing("the model predicts an edit in another file; this surface cannot show it")
    document, prediction = predict_edits("a\n", [there, in_x(0, 1, "a\n", "c\n")])
    assert applied(document, prediction) == "c\n"


@pytest.mark.parametrize(
    ("edit", "answer", "reason"),
    [
        (in_x(0, 1, "a\n", "a\n"), {}, "equals the current text"),
        (in_x(0, 1, "a\n", "<|im_end|>\n"), {}, "control tokens"),
        (in_x(0, 1, "a\n", "b\n"), {"confidence": 0.4}, "min_confidence"),
        (in_x(0, 1, "a\n", "b\n"), {"stop": StopReason.DEADLINE}, "end marker"),
    ],
)
def test_edits_of_rows_pass_the_same_gates(edit, answer, reason):
    _, found = predict_edits("a\nb\n", [edit], **answer)
    assert isinstance(found, Nothing)
    assert reason in found.reason


def test_edits_of_rows_reach_the_hub_as_they_left_the_worker():
    answer = EngineAnswer(7, file_edits=(in_x(3, 4, "old\n", "größe\n"), in_x(9, 9, "", "new\n")))
    assert EngineAnswer.from_json(json.loads(json.dumps(answer.to_json()))) == answer
