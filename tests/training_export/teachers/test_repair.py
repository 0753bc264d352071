"""Repair: which predictions are doubted and why, what their teacher is told, and what its second answer comes to."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from capture.metrics.prediction_score import PredictionScore
from daemon.prompts.base import NewRegion
from training_export.example import Example
from training_export.patches import patch_of_region
from training_export.stage import stage_key, with_findings
from training_export.stages.repair import Repair
from training_export.teachers.answer import write_answer
from training_export.teachers.api import Ending, NotAnswered, NotAnsweredReason, Reply
from training_export.teachers.faults import Fault, Thresholds, doubts_of
from training_export.teachers.prompt import NotAskable, PromptSettings, moment_of, teacher_prompt
from training_export.teachers.settings import TeacherSettings

# The user has just renamed `items` to `rows` in the first line of the region; the last line is outside it.
EXCERPT = "def total(rows):\n    return sum(items)\n\nprint(total([]))"
REGION = Span(0, EXCERPT.index("\n\nprint"))
EVENT = EditEvent(
    "cart.py", "cart.py", "@@ -1,2 +1,2 @@\n-def total(items):\n+def total(rows):\n     return sum(items)\n"
)
INPUTS = PredictionInputs("cart.py", EXCERPT, 14, ExcerptRanges({}), excerpt_start_row=0, events=(EVENT,))

FINISHES = "def total(rows):\n    return sum(rows)"
UNDOES = "def total(items):\n    return sum(items)"
BLOATED = FINISHES + "\n" + "\n".join(f"    print('line {number} of many')" for number in range(20))


def patch_of(new):
    return patch_of_region(INPUTS, REGION, NewRegion(new))


OUTSIDE = "--- a/cart.py\n+++ b/cart.py\n@@ -4,1 +4,1 @@\n-print(total([]))\n+print(total([1]))\n"
ELSEWHERE = "--- a/cart.py\n+++ b/cart.py\n@@ -1,1 +1,1 @@\n-not there\n+not here\n"


def prediction(patch, **fields):
    return {"actual_output": "", "provider": "teacher:sonnet46", "actual_patch": patch, **fields}


def example(*predictions, **fields):
    return Example.new(
        name="moment",
        cursor_path="cart.py",
        cursor_position=EXCERPT.replace("rows", "rows<|user_cursor|>", 1),
        prompt_inputs=INPUTS.to_json(),
        foretype={"region": REGION.to_json()},
        predictions=[prediction(one) if isinstance(one, str) else one for one in predictions],
        **fields,
    )


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
        return reply if isinstance(reply, Reply) else Reply(reply)


def repair(**settings):
    return Repair(TeacherSettings("anthropic", "claude-sonnet-4-6"), **settings)


def repaired(stage, held, *replies):
    """The example after the stage, its tallies, and the teacher."""
    teacher = Scripted(*replies)
    found = stage.findings(held, teacher)
    assert not found.failure
    assert len(teacher.requests) == len(replies)
    return with_findings(stage, held, stage_key(stage, held), found), found.tallies, teacher


def triggers(patch, score=None, verdict=None, **thresholds):
    held = example(patch, **({} if verdict is None else {"qa": [verdict]}))
    moment = moment_of(held, PromptSettings())
    verdicts = held.qa or (None,)
    return doubts_of(moment, patch, score, verdicts[0], Thresholds(**thresholds)).triggers


@pytest.mark.parametrize(
    ("patch", "faults"),
    [
        (patch_of(FINISHES), ()),
        (patch_of(UNDOES), (Fault.UNDOES,)),
        (OUTSIDE, (Fault.LEAVES_REGION,)),
        (ELSEWHERE, (Fault.NOT_APPLICABLE,)),
        (patch_of("x = 1"), ()),
        (patch_of(BLOATED), ()),
    ],
    ids=["finishes", "undoes", "outside", "not applicable", "replaces", "bloated"],
)
def test_what_is_wrong_is_measured_where_nobody_has_judged(patch, faults):
    assert triggers(patch) == faults


def test_thresholds_decide():
    assert triggers(patch_of(UNDOES), reversal=1.0) == ()
    assert triggers(patch_of(BLOATED), proportion_counts=True) == (Fault.OUT_OF_PROPORTION,)
    roomy = {"proportion_counts": True, "changed_tokens": 1000}
    assert triggers(patch_of(BLOATED), **roomy) == (Fault.OUT_OF_PROPORTION,)
    assert triggers(patch_of(BLOATED), **roomy, false_lines=50) == ()
    assert triggers(patch_of(BLOATED), **roomy, discarded_bytes=5000) == ()


def test_a_score_that_is_there_is_used():
    assert triggers(patch_of(FINISHES), PredictionScore(reversal_ratio=0.95)) == (Fault.UNDOES,)
    assert triggers(patch_of(FINISHES), PredictionScore(reversal_ratio=0.9)) == ()
    assert triggers(patch_of(UNDOES), PredictionScore(wrong_editable_region=True)) == (Fault.MISPLACED,)


@pytest.mark.parametrize(
    ("verdict", "faults"),
    [
        ({"confidence": 2, "reverts_edits": False}, (Fault.DOUBTED,)),
        ({"confidence": 5, "reverts_edits": True}, (Fault.REVERTS,)),
        ({"confidence": 1, "reverts_edits": True}, (Fault.REVERTS, Fault.DOUBTED)),
        ({"confidence": 3, "reverts_edits": False}, ()),
        ({"error": "no verdict"}, (Fault.UNDOES,)),
    ],
)
def test_a_verdict_stands_in_for_the_measures(verdict, faults):
    assert triggers(patch_of(UNDOES), verdict=verdict) == faults


def test_a_verdict_does_not_excuse_an_edit_outside_the_region():
    assert triggers(OUTSIDE, verdict={"confidence": 5, "reverts_edits": False}) == (Fault.LEAVES_REGION,)


def test_an_edit_far_away_leaves_nothing_where_all_code_may_change():
    moment = moment_of(example(OUTSIDE), PromptSettings(jumps=True))
    assert doubts_of(moment, OUTSIDE, None, None, Thresholds()).triggers == ()


def test_the_teacher_sees_its_question_its_answer_and_what_was_found():
    raw = write_answer(NewRegion(UNDOES), "I think so.")
    held = example(
        prediction(patch_of(UNDOES), actual_output=raw), qa=[{"reasoning": "Takes it back.", "confidence": 1}]
    )
    _, _, teacher = repaired(repair(), held, "KEEP_PREVIOUS")
    (request,) = teacher.requests
    first, second, third = request.messages
    assert [message.role for message in request.messages] == ["user", "assistant", "user"]
    assert first.text == teacher_prompt(held, PromptSettings())
    assert second.text == raw
    assert "(1 on a scale of 1 to 5). The reviewer says: Takes it back.\n" in third.text
    assert "def total([-rows-]{+items+}):" in third.text
    assert "It brings in 1 tokens and takes away 1.\n" in third.text
    assert "{{" not in third.text
    assert repair().requests(held) == (request,)


def test_a_large_answer_is_told_so():
    verdict = {"confidence": 1, "reverts_edits": False}
    _, _, teacher = repaired(repair(), example(patch_of(BLOATED), qa=[verdict]), "NO_EDITS")
    assert "That is a lot for one step of editing." in teacher.requests[0].messages[2].text
    assert "It is large for what the edits give ground for" in teacher.requests[0].messages[2].text


@pytest.mark.parametrize(
    ("patch", "shown"),
    [(patch_of(UNDOES), write_answer(NewRegion(UNDOES))), (OUTSIDE, f"`````diff\n{OUTSIDE}`````\n")],
    ids=["in the region", "outside"],
)
def test_an_answer_in_another_form_is_shown_in_one_the_teacher_knows(patch, shown):
    held = example(prediction(patch, actual_output="<|marker_1|>...", provider="zeta2:V0318SeedMultiRegions"))
    _, _, teacher = repaired(repair(), held, "NO_EDITS")
    assert teacher.requests[0].messages[1].text.endswith(shown)


@pytest.mark.parametrize(
    ("reply", "patch", "outcome"),
    [
        ("It was right.\n\n`````\nKEEP_PREVIOUS\n`````", patch_of(UNDOES), "kept"),
        (write_answer(NewRegion(UNDOES)), patch_of(UNDOES), "kept"),
        (write_answer(NewRegion(FINISHES), "Right."), patch_of(FINISHES), "changed"),
        (write_answer(None, "Right."), "", "withdrawn"),
    ],
    ids=["kept", "said again", "changed", "withdrawn"],
)
def test_the_second_answer_is_appended_and_the_first_left_alone(reply, patch, outcome):
    held = example(patch_of(UNDOES))
    result, tallies, _ = repaired(repair(), held, reply)
    first, second = result.predictions
    assert first == held.predictions[0]
    assert (second.provider, second.actual_output, second.actual_patch) == ("repair", reply, patch)
    assert tallies[outcome] == 1
    assert tallies["flagged"] == 1
    assert tallies["flagged: undoes the newest edit"] == 1


def test_what_was_kept_keeps_its_cursor():
    cursor = {"path": "cart.py", "row": 0, "column": 1, "offset": 1, "editable_region_offset": 1}
    result, _, _ = repaired(repair(), example(prediction(patch_of(UNDOES), actual_cursor=cursor)), "KEEP_PREVIOUS")
    assert result.value["predictions"][1]["actual_cursor"] == cursor


def test_a_change_that_is_no_better_is_counted():
    result, tallies, _ = repaired(repair(), example(OUTSIDE), write_answer(NewRegion(UNDOES)))
    assert result.predictions[1].actual_patch == patch_of(UNDOES)
    assert tallies["changed and still doubtful"] == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I am sorry.", "neither"),
        (Reply("", Ending.REFUSED, "policy"), "refused: policy"),
        (Reply("`````\n", Ending.TRUNCATED), "cut off"),
        (write_answer(NewRegion("KEEP_PREVIOUS # really\nx = 1")), "KEEP_PREVIOUS"),
    ],
)
def test_a_second_answer_that_cannot_be_used_is_recorded_without_a_patch(reply, reason):
    result, tallies, _ = repaired(repair(), example(patch_of(UNDOES)), reply)
    assert result.predictions[1].actual_patch is None
    assert reason in result.predictions[1].error
    assert tallies["unreadable"] == 1


def test_an_example_that_is_not_flagged_is_not_touched_and_nobody_is_asked():
    held = example(patch_of(FINISHES), qa=[{"confidence": 4}], score=[{"delta_chr_f": 1.0}])
    result, tallies, _ = repaired(repair(), held)
    assert result.with_fields(foretype=held.value["foretype"]) == held
    assert tallies == {"not flagged": 1}
    assert repaired(repair(), example(""))[1] == {"without a prediction to check": 1}
    assert repaired(repair(), example())[1] == {"without a prediction to check": 1}
    assert repair().requests(held) == repair().requests(example("")) == ()


def test_verdicts_stay_with_their_predictions_and_scores_go():
    held = example(patch_of(UNDOES), patch_of(FINISHES), qa=[{"confidence": 1}], score=[{"delta_chr_f": 1.0}] * 2)
    result, _, _ = repaired(repair(), held, "NO_EDITS")
    assert result.value["qa"] == [{"confidence": 1}, None, None]
    assert result.score == ()


def test_a_second_run_asks_about_the_first_answer_again_and_replaces_the_repair():
    once, _, first = repaired(repair(), example(patch_of(UNDOES)), "NO_EDITS")
    twice, _, second = repaired(repair(), once, write_answer(NewRegion(FINISHES)))
    assert second.requests == first.requests
    assert [one.actual_patch for one in twice.predictions] == [patch_of(UNDOES), patch_of(FINISHES)]
    never, tallies, _ = repaired(repair(thresholds=Thresholds(reversal=1.0)), once)
    assert len(never.predictions) == 1
    assert tallies == {"not flagged": 1}


def test_only_the_first_is_looked_at_unless_all_are_asked_for():
    held = example(patch_of(FINISHES), patch_of(UNDOES), prediction(None, error="unreadable"), OUTSIDE)
    assert repaired(repair(), held)[1] == {"not flagged": 1}
    result, _, _ = repaired(repair(repairs_all=True), held, "NO_EDITS", write_answer(NewRegion(FINISHES)))
    assert [one["foretype"] for one in result.value["predictions"][4:]] == [{"repairs": 1}, {"repairs": 3}]


def test_a_teacher_that_does_not_answer_is_asked_again_another_time():
    silent = NotAnswered(NotAnsweredReason.UNAVAILABLE, "the service is overloaded")
    found = repair().findings(example(patch_of(UNDOES)), Scripted(silent))
    assert not found.is_final
    assert not found.fields
    assert "overloaded" in found.failure


def test_an_example_nobody_can_be_asked_about_says_why():
    bare = example(patch_of(UNDOES)).with_fields(prompt_inputs=None)
    assert "no prompt_inputs" in repair().findings(bare, Scripted()).failure
    with pytest.raises(NotAskable):
        repair().requests(bare)


def test_the_stage_is_a_value_whose_key_follows_what_shapes_answers():
    held = example(patch_of(UNDOES))
    stage = repair()
    assert pickle.loads(pickle.dumps(stage)) == stage
    others = [
        replace(stage, thresholds=Thresholds(confidence=3)),
        replace(stage, prompt=PromptSettings(diagnostics_tokens=2000)),
        replace(stage, repairs_all=True),
        replace(stage, teacher=TeacherSettings("openai", "gpt-5.2")),
    ]
    assert len({stage_key(one, held) for one in (stage, *others)}) == 5
