"""The next key's answer is computed before it is pressed, where the text foretells the key; and never another one's."""

from __future__ import annotations

import asyncio

import pytest

from daemon.lsp.work_ahead import MOST_SECONDS

URI = "file:///home/ada/project/main.py"
TEXT = "basket = old_name\nprint(ba\n"


def typed(text):
    return TEXT.replace("ba\n", f"ba{text}\n")


def key(column, text, erased=0):
    where = {"start": {"line": 1, "character": column}, "end": {"line": 1, "character": column + erased}}
    return {"range": where, "text": text}


def asked(engine):
    return [inputs.cursor_excerpt for inputs in engine.asked]


@pytest.fixture
def reading_seconds():
    return 60  # nobody reads that fast here: what follows an acceptance is no matter of these tests


@pytest.fixture
async def guessing(editor, engine, set_settings):
    """A window in which a question was answered and the next key guessed: the ``s`` of ``basket``."""
    set_settings('work_ahead = "keys"\n')
    editor.open(TEXT)
    await editor.inline_edits(1, 8)
    await asyncio.wait_for(engine.begun(2), 5)
    assert asked(engine)[1] == typed("s")
    return editor


async def test_the_answer_to_a_guessed_key_is_there_when_it_is_pressed(guessing, engine):
    guessing.change(2, key(8, "s"))
    [edit] = await guessing.inline_edits(1, 9, version=2)
    assert (edit["text"], edit["textDocument"]["version"]) == ("new", 2)
    assert asked(engine).count(typed("s")) == 1
    assert (await guessing.request("foretype/status", {}))["totals"]["ahead"]["taken"] == 1


async def test_the_guess_is_joined_while_it_is_being_computed(editor, engine, set_settings):
    set_settings('work_ahead = "keys"\n')
    engine.script = lambda inputs: engine.hold() or inputs.cursor_excerpt.replace("old", "new")  # the next has to wait
    editor.open(TEXT)
    await editor.inline_edits(1, 8)
    await asyncio.wait_for(engine.begun(2), 5)
    editor.change(2, key(8, "s"))
    question = editor.ask_inline_edit(1, 9, version=2)
    await editor.alive()
    engine.release()
    assert len((await editor.answer(question))["edits"]) == 1
    assert (asked(engine).count(typed("s")), engine.aborted) == (1, 0)


async def test_another_key_is_a_question_of_its_own(guessing, engine):
    guessing.change(2, key(8, "r"))
    [edit] = await guessing.inline_edits(1, 9, version=2)
    assert edit["textDocument"]["version"] == 2
    assert asked(engine).count(typed("r")) == 1
    assert (await guessing.request("foretype/status", {}))["totals"]["ahead"]["taken"] == 0


async def test_the_guessed_key_pressed_elsewhere_is_a_question_of_its_own(guessing, engine):
    guessing.change(2, key(0, "s"))
    await guessing.inline_edits(1, 1, version=2)
    assert asked(engine)[2] == TEXT.replace("print", "sprint")


async def test_a_question_with_another_cursor_is_not_answered_by_the_guess(guessing, engine):
    guessing.change(2, key(8, "s"))
    await guessing.inline_edits(0, 0, version=2)
    assert asked(engine).count(typed("s")) == 2


async def test_a_guess_from_before_a_change_of_settings_does_not_answer_for_those(guessing, engine, set_settings):
    """What was given up as too unsure then may be shown now."""
    set_settings('work_ahead = "keys"\neagerness = "eager"\n')
    guessing.change(2, key(8, "s"))
    await guessing.inline_edits(1, 9, version=2)
    assert asked(engine).count(typed("s")) == 2


async def test_who_erased_a_character_is_taken_to_erase_another(guessing, engine):
    guessing.change(2, key(7, "", erased=1))
    await guessing.inline_edits(1, 7, version=2)
    await asyncio.wait_for(engine.begun(4), 5)
    assert asked(engine)[3] == TEXT.replace("ba\n", "\n")


async def test_after_a_jump_an_erasure_is_guessed_as_well(editor, engine, set_settings):
    set_settings('work_ahead = "keys"\n')
    editor.open(TEXT)
    await editor.inline_edits(1, 8)  # nothing was changed there
    await asyncio.wait_for(engine.begun(3), 5)
    assert asked(engine) == [TEXT, typed("s"), TEXT.replace("ba\n", "b\n")]
    editor.change(2, key(7, "", erased=1))
    assert len(await editor.inline_edits(1, 7, version=2)) == 1
    assert asked(engine).count(TEXT.replace("ba\n", "b\n")) == 1


async def test_who_erased_a_character_and_went_elsewhere_is_not(guessing, engine):
    guessing.change(2, key(7, "", erased=1))
    await guessing.inline_edits(1, 6, version=2)
    await asyncio.wait_for(engine.begun(4), 5)
    assert asked(engine)[3] != TEXT.replace("print(ba\n", "prin(b\n")


async def test_two_guesses_that_end_in_the_same_place_are_two_questions(editor, engine, set_settings):
    """From one text: an ``a`` typed at one place, and the ``s`` erased that stands behind it."""

    async def until_asked(text):
        async with asyncio.timeout(5):
            while text not in asked(engine):
                await engine.begun(len(engine.asked) + 1)

    set_settings('work_ahead = "keys"\n')
    editor.open(typed("sq"))
    await editor.inline_edits(1, 10)
    editor.change(2, key(9, "", erased=1))
    await editor.inline_edits(1, 7, version=2)
    await until_asked(TEXT.replace("ba\n", "baas\n"))
    await editor.inline_edits(1, 9, version=2)
    await until_asked(TEXT)


@pytest.mark.parametrize("work_ahead", ["off", "accepted"])
async def test_no_key_is_guessed_unless_the_settings_say_so(editor, engine, set_settings, work_ahead):
    set_settings(f'work_ahead = "{work_ahead}"\n')
    editor.open(TEXT)
    await editor.inline_edits(1, 8)
    editor.change(2, key(8, "s"))
    await editor.inline_edits(1, 9, version=2)
    assert asked(engine) == [TEXT, typed("s")]


async def test_a_slow_model_is_not_kept_busy_with_guesses(editor, engine, set_settings):
    set_settings('work_ahead = "keys"\n')
    engine.seconds = 2 * MOST_SECONDS
    editor.open(TEXT)
    await editor.inline_edits(1, 8)
    engine.seconds = 0.0
    editor.change(2, key(8, "s"))
    await editor.inline_edits(1, 9, version=2)
    await asyncio.wait_for(engine.begun(3), 5)
    assert asked(engine) == [TEXT, typed("s"), typed("sk")]
