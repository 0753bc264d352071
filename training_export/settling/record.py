"""What settle writes down about an example (``foretype.settle``), and what follows from it for the example.

The distances are kept, so that other bands need no other samples. Knows nothing of how samples are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from capture.inputs import PredictionInputs, Span
from training_export.settling.bands import Bands, Counted, SettleClass, median, score
from training_export.settling.distance import common_ground
from training_export.settling.samples import Drawn
from training_export.settling.targets import Candidate, candidate, outcomes
from training_export.stage import Findings

MEMBER = "settle"  # of `foretype`
NO_TARGET = "learnable without a target"
CLEARED: dict[str, Any] = {"expected_patches": [], "score": None, "prompt": None}  # of an example without a target


@dataclass(frozen=True, slots=True)
class Record:
    """The samples of one example, measured and judged.

    ``distances`` are ascending, each with the number of samples that have it. ``exact`` samples are the settled text,
    ``no_edit`` ones change nothing, among them
    the ``withheld`` ones. ``beyond_reach``: what settled
    differs outside the region the samples are about, so that none could be exact. ``candidate`` is the sample that
    would be the target if the class is learnable. Without samples (``UNCHANGED``) the rest is empty. ``cost`` is of
    this run and not kept.
    """

    settle_class: SettleClass
    model: str = ""
    bands: Bands | None = None
    distances: tuple[Counted, ...] = ()
    exact: int = 0
    no_edit: int = 0
    withheld: int = 0
    beyond_reach: bool = False
    candidate: Candidate | None = None
    cost: Mapping[str, float] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(count for _, count in self.distances)

    @property
    def score(self) -> float | None:
        """See `bands.score`; None without samples."""
        return score(self.distances) if self.distances else None

    @property
    def median(self) -> float | None:
        """See `bands.median`; None without samples."""
        return median(self.distances) if self.distances else None

    @property
    def target(self) -> Candidate | None:
        """The candidate of a learnable example, if it is on the near side of the upper edge itself."""
        found, bands = self.candidate, self.bands
        if self.settle_class is not SettleClass.LEARNABLE or found is None or bands is None:
            return None
        return found if found.distance < bands.high else None

    def to_json(self) -> dict[str, Any]:
        """The member ``settle``."""
        value: dict[str, Any] = {"class": self.settle_class.value, "samples": self.samples}
        if self.bands is None:
            return value
        return {
            **value,
            "model": self.model,
            "score": self.score,
            "median": self.median,
            "bands": [self.bands.low, self.bands.high],
            "distances": [[distance, count] for distance, count in self.distances],
            "exact": self.exact,
            "no_edit": self.no_edit,
            "withheld": self.withheld,
            "beyond_reach": self.beyond_reach,
            "candidate": None if self.candidate is None else self.candidate.to_json(),
            "target_distance": None if self.target is None else self.target.distance,
        }

    @classmethod
    def from_json(cls, value: Any) -> Record:
        """Read that form; raises ValueError where it is none, or the distances make no sense."""
        try:
            settle_class = SettleClass(value["class"])
            if settle_class is SettleClass.UNCHANGED:
                return cls(settle_class)
            found = value["candidate"]
            record = cls(
                settle_class=settle_class,
                model=value["model"],
                bands=Bands(*value["bands"]),
                distances=tuple((float(distance), int(count)) for distance, count in value["distances"]),
                exact=value["exact"],
                no_edit=value["no_edit"],
                withheld=value["withheld"],
                beyond_reach=value["beyond_reach"],
                candidate=None if found is None else Candidate.from_json(found),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"foretype.settle is not what settle writes ({error})") from error
        if not record.distances or any(
            not 0 <= distance < math.inf or count < 1 for distance, count in record.distances
        ):
            raise ValueError("foretype.settle has no distances, or such as cannot be")
        return record

    def with_bands(self, bands: Bands) -> Record:
        """The same samples judged by other edges."""
        if not self.distances:
            return self
        return replace(self, settle_class=bands.classify(self.distances), bands=bands)


def measured(
    inputs: PredictionInputs, settled_region: Span, settled: str, drawn: Drawn, bands: Bands, model: str
) -> Record:
    """Measure and judge the samples of an example whose text did change; ``drawn`` holds one or more."""
    ground = common_ground(inputs.excerpt_bytes, settled_region, settled, drawn.region)
    found = outcomes(ground, drawn)
    changed = ground.changed()
    record = Record(
        settle_class=SettleClass.NOISE,
        model=model,
        bands=bands,
        distances=_counted([(outcome.distance, outcome.count) for outcome in found]),
        exact=sum(outcome.count for outcome in found if outcome.distance == 0),
        no_edit=sum(outcome.count for outcome in found if not outcome.is_edit),
        withheld=sum(bool(sample.withheld) for sample in drawn.samples),
        cost=drawn.tallies,
        beyond_reach=changed.start < drawn.region.start or changed.end > drawn.region.end,
        candidate=candidate(inputs, drawn, found),
    )
    return record.with_bands(bands)


def findings(record: Record, *, stale_target: bool) -> Findings:
    """What the record means for its example; ``stale_target``: an earlier settle's target stands in it."""
    fields: dict[str, Any] = {}
    if record.target is not None:
        fields = {**CLEARED, "expected_patches": [record.target.patch]}
    elif stale_target:
        fields = CLEARED
    return Findings(fields=fields, ours={MEMBER: record.to_json()}, tallies=_tallies(record))


def _tallies(record: Record) -> dict[str, float]:
    tallies: dict[str, float] = {**record.cost, record.settle_class.value: 1}
    if record.settle_class is SettleClass.LEARNABLE and record.target is None:
        tallies[NO_TARGET] = 1
    if record.beyond_reach:
        tallies["settled beyond the model's region"] = 1
    return tallies


def _counted(found: Sequence[Counted]) -> tuple[Counted, ...]:
    """One entry for each distance: different texts may be as far."""
    counts: dict[float, int] = {}
    for distance, count in found:
        counts[distance] = counts.get(distance, 0) + count
    return tuple(sorted(counts.items()))
