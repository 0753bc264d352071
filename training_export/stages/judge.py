"""``judge``: a language model's opinion of predictions: does it undo the user's edits, would it be accepted.

Verdicts go to ``qa``, parallel to ``predictions``. Knows nothing of what follows from them (`repair`) or of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from training_export.example import Example
from training_export.example_format.records import ExamplePrediction, Verdict
from training_export.stage import Concurrency, Findings, Work
from training_export.teachers.api import Message, NotAnswered, Request, Teacher, tallies
from training_export.teachers.judge_prompt import JUDGE_TEXT, VerdictUnreadable, judge_prompt, read_verdict
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
from training_export.teachers.settings import TeacherSettings

# Zed allows 1024. A model that thinks first spends some before it answers; only what is used is paid.
MAX_TOKENS: Final = 4096


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the first prediction, or with ``judges_all`` each; of ``prompt`` the region and the history count."""

    teacher: TeacherSettings
    prompt: PromptSettings = DEFAULT_PROMPT
    judges_all: bool = False
    max_tokens: int = MAX_TOKENS

    name: ClassVar[str] = "judge"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (*READS, "predictions", "qa")
    writes: ClassVar[tuple[str, ...]] = ("qa",)
    concurrency: ClassVar[Concurrency] = Concurrency.THREADS

    def settings(self) -> Mapping[str, Any]:
        """See `Stage`."""
        return {
            "teacher": self.teacher.identity.to_json(),
            "prompt": self.prompt.to_json(),
            "text": text_digest(JUDGE_TEXT),
            "judges_all": self.judges_all,
            "max_tokens": self.max_tokens,
        }

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """See `Stage`."""
        with opened_teacher(self.teacher) as teacher:
            yield lambda example: self.findings(example, teacher)

    def requests(self, example: Example) -> tuple[Request, ...]:
        """What will be asked about an example, in order; raises NotAskable. See `AskingStage`."""
        judged = self._judged(example)
        if not judged:
            return ()
        moment = moment_of(example, self.prompt)
        return tuple(self._request(example, moment, prediction) for _, prediction in judged)

    def findings(self, example: Example, teacher: Teacher) -> Findings:
        """A verdict for every prediction that has an edit to judge; what was said of others stays."""
        judged = self._judged(example)
        if not judged:
            return Findings(tallies={"without a prediction to judge": 1})
        try:
            moment = moment_of(example, self.prompt)
        except NotAskable as error:
            return Findings(failure=f"nothing could be judged: {error}")
        earlier = list(example.value.get("qa", ()))[: len(example.predictions)]
        verdicts: list[Any] = earlier + [None] * (len(example.predictions) - len(earlier))
        counts: Counter[str] = Counter()
        for index, prediction in judged:
            try:
                reply = teacher.answer(self._request(example, moment, prediction))
            except NotAnswered as error:
                return Findings(failure=f"the judge has not answered: {error}", is_final=False, tallies=dict(counts))
            verdict = _verdict(reply.text, reply.error)
            verdicts[index] = verdict.to_json()
            counts.update(tallies(reply))
            counts.update(_counted(verdict))
        return Findings(fields={"qa": verdicts}, tallies=dict(counts))

    def _judged(self, example: Example) -> list[tuple[int, ExamplePrediction]]:
        """Those with a patch that changes something."""
        chosen = list(enumerate(example.predictions))
        return [(at, one) for at, one in (chosen if self.judges_all else chosen[:1]) if one.actual_patch]

    def _request(self, example: Example, moment: Moment, prediction: ExamplePrediction) -> Request:
        prompt = judge_prompt(example, moment, self.prompt, prediction.actual_patch or "")
        return Request((Message("user", prompt),), self.max_tokens)


def _verdict(text: str, error: str) -> Verdict:
    """With the raw answer where it is no verdict, so that somebody can look."""
    if error:
        return Verdict(response=text, error=error)
    try:
        return read_verdict(text)
    except VerdictUnreadable as unreadable:
        return Verdict(response=text, error=str(unreadable))


def _counted(verdict: Verdict) -> dict[str, float]:
    if verdict.error is not None:
        return {"verdicts unreadable": 1}
    counts: dict[str, float] = {"judged": 1}
    if verdict.reverts_edits:
        counts["judged to undo edits"] = 1
    if verdict.confidence is not None:
        counts[f"confidence {verdict.confidence}"] = 1
    return counts
