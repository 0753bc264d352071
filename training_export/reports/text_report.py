"""A report for the terminal, as lines of text. Knows nothing of files or pages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from training_export.reports import figures
from training_export.reports.bootstrap import Interval
from training_export.reports.comparison import Comparison, runs_of
from training_export.reports.measures import BY_KEY, INDEX, MEASURES
from training_export.reports.notices import notices
from training_export.reports.run import LeftOut, Run

MAX_GROUPS: Final = 20
MAX_EXAMPLE_NAME: Final = 60
_GROUP_KEYS: Final = ("delta_chr_f", "exact_match", "kept_rate", "no_edit_agreement", "reversal_ratio")
_STEERING: Final = dict.fromkeys(
    (*range(32), *range(0x7F, 0xA0), *range(0x200E, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A)), 0xFFFD
)


def report_lines(
    run: Run, intervals: Sequence[Interval], comparison: Comparison | None, *, by: str = "", changed: int = 0
) -> Iterator[str]:
    """The whole report; of the examples that changed most, ``changed`` are named."""
    yield f"{run.label}: {_size(run)}"
    if comparison is not None:
        yield f"against {comparison.second.label}: {_size(comparison.second)}"
    for notice in notices(run, comparison):
        yield f"note: {_plain(notice)}"
    yield ""
    yield from _measures(run, intervals) if comparison is None else _comparison(comparison)
    if by:
        yield ""
        yield from _groups(run, comparison, by)
    if comparison is not None and comparison.changes and changed:
        yield ""
        yield from _changes(comparison, changed)
    for one in runs_of(run, comparison):
        yield from _left_out(f"not scored in {one.label}", one.left_out)
        yield from _left_out(f"not read in {one.label}", one.bad_lines)


def _size(run: Run) -> str:
    examples = run.examples
    return f"{figures.count(len(examples), 'example')}, {figures.count(examples.prediction_count, 'prediction')}"


def _measures(run: Run, intervals: Sequence[Interval]) -> Iterator[str]:
    counts = (run.prediction_parts[:, 1::2] > 0).sum(axis=0)
    rows = [
        [measure.title, figures.value(measure, float(value)), figures.between(measure, interval), f"{int(count):,}"]
        for measure, value, interval, count in zip(MEASURES, run.values(), intervals, counts, strict=True)
        if count
    ]
    yield from _aligned([["measure", "value", "95 % interval", "predictions"], *rows])


def _comparison(comparison: Comparison) -> Iterator[str]:
    first, second = _label(comparison.first.label), _label(comparison.second.label)
    head = ["measure", first, second, "difference", "95 % interval", "", "better", "worse", "equal"]
    rows = [
        [
            one.measure.title,
            figures.value(one.measure, one.first),
            figures.value(one.measure, one.second),
            figures.difference(one.measure, one.difference),
            figures.between(one.measure, one.interval, signed=True),
            one.verdict,
            *(f"{number:,}" for number in (one.improved, one.worse, one.equal)),
        ]
        for one in comparison.measures
    ]
    yield from _aligned([head, *rows])


def _groups(run: Run, comparison: Comparison | None, by: str) -> Iterator[str]:
    members = run.members()
    others = {} if comparison is None else comparison.second.members()
    rows = [[by, "predictions", *(BY_KEY[key].title for key in _GROUP_KEYS)]]
    for label, indexes in itertools.islice(members.items(), MAX_GROUPS):
        values = run.values(indexes)
        before = comparison.second.values(others[label]) if comparison is not None and label in others else None
        row = [_label(label), f"{len(indexes):,}"]
        for key in _GROUP_KEYS:
            measure, index = BY_KEY[key], INDEX[key]
            cell = figures.value(measure, float(values[index]))
            if before is not None:
                cell += f" ({figures.difference(measure, float(values[index] - before[index]))})"
            row.append(cell)
        rows.append(row)
    yield from _aligned(rows)
    if len(members) > MAX_GROUPS:
        yield f"and {len(members) - MAX_GROUPS} smaller groups"


def _changes(comparison: Comparison, count: int) -> Iterator[str]:
    measure = BY_KEY["delta_chr_f"]
    rows = [["changed most", "delta chrF", "from", "to"]]
    for change in comparison.changes[:count]:
        one, other = comparison.first.examples[change.first], comparison.second.examples[change.second]
        before, after = (
            run.values(range(example.first, example.first + example.count))[INDEX["delta_chr_f"]]
            for run, example in ((comparison.second, other), (comparison.first, one))
        )
        cells = [figures.value(measure, float(value)) for value in (before, after)]
        rows.append(
            [_plain(figures.cut(one.name, MAX_EXAMPLE_NAME)), figures.difference(measure, change.difference), *cells]
        )
    yield from _aligned(rows)


def _left_out(title: str, left_out: LeftOut) -> Iterator[str]:
    if not left_out.count:
        return
    yield ""
    yield f"{title}:"
    for reason, count in left_out.reasons.most_common(MAX_GROUPS):
        yield f"  {count:,} x {_plain(figures.cut(reason))}"
    if len(left_out.reasons) > MAX_GROUPS:
        yield f"  and {len(left_out.reasons) - MAX_GROUPS:,} other reasons"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        others = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join([f"{row[0]:<{widths[0]}}", *others]).rstrip()


def _label(name: str) -> str:
    return figures.short(_plain(name))


def _plain(text: str) -> str:
    return text.translate(_STEERING)
