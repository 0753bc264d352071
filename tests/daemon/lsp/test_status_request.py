"""``foretype/status``: what a window's last answer cost, how it came about, and what all of them came to."""

from __future__ import annotations

import dataclasses

import pytest

from daemon.engine.api import EngineState
from daemon.engine.errors import WorkerDied
from daemon.engine.messages import Counters, Origin
from daemon.engine.scripted import completing
from daemon.prediction import Source

NOTHING_SPENT = dict.fromkeys((field.name for field in dataclasses.fields(Counters)), 0)
WORK = {"predictions", "aborted", "taken", "tokens_evaluated", "tokens_in_vain"}
URI = "file:///home/ada/project/main.py"


def insertion(line, column, text, until=None):
    until = column if until is None else until
    return {
        "range": {"start": {"line": line, "character": column}, "end": {"line": line, "character": until}},
        "text": text,
    }


async def status(editor):
    return await editor.request("foretype/status", {})


async def reused(editor):
    return (await status(editor))["last"]["reused"]


async def test_before_the_first_question_there_is_no_last_answer_and_nothing_was_done(editor):
    nothing = dict.fromkeys(WORK, 0)
    counted = {"asked": 0, "answered_by_model": 0, "answered_by_reuse": 0}
    expected = {
        "reason": "",
        "source": None,
        "origin": None,
        "last": None,
        "totals": {**counted, **nothing, "ahead": nothing},
    }
    assert await status(editor) == expected


async def test_an_answer_of_the_model_has_what_it_cost(completed):
    found = await status(completed)
    assert set(found) == {"reason", "source", "origin", "last", "totals"}
    assert (found["reason"], found["source"], found["origin"]) == ("", "model", "model")
    assert set(found["last"]) == {"question", "counters", "confidence", "seconds", "reused"}
    assert (found["last"]["question"], found["last"]["reused"]) == (1, "")
    assert set(found["last"]["counters"]) == set(NOTHING_SPENT)
    assert found["last"]["counters"]["tokens_evaluated"] == len("x = \n")
    assert all(isinstance(count, int) for name, count in found["totals"].items() if name != "ahead")


async def test_the_windows_of_one_hub_have_totals_of_their_own(completed, window):
    other = await window()
    assert (await status(other))["totals"]["asked"] == 0
    assert (await status(completed))["totals"]["asked"] == 1


# How an answer came about


async def test_an_answer_says_how_it_was_reused_and_that_it_cost_nothing(completed):
    completed.change(2, insertion(0, 4, "com"))
    await completed.inline_edits(0, 7, version=2)
    found = await status(completed)
    assert found["last"] == {
        "question": 2,
        "counters": NOTHING_SPENT,
        "confidence": 1.0,
        "seconds": 0.0,
        "reused": Source.TYPED_INTO.value,
    }
    assert found["source"] == "typed into"


async def test_whose_text_it_is_stays_known_while_it_is_typed_into(editor, engine):
    engine.script, engine.origin = completing("x = compute(items)"), Origin.RULE
    editor.open("x = \n\n\n\n\n")
    assert await editor.inline_edits(0, 4)
    assert (await status(editor))["origin"] == "rule"
    editor.change(2, insertion(0, 4, "com"))
    assert await editor.inline_edits(0, 7, version=2)
    found = await status(editor)
    assert (found["source"], found["origin"]) == ("typed into", "rule")


async def test_what_was_typed_and_taken_back_leaves_the_prediction_unchanged(completed):
    completed.change(2, insertion(0, 4, "c"))
    completed.change(3, insertion(0, 4, "", until=5))
    await completed.inline_edits(0, 4, version=3)
    assert await reused(completed) == Source.UNCHANGED.value == "unchanged"


async def test_a_prediction_is_rebased_over_a_change_elsewhere(editor):
    editor.open("import a\n" + "pass\n" * 9 + "x = old_name\n")
    await editor.inline_edits(10, 4)
    editor.change(2, insertion(1, 0, "import b\n"))
    assert len(await editor.inline_edits(11, 4, version=2)) == 1
    assert await reused(editor) == Source.MOVED.value == "moved"


async def test_the_next_part_of_an_answer_follows_the_one_that_was_accepted(editor):
    editor.open("old_name" + "\n" * 20 + "old_name\n")
    [first] = await editor.inline_edits(20, 0)
    editor.change(2, {"range": first["range"], "text": first["text"]})
    assert len(await editor.inline_edits(20, 3, version=2)) == 1
    assert await reused(editor) == Source.REST.value == "rest"


@pytest.mark.parametrize(("text", "edits"), [("old_name\n", 1), ("nothing to rename\n", 0)])
async def test_the_same_question_asked_again_is_told_from_the_first_with_an_edit_or_without(editor, text, edits):
    editor.open(text)
    found = []
    for _ in range(3):
        assert len(await editor.inline_edits(0, 0)) == edits
        found.append((await status(editor))["last"])
    assert [(last["question"], last["reused"]) for last in found] == [(1, ""), (2, "asked again"), (3, "asked again")]
    assert [last["counters"]["tokens_evaluated"] for last in found] == [len(text), 0, 0]


async def test_what_was_computed_as_if_a_prediction_were_accepted_is_the_models_answer(editor, engine):
    engine.script = lambda inputs: {"a\n": "a\nb\n", "a\nb\n": "a\nb\nc\n"}.get(inputs.cursor_excerpt)
    editor.open("a\n")
    [first] = await editor.inline_edits(0, 1)
    await engine.begun(2)
    editor.change(2, {"range": first["range"], "text": first["text"]})
    assert len(await editor.inline_edits(1, 1, version=2)) == 1
    found = await status(editor)
    assert (found["source"], found["last"]["reused"]) == ("ahead", "")
    assert found["last"]["counters"]["tokens_evaluated"] == len("a\nb\n")
    assert found["totals"]["ahead"]["taken"] == 1


async def test_an_answer_about_the_text_of_a_moment_ago_is_the_models_though_it_was_typed_into(editor, engine):
    engine.script = completing("x = compute(items)")
    engine.hold()
    editor.open("x = \n")
    older = editor.ask_inline_edit(0, 4)
    await engine.begun(1)
    editor.change(2, insertion(0, 4, "c"))
    newer = editor.ask_inline_edit(0, 5, version=2)
    await editor.answer(older)
    engine.release()
    assert len((await editor.answer(newer))["edits"]) == 1
    found = await status(editor)
    assert (found["source"], found["last"]["reused"], found["last"]["question"]) == ("typed into", "", 2)
    assert found["last"]["counters"]["tokens_evaluated"] == len("x = \n")


async def test_a_question_that_is_refused_or_given_up_is_not_answered(completed, engine):
    before = (await status(completed))["last"]
    assert await completed.inline_edits(0, 4, version=7) == []
    engine.fails_with = WorkerDied("the worker died")
    assert await completed.inline_edits(0, 0) == []
    found = await status(completed)
    assert found["last"] == before
    assert (found["reason"], found["source"]) == ("the worker died", None)
    assert (found["totals"]["asked"], found["totals"]["answered_by_model"]) == (3, 1)


# What all of them came to


async def test_the_totals_of_a_session_add_up(completed, engine):
    """Shown, typed into twice, another way taken, back to where nothing is predicted."""
    await engine.begun(2)  # the look ahead
    completed.change(2, insertion(0, 4, "c"))
    await completed.inline_edits(0, 5, version=2)
    completed.change(3, insertion(0, 5, "o"))
    await completed.inline_edits(0, 6, version=3)
    completed.change(4, insertion(0, 6, "z"))
    assert await completed.inline_edits(0, 7, version=4) == []
    await completed.inline_edits(0, 7, version=4)
    totals = (await status(completed))["totals"]
    assert (totals["asked"], totals["answered_by_model"], totals["answered_by_reuse"]) == (5, 2, 3)
    assert (totals["predictions"], totals["aborted"], totals["taken"]) == (2, 0, 2)
    assert (totals["tokens_evaluated"], totals["tokens_in_vain"]) == (len("x = \n") + len("x = coz\n"), 0)
    looked_at = len("x = compute(items)\n")
    ahead = {"predictions": 1, "aborted": 0, "taken": 0, "tokens_evaluated": looked_at, "tokens_in_vain": looked_at}
    assert totals["ahead"] == ahead


async def test_what_a_question_cost_that_the_next_one_ended_is_in_vain(editor, engine):
    engine.hold()
    editor.open("old_name = 1\n")
    first = editor.ask_inline_edit(0, 0)
    await engine.begun(1)
    second = editor.ask_inline_edit(0, 4)
    await editor.answer(first)
    await engine.begun(2)
    engine.release()
    await editor.answer(second)
    totals = (await status(editor))["totals"]
    tokens = len("old_name = 1\n")
    assert (totals["asked"], totals["answered_by_model"], totals["aborted"]) == (2, 1, 1)
    assert (totals["tokens_evaluated"], totals["tokens_in_vain"]) == (2 * tokens, tokens)


async def test_a_guess_that_no_question_follows_is_in_vain(completed, engine):
    engine.state = EngineState.READY
    completed.change(2, insertion(0, 4, "z"))
    await engine.begun(3)  # the question, the look ahead, the guess
    await completed.alive()
    totals = (await status(completed))["totals"]
    assert (totals["predictions"], totals["taken"], totals["tokens_in_vain"]) == (2, 1, len("x = z\n"))
    assert await completed.inline_edits(0, 5, version=2) == []
    totals = (await status(completed))["totals"]
    assert (totals["predictions"], totals["taken"], totals["tokens_in_vain"]) == (2, 2, 0)


async def test_the_hubs_status_sums_up_its_windows(completed, window):
    other = await window()
    other.open("old_name\n", uri="file:///b.py")
    await other.inline_edits(0, 0, uri="file:///b.py")
    snapshot = completed.services.status.snapshot()
    assert snapshot["counts"]["answered_by_model"] == 2
    assert snapshot["work"]["taken"] == 2
    assert set(snapshot["work"]) == WORK | {"ahead"}
    assert [entry["work"]["taken"] for entry in snapshot["sessions"].values()] == [1, 1]
