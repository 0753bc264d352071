"""Typing on while predictions are shown or computed: what is reused, what goes on, what is never shown again."""

from __future__ import annotations

import asyncio
import random

import pytest

from daemon.engine.api import EngineState
from daemon.engine.scripted import completing, replacing
from daemon.lsp.past_answers import MAX_CHANGES_ELSEWHERE

URI = "file:///home/ada/project/main.py"


def at(line, start, end=None):
    end = start if end is None else end
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


def insertion(line, column, text):
    return {"range": at(line, column), "text": text}


def times_asked(engine, text):
    return sum(inputs.cursor_excerpt == text for inputs in engine.asked)


def ids(edits):
    return [edit["command"]["arguments"][0] for edit in edits]


# Typing into what is shown


async def test_typing_into_a_shown_prediction_shrinks_it_without_the_engine(completed, engine):
    for version, (column, typed) in enumerate([(4, "co"), (6, "m"), (7, "pute")], start=2):
        completed.change(version, insertion(0, column, typed))
        [edit] = await completed.inline_edits(0, column + len(typed), version=version)
        assert edit["range"] == at(0, column + len(typed))
        assert edit["text"] == "compute(items)"[column + len(typed) - 4 :]
        assert edit["textDocument"]["version"] == version
        assert ids([edit]) == ids([completed.edit])
    assert all(times_asked(engine, f"x = {typed}\n") == 0 for typed in ("co", "com", "compute"))
    assert completed.status["counts"]["shown"] == 1
    assert completed.status["counts"]["rejected"] == 0
    completed.change(5, insertion(0, 11, "(items)"))
    await completed.alive()
    assert completed.status["counts"]["accepted"] == 1


async def test_ghost_text_shrinks_too(editor, engine):
    engine.script = completing("x = compute(items)")
    editor.open("x = \n")
    await editor.ghost_texts(0, 4)
    editor.change(2, insertion(0, 4, "compute()"))  # the editor closed the bracket
    [item] = await editor.ghost_texts(0, 12)
    assert (item["insertText"], item["range"]) == ("items", at(0, 12))
    assert times_asked(engine, "x = compute()\n") == 0


async def test_a_slip_taken_back_brings_the_prediction_back_without_the_engine(completed, engine):
    completed.change(2, insertion(0, 4, "z"))
    completed.change(3, {"range": at(0, 4, 5), "text": ""})
    assert ids(await completed.inline_edits(0, 4, version=3)) == ids([completed.edit])
    assert times_asked(engine, "x = \n") == 1


async def test_another_cursor_is_another_question(completed, engine):
    completed.change(2, insertion(0, 4, "com"))
    await completed.inline_edits(0, 0, version=2)
    assert times_asked(engine, "x = com\n") == 1


async def test_typing_something_else_asks_the_engine_about_the_new_text(completed, engine):
    completed.change(2, insertion(0, 4, "other"))
    assert await completed.inline_edits(0, 9, version=2) == []
    assert times_asked(engine, "x = other\n") == 1


# After an acceptance


async def test_the_rest_of_an_answer_is_there_once_one_part_is_accepted(editor, engine):
    filler = "\n" * 20
    editor.open(f"old_name{filler}old_name{filler}old_name\n")
    [first] = await editor.inline_edits(20, 0)
    rows = [first["range"]["start"]["line"]]
    for version in (2, 3):
        editor.change(version, {"range": first["range"], "text": first["text"]})
        [first] = await editor.inline_edits(rows[-1], 3, version=version)
        rows.append(first["range"]["start"]["line"])
    assert sorted(rows) == [0, 20, 40]
    assert len(set(rows)) == 3
    # The engine was asked about the text when it was opened, and then only about the text when all is accepted.
    assert sum("old_name" in inputs.cursor_excerpt for inputs in engine.asked) == 1
    assert editor.status["counts"]["accepted"] == 2


async def test_an_acceptance_taken_back_does_not_bring_the_prediction_back_unasked(completed, engine):
    completed.change(2, insertion(0, 4, "compute(items)"))
    completed.change(3, {"range": at(0, 4, 18), "text": ""})
    await completed.inline_edits(0, 4, version=3)
    assert times_asked(engine, "x = \n") == 2


async def test_while_a_prediction_is_shown_the_next_is_computed_as_if_it_were_accepted(editor, engine):
    wanted = {"a = 1\n": "a = 1\nb = 2\n", "a = 1\nb = 2\n": "a = 1\nb = 2\nc = 3\n"}
    engine.script = lambda inputs: wanted.get(inputs.cursor_excerpt)
    editor.open("a = 1\n")
    [first] = await editor.inline_edits(0, 5)
    await engine.begun(2)
    assert [event.predicted for event in engine.asked[1].events] == [True]
    editor.change(2, {"range": first["range"], "text": first["text"]})
    await editor.alive()
    assert times_asked(engine, "a = 1\nb = 2\n") == 1  # before it was the text
    [second] = await editor.inline_edits(1, 5, version=2)
    assert second["text"] == "\nc = 3"
    assert times_asked(engine, "a = 1\nb = 2\n") == 1


async def test_typing_towards_an_acceptance_keeps_what_is_computed_as_if_it_were_accepted(completed, engine):
    engine.hold()
    text = "x = "
    for version, typed in enumerate("compute(items)", start=2):
        completed.change(version, insertion(0, len(text), typed))
        text += typed
        await completed.alive()
    engine.release()
    await completed.inline_edits(0, len(text), version=15)
    assert times_asked(engine, text + "\n") == 1
    assert engine.aborted == 0


class Accepting:
    """A window in which one line is completed over and over; ``given`` are the ids of all that was shown."""

    GOAL = "x = compute(items)"
    LOOKED_AT = f"{GOAL}\n"  # what is asked for when a prediction is taken as accepted

    def __init__(self, editor):
        self.editor, self.line, self.version, self.given = editor, "x = ", 1, set()
        editor.open(f"{self.line}\n")

    async def change(self, line):
        self.version += 1
        self.editor.change(self.version, {"range": at(0, 0, len(self.line)), "text": line})
        self.line = line
        await self.editor.alive()

    async def ask(self):
        self.given.update(ids(await self.editor.inline_edits(0, len(self.line), version=self.version)))
        await self.editor.alive()


@pytest.mark.parametrize("seed", range(4))
async def test_each_shown_prediction_is_looked_ahead_of_once_however_often_it_is_given(editor, engine, seed):
    """Typed into, left and come back to, asked for again through both surfaces; never accepted."""
    engine.script = completing(Accepting.GOAL)
    chance = random.Random(seed)
    person = Accepting(editor)
    await person.ask()
    for _ in range(60):
        match chance.randrange(5):
            case 0 if Accepting.GOAL.startswith(person.line) and len(person.line) < len(Accepting.GOAL) - 1:
                await person.change(Accepting.GOAL[: len(person.line) + 1])
            case 1 if len(person.line) > 4:
                await person.change(person.line[:-1])
            case 2:
                await person.change(person.line + "z")
            case 3:
                person.given.update(ids(await editor.ghost_texts(0, len(person.line))))
            case _:
                await person.ask()
    assert 0 < times_asked(engine, Accepting.LOOKED_AT) <= len(person.given)


async def test_what_was_looked_ahead_to_is_still_there_when_a_slip_was_taken_back(editor, engine):
    wanted = {"a = 1\n": "a = 1\nb = 2\n", "a = 1\nb = 2\n": "a = 1\nb = 2\nc = 3\n"}
    engine.script = lambda inputs: wanted.get(inputs.cursor_excerpt)
    editor.open("a = 1\n")
    [first] = await editor.inline_edits(0, 5)
    await engine.begun(2)
    editor.change(2, insertion(0, 5, "z"))
    assert await editor.inline_edits(0, 6, version=2) == []
    editor.change(3, {"range": at(0, 5, 6), "text": ""})
    [again] = await editor.inline_edits(0, 5, version=3)
    assert ids([again]) == ids([first])
    editor.change(4, {"range": again["range"], "text": again["text"]})
    [second] = await editor.inline_edits(1, 5, version=4)
    assert second["text"] == "\nc = 3"
    assert times_asked(engine, "a = 1\nb = 2\n") == 1


async def test_a_look_ahead_that_a_slip_cut_short_begins_again_when_that_is_taken_back(editor, engine):
    complete = completing("x = compute(items)")
    engine.script = lambda inputs: engine.hold() or complete(inputs)  # what follows the answer has to wait
    editor.open("x = \n")
    await editor.inline_edits(0, 4)
    await engine.begun(2)
    editor.change(2, insertion(0, 4, "z"))
    await engine.begun(3)  # the guess about that; what was being computed is of no use now
    assert engine.aborted == 1
    editor.change(3, {"range": at(0, 4, 5), "text": ""})
    await editor.inline_edits(0, 4, version=3)
    await asyncio.wait_for(engine.begun(4), 5)
    engine.release()
    assert times_asked(engine, "x = compute(items)\n") == 2


async def test_a_text_that_turns_out_otherwise_ends_the_work_as_if_it_were_accepted(editor, engine):
    engine.script = completing("x = compute(items)")
    editor.open("x = \n")
    await editor.inline_edits(0, 4)
    await engine.begun(2)
    engine.hold()
    editor.change(2, insertion(0, 4, "c"))
    assert len(await editor.inline_edits(0, 5, version=2)) == 1
    editor.change(3, insertion(0, 5, "z"))
    asked = editor.ask_inline_edit(0, 6, version=3)
    await editor.alive()
    engine.release()
    assert await editor.answer(asked) == {"edits": []}
    assert times_asked(engine, "x = cz\n") == 1


# Changes elsewhere


async def test_a_change_far_away_moves_what_is_shown(editor, engine):
    editor.open("import a\n" + "pass\n" * 9 + "x = old_name\n")
    [first] = await editor.inline_edits(10, 4)
    editor.change(2, insertion(1, 0, "import b\n"))
    [moved] = await editor.inline_edits(11, 4, version=2)
    assert (moved["range"], moved["text"]) == (at(11, 4, 7), first["text"])
    assert ids([moved]) == ids([first])
    assert editor.status["counts"]["rejected"] == 0
    editor.change(3, {"range": moved["range"], "text": moved["text"]})
    await editor.alive()
    assert editor.status["counts"]["accepted"] == 1


async def test_a_prediction_is_moved_only_while_it_is_young(editor, engine):
    filler = "".join(f"{row}\n" for row in range(10))
    editor.open(filler + "x = old_name\n")
    await editor.inline_edits(10, 4)
    for count in range(1, MAX_CHANGES_ELSEWHERE + 2):
        editor.change(count + 1, insertion(0, 0, "\n"))
        assert len(await editor.inline_edits(10 + count, 4, version=count + 1)) == 1
    about_it = [
        inputs.cursor_excerpt.count("\n") - filler.count("\n") - 1
        for inputs in engine.asked
        if inputs.cursor_offset_in_excerpt == inputs.cursor_excerpt.find("old_name")
    ]
    assert about_it == [0, MAX_CHANGES_ELSEWHERE + 1]  # not those that guess what comes where the text was changed


async def test_a_change_where_the_cursor_is_asks_the_engine_about_it(editor, engine):
    text = "x = \n" + "\n" * 9 + "old_name\n"
    editor.open(text)
    await editor.inline_edits(0, 4)
    editor.change(2, insertion(0, 4, "1"))
    assert len(await editor.inline_edits(0, 5, version=2)) == 1
    assert times_asked(engine, text.replace("x = ", "x = 1")) == 1


# While the engine works


async def test_work_on_a_text_that_was_typed_on_answers_for_the_new_text(editor, engine):
    engine.script = completing("x = compute(items)")
    engine.hold()
    editor.open("x = \n")
    older = editor.ask_inline_edit(0, 4)
    await engine.begun(1)
    editor.change(2, insertion(0, 4, "c"))
    assert await editor.answer(older) == {"edits": []}  # about a text that is gone
    middle = editor.ask_inline_edit(0, 5, version=2)
    editor.change(3, insertion(0, 5, "o"))
    newest = editor.ask_inline_edit(0, 6, version=3)
    await editor.alive()
    engine.release()
    assert await editor.answer(middle) == {"edits": []}
    [edit] = (await editor.answer(newest))["edits"]
    assert (edit["range"], edit["text"], edit["textDocument"]["version"]) == (at(0, 6), "mpute(items)", 3)
    assert engine.aborted == 0
    assert [times_asked(engine, text) for text in ("x = \n", "x = c\n", "x = co\n")] == [1, 0, 0]


async def test_an_answer_that_does_not_fit_what_was_typed_is_followed_by_one_about_the_newest_text(editor, engine):
    engine.script = lambda inputs: inputs.cursor_excerpt.replace("\n", "!\n")
    engine.hold()
    editor.open("x\n")
    editor.ask_inline_edit(0, 1)
    await engine.begun(1)
    for version, typed in enumerate("yz", start=2):
        editor.change(version, insertion(0, version - 1, typed))
        newest = editor.ask_inline_edit(0, version, version=version)
    await editor.alive()
    engine.release()
    [edit] = (await editor.answer(newest))["edits"]
    assert (edit["range"], edit["text"]) == (at(0, 3), "!")
    assert [times_asked(engine, text) for text in ("x\n", "xy\n", "xyz\n")] == [1, 0, 1]


async def test_an_answer_that_came_while_nobody_waited_is_there_for_the_next_question(editor, engine):
    engine.script = completing("x = compute(items)")
    engine.state = EngineState.READY
    engine.hold()
    editor.open("x = \n")
    older = editor.ask_inline_edit(0, 4)
    await engine.begun(1)
    editor.change(2, insertion(0, 4, "c"))
    await editor.answer(older)
    engine.release()
    await engine.begun(2)  # the guess about the new text
    [edit] = await editor.inline_edits(0, 5, version=2)
    assert edit["text"] == "ompute(items)"


async def test_another_window_is_not_kept_waiting_by_work_nobody_waits_for(window, engine):
    typing, other = await window(), await window()
    engine.hold()
    typing.open("x = \n")
    typing.ask_inline_edit(0, 4)
    await engine.begun(1)
    typing.change(2, insertion(0, 4, "c"))
    await typing.alive()
    other.open("old_name\n", uri="file:///b.py")
    asked = other.ask_inline_edit(0, 0, uri="file:///b.py")
    await engine.begun(2)
    assert engine.aborted == 1
    engine.release()
    assert len((await other.answer(asked))["edits"]) == 1


# What is not shown


async def test_what_was_rejected_is_not_given_again_until_the_text_there_changes(editor, engine):
    editor.open("x = old_name\n" + "\n" * 9 + "y = 1\n")
    [edit] = await editor.inline_edits(0, 4)
    await editor.request("workspace/executeCommand", {**edit["command"], "command": "foretype.didReject"})
    assert await editor.inline_edits(0, 4) == []
    assert "rejected" in editor.status["reason"]
    assert await editor.ghost_texts(0, 4) == []
    editor.change(2, insertion(10, 5, "0"))
    assert await editor.inline_edits(10, 6, version=2) == []
    editor.change(3, insertion(0, 0, "a"))
    assert len(await editor.inline_edits(0, 1, version=3)) == 1


@pytest.mark.parametrize(("eagerness", "shown"), [("quiet", 0), ("normal", 0), ("eager", 1)])
async def test_an_edit_of_white_space_alone_is_shown_only_to_the_eager(editor, engine, set_settings, eagerness, shown):
    set_settings(f'eagerness = "{eagerness}"\n')
    engine.script = replacing("a  b", "a b")
    editor.open("a  b\n")
    assert len(await editor.inline_edits(0, 0)) == shown
    assert shown or "white space" in editor.status["reason"]


async def test_an_edit_that_takes_back_what_was_just_typed_is_not_shown(editor, engine):
    engine.script = replacing("y = 2\n", "")
    editor.open("x = 1\n\n")
    editor.change(2, insertion(1, 0, "y = 2\n"))
    assert await editor.inline_edits(1, 5, version=2) == []
    assert "takes back" in editor.status["reason"]


@pytest.mark.parametrize(
    ("settings_text", "confidence", "shown"),
    [
        ("", 0.2, 0),
        ("", 0.3, 1),
        ('eagerness = "quiet"', 0.6, 0),
        ('eagerness = "quiet"', 0.7, 1),
        ('eagerness = "eager"', 0.2, 1),
        ('eagerness = "eager"\nmin_confidence = 0.5', 0.4, 0),
    ],
)
async def test_the_stricter_of_eagerness_and_min_confidence_decides(
    editor, engine, set_settings, settings_text, confidence, shown
):
    set_settings(settings_text)
    engine.confidence = confidence
    editor.open("old_name\n")
    assert len(await editor.inline_edits(0, 0)) == shown
    assert shown or "eagerness" in editor.status["reason"]
