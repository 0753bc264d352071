"""A GGUF as a teacher: it gets the moment in its own prompt format and its answers are edits. It costs time only.

Answers are kept like those that are paid for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from capture.inputs import PredictionInputs, Span
from daemon.engine.messages import ModelSettings
from daemon.prompts.base import NewRegion
from daemon.prompts.zed.answer import ParsedOutput, cursor_position
from training_export.example import Example
from training_export.example_format.records import ExamplePrediction, PredictedCursor
from training_export.patches import NotSayable, patch_of_region
from training_export.settling.samples import Drawing, NotDrawn, SampledText, Sampler
from training_export.settling.student import opened_student
from training_export.teachers.cache import AnswerCache, Claim, opened_cache
from training_export.teachers.predicting import EDITS, NO_EDITS_SAID, UNREADABLE, Asking, Predicted
from training_export.teachers.prompt import NotAskable
from training_export.teachers.settings import TeacherSettings

SEED = 0


@contextmanager
def opened_local_model(teacher: TeacherSettings, asking: Asking) -> Iterator[LocalModel]:
    """Load the model for as long as the block runs; raises ModelUnusable and AnswersUnusable.

    Without a temperature one sample is the most probable answer, and several are drawn at 1.
    """
    temperature = asking.temperature if asking.temperature is not None else float(asking.samples > 1)
    drawing = Drawing(temperature)
    with (
        opened_cache(teacher.cache) as cache,
        opened_student(ModelSettings(teacher.model), drawing, asking.samples, SEED) as model,
    ):
        yield LocalModel(model, teacher, asking.samples, temperature, cache)


class LocalModel:
    """A `Predictor` with an engine of its own, for one thread."""

    def __init__(
        self, model: Sampler, teacher: TeacherSettings, samples: int, temperature: float, cache: AnswerCache
    ) -> None:
        self._model = model
        self._teacher = teacher
        self._samples = samples
        self._temperature = temperature
        self._cache = cache

    def predict(self, example: Example) -> Predicted:
        """See `Predictor`."""
        inputs = example.prompt_inputs
        if inputs is None:
            raise NotAskable("the example has no prompt_inputs: run `foretype context` on it, or import it anew")
        asked = {"inputs": inputs.to_json(), "samples": self._samples, "temperature": self._temperature}
        key = self._teacher.identity.key(asked)
        while (claimed := self._cache.claim(key, self._teacher.identity.label)) is Claim.THEIRS:
            self._cache.wait(key)
        if not isinstance(claimed, Claim):
            return _predicted(claimed["predictions"], "answers found")
        return self._draw(example, inputs, key)

    def _draw(self, example: Example, inputs: PredictionInputs, key: str) -> Predicted:
        try:
            drawn = self._model.draw(example)
        except BaseException:
            self._cache.give_up(key)
            raise
        if isinstance(drawn, NotDrawn):
            self._cache.give_up(key)
            if drawn.is_final:
                raise NotAskable(drawn.reason)
            return Predicted((), drawn.tallies, drawn.reason)
        predictions = [_prediction(inputs, drawn.region, sample, self._teacher.name) for sample in drawn.samples]
        self._cache.store(key, {"predictions": predictions})
        return _predicted(predictions, "answers asked")


def _predicted(predictions: list[dict[str, Any]], found_or_asked: str) -> Predicted:
    counted = Counter({found_or_asked: len(predictions)})
    for prediction in predictions:
        if "error" in prediction:
            counted[UNREADABLE] += 1
        else:
            counted[EDITS if prediction["actual_patch"] else NO_EDITS_SAID] += 1
    return Predicted(tuple(predictions), counted)


def _prediction(inputs: PredictionInputs, region: Span, sample: SampledText, name: str) -> dict[str, Any]:
    text = sample.text or ""
    if sample.withheld:
        return ExamplePrediction(text, name, error=sample.withheld).to_json()
    if sample.text is None:
        return ExamplePrediction("", name, "", cumulative_logprob=sample.log_probability).to_json()
    new = NewRegion(text, sample.cursor_offset_bytes)
    try:
        patch = patch_of_region(inputs, region, new)
    except NotSayable as error:
        return ExamplePrediction(text, name, error=str(error)).to_json()
    found = cursor_position(inputs, ParsedOutput(text, region, new.cursor_offset_bytes)) if patch else None
    cursor = None
    if found is not None:
        place = (found.row, found.column, found.offset, found.editable_region_offset)
        cursor = PredictedCursor(inputs.cursor_path, *place)
    return ExamplePrediction(text, name, patch, cursor, cumulative_logprob=sample.log_probability).to_json()
