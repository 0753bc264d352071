"""Figures from the records of keystrokes: percentiles, shares, ratios, a table, plots. Runs nothing.

Two times belong to a keystroke. Its *answer time* ends with its own answer, and there is none when the next key came
first: that is a miss. Its *wait* ends with the first answer that is for the text then on the screen, be it its own or
a later key's: so a system that answers one key in ten is not measured by that one.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.client import Record

PERCENTILES = (50, 95, 99)
LIMITS_MS = (100, 300)
REFERENCE = "foretype"
PLOT_SESSION_SIZE, CDF_SIZE = (10, 4), (7, 4)  # inches


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that ``percent`` of all values do not exceed; None without values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def waits_ms(records: Iterable[Record]) -> list[float]:
    """For each keystroke the time to the first answer that was still wanted; infinite where none came."""
    waits: list[float] = []
    for _, group in groupby(records, key=lambda record: record.session):
        answered_ms = math.inf
        backwards: list[float] = []
        for record in reversed(list(group)):
            if is_answered(record) and record.answered_ms is not None:
                answered_ms = record.answered_ms
            backwards.append(answered_ms - record.sent_ms)
        waits += reversed(backwards)
    return waits


def is_answered(record: Record) -> bool:
    """Whether its answer came before the next key."""
    return record.outcome in ("edit", "none")


def answer_times_ms(records: Iterable[Record]) -> list[float]:
    """The answer times of those that were answered."""
    return [
        record.answered_ms - record.sent_ms
        for record in records
        if is_answered(record) and record.answered_ms is not None
    ]


def summarise(records: Sequence[Record]) -> dict[str, Any]:
    """The figures of one cell; times in milliseconds, shares between 0 and 1, None where there is none."""
    by_model = [record for record in records if is_answered(record) and not record.reused]
    accepts = [record for record in records if record.kind == "accept"]
    evaluated = [record.counters["tokens_evaluated"] for record in by_model if "tokens_evaluated" in record.counters]
    times = answer_times_ms(records)
    return {
        "keystrokes": len(records),
        "wait_ms": _percentiles(waits_ms(records)),
        "answered_by_model_ms": _percentiles(answer_times_ms(by_model)),
        "answered_ms": _percentiles(times),
        **{f"within_{limit}_ms": _share(sum(time <= limit for time in times), len(records)) for limit in LIMITS_MS},
        "missed": _share(sum(record.outcome == "superseded" for record in records), len(records)),
        "refused": _share(sum(record.outcome == "refused" for record in records), len(records)),
        "refusals": dict(Counter(record.reason for record in records if record.outcome == "refused")),
        "failed": sum(record.outcome == "failed" for record in records),
        "reused": _share(sum(record.reused for record in records), len(records)),
        "edits": sum(record.outcome == "edit" for record in records),
        "accepts": len(accepts),
        "accepts_predicted": sum(record.accepted for record in accepts),
        "tokens_evaluated_median": percentile(evaluated, 50),
        "counters": _sums(record.counters for record in by_model),
        "sent_late_ms": _percentiles([record.sent_ms - record.due_ms for record in records]),
    }


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """The cells for people, one a line, and below each model's how many times longer the others take."""
    lines = [_TITLES]
    for model, group in groupby(cells, key=lambda cell: str(cell["model"])):
        of_model = list(group)
        lines += ["", model, *map(_row, of_model), *_ratios(of_model), *_doubts(of_model)]
    return "\n".join(lines)


def plot(cells: Sequence[Mapping[str, Any]], records: Mapping[str, Sequence[Record]], folder: Path) -> list[Path]:
    """Draw each model's waits, as shares and over its first session; nothing where matplotlib is not installed.

    ``records`` are by the cell's ``key``.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return []
    importlib.import_module("matplotlib").use("agg")
    plt: Any = importlib.import_module("matplotlib.pyplot")

    written = []
    for model, group in groupby(cells, key=lambda cell: str(cell["model"])):
        shares, share_axes = plt.subplots(figsize=CDF_SIZE)
        course, course_axes = plt.subplots(figsize=PLOT_SESSION_SIZE)
        for cell in group:
            mine = records[cell["key"]]
            waits = waits_ms(mine)
            finite = sorted(wait for wait in waits if math.isfinite(wait))
            share_axes.step(finite, [(index + 1) / len(waits) for index in range(len(finite))], label=cell["system"])
            first = [
                (record, wait) for record, wait in zip(mine, waits, strict=True) if record.session == mine[0].session
            ]
            course_axes.plot([r.sent_ms / 1000 for r, _ in first], [w for _, w in first], ".-", label=cell["system"])
        share_axes.set(xscale="log", xlabel="milliseconds to an answer", ylabel="share of keystrokes", title=model)
        course_axes.set(yscale="log", xlabel="seconds of the session", ylabel="milliseconds to an answer", title=model)
        for name, figure, axes in (("cdf", shares, share_axes), ("session", course, course_axes)):
            axes.legend()
            path = folder / f"{model}-{name}.png".replace("/", "_")
            figure.savefig(path, dpi=120, bbox_inches="tight")
            plt.close(figure)
            written.append(path)
    return written


_TITLES = (
    f"{'':26} {'wait: p50':>10} {'p95':>8} {'p99':>8}  {'model: p50':>10} {'p95':>8} {'p99':>8}"
    f"  {'<100ms':>6} {'<300ms':>6} {'missed':>6} {'reused':>6} {'edits':>5} {'taken':>7}"
    f" {'tokens':>6} {'aborted':>7} {'in vain':>7} {'ahead':>6} {'cpu s/1000':>10} {'MiB':>6} {'late p99':>8}"
)


def _row(cell: Mapping[str, Any]) -> str:
    figures, cost = cell["summary"], cell["cost"]
    # What the system did for nothing, if it says: tokens "ahead" were evaluated while it had nothing else to do.
    totals = cell.get("totals") or {}
    ahead = (totals.get("ahead") or {}).get("tokens_in_vain")
    times = [figures[name][f"p{percent}"] for name in ("wait_ms", "answered_by_model_ms") for percent in PERCENTILES]
    shown = [_number(time) for time in times]
    return (
        f"  {cell['system']:24} {shown[0]:>10} {shown[1]:>8} {shown[2]:>8}  {shown[3]:>10} {shown[4]:>8} {shown[5]:>8}"
        f"  {_percent(figures['within_100_ms']):>6} {_percent(figures['within_300_ms']):>6}"
        f" {_percent(figures['missed']):>6} {_percent(figures['reused']):>6} {figures['edits']:>5}"
        f" {figures['accepts_predicted']:>3}/{figures['accepts']:<3} {_number(figures['tokens_evaluated_median']):>6}"
        f" {_count(totals.get('aborted')):>7} {_count(totals.get('tokens_in_vain')):>7} {_count(ahead):>6}"
        f" {cost['cpu_seconds_per_1000']:>10.1f}"
        f" {cost['rss_bytes'] / 2**20:>6.0f} {_number(figures['sent_late_ms']['p99']):>8}"
    )


def _ratios(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many times our wait each other system's is, at the median and at p95."""
    ours = next((cell["summary"]["wait_ms"] for cell in cells if cell["system"] == REFERENCE), None)
    if ours is None:
        return []
    lines = []
    for cell in cells:
        theirs = cell["summary"]["wait_ms"]
        if cell["system"] != REFERENCE and all(ours[name] and theirs[name] for name in ("p50", "p95")):
            ratios = " and ".join(f"{theirs[name] / ours[name]:.2f} at {name}" for name in ("p50", "p95"))
            lines.append(f"    {cell['system']} waits {ratios} times as long as {REFERENCE}")
    return lines


def _doubts(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Cells whose system did not do its work on every key: their times are no times of a prediction."""
    return [
        f"    {cell['system']} gave {_percent(cell['summary']['refused'])} of the keys no answer of a model: {reason}"
        for cell in cells
        for reason in cell["summary"]["refusals"]
    ]


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    found = {f"p{percent}": percentile(values, percent) for percent in PERCENTILES}
    return {name: None if value is None or math.isinf(value) else round(value, 2) for name, value in found.items()}


def _share(count: int, total: int) -> float | None:
    return round(count / total, 4) if total else None


def _sums(counters: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for of_one in counters:
        for name, value in of_one.items():
            sums[name] = sums.get(name, 0) + value
    return sums


def _number(value: float | None) -> str:
    if value is None:  # nothing was measured, or it never came
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"
