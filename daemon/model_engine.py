"""The engine of the model that the settings name now: replaced when the settings name another.

Delegates everything to the engine it holds. A change waits for the prediction under way, closes the old
engine and holds a new one, which loads when it is first asked. Knows nothing of llama.cpp or of where
settings come from.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from daemon import registry
from daemon.engine.api import Engine, EngineState
from daemon.engine.errors import ModelRefused
from daemon.engine.messages import ModelSettings
from daemon.errors import ModelNotFound
from daemon.suppress import LEAST_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.inputs import PredictionInputs
    from daemon.engine.messages import Completion, EngineAnswer, ModelInfo
    from daemon.prompts.raw_prompt import RawPrompt
    from daemon.settings import Settings

log = logging.getLogger(__name__)


class LoadableEngine(Engine, Protocol):
    """An ``Engine`` that can be told to load before it is asked."""

    async def ready(self) -> ModelInfo:
        """Load the model now if it is not; raises EngineError."""
        ...


class MissingModel:
    """The engine of a model that does not exist: it says so, and how to get one."""

    def __init__(self, failure: str) -> None:
        self.failure = failure
        self.state = EngineState.FAILED
        self.model: ModelInfo | None = None
        self.tokens_evaluated = 0

    async def ready(self) -> ModelInfo:
        """Raises ModelRefused with the failure."""
        raise ModelRefused(self.failure)

    async def predict(
        self,
        inputs: PredictionInputs,  # noqa: ARG002  whatever is asked, the answer is the same
        *,
        deadline_seconds: float,  # noqa: ARG002
        least_confidence: float = 0.0,  # noqa: ARG002
    ) -> EngineAnswer:
        """Raises ModelRefused with the failure."""
        raise ModelRefused(self.failure)

    async def complete(
        self,
        prompt: RawPrompt,  # noqa: ARG002
        *,
        deadline_seconds: float,  # noqa: ARG002
    ) -> Completion:
        """Raises ModelRefused with the failure."""
        raise ModelRefused(self.failure)

    async def unload(self) -> None:
        """Nothing is loaded."""

    async def close(self) -> None:
        """Nothing to end."""
        self.state = EngineState.CLOSED


class ModelEngine:
    """An ``Engine`` whose model follows the settings."""

    def __init__(self, settings: Settings, make: Callable[[ModelSettings], LoadableEngine]) -> None:
        self._make = make
        self._wanted = _choice(settings)
        self._engine = self._made()
        self._tokens_of_earlier_engines = 0
        self._turn = asyncio.Lock()  # a prediction or a replacement, never both
        self._replacing: asyncio.Task[None] | None = None

    @property
    def state(self) -> EngineState:
        """Where the present engine is in its life."""
        return self._engine.state

    @property
    def failure(self) -> str:
        """Why the state is FAILED, with the cure."""
        return self._engine.failure

    @property
    def model(self) -> ModelInfo | None:
        """The loaded model."""
        return self._engine.model

    @property
    def tokens_evaluated(self) -> int:
        """See ``Engine.tokens_evaluated``; of all models together."""
        return self._tokens_of_earlier_engines + self._engine.tokens_evaluated

    def follow(self, settings: Settings) -> None:
        """Take the model settings from ``settings`` as soon as no prediction is under way."""
        wanted = _choice(settings)
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._replacing = asyncio.create_task(self._replace(self._replacing))

    async def ready(self) -> ModelInfo:
        """Load the model now if it is not; raises EngineError."""
        async with self._turn:
            return await self._engine.ready()

    async def predict(
        self, inputs: PredictionInputs, *, deadline_seconds: float, least_confidence: float = 0.0
    ) -> EngineAnswer:
        """See ``Engine.predict``."""
        async with self._turn:
            return await self._engine.predict(
                inputs, deadline_seconds=deadline_seconds, least_confidence=least_confidence
            )

    async def complete(self, prompt: RawPrompt, *, deadline_seconds: float) -> Completion:
        """See ``Engine.complete``."""
        async with self._turn:
            return await self._engine.complete(prompt, deadline_seconds=deadline_seconds)

    async def unload(self) -> None:
        """See ``Engine.unload``."""
        async with self._turn:
            await self._engine.unload()

    async def close(self) -> None:
        """See ``Engine.close``."""
        if self._replacing is not None:
            await self._replacing
        await self._engine.close()

    async def _replace(self, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await earlier
        async with self._turn:
            await self._engine.close()
            self._tokens_of_earlier_engines += self._engine.tokens_evaluated
            self._engine = self._made()
            log.info("the model settings changed")

    def _made(self) -> LoadableEngine:
        model, prompt_format, gpu_layers, threads, ranking = self._wanted
        try:
            path = registry.resolve(model).path
        except ModelNotFound as error:
            return MissingModel(str(error))
        return self._make(
            ModelSettings(
                str(path), prompt_format, gpu_layers, threads, least_confidence=LEAST_CONFIDENCE, ranking=ranking
            )
        )


def _choice(settings: Settings) -> tuple[str, str, int, int, bool]:
    return settings.model, settings.prompt_format, settings.gpu_layers, settings.threads, settings.ranking
