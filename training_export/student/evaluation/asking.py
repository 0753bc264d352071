"""The stage that asks a student about cases, through the daemon's own engine, at its most probable answer.

It is run as every stage is: several engines side by side, what is answered is kept at once, and a run that was cut goes
on. The file's own limit of confidence plays no part: what it would hold back is judged from the answers. Knows nothing
of scores.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from capture.inputs import PredictionInputs
from daemon.engine.client import EngineClient
from daemon.engine.errors import DeadlineExceeded, EngineError, WorkerDied
from daemon.engine.messages import EngineAnswer, ModelSettings, StopReason
from training_export.errors import ModelUnusable
from training_export.example import Example
from training_export.stage import Concurrency, Findings, Work
from training_export.student.evaluation.answers import MEMBER, answer_of
from training_export.student.evaluation.gate import ungated

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 60.0
LATE = frozenset({StopReason.DEADLINE, StopReason.ABORTED})


@dataclass(frozen=True, slots=True)
class AskStudent:
    """``checksum`` names the model in keys, less its limit of confidence; where it lies shapes nothing."""

    model: ModelSettings
    checksum: str

    name: ClassVar[str] = "ask"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("prompt_inputs",)
    writes: ClassVar[tuple[str, ...]] = (f"foretype.{MEMBER}",)

    @property
    def concurrency(self) -> Concurrency:
        """A model that runs on one core leaves the others to more of its kind."""
        one_core = self.model.threads == 1 and self.model.gpu_layers == 0
        return Concurrency.PROCESSES if one_core else Concurrency.ALONE

    def settings(self) -> Mapping[str, Any]:
        """See `Stage`."""
        return {
            "student": self.checksum,
            "prompt_format": self.model.prompt_format,
            "ranking": self.model.ranking,
        }

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """An engine of its own; raises ModelUnusable."""
        with ungated(self.model) as model, asyncio.Runner() as runner:
            engine = EngineClient(model, log=log)
            try:
                try:
                    runner.run(engine.ready())
                except EngineError as error:
                    raise ModelUnusable(str(error)) from error
                yield lambda example: _findings(engine, runner, example)
            finally:
                runner.run(engine.close())


def _findings(engine: EngineClient, runner: asyncio.Runner, example: Example) -> Findings:
    inputs = example.prompt_inputs
    if inputs is None:
        return _failed("it has no prompt_inputs")
    try:
        answer = runner.run(_ask(engine, inputs))
    except (WorkerDied, DeadlineExceeded) as error:
        if engine.failure:  # it died too often, for whatever case
            raise ModelUnusable(engine.failure) from error
        return _failed(f"no answer: {error}", is_final=False)
    except EngineError as error:
        if engine.failure:
            raise ModelUnusable(engine.failure) from error
        return _failed(f"no answer: {error}")
    if answer.stop in LATE:
        return _failed(f"no answer within {DEADLINE_SECONDS:g} s", is_final=False)
    is_ranked = engine.settings.ranking
    return Findings(ours={MEMBER: answer_of(inputs, answer, is_ranked=is_ranked).to_json()})


async def _ask(engine: EngineClient, inputs: PredictionInputs) -> EngineAnswer:
    return await engine.predict(inputs, deadline_seconds=DEADLINE_SECONDS)


def _failed(reason: str, *, is_final: bool = True) -> Findings:
    return Findings(ours={MEMBER: None}, failure=reason, is_final=is_final)
