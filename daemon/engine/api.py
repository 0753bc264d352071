"""What the scheduler asks of an engine. The real one is ``client.EngineClient``; tests may script another."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from capture.inputs import PredictionInputs
from daemon.engine.messages import Completion, EngineAnswer, ModelInfo
from daemon.prompts.raw_prompt import RawPrompt


class EngineState(Enum):
    """The life of an engine, in order; FAILED and UNLOADED can return to LOADING."""

    UNLOADED = "unloaded"  # no worker process, or one without a model; the next prediction loads it
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  # the model was refused, or the worker died three times in a minute
    CLOSED = "closed"


class Engine(Protocol):
    """One loaded model that answers one prediction at a time."""

    @property
    def state(self) -> EngineState:
        """Where the engine is in its life."""
        ...

    @property
    def failure(self) -> str:
        """Why the state is FAILED, with the cure, or an empty string."""
        ...

    @property
    def model(self) -> ModelInfo | None:
        """The loaded model, None while there is none."""
        ...

    @property
    def tokens_evaluated(self) -> int:
        """What all predictions until now evaluated (``Counters.tokens_evaluated``), cancelled ones too; never falls.

        What a worker that died had evaluated in its last prediction is not known and not in it.
        """
        ...

    async def predict(
        self, inputs: PredictionInputs, *, deadline_seconds: float, least_confidence: float = 0.0
    ) -> EngineAnswer:
        """Predict; cancelling the awaiting task aborts the decoding within milliseconds.

        An answer less sure than ``least_confidence`` (0 to 1) is given up once that shows. Where only this limit gave
        it up (``EngineAnswer.given_up_below``), a question with a lower one needs an answer of its own.

        Raises EngineError (``daemon.engine.errors``) when the worker died, the model was refused or the
        deadline passed; the hub goes on.
        """
        ...

    async def complete(self, prompt: RawPrompt, *, deadline_seconds: float) -> Completion:
        """What the model writes behind a prompt that a client rendered; the rest is as in ``predict``."""
        ...

    async def unload(self) -> None:
        """Free the model's memory (state UNLOADED); the next prediction loads it again. No-op when not loaded."""
        ...

    async def close(self) -> None:
        """Unload the model and end the worker."""
        ...
