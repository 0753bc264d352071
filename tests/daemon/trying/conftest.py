"""A user's machine with two models, and engines that answer with the name of their model."""

from __future__ import annotations

import asyncio

import pytest

from daemon import registry
from daemon.engine.api import EngineState
from daemon.engine.messages import EngineAnswer, ModelInfo
from tests.daemon.process.conftest import gone, world  # noqa: F401  (fixtures)

GENERAL_NAME, OTHER_NAME = b"foretype student", b"another student!"


class NamingEngine:
    """Answers with its model's path, unless it ``fails_with`` something."""

    def __init__(self, settings):
        self.path = settings.path
        self.state = EngineState.UNLOADED
        self.failure = ""
        self.model = None
        self.tokens_evaluated = 0
        self.asked = 0
        self.fails_with = None
        self.unloaded = asyncio.Event()

    async def ready(self):
        self.state = EngineState.READY
        self.model = ModelInfo(self.path, "student", "llama", "line_edits", 1, 1, 1, 1, "cpu", 0, fingerprint=self.path)
        return self.model

    async def predict(self, _inputs, *, deadline_seconds, least_confidence=0.0):
        assert deadline_seconds > 0
        self.asked += 1
        if self.fails_with is not None:
            raise self.fails_with
        await self.ready()
        self.tokens_evaluated += 10
        return EngineAnswer(1, new_region_text=f"{self.path} {least_confidence}")

    async def unload(self):
        self.state = EngineState.UNLOADED
        self.model = None
        self.unloaded.set()

    async def close(self):
        self.state = EngineState.CLOSED


@pytest.fixture
def engines():
    """The engines made, by the path of their model; a model of which one was made again has the newest."""
    return {}


@pytest.fixture
def make_engine(engines):
    """Makes an engine of a model's settings."""

    def make(settings):
        engines[settings.path] = NamingEngine(settings)
        return engines[settings.path]

    return make


@pytest.fixture
def other_model(tmp_path):
    """The shipped model under another name of its own."""
    content = registry.EMBEDDED_PATH.read_bytes()
    assert content.count(GENERAL_NAME) == 1
    path = tmp_path / "other.gguf"
    path.write_bytes(content.replace(GENERAL_NAME, OTHER_NAME))
    return path
