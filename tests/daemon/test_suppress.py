"""Predictions that the model made and nobody should see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.state import EditingState
from daemon.engine.messages import EngineAnswer
from daemon.prediction import Prediction, TextEdit, to_prediction
from daemon.settings import EAGERNESS, Settings
from daemon.suppress import GATES, REJECTIONS_REMEMBERED, Rejections, min_confidence, presentable, refusal

URI = "file:///x.py"
DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def after_typing(before, start, end, typed, wanted, *, confidence=1.0, predicted=False):
    """Inputs and prediction when ``typed`` replaced one row's columns and the model then makes ``wanted`` of it all."""
    state = EditingState(lambda: 0.0)
    document = state.open(URI, before, path="x.py", version=1)
    change = ContentChange(Range(Position(*start), Position(*end)), typed)
    if predicted:
        state.mark_accepted(URI, [change], version=1)
    state.change(URI, 2, [change])
    inputs = state.inputs(URI, Position(start[0], 0))
    answer = EngineAnswer(1, 0, len(inputs.excerpt_bytes), wanted, confidence=confidence)
    prediction = to_prediction(inputs, answer, URI, document, min_confidence=0.0)
    assert isinstance(prediction, Prediction)
    return inputs, prediction


def refusals(inputs, prediction):
    """What each eagerness says, the quietest first."""
    return [refusal(prediction, inputs, Settings(eagerness=eagerness)) for eagerness in EAGERNESS]


def refused_by(inputs, prediction):
    return [name for name, said in zip(EAGERNESS, refusals(inputs, prediction), strict=True) if said]


def test_each_eagerness_lets_through_what_the_quieter_one_does():
    quiet, normal, eager = (GATES[name] for name in EAGERNESS)
    assert quiet.min_confidence > normal.min_confidence > eager.min_confidence
    assert quiet.max_reversal_ratio < normal.max_reversal_ratio < eager.max_reversal_ratio
    assert (quiet.shows_white_space_alone, eager.shows_white_space_alone) == (False, True)


def test_the_documentation_names_the_limits_that_hold():
    text = DOCUMENTATION.read_text(encoding="utf-8")
    gates = [GATES[name] for name in EAGERNESS]
    rows = {
        "not shown below this confidence": [f"{gate.min_confidence:g}" for gate in gates],
        "not shown when more than this share": [f"{gate.max_reversal_ratio:g}" for gate in gates],
        "shown when it changes white space alone": ["yes" if gate.shows_white_space_alone else "no" for gate in gates],
    }
    for beginning, wanted in rows.items():
        [row] = re.findall(rf"^\| {beginning}.*$", text, re.MULTILINE)
        assert [cell.strip() for cell in row.strip("|").split("|")[1:]] == wanted


@given(st.floats(0, 1), st.sampled_from(EAGERNESS), st.floats(0, 1))
def test_a_prediction_below_the_stricter_limit_is_refused(limit, eagerness, confidence):
    inputs, prediction = after_typing("a\n\n", (1, 0), (1, 0), "b", "a\nbc\n", confidence=confidence)
    settings = Settings(min_confidence=limit, eagerness=eagerness)
    assert min_confidence(settings) == max(limit, GATES[eagerness].min_confidence)
    assert bool(refusal(prediction, inputs, settings)) is (confidence < min_confidence(settings))


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("if a:\nb()\n", "if a:\n    b()\n"),
        ("a = 1  \n", "a = 1\n"),
        ("a\n", "a\n\n\n"),
        ("f(a,  b)\n", "f(a, b)\n"),
    ],
)
def test_an_edit_of_white_space_alone_is_for_the_eager(before, wanted):
    inputs, prediction = after_typing("#\n" + before, (0, 0), (0, 0), "# ", "# #\n" + wanted)
    assert refused_by(inputs, prediction) == ["quiet", "normal"]
    assert "white space" in refusals(inputs, prediction)[0]


def test_an_edit_that_splits_a_word_is_not_white_space_alone():
    inputs, prediction = after_typing("#\nab\n", (0, 0), (0, 0), "# ", "# #\na, b\n")
    assert refused_by(inputs, prediction) == []


def test_other_parts_of_an_answer_that_change_white_space_alone_are_for_the_eager():
    filler = "".join(f"{row}\n" for row in range(5))
    document = Document(f"# \n{filler}a  b\n{filler}old\n")
    inputs, prediction = after_typing(
        "#\n" + document.text[3:], (0, 1), (0, 1), " ", f"# x\n{filler}a b\n{filler}new\n"
    )
    assert [edit.text for edit in prediction.rest] == ["", "new"]
    shown = [presentable(prediction, document, Settings(eagerness=eagerness)) for eagerness in EAGERNESS]
    assert [[edit.text for edit in found.rest] for found in shown] == [["new"], ["new"], ["", "new"]]
    assert refused_by(inputs, prediction) == []


@pytest.mark.parametrize(
    ("before", "start", "end", "typed", "wanted", "refused"),
    [
        # A line just typed is deleted; a line just deleted is put back.
        ("a = 1\n\n", (1, 0), (1, 0), "b = 2\n", "a = 1\n\n", ["quiet", "normal", "eager"]),
        ("a = 1\nb = 2\nc = 3\n", (1, 0), (2, 0), "", "a = 1\nb = 2\nc = 3\n", ["quiet", "normal", "eager"]),
        # A slip is corrected: half of what changes was just typed.
        ("\n", (0, 0), (0, 0), "pritn(x)", "print(x)\n", ["quiet"]),
        # What was typed goes on.
        ("\n", (0, 0), (0, 0), "pri", "print(x)\n", []),
        # A rename goes on elsewhere.
        ("old = 1\nuse(old)\n", (0, 0), (0, 3), "new", "new = 1\nuse(new)\n", []),
    ],
)
def test_what_takes_back_the_newest_edit_is_refused_by_how_much_it_takes_back(
    before, start, end, typed, wanted, refused
):
    inputs, prediction = after_typing(before, start, end, typed, wanted)
    assert refused_by(inputs, prediction) == refused
    assert all("takes back" in said for said in refusals(inputs, prediction) if said)


def test_what_was_accepted_may_be_taken_back():
    inputs, prediction = after_typing("a = 1\n\n", (1, 0), (1, 0), "b = 2\n", "a = 1\n\n", predicted=True)
    assert refused_by(inputs, prediction) == []


# What was rejected


def prediction_of(document, start, end, text):
    edit = TextEdit(Range(Position(*start), Position(*end)), text)
    return Prediction(URI, document.version, (edit,), (document.text_in(edit.range),))


def test_a_rejected_edit_is_held_back_until_the_text_there_changes():
    document, rejections = Document("a\nold\nb\n"), Rejections()
    rejections.remember(prediction_of(document, (1, 0), (1, 3), "new"), document)
    assert rejections.hold(prediction_of(document, (1, 0), (1, 3), "new"), document)
    assert not rejections.hold(prediction_of(document, (1, 0), (1, 3), "other"), document)
    document.change(None, [ContentChange(Range(Position(0, 0), Position(0, 0)), "above\nit\n")])
    assert rejections.hold(prediction_of(document, (3, 0), (3, 3), "new"), document)
    document.change(None, [ContentChange(Range(Position(3, 3), Position(3, 3)), "er")])
    assert not rejections.hold(prediction_of(document, (3, 0), (3, 3), "new"), document)
    document.change(None, [ContentChange(Range(Position(3, 3), Position(3, 5)), "")])
    assert not rejections.hold(prediction_of(document, (3, 0), (3, 3), "new"), document)  # it was worth another look


def test_the_same_edit_in_another_place_is_another_edit():
    document, rejections = Document("old\n\n\nold\n"), Rejections()
    rejections.remember(prediction_of(document, (0, 0), (0, 3), "new"), document)
    assert not rejections.hold(prediction_of(document, (3, 0), (3, 3), "new"), document)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_same_change_said_of_other_columns_or_of_the_next_row_is_the_same(line_end):
    document, rejections = Document(line_end.join(["x = old", "end", ""])), Rejections()
    rejections.remember(prediction_of(document, (0, 4), (0, 7), "new"), document)
    assert rejections.hold(prediction_of(document, (0, 0), (0, 7), "x = new"), document)
    rejections.remember(prediction_of(document, (1, 0), (1, 0), "y" + line_end), document)
    assert rejections.hold(prediction_of(document, (0, 7), (0, 7), line_end + "y"), document)


def test_only_so_many_rejections_are_remembered():
    document, rejections = Document("x\n"), Rejections()
    edits = [prediction_of(document, (0, 1), (0, 1), str(number)) for number in range(REJECTIONS_REMEMBERED + 1)]
    for edit in edits:
        rejections.remember(edit, document)
    assert [rejections.hold(edit, document) for edit in edits] == [False] + [True] * REJECTIONS_REMEMBERED
