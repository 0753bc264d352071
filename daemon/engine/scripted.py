"""An engine whose answers are written down beforehand: for tests, and for authors of editor clients.

It decodes nothing and needs no model. A script turns what the model would see into the new text of the
excerpt; the engine can be held back in the middle of a prediction, made to fail, and asked afterwards what
it was given.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.engine.api import EngineState
from daemon.engine.errors import DeadlineExceeded
from daemon.engine.messages import Completion, Counters, EngineAnswer, Origin, StopReason, less_sure

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.inputs import PredictionInputs
    from daemon.engine.errors import EngineError
    from daemon.engine.messages import ModelInfo
    from daemon.prompts.raw_prompt import RawPrompt

    Script = Callable[[PredictionInputs], str | None]


def replacing(old: str, new: str) -> Script:
    """A script that replaces every ``old`` in the excerpt, and predicts nothing where there is none."""
    return lambda inputs: inputs.cursor_excerpt.replace(old, new) if old in inputs.cursor_excerpt else None


def completing(goal: str) -> Script:
    """A script that completes the cursor's line to ``goal``, and predicts nothing where it has gone another way."""

    def complete(inputs: PredictionInputs) -> str | None:
        lines = inputs.cursor_excerpt.split("\n")
        row = inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].count(b"\n")
        if not goal.startswith(lines[row]) or lines[row] == goal:
            return None
        return "\n".join([*lines[:row], goal, *lines[row + 1 :]])

    return complete


class ScriptedEngine:
    """An ``Engine``; ``asked`` holds the inputs of each prediction begun, ``aborted`` counts those given up."""

    def __init__(self, script: Script, completes: Callable[[str], str] = lambda _: "") -> None:
        self.script = script
        self.completes = completes
        self.state = EngineState.UNLOADED
        self.failure = ""
        self.model: ModelInfo | None = None
        self.asked: list[PredictionInputs] = []
        self.completed: list[RawPrompt] = []
        self.aborted = 0
        self.tokens_evaluated = 0  # as if each character of an excerpt were one
        self.fails_with: EngineError | None = None
        self.stop = StopReason.END_OF_SEQUENCE
        self.confidence = 1.0
        self.origin = Origin.MODEL  # of what it says
        self.seconds = 0.0  # that an answer says it took
        self._free = asyncio.Event()
        self._free.set()
        self._begun = asyncio.Event()
        self._gave_up = asyncio.Event()
        self._unloaded = asyncio.Event()

    def hold(self) -> None:
        """Let every prediction wait until ``release``."""
        self._free.clear()

    def release(self) -> None:
        """Let the predictions that wait go on."""
        self._free.set()

    async def begun(self, count: int) -> None:
        """Return once ``count`` predictions have begun."""
        while len(self.asked) + len(self.completed) < count:
            self._begun.clear()
            await self._begun.wait()

    async def given_up(self, count: int) -> None:
        """Return once ``count`` predictions were given up."""
        while self.aborted < count:
            self._gave_up.clear()
            await self._gave_up.wait()

    async def predict(
        self, inputs: PredictionInputs, *, deadline_seconds: float, least_confidence: float = 0.0
    ) -> EngineAnswer:
        """The script's answer; raises ``fails_with``, or DeadlineExceeded when held for too long.

        With a ``confidence`` below ``least_confidence`` it is given up, as a model's would be.
        """
        self.asked.append(inputs)
        self.tokens_evaluated += len(inputs.cursor_excerpt)
        await self._think(deadline_seconds)
        new_text = self.script(inputs)
        if new_text is not None and self.confidence < least_confidence:
            return self._given_up(inputs, least_confidence)
        return EngineAnswer(
            id=len(self.asked),
            region_start_bytes=0,
            region_end_bytes=len(inputs.excerpt_bytes),
            new_region_text=new_text,
            reason="" if new_text is not None else "the model predicts no edit",
            stop=self.stop,
            confidence=self.confidence,
            origin=self.origin,
            seconds=self.seconds,
            counters=Counters(tokens_evaluated=len(inputs.cursor_excerpt), forward_passes=1),
        )

    async def complete(self, prompt: RawPrompt, *, deadline_seconds: float) -> Completion:
        """What ``completes`` says of the prompt's text; otherwise as ``predict``."""
        self.completed.append(prompt)
        self.tokens_evaluated += len(prompt.text)
        await self._think(deadline_seconds)
        counters = Counters(prompt_tokens=len(prompt.text), tokens_evaluated=len(prompt.text), forward_passes=1)
        return Completion(
            len(self.completed), self.completes(prompt.text), self.stop, self.confidence, self.seconds, counters
        )

    async def _think(self, deadline_seconds: float) -> None:
        self._begun.set()
        if self.state is not EngineState.READY:
            self.state = EngineState.LOADING
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._free.wait()
        except TimeoutError:
            raise DeadlineExceeded("the model took longer than the deadline") from None
        except asyncio.CancelledError:
            self.aborted += 1
            self._gave_up.set()
            raise
        if self.fails_with is not None:
            self.state = EngineState.FAILED
            self.failure = str(self.fails_with)
            raise self.fails_with
        self.state = EngineState.READY

    def _given_up(self, inputs: PredictionInputs, least_confidence: float) -> EngineAnswer:
        return EngineAnswer(
            id=len(self.asked),
            region_end_bytes=len(inputs.excerpt_bytes),
            reason=less_sure(self.confidence, least_confidence),
            stop=StopReason.UNSURE,
            confidence=self.confidence,
            given_up_below=least_confidence,
            counters=Counters(tokens_evaluated=len(inputs.cursor_excerpt), forward_passes=1),
        )

    async def unload(self) -> None:
        """Forget the model."""
        self.state = EngineState.UNLOADED
        self._unloaded.set()

    async def unloaded(self) -> None:
        """Return once the model was forgotten."""
        await self._unloaded.wait()

    async def close(self) -> None:
        """End."""
        self.state = EngineState.CLOSED
