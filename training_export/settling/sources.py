"""Where samples come from, as values that a stage carries: a student by its file, a teacher by its name.

What runs a model is imported when a source is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from daemon.engine.messages import ModelSettings
from training_export.settling.samples import Drawing, Sampler
from training_export.stage import Concurrency

if TYPE_CHECKING:
    from training_export.teachers.predicting import Asking
    from training_export.teachers.settings import TeacherSettings

STUDENT_READS: Final = ("prompt_inputs",)


class Source(Protocol):
    """What `Settle` opens."""

    @property
    def name(self) -> str:
        """For people, and for ``foretype.settle``."""
        ...

    @property
    def samples(self) -> int:
        """How many are drawn for each example."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of an example that shape them."""
        ...

    @property
    def concurrency(self) -> Concurrency:
        """How examples may be worked on side by side."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """What else shapes its samples."""
        ...

    def opened(self) -> AbstractContextManager[Sampler]:
        """Open it; raises a ForetypeError where that cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class StudentSource:
    """A model of ours. ``checksum`` names it in keys; where it lies and how many threads run it shapes nothing."""

    name: str
    checksum: str
    model: ModelSettings
    drawing: Drawing
    samples: int
    seed: int = 0
    reads: tuple[str, ...] = STUDENT_READS

    @property
    def concurrency(self) -> Concurrency:
        """A model that runs on one core leaves the others to more of its kind."""
        one_core = self.model.threads == 1 and self.model.gpu_layers == 0
        return Concurrency.PROCESSES if one_core else Concurrency.ALONE

    def settings(self) -> Mapping[str, Any]:
        """See `Source`."""
        return {
            "student": self.checksum,
            "prompt_format": self.model.prompt_format,
            "samples": self.samples,
            "temperature": self.drawing.temperature,
            "top_p": self.drawing.top_p,
            "seed": self.seed,
        }

    def opened(self) -> AbstractContextManager[Sampler]:
        """See `Source`; raises ModelUnusable."""
        from training_export.settling.student import opened_student  # noqa: PLC0415  an engine

        return opened_student(self.model, self.drawing, self.samples, self.seed)


@dataclass(frozen=True, slots=True)
class TeacherSource:
    """A teacher, asked as `distill` asks it."""

    teacher: TeacherSettings
    asking: Asking

    @property
    def name(self) -> str:
        """The provider of its predictions."""
        return self.teacher.name

    @property
    def samples(self) -> int:
        """As often as it is asked."""
        return self.asking.samples

    @property
    def reads(self) -> tuple[str, ...]:
        """What its prompt is made of."""
        from training_export.teachers.prompt import READS  # noqa: PLC0415  only where a teacher is asked

        return READS

    @property
    def concurrency(self) -> Concurrency:
        """A service is waited for; a model of one's own takes all cores."""
        return Concurrency.ALONE if self.teacher.service == "gguf" else Concurrency.THREADS

    def settings(self) -> Mapping[str, Any]:
        """See `Source`."""
        return {"teacher": self.teacher.identity.to_json(), **self.asking.to_json()}

    def opened(self) -> AbstractContextManager[Sampler]:
        """See `Source`; raises what `opened_predictor` raises."""
        from training_export.settling.teacher import opened_teaching  # noqa: PLC0415  an SDK, or an engine

        return opened_teaching(self.teacher, self.asking)
