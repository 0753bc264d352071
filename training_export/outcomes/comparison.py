"""A candidate against the model in use, over the documents that a trial gave to each.

Knows nothing of settings and of how anything is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training_export.outcomes.counting import LATENCIES, Sample
from training_export.outcomes.intervals import (
    Difference,
    difference_of_means,
    difference_of_percentiles,
    difference_of_shares,
)
from training_export.outcomes.plan import Plan, compared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_export.outcomes.observation import Observation


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of both: ``kind`` is ``share``, ``mean`` or ``milliseconds``."""

    name: str
    kind: str
    candidate: float
    in_use: float
    difference: Difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left_out`` observations were made where the candidate never predicted: by people who do not try it."""

    candidate_name: str
    in_use_name: str
    candidate: Sample
    in_use: Sample
    rows: tuple[Row, ...]
    plan: Plan
    smallest_difference: float
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """For a program to read; shares from 0 to 1."""
        return {
            "candidate": {"model": self.candidate_name, **self.candidate.to_json()},
            "in_use": {"model": self.in_use_name, **self.in_use.to_json()},
            "differences": {row.name.replace(" ", "_"): row.difference.to_json() for row in self.rows},
            "verdict": self.plan.verdict.value.replace(" ", "_"),
            "progress": round(self.plan.progress, 4),
            "more_predictions": self.plan.more,
            "smallest_difference": self.smallest_difference,
            "left_out": self.left_out,
        }


def compare(
    observations: Sequence[Observation],
    candidate: str,
    in_use: str,
    *,
    smallest_difference: float,
    since: float | None = None,
) -> Comparison:
    """Of what the two models of these names predicted, from ``since`` (seconds since the epoch) on."""
    of_both = [one for one in observations if one.model in (candidate, in_use) and one.made_at >= (since or 0.0)]
    trying = {one.workspace_id for one in of_both if one.model == candidate}
    counted = [one for one in of_both if one.workspace_id in trying]
    ours = Sample([one for one in counted if one.model == candidate])
    theirs = Sample([one for one in counted if one.model == in_use])
    rows = [
        Row(
            "acceptance",
            "share",
            ours.acceptance.value,
            theirs.acceptance.value,
            difference_of_shares(ours.acceptance, theirs.acceptance),
        ),
        Row(
            "kept rate",
            "mean",
            ours.kept_rate.value,
            theirs.kept_rate.value,
            difference_of_means(ours.kept_rate, theirs.kept_rate),
        ),
        Row(
            "reverts",
            "share",
            ours.reverts.value,
            theirs.reverts.value,
            difference_of_shares(ours.reverts, theirs.reverts),
        ),
        *(
            Row(
                f"latency {name}",
                "milliseconds",
                ours.latency_ms[name].value,
                theirs.latency_ms[name].value,
                difference_of_percentiles(ours.milliseconds, theirs.milliseconds, fraction),
            )
            for name, fraction in LATENCIES.items()
        ),
    ]
    return Comparison(
        candidate,
        in_use,
        ours,
        theirs,
        tuple(rows),
        compared(ours.acceptance, theirs.acceptance, smallest_difference),
        smallest_difference,
        len(of_both) - len(counted),
    )
