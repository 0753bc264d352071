"""Samples of a teacher: its predictions, one a sample, as texts of the whole excerpt.

A patch may change any row of the excerpt, so the whole of it is the region. Knows nothing of services, prompts or
distances.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from capture.editing.unified_diff import PatchError
from capture.inputs import PredictionInputs, Span
from training_export.example import Example
from training_export.patches import region_after
from training_export.settling.samples import Drawn, NotDrawn, SampledText
from training_export.teachers.predicting import Asking, Predictor, opened_predictor
from training_export.teachers.prompt import NotAskable
from training_export.teachers.settings import TeacherSettings


class Teaching:
    """A `Sampler` that asks a predictor. A service has no seed: its answers are kept in the cache, by their number."""

    def __init__(self, predictor: Predictor, samples: int) -> None:
        self._predictor = predictor
        self._samples = samples

    def draw(self, example: Example) -> Drawn | NotDrawn:
        """See `Sampler`."""
        inputs = example.prompt_inputs
        assert inputs is not None  # noqa: S101  the stage has looked
        try:
            predicted = self._predictor.predict(example)
        except NotAskable as error:
            return NotDrawn(str(error))
        if predicted.missing or len(predicted.predictions) != self._samples:
            reason = predicted.missing or f"{len(predicted.predictions)} of {self._samples} answers came"
            return NotDrawn(reason, is_final=False, tallies=predicted.tallies)
        samples = tuple(sampled(inputs, prediction) for prediction in predicted.predictions)
        return Drawn(Span(0, len(inputs.excerpt_bytes)), samples, predicted.tallies)


@contextmanager
def opened_teaching(teacher: TeacherSettings, asking: Asking) -> Iterator[Teaching]:
    """Open the teacher; raises what `opened_predictor` raises."""
    with opened_predictor(teacher, asking) as predictor:
        yield Teaching(predictor, asking.samples)


def sampled(inputs: PredictionInputs, prediction: Mapping[str, Any]) -> SampledText:
    """What a prediction of an example makes of the excerpt."""
    patch = prediction.get("actual_patch")
    log_probability = prediction.get("avg_logprob")
    if patch is None:
        return SampledText(None, log_probability=log_probability, withheld=prediction.get("error") or "no answer")
    if not patch:
        return SampledText(None, log_probability=log_probability)
    try:
        new = region_after(inputs, Span(0, len(inputs.excerpt_bytes)), patch)
    except PatchError as error:
        return SampledText(None, log_probability=log_probability, withheld=f"the patch does not apply: {error}")
    return SampledText(new.text, new.cursor_offset_bytes, log_probability)
