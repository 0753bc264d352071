"""Samples as settle sees them: what came of asking a model many times for the same moment.

Knows neither engines nor teachers: both are a `Sampler`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from capture.inputs import Span
from training_export.example import Example


@dataclass(frozen=True, slots=True)
class SampledText:
    """What one sample makes of its region: the new text, or None for no edit.

    ``withheld`` is why an answer is not taken (unfinished, malformed, ...): it counts as no edit, as it does while
    typing.
    """

    text: str | None
    cursor_offset_bytes: int | None = None
    log_probability: float | None = None
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """All samples of one moment, and the region they are about (bytes of the excerpt)."""

    region: Span
    samples: tuple[SampledText, ...]
    tallies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotDrawn:
    """There are no samples; ``is_final`` false: there may be another time."""

    reason: str
    is_final: bool = True
    tallies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a student draws: ``temperature`` and ``top_p`` as in ``SampleRequest``; the deadline is of one example."""

    temperature: float = 1.0
    top_p: float = 1.0
    deadline_seconds: float = 300.0


class Sampler(Protocol):
    """Asks a model; opened and closed by whoever made it."""

    def draw(self, example: Example) -> Drawn | NotDrawn:
        """The samples of an example that has prompt_inputs; raises a ForetypeError where none will come for any."""
        ...
