"""A report as one HTML file: no script, no font and no picture from elsewhere, in the reader's light or dark theme.

What is in examples is hostile text: all of it passes `markup`, and a content security policy forbids the page whatever
it does not need. The same runs give the same bytes. Knows nothing of files.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from training_export.example import Example
from training_export.reports import figures
from training_export.reports.bootstrap import Floats, Interval, ratios
from training_export.reports.charts import Series, histogram, interval_bar, share_bar
from training_export.reports.comparison import Comparison, MeasureComparison, runs_of
from training_export.reports.exhibit_view import Side, exhibit_sections
from training_export.reports.exhibits import Exhibits, Place
from training_export.reports.markup import Content, Markup, join, style_sheet, tag
from training_export.reports.measures import BY_KEY, INDEX, MAIN_KEYS, MEASURES
from training_export.reports.notices import notices
from training_export.reports.run import LeftOut, Run

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
MAX_GROUPS: Final = 40
_GROUP_KEYS: Final = ("delta_chr_f", "exact_match", "kept_rate", "no_edit_agreement", "reversal_ratio")


@dataclass(frozen=True)
class Report:
    """Everything the page shows. ``texts`` and ``other_texts`` hold the examples of the exhibits, by their place."""

    run: Run
    intervals: Sequence[Interval]
    comparison: Comparison | None = None
    by: str = ""
    exhibits: Exhibits = field(default_factory=lambda: Exhibits([], [], [], []))
    texts: Mapping[Place, Example] = field(default_factory=dict)
    other_texts: Mapping[Place, Example] = field(default_factory=dict)


def report_page(report: Report) -> str:
    """The whole file."""
    other = None if report.comparison is None else report.comparison.second
    title = report.run.label if other is None else f"{report.run.label} against {other.label}"
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} - foretype eval"),
        style_sheet((Path(__file__).parent / "report.css").read_text(encoding="utf-8")),
    ]
    body = tag(
        "main",
        tag("h1", "Edit predictions, scored"),
        _heading(report),
        _cards(report),
        tag("h2", "Measures"),
        _measures(report) if report.comparison is None else _comparison(report.comparison),
        tag("h2", "How the scores are spread"),
        _histograms(report),
        _groups(report) if report.by else None,
        exhibit_sections(
            report.exhibits,
            Side(report.run.label, report.texts),
            None if other is None else Side(other.label, report.other_texts),
        ),
        _left_out(report),
        _meanings(),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _heading(report: Report) -> Markup:
    runs = list(zip(runs_of(report.run, report.comparison), ("first", "second"), strict=False))
    lines: list[Content] = [
        tag(
            "p",
            tag("span", class_=f"key {kind}"),
            tag("b", run.label),
            tag("span", _size(run), class_="soft"),
            class_="run",
        )
        for run, kind in runs
    ]
    lines += [tag("p", notice, class_="warning") for notice in notices(report.run, report.comparison)]
    return join(lines)


def _size(run: Run) -> str:
    return (
        f"{figures.count(len(run.examples), 'example')}, {figures.count(run.examples.prediction_count, 'prediction')}"
    )


def _cards(report: Report) -> Markup:
    values = report.run.values()
    compared = {} if report.comparison is None else {one.measure.key: one for one in report.comparison.measures}
    cards = []
    for key in MAIN_KEYS:
        measure, index = BY_KEY[key], INDEX[key]
        one = compared.get(key)
        if one is None:
            below: Content = f"95 %: {figures.between(measure, report.intervals[index])}"
        else:
            change = figures.difference(measure, one.difference)
            below = [tag("span", change, class_=one.verdict or None), f" from {figures.value(measure, one.second)}"]
        cards.append(
            tag(
                "div",
                tag("div", measure.title, class_="name", title=measure.meaning),
                tag("div", figures.value(measure, float(values[index]) if one is None else one.first), class_="value"),
                tag("div", below, class_="below"),
                class_="card",
            )
        )
    return tag("div", cards, class_="cards")


def _measures(report: Report) -> Markup:
    counts = (report.run.prediction_parts[:, 1::2] > 0).sum(axis=0)
    rows = [
        [
            tag("span", measure.title, title=measure.meaning),
            figures.value(measure, float(value)),
            figures.between(measure, interval),
            f"{int(count):,}",
        ]
        for measure, value, interval, count in zip(MEASURES, report.run.values(), report.intervals, counts, strict=True)
        if count
    ]
    return _table(["measure", "value", "95 % interval", "predictions"], rows)


def _comparison(comparison: Comparison) -> Markup:
    def row(one: MeasureComparison) -> list[Content]:
        measure, interval = one.measure, one.interval
        return [
            tag("span", measure.title, title=measure.meaning),
            figures.value(measure, one.first),
            figures.value(measure, one.second),
            tag("span", figures.difference(measure, one.difference), class_=one.verdict or None),
            figures.between(measure, interval, signed=True),
            interval_bar(one.difference, *interval, one.verdict) if interval.is_known else None,
            *(f"{number:,}" for number in (one.improved, one.worse, one.equal)),
        ]

    labels = [tag("span", figures.short(run.label), title=run.label) for run in (comparison.first, comparison.second)]
    head = ["measure", *labels, "difference", "95 % interval", ""]
    note = (
        f"Over the {figures.count(len(comparison.matching.pairs), 'example')} that both runs have. Intervals come from "
        f"drawing the pairs {comparison.resamples:,} times with replacement (seed {comparison.seed}); in colour where "
        "all of the interval lies on one side of 0. The last columns count examples; where neither direction is "
        "better, better means more."
    )
    table = _table([*head, "better", "worse", "equal"], [row(one) for one in comparison.measures])
    return join([table, tag("p", note, class_="soft")])


def _histograms(report: Report) -> Markup:
    runs = list(zip(runs_of(report.run, report.comparison), ("first", "second"), strict=False))
    parts = [run.prediction_parts for run, _ in runs]
    plots = []
    for measure in MEASURES:
        if not measure.has_spread:
            continue
        values = [_known(ratios(part)[:, INDEX[measure.key]]) for part in parts]
        if all(one.size for one in values):
            series = [Series(run.label, one, kind) for (run, kind), one in zip(runs, values, strict=True)]
            caption = tag("figcaption", f"{measure.title}, {measure.unit}", title=measure.meaning)
            plots.append(tag("figure", caption, histogram(measure.title, measure.unit, series)))
    if report.comparison is not None and report.comparison.changes:
        differences = np.array([change.difference for change in report.comparison.changes])
        caption = tag("figcaption", "difference in delta chrF of the examples that changed, points")
        series = [Series("difference", differences, "first")]
        plots.append(
            tag("figure", caption, histogram("the difference in delta chrF", "points", series, low=-100.0, high=100.0))
        )
    return tag("div", plots, class_="plots")


def _known(values: Floats) -> Floats:
    known: Floats = values[~np.isnan(values)]
    return known


def _groups(report: Report) -> Markup:
    members = report.run.members()
    others = {} if report.comparison is None else report.comparison.second.members()
    total = max(1, report.run.examples.prediction_count)
    rows: list[list[Content]] = []
    for label, indexes in itertools.islice(members.items(), MAX_GROUPS):
        values = report.run.values(indexes)
        before = report.comparison.second.values(others[label]) if report.comparison and label in others else None
        cells: list[Content] = [
            tag("span", figures.short(label), title=figures.cut(label)),
            f"{len(indexes):,}",
            share_bar(len(indexes) / total),
        ]
        for key in _GROUP_KEYS:
            measure, index = BY_KEY[key], INDEX[key]
            shown = figures.value(measure, float(values[index]))
            if before is not None:
                shown += f" ({figures.difference(measure, float(values[index] - before[index]))})"
            cells.append(shown)
        rows.append(cells)
    head = [report.by, "predictions", "", *(BY_KEY[key].title for key in _GROUP_KEYS)]
    more = len(members) - len(rows)
    return join(
        [
            tag("h2", f"By {report.by}"),
            _table(head, rows),
            tag("p", f"{more} smaller groups are not shown.", class_="soft") if more else None,
            None if report.comparison is None else tag("p", "In brackets: the difference.", class_="soft"),
        ]
    )


def _left_out(report: Report) -> Markup | None:
    parts: list[Content] = []
    for run in runs_of(report.run, report.comparison):
        parts += _reasons(f"Not scored in {run.label}", run.left_out)
        parts += _reasons(f"Not read in {run.label}", run.bad_lines)
    if report.comparison is not None:
        matching = report.comparison.matching
        for run, names in ((report.run, matching.only_first), (report.comparison.second, matching.only_second)):
            if names:
                parts.append(tag("p", tag("b", f"Only in {run.label}: "), _some(names)))
    return join([tag("h2", "Left out"), parts]) if parts else None


def _reasons(title: str, left_out: LeftOut) -> list[Content]:
    if not left_out.count:
        return []
    listed = [
        tag("li", f"{count:,} x {figures.cut(reason)}") for reason, count in left_out.reasons.most_common(MAX_GROUPS)
    ]
    return [tag("p", tag("b", title)), tag("ul", listed), tag("p", _some(left_out.names), class_="soft")]


def _some(names: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(map(figures.cut, names[:limit])) + more


def _meanings() -> Markup:
    entries = [(tag("dt", measure.title), tag("dd", measure.meaning)) for measure in MEASURES]
    return join([tag("h2", "What the measures mean"), tag("dl", entries)])


def _table(head: Sequence[Content], rows: Sequence[Sequence[Content]]) -> Markup:
    header = tag("tr", [tag("th", cell) for cell in head])
    body = [tag("tr", [tag("td", cell) for cell in row]) for row in rows]
    return tag("div", tag("table", tag("thead", header), tag("tbody", body)), class_="scroll")
