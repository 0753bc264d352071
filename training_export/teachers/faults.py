"""What can be wrong with a prediction, found without asking anybody: the ground for asking its teacher again.

A judge's verdict counts where there is one; else the measures do. Knows nothing of prompts or teachers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from capture.editing.unified_diff import PatchError, extract_cursor
from capture.metrics.prediction_score import PredictionScore
from capture.metrics.score import RecentEdits, score_prediction
from training_export.example_format.records import Verdict
from training_export.patches import RegionLeft, region_after
from training_export.teachers.prompt import Moment


class Fault(StrEnum):
    """A reason to doubt a prediction; the value names it in tallies."""

    REVERTS = "judged to undo edits"
    DOUBTED = "judged unlikely to be accepted"
    UNDOES = "undoes the newest edit"
    MISPLACED = "begins with a run of deletions"
    LEAVES_REGION = "leaves the editable region"
    NOT_APPLICABLE = "does not apply"
    OUT_OF_PROPORTION = "out of proportion"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a prediction is doubted.

    A judge's ``confidence`` up to this; a reversal ratio above ``reversal``; out of proportion with more than
    ``discarded_bytes`` that nobody wanted and more than ``false_lines`` such lines, or more than ``changed_tokens``
    brought in or taken away. Being out of proportion alone is no ground to ask again unless ``proportion_counts``.
    """

    confidence: int = 2
    reversal: float = 0.9
    discarded_bytes: int = 80
    false_lines: int = 5
    changed_tokens: int = 100
    proportion_counts: bool = False

    def to_json(self) -> dict[str, Any]:
        """All of it, for a stage's settings."""
        return asdict(self)


DEFAULT_THRESHOLDS: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Doubts:
    """``faults`` with a sentence each, for the teacher; ``triggers`` are those for which it is worth asking again."""

    faults: Mapping[Fault, str]
    triggers: tuple[Fault, ...]
    inserted_tokens: int
    deleted_tokens: int


def doubts_of(
    moment: Moment, patch: str, score: PredictionScore | None, verdict: Verdict | None, thresholds: Thresholds
) -> Doubts:
    """What is wrong with one prediction.

    Without a score it is measured here, against no edit: all that it brings in then counts as not wanted.
    """
    measured = score or _measured(moment, patch)
    faults = dict(_certain_faults(moment, patch))
    if verdict is not None and (verdict.reverts_edits is not None or verdict.confidence is not None):
        faults |= _judged_faults(verdict, thresholds)
    else:
        faults |= _measured_faults(measured, thresholds)
    triggers = tuple(faults)
    faults |= _proportion(measured, thresholds)
    if thresholds.proportion_counts:
        triggers = tuple(faults)
    return Doubts(faults, triggers, measured.inserted_tokens, measured.deleted_tokens)


def _measured(moment: Moment, patch: str) -> PredictionScore:
    inputs = moment.inputs
    recent = RecentEdits(inputs.events, inputs.cursor_path, inputs.excerpt_start_row)
    return score_prediction(inputs.cursor_excerpt, (), extract_cursor(patch)[0], recent_edits=recent)


def _certain_faults(moment: Moment, patch: str) -> dict[Fault, str]:
    if moment.jumps:
        return {}  # all code that was shown may change, and that it applies was checked when it was read
    try:
        region_after(moment.inputs, moment.region, patch)
    except RegionLeft:
        return {Fault.LEAVES_REGION: "It changes text outside the editable region."}
    except PatchError:
        return {Fault.NOT_APPLICABLE: "It does not fit the code as it is: lines it builds on are not there."}
    return {}


def _judged_faults(verdict: Verdict, thresholds: Thresholds) -> dict[Fault, str]:
    faults: dict[Fault, str] = {}
    because = f" The reviewer says: {verdict.reasoning.strip()}" if verdict.reasoning else ""
    if verdict.reverts_edits:
        faults[Fault.REVERTS] = f"A reviewer finds that it takes back what the programmer has just done.{because}"
    if verdict.confidence is not None and verdict.confidence <= thresholds.confidence:
        said = "" if faults else because
        faults[Fault.DOUBTED] = (
            f"A reviewer doubts that the programmer would accept it ({verdict.confidence} on a scale of 1 to 5).{said}"
        )
    return faults


def _measured_faults(score: PredictionScore, thresholds: Thresholds) -> dict[Fault, str]:
    faults: dict[Fault, str] = {}
    if score.reversal_ratio > thresholds.reversal:
        part = min(1.0, score.reversal_ratio)
        faults[Fault.UNDOES] = f"It does little but undo the programmer's newest edit ({part:.0%} of what it changes)."
    if score.wrong_editable_region:
        faults[Fault.MISPLACED] = "It begins by deleting several lines, as edits do that were meant for another place."
    return faults


def _proportion(score: PredictionScore, thresholds: Thresholds) -> dict[Fault, str]:
    is_speculative = (
        score.discarded_chars or 0
    ) > thresholds.discarded_bytes and score.exact_lines_fp > thresholds.false_lines
    is_large = max(score.inserted_tokens, score.deleted_tokens) > thresholds.changed_tokens
    if not is_speculative and not is_large:
        return {}
    return {Fault.OUT_OF_PROPORTION: "It is large for what the edits give ground for; some of it may be a guess."}
