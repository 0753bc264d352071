"""Ten keys a second before an engine that needs a key and a half: something is shown, and the newest text wins.

Time is counted in ticks of 50 ms that the test lets pass, a key every two of them.
"""

from __future__ import annotations

import asyncio

import pytest

from daemon.engine.api import EngineState
from daemon.engine.messages import EngineAnswer

TICKS_PER_KEY = 2
TICKS_PER_ANSWER = 3
GOAL = "total = sum(price * quantity for price, quantity in items.values())"
TYPED = GOAL[8:58]  # fifty keys: five seconds


class TickingEngine:
    """An engine that answers a number of ticks after it was asked, by a script."""

    def __init__(self):
        self.script = lambda _inputs: None
        self.state, self.failure, self.model = EngineState.READY, "", None
        self.asked, self.finished, self.aborted, self.tokens_evaluated = [], 0, 0, 0
        self._running = None

    def tick(self):
        if self._running is not None:
            self._running[0] -= 1
            if self._running[0] == 0:
                self._running[1].set()

    async def predict(self, inputs, *, deadline_seconds, least_confidence=0.0):  # noqa: ARG002 (time is ticks here)
        assert self._running is None, "one engine, one prediction"
        self.asked.append(inputs)
        self._running = [TICKS_PER_ANSWER, asyncio.Event()]
        try:
            await self._running[1].wait()
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self._running = None
        self.finished += 1
        text = self.script(inputs)
        return EngineAnswer(len(self.asked), 0, len(inputs.excerpt_bytes), text, reason="" if text else "no edit")

    async def unload(self):
        self.state = EngineState.UNLOADED

    async def close(self):
        self.state = EngineState.CLOSED


@pytest.fixture
def engine():
    return TickingEngine()


def completing(inputs):
    """What the person is about to type, as a good model would predict it."""
    line, *rest = inputs.cursor_excerpt.split("\n")
    return "\n".join([GOAL, *rest]) if GOAL.startswith(line) and line != GOAL else None


def wrong(inputs):
    """What the person never types."""
    line, *rest = inputs.cursor_excerpt.split("\n")
    return "\n".join([line + "#", *rest])


def elsewhere(inputs):
    """An edit far below where the person types."""
    return inputs.cursor_excerpt.replace("old", "new")


def renaming(inputs):
    """The word being typed, written far below: right only once all of it is typed."""
    word = inputs.cursor_excerpt.split("\n")[0].split()[-1]
    return inputs.cursor_excerpt.replace("old", word)


def replied(editor, message_id):
    return any(message.get("id") == message_id and "method" not in message for message in editor.messages)


async def type_fast(editor, engine):
    """Type fifty keys, asking after each; then wait for the last answer. Returns each question's edits."""
    editor.open(GOAL[:8] + "\n" * 9 + "old\n")
    asked = []
    for version, character in enumerate(TYPED, start=2):
        column = 8 + version - 2
        where = {"line": 0, "character": column}
        editor.change(version, {"range": {"start": where, "end": where}, "text": character})
        asked.append(editor.ask_inline_edit(0, column + 1, version=version))
        for _ in range(TICKS_PER_KEY):
            await editor.alive()
            engine.tick()
    ticks = 0
    await editor.alive()
    while not replied(editor, asked[-1]):
        engine.tick()
        ticks += 1
        await editor.alive()
    return [(await editor.answer(message_id))["edits"] for message_id in asked], ticks


@pytest.mark.parametrize(
    ("script", "shown_while_typing"),
    [(completing, 45), (elsewhere, 10)],
    ids=["what is typed", "an edit elsewhere"],
)
async def test_ten_keys_a_second_for_five_seconds_show_edits(editor, engine, script, shown_while_typing):
    engine.script = script
    answers, _ = await type_fast(editor, engine)
    assert sum(bool(edits) for edits in answers[:-1]) >= shown_while_typing


@pytest.mark.parametrize("script", [completing, wrong, elsewhere])
async def test_after_the_last_key_the_newest_text_is_answered_within_two_predictions(editor, engine, script):
    engine.script = script
    answers, ticks = await type_fast(editor, engine)
    [edit] = answers[-1]
    assert edit["textDocument"]["version"] == len(TYPED) + 1
    assert ticks <= 2 * TICKS_PER_ANSWER


async def test_work_that_turns_out_useless_is_finished_rather_than_begun_again_at_each_key(editor, engine):
    engine.script = wrong
    answers, _ = await type_fast(editor, engine)
    assert not any(answers[:-1])
    assert engine.aborted == 0
    assert engine.finished >= len(TYPED) * TICKS_PER_KEY // TICKS_PER_ANSWER - 1


async def test_a_word_that_was_typed_on_is_never_shown_elsewhere_as_it_was(editor, engine):
    engine.script = renaming
    answers, _ = await type_fast(editor, engine)
    shown = [(number, edit) for number, edits in enumerate(answers, start=1) for edit in edits]
    assert shown
    for number, edit in shown:
        assert edit["text"] in (GOAL[:8] + TYPED[:number]).split()
