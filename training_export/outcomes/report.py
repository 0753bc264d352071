"""What became of predictions, as tables and sentences for a person.

Knows nothing of files and of settings.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from rich import box
from rich.table import Table
from rich.text import Text

from training_export.outcomes.counting import LATENCIES
from training_export.outcomes.plan import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from training_export.outcomes.comparison import Comparison, Row
    from training_export.outcomes.counting import Sample
    from training_export.outcomes.intervals import Difference, Estimate

NOTHING: Final = "-"
LABEL_WIDTH, GROUP_WIDTH = 14, 25  # characters; a group holds `100.0 % (100.0-100.0)`
EXPLAINED: Final = (
    "In brackets: 95 % intervals that take documents, not predictions, as what was drawn. Acceptance is of those shown"
    " and decided; undecided ones were shown, and nothing was known of them when their text came to rest. Reverts took"
    " back more than half of what was just typed. Of a burst of predictions in one place one is remembered."
)


def groups_tables(by: Sequence[str], samples: Mapping[tuple[str, ...], Sample], width: int) -> Iterator[Table]:
    """One column a group, as many in a table as ``width`` characters hold."""
    at_once = max(1, (width - LABEL_WIDTH) // GROUP_WIDTH)
    groups = list(samples.items())
    for start in range(0, len(groups), at_once):
        yield _groups_table(by, groups[start : start + at_once])


def _groups_table(by: Sequence[str], groups: Sequence[tuple[tuple[str, ...], Sample]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("\n".join(by))
    for key, _ in groups:
        table.add_column(Text("\n".join(value or "(none)" for value in key)), justify="right", overflow="fold")
    samples = [sample for _, sample in groups]
    counts = [sample.counts for sample in samples]
    for name in ("predictions", "documents", "shown", "undecided", "accepted"):
        table.add_row(name, *(f"{getattr(one, name):,}" for one in counts))
    table.add_row("acceptance", *(_percent(sample.acceptance) for sample in samples))
    table.add_row("kept rate", *(_percent(sample.kept_rate) for sample in samples))
    table.add_row("reverts", *(_percent(sample.reverts) for sample in samples))
    for name in LATENCIES:
        table.add_row(f"latency {name}", *(_milliseconds(sample.latency_ms[name]) for sample in samples))
    return table


def comparison_table(comparison: Comparison) -> Table:
    """One row a measure."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("candidate", "in use", "difference", "95 % interval"):
        table.add_column(name, justify="right")
    pairs = {
        "predictions": (comparison.candidate.counts.predictions, comparison.in_use.counts.predictions),
        "shown": (comparison.candidate.counts.shown, comparison.in_use.counts.shown),
        "documents": (comparison.candidate.counts.documents, comparison.in_use.counts.documents),
    }
    for name, numbers in pairs.items():
        table.add_row(name, *(f"{number:,}" for number in numbers))
    for row in comparison.rows:
        table.add_row(row.name, _value(row, row.candidate), _value(row, row.in_use), *_difference(row, row.difference))
    return table


def conclusion(comparison: Comparison) -> Iterator[str]:
    """What follows, in sentences."""
    plan, smallest = comparison.plan, f"{100 * comparison.smallest_difference:g} points"
    [acceptance] = (row for row in comparison.rows if row.name == "acceptance")
    points = f"{abs(100 * acceptance.difference.value):.1f} points"
    if plan.verdict in (Verdict.HIGHER, Verdict.LOWER):
        more = "more" if plan.verdict is Verdict.HIGHER else "less"
        yield f"The candidate is accepted {more} often, by {points}; chance does not explain that."
    elif plan.verdict is Verdict.NO_DIFFERENCE:
        yield f"No difference was found. One of {smallest} would have been found four times in five."
    elif plan.more is None:
        missing = comparison.candidate if not comparison.candidate.acceptance.is_known else comparison.in_use
        whose = "the candidate" if missing is comparison.candidate else "the model in use"
        yield f"Not enough yet: {whose} has predicted in too few documents to say how documents differ."
    elif plan.more == 0:
        yield "Not enough yet: there are enough predictions, but in too few documents; ten of each model are needed."
    else:
        yield (
            f"Not enough yet: about {plan.more:,} more predictions that are shown and decided would find a difference"
            f" of {smallest}, four times in five."
        )
        if acceptance.difference.low > 0 or acceptance.difference.high < 0:
            yield "The interval leaves out 0, but who looks this early, and again and again, is easily misled."
    if comparison.left_out:
        yield f"{comparison.left_out:,} predictions do not count: made where the candidate never predicted."


def _percent(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return NOTHING
    interval = f" ({100 * estimate.low:.1f}-{100 * estimate.high:.1f})" if estimate.is_known else ""
    return f"{100 * estimate.value:.1f} %{interval}"


def _milliseconds(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return NOTHING
    interval = f" ({estimate.low:,.0f}-{estimate.high:,.0f})" if estimate.is_known else ""
    return f"{estimate.value:,.0f} ms{interval}"


def _value(row: Row, number: float) -> str:
    if math.isnan(number):
        return NOTHING
    return f"{number:,.0f} ms" if row.kind == "milliseconds" else f"{100 * number:.1f} %"


def _difference(row: Row, difference: Difference) -> tuple[str, str]:
    factor, unit, decimals = (1, " ms", 0) if row.kind == "milliseconds" else (100, " points", 1)
    if math.isnan(difference.value):
        return NOTHING, NOTHING
    value, low, high = (
        f"{factor * number:+,.{decimals}f}" for number in (difference.value, difference.low, difference.high)
    )
    return f"{value}{unit}", NOTHING if math.isnan(difference.low) else f"{low} to {high}"
