"""What a keystroke costs the student, counted on simulated sessions."""

from __future__ import annotations

import logging
import statistics

import pytest

from bench.session import read_sessions
from capture.editing.state import EditingState
from daemon.engine.client import EngineClient
from daemon.engine.messages import Counters, ModelSettings
from daemon.registry import EMBEDDED_PATH

DEADLINE_SECONDS = 60.0


@pytest.fixture
async def engine():
    client = EngineClient(ModelSettings(path=str(EMBEDDED_PATH)), log=logging.getLogger("engine"))
    yield client
    await client.close()


@pytest.mark.parametrize("name", ["python_basket", "typescript_todo"])
async def test_half_of_the_keystrokes_evaluate_a_dozen_tokens_at_most(engine, name):
    """No reuse by the daemon here: every key asks the model. The rest of the prompt is known from the key before."""
    [session] = read_sessions([name])
    now = 0.0
    state = EditingState(lambda: now)
    uri = "file:///home/ada/" + session.header.path
    state.open(uri, session.header.text, path=session.header.path, language_id=session.header.language_id)
    costs: list[Counters] = []
    for version, keystroke in enumerate(session.keystrokes, start=1):
        now = keystroke.at_ms / 1000
        if keystroke.change is not None:
            state.change(uri, version, [keystroke.change])
        answer = await engine.predict(state.inputs(uri, keystroke.cursor), deadline_seconds=DEADLINE_SECONDS)
        costs.append(answer.counters)

    assert statistics.median(cost.prompt_tokens for cost in costs) > 200
    assert statistics.median(cost.tokens_evaluated for cost in costs) <= 12
    assert sum(cost.tokens_reused for cost in costs) > 0.8 * sum(cost.prompt_tokens for cost in costs)
