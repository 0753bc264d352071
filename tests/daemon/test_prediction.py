"""From the engine's answer to one edit of the document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position
from capture.editing.state import EditingState
from daemon.engine.messages import EngineAnswer, StopReason
from daemon.prediction import Nothing, Prediction, as_ghost_text, to_prediction

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
