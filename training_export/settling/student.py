"""Samples of a student: a model that the daemon could run, drawn by its own engine in a worker process.

Knows the engine's client and what its answers mean; nothing of distances.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from capture.inputs import PredictionInputs, Span
from daemon.engine.client import EngineClient
from daemon.engine.errors import DeadlineExceeded, EngineError, WorkerDied
from daemon.engine.messages import ModelSettings, Sample, SampleAnswer, StopReason
from daemon.prompts.base import NoEditReason
from training_export.errors import ModelUnusable
from training_export.example import Example
from training_export.settling.samples import Drawing, Drawn, NotDrawn, SampledText

log = logging.getLogger(__name__)

SAID_NO_EDIT = ("", NoEditReason.SAID_SO.value, NoEditReason.UNCHANGED.value)
ELSEWHERE = "the answer edits text outside the excerpt"
OUTDATED = "the answer edits text that does not stand there"


class Student:
    """A `Sampler` with an engine of its own."""

    def __init__(self, engine: EngineClient, runner: asyncio.Runner, drawing: Drawing, samples: int, seed: int) -> None:
        self._engine = engine
        self._runner = runner
        self._drawing = drawing
        self._samples = samples
        self._seed = seed

    def draw(self, example: Example) -> Drawn | NotDrawn:
        """See `Sampler`."""
        inputs = example.prompt_inputs
        assert inputs is not None  # noqa: S101  the stage has looked
        try:
            answer = self._runner.run(
                self._engine.sample(
                    inputs,
                    count=self._samples,
                    temperature=self._drawing.temperature,
                    top_p=self._drawing.top_p,
                    seed=moment_seed(self._seed, example),
                    deadline_seconds=self._drawing.deadline_seconds,
                )
            )
        except (WorkerDied, DeadlineExceeded) as error:
            if self._engine.failure:  # it died too often, for whatever example
                raise ModelUnusable(self._engine.failure) from error
            return NotDrawn(f"no samples: {error}", is_final=False)
        except EngineError as error:
            if self._engine.failure:
                raise ModelUnusable(self._engine.failure) from error
            return NotDrawn(f"no samples: {error}")
        return drawn_from(inputs, answer, self._drawing.deadline_seconds)


@contextmanager
def opened_student(model: ModelSettings, drawing: Drawing, samples: int, seed: int) -> Iterator[Student]:
    """Load the model in a worker process for as long as the block runs; raises ModelUnusable with the cure."""
    with asyncio.Runner() as runner:
        engine = EngineClient(model, log=log)
        try:
            try:
                runner.run(engine.ready())
            except EngineError as error:
                raise ModelUnusable(str(error)) from error
            yield Student(engine, runner, drawing, samples, seed)
        finally:
            runner.run(engine.close())


def moment_seed(seed: int, example: Example) -> int:
    """Another one for each moment, the same for the same moment wherever it stands."""
    moment = orjson.dumps([seed, example.value["prompt_inputs"]], option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(moment, digest_size=8).digest()) >> 1


def drawn_from(inputs: PredictionInputs, answer: SampleAnswer, deadline_seconds: float) -> Drawn | NotDrawn:
    """The engine's answer as samples of one region; none where the format refused or time ran out."""
    if not answer.samples:
        return NotDrawn(f"no samples: {answer.reason}")
    late = sum(sample.stop in {StopReason.DEADLINE, StopReason.ABORTED} for sample in answer.samples)
    if late:
        return NotDrawn(
            f"no samples: {late} of {len(answer.samples)} were not drawn within {deadline_seconds:g} s"
            " (--deadline gives them longer)",
            is_final=False,
        )
    if any(sample.file_edits for sample in answer.samples):
        whole = Span(0, len(inputs.excerpt_bytes))
        return Drawn(whole, tuple(_of_file_edits(inputs, sample) for sample in answer.samples))
    region = Span(answer.region_start_bytes, answer.region_end_bytes)
    return Drawn(region, tuple(_sampled(sample, sample.new_region_text) for sample in answer.samples))


def _sampled(sample: Sample, text: str | None) -> SampledText:
    withheld = "" if sample.reason in SAID_NO_EDIT else sample.reason
    return SampledText(text, sample.cursor_offset_bytes, sample.log_probability, withheld)


def _of_file_edits(inputs: PredictionInputs, sample: Sample) -> SampledText:
    """Edits of rows as a new text of the whole excerpt; one that reaches out of it cannot be compared."""
    lines = inputs.cursor_excerpt.split("\n")
    first_row = inputs.excerpt_start_row or 0
    for edit in sorted(sample.file_edits, key=lambda edit: edit.rows.start, reverse=True):
        start, end = edit.rows.start - first_row, edit.rows.end - first_row
        if edit.path != inputs.cursor_path or start < 0 or end > len(lines):
            return SampledText(None, None, sample.log_probability, ELSEWHERE)
        if "\n".join(lines[start:end]) != edit.old_text.removesuffix("\n"):
            return SampledText(None, None, sample.log_probability, OUTDATED)
        new = edit.new_text.removesuffix("\n").split("\n") if edit.new_text else []
        lines[start:end] = new
    text = "\n".join(lines)
    return _sampled(sample, None if text == inputs.cursor_excerpt else text)
