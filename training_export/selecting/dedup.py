"""What ``foretype dedup`` does: read the inputs twice, write the lines to keep, say what goes. Prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from training_export.running.outputs import selection
from training_export.running.sources import Sources, rereadable
from training_export.selecting.duplicates import SAME_PART, Choice, DuplicateSearch, Fate
from training_export.selecting.grouping import GroupBy
from training_export.selecting.twice import examples_with_progress, with_decisions


@dataclass(frozen=True, slots=True)
class DedupOptions:
    """The command's options."""

    max_duplicates: int = 1
    by: GroupBy = GroupBy.NONE
    threshold: float = SAME_PART
    strict: bool = False
    force: bool = False


@dataclass(slots=True)
class Cluster:
    """Examples that are duplicates, by place and name, in order."""

    kept: list[str] = field(default_factory=list)
    exact: list[str] = field(default_factory=list)
    near: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, list[str]]:
        """For a program to read."""
        return {"kept": self.kept, "exact": self.exact, "near": self.near}


@dataclass(slots=True)
class DedupReport:
    """What was kept and what was not."""

    example_count: int = 0
    rejected_count: int = 0
    clusters: list[Cluster] = field(default_factory=list)

    @property
    def exact_count(self) -> int:
        """Examples left out because another one has the same excerpt and cursor."""
        return sum(len(cluster.exact) for cluster in self.clusters)

    @property
    def near_count(self) -> int:
        """Examples left out because they are near-duplicates."""
        return sum(len(cluster.near) for cluster in self.clusters)

    @property
    def kept_count(self) -> int:
        """Examples in the output."""
        return self.example_count - self.exact_count - self.near_count

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "examples": self.example_count,
            "kept": self.kept_count,
            "exact_duplicates": self.exact_count,
            "near_duplicates": self.near_count,
            "rejected": self.rejected_count,
            "clusters": [cluster.to_json() for cluster in self.clusters],
        }


def dedup(sources: Sequence[str], output: str, options: DedupOptions) -> DedupReport:
    """Write the examples to keep, in order and as they were read."""
    with (
        rereadable(sources) as inputs,
        selection(output, inputs, strict=options.strict, force=options.force) as written,
    ):
        choice = _chosen(inputs, options)
        lines, rejections = written
        report = DedupReport(example_count=len(choice.fates))
        crowded = _first_of_several(choice)
        clusters: dict[int, Cluster] = {}
        for number, loaded, fate in with_decisions(inputs, choice.fates, rejections):
            if fate is Fate.KEPT:
                lines.write(loaded.text)
            first = int(choice.firsts[number])
            if first in crowded:
                place = f"{loaded.source}:{loaded.line} {loaded.example.name}"
                cluster = clusters.setdefault(first, Cluster())
                {Fate.KEPT: cluster.kept, Fate.EXACT: cluster.exact, Fate.NEAR: cluster.near}[fate].append(place)
        report.clusters = list(clusters.values())
        report.rejected_count = rejections.count
        return report


def _chosen(inputs: Sources, options: DedupOptions) -> Choice:
    search = DuplicateSearch(by=options.by, threshold=options.threshold)
    for example in examples_with_progress("dedup", inputs):
        search.add(example)
    return search.choice(options.max_duplicates)


def _first_of_several(choice: Choice) -> set[int]:
    """The first examples of the clusters of which something is left out."""
    return {int(first) for first, fate in zip(choice.firsts, choice.fates, strict=True) if fate is not Fate.KEPT}
