"""What a teacher would predict for an example, as many times as wanted: in words, or, a GGUF, in its own format.

A prediction is as it stands in an example. An answer that cannot be used is one, too: raw, with the reason. Knows
nothing of files and runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from training_export.example import Example
from training_export.example_format.records import ExamplePrediction
from training_export.teachers.answer import AnswerUnreadable, read_answer_for
from training_export.teachers.api import (
    Ending,
    Message,
    NotAnswered,
    NotAnsweredReason,
    Reply,
    Request,
    Teacher,
    tallies,
)
from training_export.teachers.opening import opened_teacher
from training_export.teachers.prompt import Moment, PromptSettings, moment_of, write_prompt
from training_export.teachers.settings import TeacherSettings

MAX_TOKENS: Final = 16_384
EDITS, NO_EDITS_SAID, UNREADABLE = "edits", "no edits", "unreadable answers"
ENDINGS: Final = {
    Ending.TRUNCATED: "truncated answers",
    Ending.REFUSED: "refusals",
    Ending.REJECTED: "rejected requests",
}
TIMED_OUT: Final = "time-outs"


@dataclass(frozen=True, slots=True)
class Asking:
    """How a teacher is asked for predictions. ``temperature`` None is the service's own."""

    prompt: PromptSettings = field(default_factory=PromptSettings)
    samples: int = 1
    temperature: float | None = None
    max_tokens: int = MAX_TOKENS

    def to_json(self) -> dict[str, Any]:
        """For a stage's settings."""
        return {
            "prompt": self.prompt.to_json(),
            "samples": self.samples,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }


@dataclass(frozen=True, slots=True)
class Predicted:
    """What came of it. ``missing`` says why predictions are missing that another run may bring; empty if none is."""

    predictions: tuple[Mapping[str, Any], ...]
    tallies: Mapping[str, float]
    missing: str = ""


class Predictor(Protocol):
    """Predicts for examples; opened and closed by whoever made it."""

    def predict(self, example: Example) -> Predicted:
        """Raises NotAskable for an example no teacher can be asked about; what ends the run, see ``Teacher``."""
        ...


def requests_for(example: Example, asking: Asking) -> tuple[Request, ...]:
    """What a teacher is asked about an example; raises NotAskable."""
    return _requests(example, moment_of(example, asking.prompt), asking)


@contextmanager
def opened_predictor(teacher: TeacherSettings, asking: Asking) -> Iterator[Predictor]:
    """Raises what `opened_teacher` raises, and for a GGUF ModelUnusable."""
    if teacher.service == "gguf":
        from training_export.teachers.local_model import opened_local_model  # noqa: PLC0415  an engine

        with opened_local_model(teacher, asking) as predictor:
            yield predictor
    else:
        with opened_teacher(teacher) as found:
            yield AskedInWords(found, asking)


class AskedInWords:
    """A `Predictor` that asks with the teacher's prompt."""

    def __init__(self, teacher: Teacher, asking: Asking) -> None:
        self._teacher = teacher
        self._asking = asking

    def predict(self, example: Example) -> Predicted:
        """See `Predictor`."""
        moment = moment_of(example, self._asking.prompt)
        counted: Counter[str] = Counter()
        money: dict[str, float] = {}
        predictions: list[Mapping[str, Any]] = []
        missing: list[str] = []
        for request in _requests(example, moment, self._asking):
            try:
                reply = self._teacher.answer(request)
            except NotAnswered as error:
                missing.append(str(error))
                if error.reason is NotAnsweredReason.TIMED_OUT:
                    counted[TIMED_OUT] += 1
                    predictions.append(self._failed("", str(error)))
                continue
            for name, number in tallies(reply).items():
                money[name] = money.get(name, 0.0) + number
            kind, prediction = self._read(moment, reply)
            counted[kind] += 1
            predictions.append(prediction)
        why = "" if not missing else f"{len(missing)} of {self._asking.samples} answers are missing: {missing[0]}"
        return Predicted(tuple(predictions), {**money, **counted}, why)

    def _read(self, moment: Moment, reply: Reply) -> tuple[str, Mapping[str, Any]]:
        """What it counts as, and the prediction."""
        if reply.error:
            return ENDINGS[reply.ending], self._failed(reply.text, reply.error)
        try:
            answer = read_answer_for(moment, reply.text)
        except AnswerUnreadable as error:
            return UNREADABLE, self._failed(reply.text, error.reason)
        prediction = ExamplePrediction(reply.text, self._teacher.name, answer.patch, answer.cursor)
        return NO_EDITS_SAID if answer.is_no_edit else EDITS, prediction.to_json()

    def _failed(self, text: str, error: str) -> Mapping[str, Any]:
        return ExamplePrediction(text, self._teacher.name, error=error).to_json()


def _requests(example: Example, moment: Moment, asking: Asking) -> tuple[Request, ...]:
    messages = (Message("user", write_prompt(example, moment, asking.prompt)),)
    return tuple(Request(messages, asking.max_tokens, asking.temperature, sample) for sample in range(asking.samples))
