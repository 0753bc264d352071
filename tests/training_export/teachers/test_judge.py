"""The judge: what it is asked, how its verdict is read whatever stands around it, where it goes."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs
from training_export.example import Example
from training_export.example_format.records import Verdict
from training_export.stage import stage_key, with_findings
from training_export.stages.judge import Judge
from training_export.teachers.api import Ending, NotAnswered, NotAnsweredReason, Reply
from training_export.teachers.judge_prompt import VerdictUnreadable, read_verdict
from training_export.teachers.prompt import NotAskable
from training_export.teachers.settings import TeacherSettings

HISTORY = "--- a/cart.py\n+++ b/cart.py\n@@ -1,1 +1,1 @@\n-a = 1\n+a = 2\n"
PATCH = "--- a/cart.py\n+++ b/cart.py\n@@ -1,2 +1,2 @@\n a = 2\n-b = 1\n+b = 2<|user_cursor|>\n"
GOOD = '{"reasoning": "It goes on.", "reverts_edits": false, "confidence": 4}'


class Scripted:
    """A teacher that gives the answers it was made with, in order, and keeps what it was asked."""

    name = "teacher:scripted"

    def __init__(self, *replies):
        self._replies = list(replies)
        self.requests = []

    def answer(self, request):
        self.requests.append(request)
        reply = self._replies[len(self.requests) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Reply) else Reply(reply, input_tokens=10, output_tokens=2, dollars=0.25)


def example(*patches, **fields):
    inputs = PredictionInputs("cart.py", "a = 2\nb = 1", 5, ExcerptRanges({}))
    predictions = [
        {
            "actual_output": "",
            "provider": "teacher:x",
            **({"error": "no"} if patch is None else {"actual_patch": patch}),
        }
        for patch in patches
    ]
    return Example.new(
        name="moment",
        cursor_path="cart.py",
        cursor_position="a = 2<|user_cursor|>\nb = 1",
        edit_history=HISTORY,
        prompt_inputs=inputs.to_json(),
        predictions=predictions,
        **fields,
    )


def judge(**settings):
    return Judge(TeacherSettings("openai", "gpt-5.2"), **settings)


def judged(stage, held, teacher):
    found = stage.findings(held, teacher)
    return with_findings(stage, held, stage_key(stage, held), found), found


def test_the_judge_sees_the_edits_and_the_suggestion_word_by_word():
    teacher = Scripted(GOOD)
    judged(judge(), example(PATCH), teacher)
    (request,) = teacher.requests
    (message,) = request.messages
    assert message.role == "user"
    assert "@@ -1,1 +1,1 @@\na = [-1-]{+2+}" in message.text
    assert "a = 2\nb = [-1-]{+2+}\n`````" in message.text
    assert "a = 2<|user_cursor|>\nb = 1\n<|editable_region_end|>" in message.text
    assert "{{" not in message.text
    assert request.max_tokens == 4096
    assert judge().requests(example(PATCH)) == (request,)


def test_a_verdict_stands_beside_the_prediction_it_is_about():
    result, found = judged(judge(), example(PATCH, PATCH), Scripted(GOOD))
    assert result.qa == (Verdict("It goes on.", False, 4), None)
    assert found.tallies == {
        "judged": 1, "confidence 4": 1, "answers asked": 1, "input tokens": 10, "output tokens": 2, "dollars": 0.25,
    }  # fmt: skip


def test_all_are_judged_where_that_is_asked_for_but_those_without_an_edit():
    teacher = Scripted('{"confidence": 1, "reverts_edits": true}', GOOD)
    result, found = judged(judge(judges_all=True), example(PATCH, "", None, PATCH), teacher)
    assert [verdict and verdict.confidence for verdict in result.qa] == [1, None, None, 4]
    assert found.tallies["judged to undo edits"] == 1


@pytest.mark.parametrize("patches", [(), ("",), (None,)])
def test_nothing_is_asked_where_there_is_no_edit_to_judge(patches):
    result, found = judged(judge(), example(*patches), Scripted())
    assert not found.failure
    assert found.tallies == {"without a prediction to judge": 1}
    assert result.qa == ()
    assert judge().requests(example(*patches)) == ()


def test_an_answer_that_is_no_verdict_is_kept_with_the_reason():
    result, found = judged(judge(), example(PATCH), Scripted("I like it."))
    assert result.qa[0].response == "I like it."
    assert "no JSON object" in result.qa[0].error
    assert found.tallies["verdicts unreadable"] == 1
    assert not found.failure


def test_a_refusal_is_recorded_with_what_came_of_it():
    result, _ = judged(judge(), example(PATCH), Scripted(Reply("{", Ending.TRUNCATED, output_tokens=7)))
    assert "cut off" in result.qa[0].error
    assert result.qa[0].confidence is None


def test_a_judge_that_does_not_answer_is_asked_again_another_time():
    silent = NotAnswered(NotAnsweredReason.TIMED_OUT, "no answer in 600 seconds")
    result, found = judged(judge(judges_all=True), example(PATCH, PATCH), Scripted(GOOD, silent))
    assert not found.is_final
    assert "600 seconds" in found.failure
    assert result.qa == ()
    assert found.tallies["dollars"] == 0.25  # what was paid is counted


def test_earlier_verdicts_of_predictions_that_are_not_judged_stay():
    earlier = [{"confidence": 2}, {"confidence": 5, "mine": "kept"}]
    result, _ = judged(judge(), example(PATCH, PATCH, qa=earlier), Scripted(GOOD))
    assert result.value["qa"] == [json.loads(GOOD), {"confidence": 5, "mine": "kept"}]


def test_an_example_nobody_can_be_asked_about_says_why():
    bare = example(PATCH).with_fields(prompt_inputs=None)
    _, found = judged(judge(), bare, Scripted())
    assert "no prompt_inputs" in found.failure
    with pytest.raises(NotAskable):
        judge().requests(bare)


def test_the_stage_is_a_value_whose_key_follows_what_shapes_verdicts():
    stage = judge()
    held = example(PATCH)
    assert pickle.loads(pickle.dumps(stage)) == stage
    cheaper = Judge(TeacherSettings("openai", "gpt-5.2", budget_dollars=1.0))
    assert stage_key(stage, held) == stage_key(cheaper, held)
    for other in (
        judge(judges_all=True), judge(max_tokens=9), Judge(TeacherSettings("anthropic", "claude-sonnet-4-6")),
    ):  # fmt: skip
        assert stage_key(stage, held) != stage_key(other, held)
    assert stage_key(stage, held) != stage_key(stage, example("", PATCH))


VERDICT = Verdict("why", True, 2)


@pytest.mark.parametrize(
    "text",
    [
        '{"reasoning": "why", "reverts_edits": true, "confidence": 2}',
        'Here it is:\n```json\n{"reasoning": "why",\n "reverts_edits": true, "confidence": 2}\n```\nI hope it helps {.',
        '{"reasoning": "why", "reverts_edits": "Yes", "confidence": "2/5"}',
        '{"confidence": 2.0, "reverts_edits": "true", "reasoning": "why", "more": [1, {"confidence": 9}]}',
        (
            'The form {"reasoning": ...} asks for\n{"confidence": 5, "reverts_edits": false}\n'
            'but on reflection {"reasoning": "why", "reverts_edits": true, "confidence": " 2 "}'
        ),
        '{"reasoning": "why", "reverts_edits": true, "confidence": 2} {"unrelated": 1}',
    ],
)
def test_a_verdict_is_found_whatever_stands_around_it(text):
    assert read_verdict(text) == VERDICT


def test_half_a_verdict_is_one():
    assert read_verdict('{"confidence": 3}') == Verdict(confidence=3)
    assert read_verdict('{"reverts_edits": false, "reasoning": 7}') == Verdict(reverts_edits=False)
    assert read_verdict('{"confidence": 3, "reasoning": "a\nb"}').reasoning == "a\nb"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "[4]",
        '{"reasoning": "why"}',
        '{"reverts_edits": null, "confidence": null}',
        '{"confidence": 6}',
        '{"confidence": 0}',
        '{"confidence": true}',
        '{"confidence": 3.5}',
        '{"confidence": NaN}',
        '{"confidence": "²"}',
        '{"confidence": "high"}',
        '{"reverts_edits": "perhaps"}',
        '{"confidence": 4',
        "{" * 100_000,
        '{"a":' * 10_000,
    ],
)
def test_what_is_no_verdict_is_refused(text):
    with pytest.raises(VerdictUnreadable):
        read_verdict(text)


def test_reasoning_that_utf_8_cannot_hold_is_made_to_fit():
    verdict = read_verdict(r'{"confidence": 3, "reasoning": "half a \ud83d pair"}')
    assert verdict.reasoning == "half a ? pair"


@given(st.text(st.sampled_from('{}[]":,. \\nu12confidencereverts_edits')))
def test_whatever_a_judge_says_is_a_verdict_or_refused(text):
    try:
        verdict = read_verdict('{"confidence": 1, ' + text)
    except VerdictUnreadable:
        return
    assert verdict.confidence in {None, 1, 2, 3, 4, 5}
