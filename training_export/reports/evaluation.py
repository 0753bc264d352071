"""Reading runs, comparing them, and what comes of it: lines, JSON, Zed's summary, a page.

Knows nothing of the command line.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from training_export.errors import NothingToEvaluate
from training_export.example_format.files import replacing
from training_export.reports.comparison import Comparison, compare, run_intervals, runs_of
from training_export.reports.exhibits import chosen, read_again
from training_export.reports.measures import MEASURES
from training_export.reports.page import Report, report_page
from training_export.reports.run import LeftOut, Run, read_run
from training_export.reports.text_report import report_lines
from training_export.running.sources import Sources

NAMED_CHANGES: Final = 100  # in the JSON
LabelledSources = tuple[str, Sources]


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """``by`` is a key of `run.GROUPS` or empty, ``examples`` how many of each kind are shown."""

    by: str
    related_bytes: int
    resamples: int
    seed: int
    examples: int


class Evaluation:
    """One run, or two of which the second is what the first is compared with."""

    def __init__(
        self,
        first: LabelledSources,
        second: LabelledSources | None,
        options: EvaluationOptions,
        seen: Callable[[int], None],
    ) -> None:
        """Read all lines; raises NothingToEvaluate where a run has no score, or the two have no example in common.

        ``seen`` is told how many lines of a run there were so far.
        """
        self.run = _scored_run(first, options, seen)
        self.comparison = None if second is None else _compared(self.run, _scored_run(second, options, seen), options)
        self._options = options
        self._intervals = run_intervals(self.run, resamples=options.resamples, seed=options.seed)
        self._sources = first[1]
        self._other_sources = None if second is None else second[1]

    def lines(self) -> Iterator[str]:
        """For the terminal."""
        options = self._options
        return report_lines(self.run, self._intervals, self.comparison, by=options.by, changed=options.examples)

    def to_json(self) -> dict[str, Any]:
        """Everything that was counted."""
        return {
            "runs": [self._run_json(run) for run in runs_of(self.run, self.comparison)],
            "comparison": None if self.comparison is None else _comparison_json(self.comparison),
        }

    def json_text(self) -> str:
        """The same as text."""
        return orjson.dumps(self.to_json(), option=orjson.OPT_INDENT_2).decode()

    def write_summary(self, path: str) -> None:
        """The first run's summary under Zed's keys; ``-`` is standard output. Raises ExamplesUnwritable."""
        text = orjson.dumps(self.run.summary(), option=orjson.OPT_INDENT_2) + b"\n"
        if path == "-":
            sys.stdout.write(text.decode())
            return
        with replacing(Path(path)) as file:
            file.write(text)

    def write_page(self, path: str) -> None:
        """The report as HTML; the examples that it shows are read once more. Raises ExamplesUnwritable."""
        exhibits = chosen(self.run, self.comparison, self._options.examples)
        places, other_places = exhibits.places()
        report = Report(
            run=self.run,
            intervals=self._intervals,
            comparison=self.comparison,
            by=self._options.by,
            exhibits=exhibits,
            texts=read_again(self._sources.raw(), places),
            other_texts={} if self._other_sources is None else read_again(self._other_sources.raw(), other_places),
        )
        with replacing(Path(path)) as file:
            file.write(report_page(report).encode())

    def _run_json(self, run: Run) -> dict[str, Any]:
        intervals = self._intervals
        if run is not self.run:
            intervals = run_intervals(run, resamples=self._options.resamples, seed=self._options.seed)
        members = run.members() if self._options.by else {}
        return {
            "label": run.label,
            "example_count": len(run.examples),
            "prediction_count": run.examples.prediction_count,
            "without_expected_patch_count": run.without_expected,
            "not_scored": _left_out_json(run.left_out),
            "not_read": _left_out_json(run.bad_lines),
            "measures": {
                measure.key: {"value": _number(value), "low": _number(interval.low), "high": _number(interval.high)}
                for measure, value, interval in zip(MEASURES, run.values(), intervals, strict=True)
            },
            "groups": {
                label: {
                    "prediction_count": len(indexes),
                    **{
                        measure.key: _number(value)
                        for measure, value in zip(MEASURES, run.values(indexes), strict=True)
                    },
                }
                for label, indexes in members.items()
            },
            "summary": run.summary(),
        }


def _scored_run(labelled: LabelledSources, options: EvaluationOptions, seen: Callable[[int], None]) -> Run:
    label, sources = labelled
    run = read_run(label, sources, by=options.by, related_bytes=options.related_bytes, seen=seen)
    if not run.examples:
        reasons = (run.left_out.reasons + run.bad_lines.reasons).most_common(3)
        why = "; ".join(f"{count:,} x {reason}" for reason, count in reasons) or "it has no example"
        raise NothingToEvaluate(f"{label} has no prediction that can be scored: {why}")
    return run


def _compared(run: Run, other: Run, options: EvaluationOptions) -> Comparison:
    comparison = compare(run, other, resamples=options.resamples, seed=options.seed)
    if not comparison.matching.pairs:
        raise NothingToEvaluate(f"{run.label} and {other.label} have no example in common, by what it shows or by name")
    return comparison


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    matching = comparison.matching
    return {
        "example_count": len(matching.pairs),
        "matched_by_name_count": matching.by_name,
        "other_expected_patch_count": matching.other_expected,
        "only_in_first": matching.only_first,
        "only_in_second": matching.only_second,
        "resamples": comparison.resamples,
        "seed": comparison.seed,
        "measures": {
            one.measure.key: {
                "first": _number(one.first),
                "second": _number(one.second),
                "difference": _number(one.difference),
                "low": _number(one.interval.low),
                "high": _number(one.interval.high),
                "improved": one.improved,
                "worse": one.worse,
                "equal": one.equal,
                "verdict": one.verdict,
            }
            for one in comparison.measures
        },
        "changed_most": [
            {"name": comparison.first.examples[change.first].name, "difference": change.difference}
            for change in comparison.changes[:NAMED_CHANGES]
        ],
    }


def _left_out_json(left_out: LeftOut) -> dict[str, Any]:
    return {"count": left_out.count, "reasons": dict(left_out.reasons.most_common()), "first": left_out.names}


def _number(value: float) -> float | None:
    """Not-a-number is null in JSON."""
    return None if math.isnan(value) else float(value)
