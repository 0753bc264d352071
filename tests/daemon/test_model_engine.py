"""The engine follows the model settings, and never under a prediction."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from capture.inputs import ExcerptRanges, PredictionInputs
from daemon.engine.api import EngineState
from daemon.engine.errors import ModelRefused
from daemon.engine.messages import EngineAnswer
from daemon.model_engine import ModelEngine
from daemon.settings import Settings

INPUTS = PredictionInputs("a.py", "x", 0, ExcerptRanges({}))


class ScriptedEngine:
    """Answers with its model's path when it is let; keeps a record of what happened."""

    def __init__(self, settings, events):
        self.path = settings.path
        self.events = events
        self.state = EngineState.UNLOADED
        self.failure = ""
        self.model = None
        self.tokens_evaluated = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ready(self):
        self.events.append(f"load {self.path}")

    async def predict(self, _inputs, *, deadline_seconds, least_confidence=0.0):
        assert deadline_seconds == 1
        self.least_confidence = least_confidence
        self.events.append(f"begin {self.path}")
        await self.may_answer.wait()
        self.tokens_evaluated += 10
        self.events.append(f"end {self.path}")
        return EngineAnswer(1, new_region_text=self.path)

    async def unload(self):
        self.events.append(f"unload {self.path}")

    async def close(self):
        self.events.append(f"close {self.path}")
        self.state = EngineState.CLOSED


class Bench:
    def __init__(self, **settings):
        self.events = []
        self.engines = []
        self.settings = Settings(**settings)
        self.engine = ModelEngine(self.settings, self.make)

    def make(self, settings):
        self.engines.append(ScriptedEngine(settings, self.events))
        return self.engines[-1]

    def change(self, **settings):
        self.settings = replace(self.settings, **settings)
        self.engine.follow(self.settings)

    async def predict(self):
        return (await self.engine.predict(INPUTS, deadline_seconds=1)).new_region_text


async def test_another_model_is_used_from_the_next_prediction_on():
    bench = Bench(model="/one.gguf")
    assert await bench.predict() == "/one.gguf"
    bench.change(model="/two.gguf")
    await asyncio.sleep(0)
    assert await bench.predict() == "/two.gguf"
    assert "close /one.gguf" in bench.events


async def test_a_change_waits_for_the_prediction_under_way():
    bench = Bench(model="/one.gguf")
    bench.engines[0].may_answer.clear()
    under_way = asyncio.create_task(bench.predict())
    await asyncio.sleep(0)
    bench.change(model="/two.gguf")
    await asyncio.sleep(0)
    assert bench.events == ["begin /one.gguf"]
    bench.engines[0].may_answer.set()
    assert await under_way == "/one.gguf"
    assert await bench.predict() == "/two.gguf"
    assert bench.events[:3] == ["begin /one.gguf", "end /one.gguf", "close /one.gguf"]


async def test_settings_that_do_not_concern_the_model_leave_it_loaded():
    bench = Bench(model="/one.gguf")
    bench.change(min_confidence=0.5, enabled=False)
    await asyncio.sleep(0)
    assert len(bench.engines) == 1


async def test_several_changes_end_with_the_last_and_close_the_others():
    bench = Bench(model="/one.gguf")
    for name in ("two", "three", "four"):
        bench.change(model=f"/{name}.gguf")
    await asyncio.sleep(0)
    assert await bench.predict() == "/four.gguf"
    await bench.engine.close()
    assert all(engine.state is EngineState.CLOSED for engine in bench.engines)


async def test_a_model_that_does_not_exist_is_a_reason_not_a_crash_and_can_be_replaced():
    bench = Bench(model="nothing")
    assert bench.engine.state is EngineState.FAILED
    assert "nothing" in bench.engine.failure
    with pytest.raises(ModelRefused, match="nothing"):
        await bench.predict()
    bench.change(model="/one.gguf")
    await asyncio.sleep(0)
    assert bench.engine.failure == ""
    assert await bench.predict() == "/one.gguf"


async def test_closing_waits_for_a_replacement_under_way():
    bench = Bench(model="/one.gguf")
    bench.change(model="/two.gguf")
    await bench.engine.close()
    assert bench.events == ["close /one.gguf", "close /two.gguf"]


async def test_what_was_evaluated_is_counted_over_all_models():
    bench = Bench(model="/one.gguf")
    await bench.predict()
    for model, tokens in (("/two.gguf", 20), ("nothing", 20), ("/one.gguf", 30)):
        bench.change(model=model)
        await asyncio.sleep(0)
        if model != "nothing":
            assert await bench.predict() == model
        assert bench.engine.tokens_evaluated == tokens


async def test_how_sure_an_answer_has_to_be_reaches_the_model():
    bench = Bench(model="/one.gguf")
    await bench.engine.predict(INPUTS, deadline_seconds=1, least_confidence=0.7)
    assert bench.engines[0].least_confidence == 0.7
