"""What the engine's answers mean as samples, for formats that answer in rows of files."""

from __future__ import annotations

import pytest

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from daemon.engine.messages import ModelSettings, Sample, SampleAnswer, StopReason
from daemon.prompts.base import FileEdit, NoEditReason
from training_export.errors import ModelUnusable
from training_export.settling.samples import Drawing, Drawn, NotDrawn
from training_export.settling.student import ELSEWHERE, OUTDATED, drawn_from, opened_student

INPUTS = PredictionInputs("app/main.py", "a\nb\nc", 0, ExcerptRanges({}), excerpt_start_row=10)


def sample(stop=StopReason.STOP_MARKER, **found):
    return Sample("", stop, -1.0, 3, **found)


def rows(start, end, old, new, path="app/main.py"):
    return FileEdit(path, Span(start, end), old, new)


def texts(*samples):
    found = drawn_from(INPUTS, SampleAnswer(1, samples, 0, 5), 60)
    assert isinstance(found, Drawn)
    assert found.region == Span(0, 5)
    return [(one.text, one.withheld) for one in found.samples]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ((rows(11, 12, "b\n", "B\n"),), "a\nB\nc"),
        ((rows(10, 10, "", "new\n"),), "new\na\nb\nc"),
        ((rows(11, 12, "b\n", ""), rows(12, 13, "c", "x\ny")), "a\nx\ny"),
        ((rows(12, 13, "c", "C"), rows(10, 11, "a\n", "\n")), "\nb\nC"),
    ],
)
def test_rows_rewritten_are_a_new_text_of_the_excerpt(edits, expected):
    assert texts(sample(file_edits=edits)) == [(expected, "")]


def test_edits_elsewhere_and_edits_of_what_does_not_stand_there_are_withheld():
    found = texts(
        sample(file_edits=(rows(11, 12, "b\n", "B\n", path="app/other.py"),)),
        sample(file_edits=(rows(9, 10, "z\n", "Z\n"),)),
        sample(file_edits=(rows(11, 12, "q\n", "B\n"),)),
        sample(reason=NoEditReason.SAID_SO.value),
    )
    assert found == [(None, ELSEWHERE), (None, ELSEWHERE), (None, OUTDATED), (None, "")]


def test_an_answer_that_is_not_taken_is_no_edit_and_says_why():
    found = texts(
        sample(new_region_text="a\nB\nc"),
        sample(reason=NoEditReason.MALFORMED.value),
        sample(StopReason.ANSWER_BUDGET, reason="the answer grew longer than its budget"),
        sample(reason=NoEditReason.UNCHANGED.value),
    )
    assert [text for text, _ in found] == ["a\nB\nc", None, None, None]
    assert [bool(withheld) for _, withheld in found] == [False, True, True, False]


def test_without_a_prompt_there_are_no_samples():
    assert drawn_from(INPUTS, SampleAnswer(1, reason="too long"), 60) == NotDrawn("no samples: too long")


def test_a_model_that_cannot_be_loaded_ends_the_run(tmp_path):
    path = tmp_path / "none.gguf"
    path.write_bytes(b"GGUF, but not really")
    with pytest.raises(ModelUnusable, match=r"none\.gguf"), opened_student(ModelSettings(str(path)), Drawing(), 5, 0):
        pass
