"""Which answers are right, which the daemon would show, and what the rule would say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capture.inputs import Span
from daemon.engine.messages import Origin
from training_export.student.evaluation.answers import Answer, Said
from training_export.student.evaluation.cases import Case, NoCase
from training_export.student.evaluation.judging import HeldBack, judged


@pytest.fixture
def followed(moments):
    """A rename to be followed, which the rule does right."""
    return moments[0]


@pytest.fixture
def defeating(moments):
    """A rename to be followed, where the rule goes too far."""
    return moments[1]


@pytest.fixture
def done(moments):
    """A rename that is done."""
    return moments[2]


def test_right_is_the_whole_region_as_it_became(make_judged, followed) -> None:
    right = make_judged(followed, followed.expected)
    assert right.alone.is_right
    assert right.alone.is_shown(0.9)
    assert not right.alone.is_shown(0.91)
    assert right.alone.is_right_when(0.9)
    assert not right.alone.is_right_when(0.91), "what is held back is no edit, and an edit was wanted"
    nearly = make_judged(followed, followed.expected + "\n")
    assert not nearly.alone.is_right
    assert nearly.alone.is_edit


def test_no_edit_is_right_only_where_none_was_wanted(make_judged, followed, done) -> None:
    assert not make_judged(followed, None).alone.is_right
    quiet = make_judged(done, None)
    assert quiet.wants_quiet
    assert quiet.alone.is_right
    loud = make_judged(done, done.current.replace("rate", "share"), confidence=0.4)
    assert not loud.alone.is_right
    assert loud.alone.is_right_when(0.5), "held back, nothing is shown, as it should be"


def test_the_rule_is_right_where_nothing_else_has_the_name(make_judged, followed, defeating, done) -> None:
    assert make_judged(followed, None).rule_is_right
    assert not make_judged(defeating, None).rule_is_right
    assert make_judged(done, None).rule_is_right, "there is no place left for it"


def test_what_the_ranking_chose_is_judged_apart(make_judged, followed) -> None:
    found = make_judged(followed, None, ranked=(followed.expected, 0.6, Origin.RULE))
    assert not found.alone.is_right
    assert found.ranked is not None
    assert found.ranked.is_right
    assert found.ranked.origin is Origin.RULE
    assert found.default is found.ranked
    assert make_judged(followed, None).default.is_right is False


def test_taking_back_what_was_typed_is_a_revert(make_judged, followed) -> None:
    before = followed.texts[followed.path]
    found = make_judged(followed, before).alone
    assert found.is_revert
    assert not found.is_shown(0.0), "the daemon would not show it"
    assert not make_judged(followed, followed.expected).alone.is_revert


def test_white_space_alone_is_never_shown_and_no_revert(make_judged, followed) -> None:
    found = make_judged(followed, followed.current.replace("rate = 0.2", "rate  =  0.2")).alone
    assert found.held_back is HeldBack.WHITE_SPACE
    assert not found.is_revert
    assert not found.is_shown_if_sure


def test_control_tokens_are_never_shown(make_judged, followed) -> None:
    found = make_judged(followed, followed.current.replace("0.2", "<|endoftext|>")).alone
    assert found.held_back is HeldBack.UNFIT


def test_only_what_is_asked_in_the_region_counts(followed) -> None:
    case = Case.of(followed.example(seed=1))
    text = case.inputs.excerpt_bytes
    edge = text.index(b"    return")
    above, below = Span(0, edge - 1), Span(edge, len(text))
    assert judged(case, _answer(above, None)).alone.is_right, "all that is left to do lies below"
    wanted = followed.expected.encode()[edge:].decode()
    found = judged(case, _answer(below, wanted))
    assert found.alone.is_right
    assert not found.wants_quiet
    assert found.rule_is_right


def _answer(region: Span, text: str | None) -> Answer:
    return Answer(region, Said(text, 0.9), None, "", 0.01, 1, 1)


def test_an_example_without_a_wanted_edit_is_no_case(followed) -> None:
    example = followed.example(seed=1)
    with pytest.raises(NoCase, match="no expected patch"):
        Case.of(example.with_fields(expected_patches=[]))
    with pytest.raises(NoCase, match="no prompt_inputs"):
        Case.of(example.with_fields(prompt_inputs=None))


def test_a_settled_example_belongs_to_no_task_and_has_the_language_of_its_file(followed) -> None:
    example = followed.example(seed=1)
    case = Case.of(example.with_fields(foretype={}))
    assert (case.task, case.language) == ("other", "python")
    assert case.key == Case.of(example).key, "the same moment, whatever is said of it"
    other = replace(case, patches=("",))
    assert other.key != case.key
