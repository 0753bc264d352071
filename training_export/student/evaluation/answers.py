"""What a student answered to one case, as it is kept in the example (``foretype.answered``) until it is judged.

Everything that scores are made of is derived from this and the case, so that other questions need no other answers.
Knows nothing of engines but what an answer of one means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from capture.inputs import PredictionInputs, Span
from daemon.engine.messages import EngineAnswer, Origin, Sample, SampleAnswer
from training_export.settling.samples import Drawn
from training_export.settling.student import drawn_from

MEMBER: Final = "answered"  # of `foretype`


@dataclass(frozen=True, slots=True)
class Said:
    """A new text of the region, None for no edit, how confident the student is of it, and who wrote it."""

    new_text: str | None
    confidence: float
    origin: Origin = Origin.MODEL

    def to_json(self) -> dict[str, Any]:
        """The form in which it is kept."""
        return {"new_text": self.new_text, "confidence": self.confidence, "origin": self.origin.value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Said:
        """Read that form; raises KeyError, TypeError and ValueError where it is none."""
        return cls(value["new_text"], float(value["confidence"]), Origin(value["origin"]))


@dataclass(frozen=True, slots=True)
class Answer:
    """``region`` is what was asked about (bytes of the excerpt).

    ``alone`` is the student's own decode, ``ranked`` what was chosen among it, the rule's proposals and no edit; None
    where nothing was ranked. ``reason`` is why there is no edit, where there is none. ``seconds`` are the worker's.
    """

    region: Span
    alone: Said
    ranked: Said | None
    reason: str
    seconds: float
    prompt_tokens: int
    answer_tokens: int

    def to_json(self) -> dict[str, Any]:
        """The form in which it is kept."""
        return {
            "region": self.region.to_json(),
            "alone": self.alone.to_json(),
            "ranked": None if self.ranked is None else self.ranked.to_json(),
            "reason": self.reason,
            "seconds": self.seconds,
            "prompt_tokens": self.prompt_tokens,
            "answer_tokens": self.answer_tokens,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answer:
        """Read that form; raises KeyError, TypeError and ValueError where it is none."""
        fields = dict(value)
        fields["region"] = Span.from_json(value["region"])
        fields["alone"] = Said.from_json(value["alone"])
        fields["ranked"] = None if value["ranked"] is None else Said.from_json(value["ranked"])
        return cls(**fields)


def answer_of(inputs: PredictionInputs, found: EngineAnswer, *, is_ranked: bool) -> Answer:
    """The engine's answer; one in rows of files becomes a new text of the excerpt, as samples do.

    Where the format refused to ask, the region is the whole excerpt.
    """
    region = Span(found.region_start_bytes, found.region_end_bytes)
    if found.file_edits or not len(region):
        region = Span(0, len(inputs.excerpt_bytes))
    alone, reason = _alone(inputs, found)
    return Answer(
        region=region,
        alone=alone,
        ranked=_chosen(found, alone) if is_ranked else None,
        reason=reason,
        seconds=round(found.seconds, 6),
        prompt_tokens=found.counters.prompt_tokens,
        answer_tokens=found.counters.answer_tokens,
    )


def _chosen(found: EngineAnswer, alone: Said) -> Said:
    """What the daemon would show; the student's own where there was nothing to choose."""
    return Said(found.new_region_text, found.confidence, found.origin) if found.candidates else alone


def _alone(inputs: PredictionInputs, found: EngineAnswer) -> tuple[Said, str]:
    """What the student wrote itself, and the reason where that is no edit."""
    if found.file_edits:
        sample = Sample("", found.stop, 0.0, 0, file_edits=found.file_edits)
        drawn = drawn_from(inputs, SampleAnswer(found.id, (sample,)), 0.0)
        if not isinstance(drawn, Drawn):
            return Said(None, found.confidence), drawn.reason
        [sampled] = drawn.samples
        return Said(sampled.text, found.confidence), sampled.withheld
    own = [one for one in found.candidates if one.origin is Origin.MODEL and one.is_exact]
    edit = next((one for one in own if one.new_region_text is not None), None)
    if edit is not None:
        return Said(edit.new_region_text, edit.probability), ""
    if found.candidates:
        nothing = next((one.probability for one in own), 0.0)
        return Said(None, nothing), found.reason
    return Said(found.new_region_text, found.confidence), found.reason
