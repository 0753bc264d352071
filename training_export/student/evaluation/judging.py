"""A case with its answer, judged: is it right, would the daemon show it, and what would have cost nothing.

What the daemon holds back is asked of the daemon (`daemon/suppress.py`). A *revert* is an edit whose share that takes
back the newest typed event is above what the daemon's normal eagerness lets through (0.6 of its characters), measured
in the rows around the edit nearest the cursor: what the daemon would refuse to show, counted although it would.
Knows nothing of tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from capture.editing.document import Document
from capture.inputs import PredictionInputs, Span
from daemon.engine.messages import EngineAnswer, Origin, StopReason
from daemon.prediction import Prediction, to_prediction
from daemon.settings import Settings
from daemon.suppress import refusal
from training_export.student.evaluation.answers import Answer, Said
from training_export.student.evaluation.cases import Case

DEFAULTS = Settings()


class HeldBack(StrEnum):
    """Why the daemon shows nothing of an edit, however sure the model is."""

    NO = ""
    UNFIT = "nothing that can be shown"  # control tokens
    WHITE_SPACE = "white space alone"
    REVERT = "takes back what was just typed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``is_right``: the region becomes what was expected, or stays so where nothing was. ``is_edit``: it changes."""

    text: str
    confidence: float
    origin: Origin
    is_edit: bool
    is_right: bool
    held_back: HeldBack
    wants_quiet: bool

    @property
    def is_revert(self) -> bool:
        """See the module's text."""
        return self.held_back is HeldBack.REVERT

    @property
    def is_shown_if_sure(self) -> bool:
        """Whether nothing but confidence could keep it from being shown."""
        return self.is_edit and self.held_back is HeldBack.NO

    def is_shown(self, limit: float) -> bool:
        """Whether it is shown where this much confidence is asked for."""
        return self.is_shown_if_sure and self.confidence >= limit

    def is_right_when(self, limit: float) -> bool:
        """Whether what the user gets is right: the edit where it is shown, else no edit."""
        return self.is_right if self.is_shown(limit) else self.wants_quiet


@dataclass(frozen=True, slots=True)
class Judged:
    """A case, what was answered, and how right that is: of the student alone, and of what was ``ranked``, if it was.

    ``wanted`` are the texts of the region that are right. ``rule_is_right`` is of the plain rule in that region.
    """

    case: Case
    answer: Answer
    wanted: tuple[str, ...]
    alone: Outcome
    ranked: Outcome | None
    rule_is_right: bool

    @property
    def wants_quiet(self) -> bool:
        """Whether no edit is right; never to predict is right there, and only there."""
        return self.alone.wants_quiet

    @property
    def default(self) -> Outcome:
        """What the daemon does unless told otherwise: it ranks, where it can."""
        return self.alone if self.ranked is None else self.ranked


def judged(case: Case, answer: Answer) -> Judged:
    """Raises NoCase where what comes next cannot be asked in the answer's region."""
    wanted = case.wanted_in(answer.region)
    alone = _outcome(case, answer.region, answer.alone, wanted)
    ranked = None if answer.ranked is None else _outcome(case, answer.region, answer.ranked, wanted)
    return Judged(case, answer, wanted, alone, ranked, case.by_rule(answer.region) in wanted)


def _outcome(case: Case, region: Span, said: Said, wanted: tuple[str, ...]) -> Outcome:
    current = case.text_of(region)
    text = current if said.new_text is None else said.new_text
    is_edit = text != current
    return Outcome(
        text=text,
        confidence=said.confidence,
        origin=said.origin,
        is_edit=is_edit,
        is_right=text in wanted,
        held_back=_held_back(case.inputs, region, text) if is_edit else HeldBack.NO,
        wants_quiet=current in wanted,
    )


def _held_back(inputs: PredictionInputs, region: Span, text: str) -> HeldBack:
    """What the daemon finds of the edit when it is as sure as can be."""
    answer = EngineAnswer(0, region.start, region.end, text, stop=StopReason.END_OF_SEQUENCE, confidence=1.0)
    found = to_prediction(inputs, answer, "", _document(inputs), min_confidence=0.0)
    if not isinstance(found, Prediction):
        return HeldBack.UNFIT
    if not refusal(found, inputs, DEFAULTS):
        return HeldBack.NO
    is_white_space = found.replaced[0].split() == found.edits[0].text.split()
    return HeldBack.WHITE_SPACE if is_white_space else HeldBack.REVERT


def _document(inputs: PredictionInputs) -> Document:
    """What is known of the file: the excerpt in its rows, and nothing in those above."""
    return Document("\n" * (inputs.excerpt_start_row or 0) + inputs.cursor_excerpt)
