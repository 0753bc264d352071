"""What a keystroke costs the student, counted on simulated sessions, without context and with it."""

from __future__ import annotations

import logging
import statistics

import llama_cpp
import pytest

from bench.prompt_reuse import count, figures
from bench.session import read_sessions
from bench.surroundings import seen_inputs
from capture.context import gathering
from daemon.engine.client import EngineClient
from daemon.engine.messages import ModelSettings
from daemon.registry import EMBEDDED_PATH

DEADLINE_SECONDS = 60.0


@pytest.fixture
async def engine():
    client = EngineClient(ModelSettings(path=str(EMBEDDED_PATH)), log=logging.getLogger("engine"))
    yield client
    await client.close()


@pytest.fixture
def costs(engine):
    """``await costs(all_inputs)``: the counters of each, asked one after the other."""

    async def ask(all_inputs):
        answers = [await engine.predict(inputs, deadline_seconds=DEADLINE_SECONDS) for inputs in all_inputs]
        return [answer.counters for answer in answers]

    return ask


@pytest.fixture
def typed(request):
    """The session of the parameter's name, and what a model sees at its keys without context and with it.

    Made before the test's own event loop runs, for it needs one of its own.
    """
    [session] = read_sessions([request.param])
    return session, seen_inputs(session, with_context=False), seen_inputs(session)


def has_context(inputs):
    return bool(inputs.related_files)


@pytest.mark.parametrize("typed", ["python_basket", "typescript_todo", "python_tests"], indirect=True)
async def test_half_of_the_keystrokes_evaluate_a_dozen_tokens_at_most_with_or_without_context(costs, typed):
    """No reuse by the daemon here: every key asks the model. The rest of the prompt is known from the key before."""
    session, without, with_context = typed
    for seen in (without, with_context):
        counted = await costs(seen)
        assert statistics.median(cost.prompt_tokens for cost in counted) > 200
        assert statistics.median(cost.tokens_evaluated for cost in counted) <= 12
        assert sum(cost.tokens_reused for cost in counted) > 0.8 * sum(cost.prompt_tokens for cost in counted)
    assert sum(map(has_context, with_context)) > len(session.keystrokes) / 2


@pytest.fixture(scope="module")
def moved_in_flow():
    """How many keys of some sessions found another context than the key just before them did."""
    vocabulary = llama_cpp.Llama(str(EMBEDDED_PATH), vocab_only=True, verbose=False)

    def typed():
        sessions = read_sessions(["c_ring", "python_basket", "python_tests", "typescript_todo"])
        counted = [count(session, seen_inputs(session), vocabulary) for session in sessions]
        assert sum(key.is_in_flow for keys in counted for key in keys) > 400, "most keys follow another at once"
        return [figures([keys])["moved_in_flow"] for keys in counted]

    return typed


def test_what_becomes_known_moves_no_prompt_between_two_keys_of_somebody_who_types(moved_in_flow, monkeypatch):
    """It joins where the cursor jumped or rested. Who never rests has it after some seconds: one key in so many."""
    assert max(moved_in_flow()) <= 1
    monkeypatch.setattr(gathering, "MOST_HELD_SECONDS", 0.0)
    assert sum(moved_in_flow()) >= 4, "or nothing was held back that this could notice"
