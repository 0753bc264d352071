"""distill: what a teacher would predict, into ``predictions``.

What was there is replaced, and with it goes what was found out about it (``score``, ``qa``). The prompt in ``prompt``
stays: it is made from ``expected_patches``, which this stage does not touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from training_export.example import Example
from training_export.stage import Concurrency, Findings, Work
from training_export.teachers.api import Request
from training_export.teachers.predicting import Asking, Predictor, opened_predictor, requests_for
from training_export.teachers.prompt import READS, NotAskable
from training_export.teachers.settings import TeacherSettings


@dataclass(frozen=True, slots=True)
class Distill:
    """Asks ``teacher`` as ``asking`` says."""

    teacher: TeacherSettings
    asking: Asking = field(default_factory=Asking)

    name: ClassVar[str] = "distill"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = READS
    writes: ClassVar[tuple[str, ...]] = ("predictions", "score", "qa")

    @property
    def concurrency(self) -> Concurrency:
        """A service is waited for; a model of one's own takes all cores."""
        return Concurrency.ALONE if self.teacher.service == "gguf" else Concurrency.THREADS

    def settings(self) -> Mapping[str, Any]:
        """See ``Stage.settings``."""
        return {"teacher": self.teacher.identity.to_json(), "name": self.teacher.name, **self.asking.to_json()}

    def requests(self, example: Example) -> tuple[Request, ...]:
        """What will be asked about an example; see ``AskingStage``."""
        return requests_for(example, self.asking)

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """See ``Stage.opened``."""
        with opened_predictor(self.teacher, self.asking) as predictor:
            yield lambda example: _distilled(predictor, example)


def _distilled(predictor: Predictor, example: Example) -> Findings:
    try:
        predicted = predictor.predict(example)
    except NotAskable as error:
        return Findings(failure=str(error))
    failure = predicted.missing
    errors = [prediction.get("error") for prediction in predicted.predictions]
    if not failure and all(errors):
        failure = f"none of the teacher's answers can be used: {errors[0]}"
    fields: dict[str, Any] = {}
    if predicted.predictions:
        fields = {"predictions": list(predicted.predictions), "score": None, "qa": None}
    return Findings(fields, failure=failure, is_final=not predicted.missing, tallies=predicted.tallies)
