"""The sample that a learnable example is to be trained on: the one nearest to what settled, and not that itself.

A settled text holds whatever else the user did; the nearest sample is what the model could have known of it. Knows
nothing of classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from capture.inputs import PredictionInputs
from daemon.prompts.base import NewRegion
from training_export.patches import NotSayable, patch_of_region
from training_export.settling.distance import CommonGround, distances
from training_export.settling.samples import Drawn, SampledText

NEVER = float("-inf")  # log probability of what nobody gave one


@dataclass(frozen=True, slots=True)
class Outcome:
    """Samples that come to the same text of the common ground.

    ``sample`` is the most probable of them. ``is_edit`` is whether anything changes.
    """

    distance: float
    count: int
    text: str
    sample: SampledText
    is_edit: bool

    @property
    def rank(self) -> tuple[float, int, float, str]:
        """The smaller the better: nearer, then more frequent, more probable, and the smallest text."""
        probability = self.sample.log_probability
        return (self.distance, -self.count, -(NEVER if probability is None else probability), self.text)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patch of the excerpt that could become the target, how far it is from what settled, and how often it came."""

    patch: str
    distance: float
    count: int

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``foretype.settle``."""
        return {"patch": self.patch, "distance": self.distance, "count": self.count}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Candidate:
        """Read that form; raises KeyError where something is missing."""
        return cls(value["patch"], value["distance"], value["count"])


def outcomes(ground: CommonGround, drawn: Drawn) -> list[Outcome]:
    """What the samples come to, each once, the best first: equal ones are measured once."""
    by_text: dict[str, list[SampledText]] = {}
    for sample in drawn.samples:
        text = ground.before if sample.text is None else ground.with_region(drawn.region, sample.text)
        by_text.setdefault(text, []).append(sample)
    found = [
        Outcome(distance, len(samples), text, _most_probable(samples), is_edit=text != ground.before)
        for (text, samples), distance in zip(by_text.items(), distances(ground, by_text), strict=True)
    ]
    return sorted(found, key=lambda outcome: outcome.rank)


def candidate(inputs: PredictionInputs, drawn: Drawn, found: Iterable[Outcome]) -> Candidate | None:
    """The best outcome that is an edit, nearer than no edit, and not the settled text; None where there is none.

    One that no patch can say is passed over.
    """
    for outcome in found:
        if not outcome.is_edit or not 0 < outcome.distance < 1 or outcome.sample.text is None:
            continue
        new = NewRegion(outcome.sample.text, outcome.sample.cursor_offset_bytes)
        try:
            patch = patch_of_region(inputs, drawn.region, new)
        except NotSayable:
            continue
        return Candidate(patch, outcome.distance, outcome.count)
    return None


def _most_probable(samples: list[SampledText]) -> SampledText:
    """Of equal texts; the first of those that are equally probable."""
    return max(samples, key=lambda sample: NEVER if sample.log_probability is None else sample.log_probability)
