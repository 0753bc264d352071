"""Figures from the records of keystrokes: percentiles, shares, ratios, goals, a table. Runs and draws nothing.

Two times belong to a keystroke. Its *answer time* ends with its own answer, and there is none when the next key came
first: that is a miss. Its *wait* ends with the first answer that is for the text then on the screen, be it its own or
a later key's: so a system that answers one key in ten is not measured by that one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bench.client import Record

PERCENTILES = (50, 95, 99)
LIMITS_MS = (100, 300)
REFERENCE = "foretype"
COMPARED_PERCENTILES = ("p50", "p95")
NEVER = "never"  # of a wait: so many keys got no answer, nor did any key after them
TITLES = (
    *("wait p50", "wait p95", "wait p99", "model p50", "model p95", "model p99", "<100ms", "<300ms", "missed"),
    *("reused", "edits", "taken", "tokens", "aborted", "in vain", "ahead", "cpu s/1000", "MiB", "late p99"),
)
_WIDTHS = (8, 8, 8, 9, 9, 9, 6, 6, 6, 6, 5, 7, 6, 7, 7, 6, 10, 6, 8)
_NAME_WIDTH = 26

# How many times our wait a peer's must be, and whether just as much is enough.
WAIT_GOALS = {"llama-cpp-python": (3.0, True), "llama-server": (1.0, False)}
WITHIN_300_MS_GOAL = {"student": 0.99}
TOKENS_EVALUATED_GOAL = 25


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """One comparison in words. ``goal`` and ``verdict`` are empty where nothing is aimed at."""

    what: str
    found: str
    goal: str = ""
    verdict: str = ""


def verdicts(cells: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """How one model's other systems compare with ours, and what of our goals is met; empty without our own cell."""
    ours = next((cell for cell in cells if cell["system"] == REFERENCE), None)
    if ours is None:
        return []
    found = [
        _wait_verdict(cell["system"], name, ours["summary"]["wait_ms"][name], cell["summary"]["wait_ms"][name])
        for cell in cells
        if cell["system"] != REFERENCE
        for name in COMPARED_PERCENTILES
    ]
    figures = ours["summary"]
    share_goal = WITHIN_300_MS_GOAL.get(ours["model"])
    share, tokens = figures["within_300_ms"], figures["tokens_evaluated_median"]
    if share_goal is not None and share is not None:
        verdict = "met" if share >= share_goal else f"missed by {100 * (share_goal - share):.1f} points"
        found.append(Verdict("keys answered within 300 ms", _percent(share), f"{share_goal:.0%} at least", verdict))
    if tokens is not None:
        verdict = "met" if tokens <= TOKENS_EVALUATED_GOAL else f"missed by {tokens - TOKENS_EVALUATED_GOAL:g}"
        goal = f"{TOKENS_EVALUATED_GOAL} at most"
        found.append(Verdict("tokens evaluated for an answer, median", f"{tokens:g}", goal, verdict))
    return found


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """The cells for people, one a line, and below each model's how it compares."""
    lines = [" " * _NAME_WIDTH + _aligned(TITLES)]
    for model, of_model in by_model_name(cells):
        lines += ["", model]
        lines += [f"  {cell['system']:{_NAME_WIDTH - 2}}" + _aligned(row(cell)) for cell in of_model]
        lines += [f"    {cell['system']} ran with {text}" for cell in of_model if (text := ran_with(cell))]
        lines += [f"    {_sentence(verdict)}" for verdict in verdicts(of_model)]
        lines += [f"    {doubt}" for doubt in doubts(of_model)]
    return "\n".join(lines)


def by_model_name(cells: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The cells of each model, in the order in which they stand."""
    return [(model, list(group)) for model, group in groupby(cells, key=lambda cell: str(cell["model"]))]


def row(cell: Mapping[str, Any]) -> list[str]:
    """What belongs under ``TITLES``."""
    figures, cost = cell["summary"], cell["cost"]
    # What the system did for nothing, if it says: tokens "ahead" were evaluated while it had nothing else to do.
    totals = cell.get("totals") or {}
    ahead = (totals.get("ahead") or {}).get("tokens_in_vain")
    names = [f"p{percent}" for percent in PERCENTILES]
    return [
        *(_number(figures["wait_ms"][name], NEVER) for name in names),
        *(_number(figures["answered_by_model_ms"][name]) for name in names),
        *(_percent(figures[name]) for name in ("within_100_ms", "within_300_ms", "missed", "reused")),
        str(figures["edits"]),
        f"{figures['accepts_predicted']}/{figures['accepts']}",
        _number(figures["tokens_evaluated_median"]),
        *(_count(count) for count in (totals.get("aborted"), totals.get("tokens_in_vain"), ahead)),
        f"{cost['cpu_seconds_per_1000']:.1f}",
        f"{cost['rss_bytes'] / 2**20:.0f}",
        _number(figures["sent_late_ms"]["p99"]),
    ]


def ran_with(cell: Mapping[str, Any]) -> str:
    """What was chosen for the cell's system, in words; empty where there was nothing to choose."""
    return setting_text(cell.get("setting") or {})


def setting_text(setting: Mapping[str, str]) -> str:
    """A setting in words."""
    return ", ".join(f"{what} {choice}" for what, choice in setting.items())


def doubts(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Cells whose system did not do its work on every key: their times are no times of a prediction."""
    refused = [
        f"{cell['system']} gave {_percent(cell['summary']['refused'])} of the keys no answer of a model: {reason}"
        for cell in cells
        for reason in cell["summary"]["refusals"]
    ]
    failed = [
        f"{cell['system']} answered {cell['summary']['failed']} keys with an error"
        for cell in cells
        if cell["summary"]["failed"]
    ]
    return refused + failed


def _wait_verdict(system: str, name: str, our_ms: float | None, their_ms: float | None) -> Verdict:
    """Waits without an end are None; two of them cannot be compared."""
    what = f"wait of {system}, {name}"
    factor, as_much_is_enough = WAIT_GOALS.get(system, (0.0, True))
    goal = f"{factor:g} times ours at least" if as_much_is_enough else "more than ours"
    if our_ms is None or their_ms is None:
        if our_ms is None and their_ms is None:
            found, verdict = "no answer came in time to either", "not decided"
        else:
            found, verdict = ("theirs never ends", "met") if their_ms is None else ("ours never ends", "missed")
    else:
        ratio = their_ms / our_ms
        found = f"{ratio:.2f} times ours"
        met = ratio >= factor if as_much_is_enough else ratio > factor
        verdict = "met" if met else f"missed by {1 - ratio / factor:.0%}"
    return Verdict(what, found, goal, verdict) if factor else Verdict(what, found)


def _sentence(verdict: Verdict) -> str:
    judged = f" (goal: {verdict.goal}; {verdict.verdict})" if verdict.goal else ""
    return f"{verdict.what}: {verdict.found}{judged}"


def _aligned(texts: Sequence[str]) -> str:
    return "".join(f" {text:>{width}}" for text, width in zip(texts, _WIDTHS, strict=True))


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


def _number(value: float | None, missing: str = "-") -> str:
    if value is None:
        return missing
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"
