"""How ``filter`` and ``sample`` pass lines through: those that are kept, unchanged and in order."""

from __future__ import annotations

from collections.abc import Callable

from daemon.errors import BadArgument
from training_export.example import Example
from training_export.example_format.files import Rejected
from training_export.running.outputs import STANDARD_OUTPUT, selection
from training_export.running.progress import ProgressLine, report
from training_export.running.runner import Summary
from training_export.running.sources import Sources

Keeps = Callable[[int, Example], bool]  # told how many examples stand before, and the example


def passing(
    what: str,
    inputs: Sources,
    output: str,
    keeps: Keeps,
    *,
    strict: bool = False,
    force: bool = False,
    as_json: bool = False,
) -> Summary:
    """Write the examples that are kept, and say how many were left out.

    Raises ExamplesUnreadable, ExamplesUnwritable, OutputRefused, StoppedAtBadLine, RunInterrupted, and BadArgument
    where the summary and the examples would both go to standard output.
    """
    if as_json and output == STANDARD_OUTPUT:
        raise BadArgument("--json and -o - both write to standard output; give -o a file")
    place = 0
    with (
        selection(output, inputs, strict=strict, force=force) as (lines, rejections),
        ProgressLine(what, inputs.total_bytes) as progress,
    ):
        for found in inputs:
            if isinstance(found, Rejected):
                rejections.add(found)
                continue
            if keeps(place, found.example):
                lines.write(found.text)
            place += 1
            counts = {"examples": place, "reused": 0, "failed": 0, "rejected": rejections.count}
            progress.update(inputs.read_bytes, counts, {})
    summary = Summary(what, output, lines.count, rejected=rejections.count, tallies={"left out": place - lines.count})
    report(summary, as_json=as_json)
    return summary
