"""``repair``: doubted predictions go back to a teacher with what was found, to be kept, changed or withdrawn.

What the teacher then says is appended as a prediction of provider ``repair``, which `targets` prefers. Knows nothing
of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from training_export.example import Example
from training_export.example_format.records import ExamplePrediction
from training_export.stage import OURS, Concurrency, Findings, Work
from training_export.teachers.answer import AnswerUnreadable
from training_export.teachers.api import NotAnswered, Reply, Request, Teacher, tallies
from training_export.teachers.faults import DEFAULT_THRESHOLDS, Doubts, Thresholds, doubts_of
from training_export.teachers.opening import opened_teacher
from training_export.teachers.prompt import (
    DEFAULT_PROMPT,
    READS,
    Moment,
    NotAskable,
    PromptSettings,
    moment_of,
    text_digest,
)
from training_export.teachers.repair_prompt import REPAIR_TEXT, Outcome, read_repair, repair_messages
from training_export.teachers.settings import TeacherSettings

PROVIDER: Final = "repair"
REPAIRED: Final = "repairs"  # in the prediction's ``foretype``: the index of the one it stands in for
MAX_TOKENS: Final = 16_384


@dataclass(frozen=True, slots=True)
class _Doubted:
    """A prediction that triggers a repair, its index, and what is wrong with it."""

    index: int
    prediction: ExamplePrediction
    doubts: Doubts


@dataclass(frozen=True, slots=True)
class Repair:
    """Looks at the first prediction, as Zed does, or with ``repairs_all`` at each.

    ``prompt`` must be what the predictions were asked with: the first message is written anew.
    """

    teacher: TeacherSettings
    prompt: PromptSettings = DEFAULT_PROMPT
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    repairs_all: bool = False
    max_tokens: int = MAX_TOKENS

    name: ClassVar[str] = "repair"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (*READS, "predictions", "score", "qa")
    writes: ClassVar[tuple[str, ...]] = ("predictions", "score", "qa")
    concurrency: ClassVar[Concurrency] = Concurrency.THREADS

    def settings(self) -> Mapping[str, Any]:
        """See `Stage`."""
        return {
            "teacher": self.teacher.identity.to_json(),
            "prompt": self.prompt.to_json(),
            "text": text_digest(REPAIR_TEXT),
            "thresholds": self.thresholds.to_json(),
            "repairs_all": self.repairs_all,
            "max_tokens": self.max_tokens,
        }

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """See `Stage`."""
        with opened_teacher(self.teacher) as teacher:
            yield lambda example: self.findings(example, teacher)

    def requests(self, example: Example) -> tuple[Request, ...]:
        """What will be asked about an example, in order; raises NotAskable. See `AskingStage`."""
        if not _has_edits(example):
            return ()
        moment = moment_of(example, self.prompt)
        return tuple(self._request(example, moment, doubted) for doubted in self._doubted(example, moment))

    def findings(self, example: Example, teacher: Teacher) -> Findings:
        """The predictions with their repairs behind them. Repairs of an earlier run go."""
        if not _has_edits(example):
            return Findings(tallies={"without a prediction to check": 1})
        try:
            moment = moment_of(example, self.prompt)
        except NotAskable as error:
            return Findings(failure=f"nothing could be repaired: {error}")
        doubted = self._doubted(example, moment)
        counts: Counter[str] = Counter({"flagged" if doubted else "not flagged": 1})
        repairs: list[dict[str, Any]] = []
        for one in doubted:
            counts.update(f"flagged: {fault.value}" for fault in one.doubts.triggers)
            try:
                reply = teacher.answer(self._request(example, moment, one))
            except NotAnswered as error:
                return Findings(failure=f"the teacher has not answered: {error}", is_final=False, tallies=dict(counts))
            counts.update(tallies(reply))
            repair, outcome = self._repaired(moment, one, reply)
            counts.update(outcome)
            repairs.append(repair)
        return Findings(fields=_with_repairs(example, repairs), tallies=dict(counts))

    def _doubted(self, example: Example, moment: Moment) -> list[_Doubted]:
        scores, verdicts = example.score, example.qa
        doubted: list[_Doubted] = []
        for index in _originals(example) if self.repairs_all else _originals(example)[:1]:
            prediction = example.predictions[index]
            if not prediction.actual_patch:
                continue
            score = scores[index] if index < len(scores) else None
            verdict = verdicts[index] if index < len(verdicts) else None
            doubts = doubts_of(moment, prediction.actual_patch, score, verdict, self.thresholds)
            if doubts.triggers:
                doubted.append(_Doubted(index, prediction, doubts))
        return doubted

    def _request(self, example: Example, moment: Moment, doubted: _Doubted) -> Request:
        messages = repair_messages(example, moment, self.prompt, doubted.prediction, doubted.doubts)
        return Request(messages, self.max_tokens)

    def _repaired(self, moment: Moment, doubted: _Doubted, reply: Reply) -> tuple[dict[str, Any], list[str]]:
        """The prediction to append, and how it is counted."""
        marks = {OURS: {REPAIRED: doubted.index}} if self.repairs_all else {}
        if reply.error:
            return {**_unread(reply.text, reply.error), **marks}, ["unreadable"]
        try:
            repair = read_repair(moment, doubted.prediction, reply.text)
        except AnswerUnreadable as error:
            return {**_unread(reply.text, error.reason), **marks}, ["unreadable"]
        outcome = [repair.outcome.value]
        if repair.outcome is Outcome.CHANGED:
            again = doubts_of(moment, repair.patch, None, None, self.thresholds).triggers
            outcome += ["changed and still doubtful"] if again else []
        prediction = ExamplePrediction(reply.text, PROVIDER, repair.patch, repair.cursor)
        return {**prediction.to_json(), **marks}, outcome


def _has_edits(example: Example) -> bool:
    return any(prediction.actual_patch for prediction in example.predictions)


def _originals(example: Example) -> list[int]:
    return [index for index, prediction in enumerate(example.predictions) if prediction.provider != PROVIDER]


def _unread(text: str, error: str) -> dict[str, Any]:
    return ExamplePrediction(text, PROVIDER, error=error).to_json()


def _with_repairs(example: Example, repairs: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields to set: verdicts stay with their predictions, scores do not cover the new ones and go."""
    originals = _originals(example)
    if not repairs and len(originals) == len(example.predictions):
        return {}
    verdicts = example.value.get("qa") or []
    kept = [verdicts[index] if index < len(verdicts) else None for index in originals]
    return {
        "predictions": [*(example.value["predictions"][index] for index in originals), *repairs],
        "qa": [*kept, *([None] * len(repairs))] if any(verdicts) else None,
        "score": None,
    }
