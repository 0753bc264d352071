"""What ``foretype split`` does: read the inputs twice, write each line to its file, check for leaks. Prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.errors import BadArgument
from training_export.running.outputs import STANDARD_OUTPUT, selection
from training_export.running.sources import Sources, rereadable
from training_export.selecting.duplicates import SAME_PART
from training_export.selecting.grouping import GroupBy
from training_export.selecting.partition import Partition, Splitter
from training_export.selecting.shares import Share
from training_export.selecting.twice import examples_with_progress, with_decisions


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """The command's options."""

    by: GroupBy = GroupBy.PATH
    seed: int = 0
    threshold: float = SAME_PART
    allow_leaks: bool = False
    strict: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class SplitReport:
    """Where the examples went; ``leaks`` are near-duplicates on both sides of a border, by place and name."""

    shares: tuple[Share, ...]
    partition: Partition
    leaks: tuple[tuple[str, ...], ...]
    rejected_count: int

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "files": [
                {"path": share.path, "examples": size, "wanted": round(wanted, 2)}
                for share, size, wanted in zip(self.shares, self.partition.sizes, self.partition.wanted, strict=True)
            ],
            "groups": self.partition.group_count,
            "groups_joined_by_near_duplicates": self.partition.joined_groups,
            "largest_group": self.partition.largest_group,
            "leaks": [list(leak) for leak in self.leaks],
            "rejected": self.rejected_count,
        }


def split(sources: Sequence[str], shares: Sequence[Share], options: SplitOptions) -> SplitReport:
    """Write every example to one of the files, in order and as it was read; all files appear, or none.

    What is rejected is written beside the first file.
    """
    if any(share.path == STANDARD_OUTPUT for share in shares):
        raise BadArgument("a share needs a file's name; - is none")
    targets = [Path(share.path).resolve() for share in shares]
    if len(set(targets)) < len(targets):
        raise BadArgument("two of the shares are the same file")
    with ExitStack() as stack:
        inputs = stack.enter_context(rereadable(sources))
        written = [
            stack.enter_context(selection(share.path, inputs, strict=options.strict, force=options.force))
            for share in shares
        ]
        partition = _partition(inputs, shares, options)
        rejections = written[0][1]
        leaking = {number for leak in partition.leaks for number in leak}
        places: dict[int, str] = {}
        for number, loaded, share in with_decisions(inputs, partition.share_of.tolist(), rejections):
            written[share][0].write(loaded.text)
            if number in leaking:
                places[number] = f"{loaded.source}:{loaded.line} {loaded.example.name}"
        leaks = tuple(tuple(places[number] for number in leak) for leak in partition.leaks)
        return SplitReport(tuple(shares), partition, leaks, rejections.count)


def _partition(inputs: Sources, shares: Sequence[Share], options: SplitOptions) -> Partition:
    splitter = Splitter(by=options.by, threshold=options.threshold, joins_near_duplicates=not options.allow_leaks)
    for example in examples_with_progress("split", inputs):
        splitter.add(example)
    return splitter.partition(shares, options.seed)
