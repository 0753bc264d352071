"""``settle``: how near a model comes to what the user made of it, and so whether an example is worth learning from.

For an example with ``foretype.settled``, many samples of a student (or a few of a teacher) are compared with the
settled text; ``settling/`` has the measures. `Settle` draws, `Reband` judges what was drawn by other edges. Knows
nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from capture.inputs import PredictionInputs, Span
from training_export.example import Example
from training_export.settling import record
from training_export.settling.bands import DEFAULT_BANDS, Bands, SettleClass
from training_export.settling.record import MEMBER, Record
from training_export.settling.samples import NotDrawn, Sampler
from training_export.settling.sources import Source, TeacherSource
from training_export.stage import Concurrency, Findings, Work, ours
from training_export.teachers.api import Request
from training_export.teachers.predicting import Asking, requests_for
from training_export.teachers.settings import TeacherSettings

SETTLED_READS: Final = ("prompt_inputs", "foretype.settled", "foretype.region")
NOT_SETTLED: Final = "not settled"
WRITES: Final = ("expected_patches", "score", "prompt", "foretype.settle")


@dataclass(frozen=True, slots=True)
class Settle:
    """The stage that draws."""

    source: Source
    bands: Bands = DEFAULT_BANDS

    name: Final = "settle"
    version: Final = 1
    writes: Final[tuple[str, ...]] = WRITES

    @property
    def reads(self) -> tuple[str, ...]:
        """The moment and how it settled; and what is left as it is where there is no target."""
        return (*self.source.reads, *(part for part in SETTLED_READS if part not in self.source.reads), *WRITES)

    @property
    def concurrency(self) -> Concurrency:
        """The source's."""
        return self.source.concurrency

    def settings(self) -> Mapping[str, Any]:
        """See `Stage`."""
        return {**self.source.settings(), "bands": [self.bands.low, self.bands.high]}

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """See `Stage`."""
        with self.source.opened() as sampler:
            yield lambda example: self._work(example, sampler)

    def _work(self, example: Example, sampler: Sampler) -> Findings:
        has_target = _has_target(example)
        moment = moment_of(example)
        if moment is None:
            return Findings(tallies={NOT_SETTLED: 1})
        if isinstance(moment, str):
            return _failed(NotDrawn(moment), has_target=has_target)
        if moment.is_unchanged:
            return record.findings(Record(SettleClass.UNCHANGED), stale_target=has_target)
        drawn = sampler.draw(example)
        if isinstance(drawn, NotDrawn):
            return _failed(drawn, has_target=has_target)
        found = record.measured(moment.inputs, moment.region, moment.settled, drawn, self.bands, self.source.name)
        return record.findings(found, stale_target=has_target)


@dataclass(frozen=True, slots=True)
class SettleByTeacher:
    """`Settle` with a teacher's answers, whose questions can be counted and sent in batches before it runs."""

    teacher: TeacherSettings
    asking: Asking
    bands: Bands = DEFAULT_BANDS

    name: Final = "settle"
    version: Final = 1
    writes: Final[tuple[str, ...]] = WRITES

    @property
    def _settle(self) -> Settle:
        return Settle(TeacherSource(self.teacher, self.asking), self.bands)

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Settle`."""
        return self._settle.reads

    @property
    def concurrency(self) -> Concurrency:
        """See `Settle`."""
        return self._settle.concurrency

    def settings(self) -> Mapping[str, Any]:
        """See `Stage`."""
        return self._settle.settings()

    def opened(self) -> AbstractContextManager[Work]:
        """See `Stage`."""
        return self._settle.opened()

    def requests(self, example: Example) -> tuple[Request, ...]:
        """What will be asked about an example: nothing where there is nothing to compare with."""
        return requests_for(example, self.asking) if _is_worth_asking(example) else ()


@dataclass(frozen=True, slots=True)
class Reband:
    """The stage that judges again: the distances are in the example, no model is asked."""

    bands: Bands

    name: Final = "settle"
    version: Final = 1
    reads: Final[tuple[str, ...]] = WRITES
    writes: Final[tuple[str, ...]] = WRITES
    concurrency: Final[Concurrency] = Concurrency.ALONE

    def settings(self) -> Mapping[str, Any]:
        """See `Stage`."""
        return {"reband": [self.bands.low, self.bands.high]}

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """See `Stage`."""
        yield self._judge

    def _judge(self, example: Example) -> Findings:
        kept = ours(example, MEMBER)
        if kept is None:
            return Findings(tallies={"without samples": 1})
        try:
            found = Record.from_json(kept)
        except ValueError as error:
            return Findings(failure=f"cannot be judged again: {error}; settle it anew")
        return record.findings(found.with_bands(self.bands), stale_target=_has_target(example))


@dataclass(frozen=True, slots=True)
class SettledMoment:
    """What was seen, and what became of a region of it (bytes of the excerpt)."""

    inputs: PredictionInputs
    region: Span
    settled: str

    @property
    def is_unchanged(self) -> bool:
        """Whether the region settled as it was: then there is no way to measure samples by, and nothing to learn."""
        return self.settled == self.inputs.excerpt_bytes[self.region.start : self.region.end].decode()


def moment_of(example: Example) -> SettledMoment | str | None:
    """The moment of an example that settled; None where it did not, a sentence where what is needed is missing."""
    inputs, settled = example.prompt_inputs, ours(example, "settled")
    if settled is None:
        return None
    if inputs is None:
        return "the example has no prompt_inputs; `foretype context` makes them"
    region = _region(ours(example, "region"), inputs.excerpt_bytes)
    if region is None or not isinstance(settled, str):
        return "foretype.region and foretype.settled do not say which bytes of the excerpt became which text"
    return SettledMoment(inputs, region, settled)


def _region(found: Any, excerpt: bytes) -> Span | None:
    """A range of the excerpt that cuts no character, or None."""
    start, end = (found.get("start"), found.get("end")) if isinstance(found, dict) else (None, None)
    if type(start) is not int or type(end) is not int or not 0 <= start <= end <= len(excerpt):
        return None
    if any(0x80 <= excerpt[at] < 0xC0 for at in (start, end) if at < len(excerpt)):
        return None
    return Span(start, end)


def _is_worth_asking(example: Example) -> bool:
    moment = moment_of(example)
    return isinstance(moment, SettledMoment) and not moment.is_unchanged


def _failed(why: NotDrawn, *, has_target: bool) -> Findings:
    """What an earlier settle said goes: it was said of something else."""
    return Findings(
        fields=record.CLEARED if has_target else {},
        ours={MEMBER: None},
        failure=why.reason,
        is_final=why.is_final,
        tallies=why.tallies,
    )


def _has_target(example: Example) -> bool:
    """Whether what the example expects is the target of an earlier settle, and nobody else's."""
    try:
        kept = ours(example, MEMBER)
        target = None if kept is None else Record.from_json(kept).target
    except ValueError:
        return False
    return target is not None and example.expected_patches == (target.patch,)
