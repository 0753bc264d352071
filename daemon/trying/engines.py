"""The engines of a trial: the model in use, and beside it a candidate that answers for its documents.

Which documents those are, ``sides`` says. Where the candidate cannot be loaded, dies or fails at a question, the model
in use answers that question instead, and this is counted. Knows nothing of llama.cpp or of where settings come from.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daemon.engine.api import Engine, EngineState
from daemon.engine.errors import DeadlineExceeded, EngineError, StillLoading
from daemon.trial_settings import TrialSettings
from daemon.trying.sides import is_candidates

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.inputs import PredictionInputs
    from daemon.engine.messages import Completion, EngineAnswer, ModelInfo
    from daemon.model_engine import ModelEngine
    from daemon.prompts.raw_prompt import RawPrompt
    from daemon.settings import Settings

log = logging.getLogger(__name__)


class CandidateEngine:
    """The ``Engine`` of the candidate's documents: the candidate, or the model in use where that fails."""

    def __init__(self, candidate: ModelEngine, in_use: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self.candidate = candidate
        self.answered = 0  # questions, by the candidate
        self.fell_back = 0  # questions that the model in use was asked instead
        self.last_failure = ""  # why, the last time
        self._in_use = in_use
        self._answering: Engine = candidate  # whoever was asked last
        self._clock = clock

    @property
    def state(self) -> EngineState:
        """The candidate's; once it has failed, that of the model in use."""
        return self._in_use.state if self.candidate.state is EngineState.FAILED else self.candidate.state

    @property
    def failure(self) -> str:
        """Why nobody answers."""
        return self._in_use.failure if self.candidate.state is EngineState.FAILED else ""

    @property
    def model(self) -> ModelInfo | None:
        """The loaded model of whoever answered last."""
        return self._answering.model

    @property
    def tokens_evaluated(self) -> int:
        """See ``Engine.tokens_evaluated``; of both."""
        return self.candidate.tokens_evaluated + self._in_use.tokens_evaluated

    async def predict(
        self, inputs: PredictionInputs, *, deadline_seconds: float, least_confidence: float = 0.0
    ) -> EngineAnswer:
        """See ``Engine.predict``; raises what the candidate is not to blame for, and what the model in use raises."""
        began = self._clock()
        self._answering = self.candidate
        try:
            answer = await self.candidate.predict(
                inputs, deadline_seconds=deadline_seconds, least_confidence=least_confidence
            )
        except (DeadlineExceeded, StillLoading):
            raise  # as it would be with any model
        except EngineError as error:
            self._note_failure(str(error))
        else:
            self.answered += 1
            return answer
        remaining_seconds = deadline_seconds - (self._clock() - began)
        if remaining_seconds <= 0:
            raise DeadlineExceeded(f"the candidate failed too late to ask the model in use: {self.last_failure}")
        self._answering = self._in_use
        return await self._in_use.predict(inputs, deadline_seconds=remaining_seconds, least_confidence=least_confidence)

    async def complete(self, prompt: RawPrompt, *, deadline_seconds: float) -> Completion:
        """See ``Engine.complete``; a trial is of predictions, and such a prompt is of the model in use."""
        return await self._in_use.complete(prompt, deadline_seconds=deadline_seconds)

    async def unload(self) -> None:
        """The candidate alone; who unloads everything unloads the model in use too."""
        await self.candidate.unload()

    async def close(self) -> None:
        """The candidate alone."""
        await self.candidate.close()

    def _note_failure(self, failure: str) -> None:
        self.fell_back += 1
        if failure != self.last_failure:
            log.warning("the candidate of the trial failed; the model in use answers for it")
        self.last_failure = failure


class TrialEngine:
    """The ``Engine`` of all documents but the candidate's, which ``serving`` tells apart.

    Follows the settings: a trial begins, changes its share and ends without a restart. ``make`` gives the engine of a
    model.
    """

    def __init__(
        self,
        in_use: ModelEngine,
        settings: Settings,
        make: Callable[[Settings], ModelEngine],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.in_use = in_use
        self._make = make
        self._clock = clock
        self._trial = TrialSettings()
        self._side: CandidateEngine | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._begin(settings)

    # As one engine

    @property
    def state(self) -> EngineState:
        """Of the model in use."""
        return self.in_use.state

    @property
    def failure(self) -> str:
        """Of the model in use."""
        return self.in_use.failure

    @property
    def model(self) -> ModelInfo | None:
        """The model in use."""
        return self.in_use.model

    @property
    def tokens_evaluated(self) -> int:
        """By the model in use."""
        return self.in_use.tokens_evaluated

    async def ready(self) -> ModelInfo:
        """Load the model in use; raises EngineError."""
        return await self.in_use.ready()

    async def predict(
        self, inputs: PredictionInputs, *, deadline_seconds: float, least_confidence: float = 0.0
    ) -> EngineAnswer:
        """By the model in use."""
        return await self.in_use.predict(inputs, deadline_seconds=deadline_seconds, least_confidence=least_confidence)

    async def complete(self, prompt: RawPrompt, *, deadline_seconds: float) -> Completion:
        """By the model in use."""
        return await self.in_use.complete(prompt, deadline_seconds=deadline_seconds)

    async def unload(self) -> None:
        """The model in use; the candidate is unloaded by who asked it."""
        await self.in_use.unload()

    async def close(self) -> None:
        """Both."""
        self._retire()
        await asyncio.gather(self.in_use.close(), *self._closing)

    # As a trial

    def serving(self, document: str) -> Engine:
        """The engine that answers for a document, named by its uri."""
        side, trial = self._side, self._trial
        if side is None or not is_candidates(document, salt=trial.salt, share=trial.share):
            return self
        return side

    def follow(self, settings: Settings) -> None:
        """Begin, change or end the trial as the settings have it."""
        wanted = _running_trial(settings)
        if (wanted.candidate, wanted.salt) != (self._trial.candidate, self._trial.salt):
            self._retire()
            self._begin(settings)
            return
        self._trial = wanted
        if self._side is not None:
            self._side.candidate.follow(_of_candidate(settings))

    def status(self) -> dict[str, Any] | None:
        """As JSON takes it, None where no trial runs; the counts are since the hub or the trial began."""
        side, trial = self._side, self._trial
        if side is None:
            return None
        model = side.candidate.model
        return {
            "candidate": trial.candidate,
            "share": trial.share,
            "since": trial.since,
            "state": side.candidate.state.value,
            "failure": side.candidate.failure,
            "model": None if model is None else model.to_json(),
            "answered": side.answered,
            "fell_back": side.fell_back,
            "last_failure": side.last_failure,
        }

    def _begin(self, settings: Settings) -> None:
        self._trial = _running_trial(settings)
        if self._trial.is_running:
            self._side = CandidateEngine(self._make(_of_candidate(settings)), self.in_use, self._clock)
            log.info("a candidate is tried")

    def _retire(self) -> None:
        side, self._side = self._side, None
        self._trial = TrialSettings()
        if side is not None:
            log.info("the trial has ended")
            closing = asyncio.get_running_loop().create_task(side.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _running_trial(settings: Settings) -> TrialSettings:
    """The trial of the settings, one that is none where it does not run: a model is not tried against itself."""
    trial = settings.trial
    return trial if trial.is_running and trial.candidate != settings.model else TrialSettings()


def _of_candidate(settings: Settings) -> Settings:
    return replace(settings, model=settings.trial.candidate)
