"""Median cost of scoring one prediction, all metrics at once, on four moments of different size.

    python -m bench.metrics [--rounds N]

Prints a table for people and one JSON object as the last line. The processor's time says what the scoring costs
where other processes delay it.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from capture.editing.unified_diff import with_file_headers, write_hunks
from capture.inputs import EditEvent
from capture.metrics.score import ExpectedPatch, RecentEdits, prepare_expected_patches, score_prediction

PATH = "src/orders.py"
EVENTS = 6
SESSIONS = Path(__file__).parent / "sessions"
FUNCTION = '''\
def load_order_{n}(session: Session, order_id: int, *, strict: bool = True) -> Order | None:
    """Read one order with its lines, or nothing where it was withdrawn."""
    row = session.execute(SELECT_ORDER, {{"id": order_id}}).fetchone()
    if row is None:
        if strict:
            raise OrderNotFound(f"order {{order_id}} is not in shard {n}")
        return None
    lines = [OrderLine(*values) for values in session.execute(SELECT_LINES, {{"id": order_id}})]
    return Order(row.id, row.customer, lines, placed_at=row.placed_at)


'''


@dataclass(frozen=True)
class Moment:
    """A text with what was wanted, what was predicted and what was typed before."""

    name: str
    text: str
    expected: list[ExpectedPatch]
    actual_patch: str
    recent_edits: RecentEdits


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    result: dict[str, Any] = {"bench": "metrics", "rounds": rounds, "events": EVENTS}
    for moment in (few_lines(), rewritten_region(), rewritten_program(), large_excerpt()):
        durations, processor_times = milliseconds(moment, rounds)
        deciles = statistics.quantiles(durations, n=10)
        median, processor_median = statistics.median(durations), statistics.median(processor_times)
        result[f"{moment.name}_median_ms"] = round(median, 3)
        result[f"{moment.name}_p10_ms"], result[f"{moment.name}_p90_ms"] = round(deciles[0], 3), round(deciles[-1], 3)
        result[f"{moment.name}_processor_median_ms"] = round(processor_median, 3)
        print(
            f"{moment.name:18} {len(moment.text):6} bytes   median {median:7.2f} ms"
            f"   10-90 % {deciles[0]:7.2f} to {deciles[-1]:7.2f} ms   worst {max(durations):7.2f} ms"
            f"   processor {processor_median:7.2f} ms"
        )
    print(orjson.dumps(result).decode())


def milliseconds(moment: Moment, rounds: int) -> tuple[list[float], list[float]]:
    """How long each of ``rounds`` scorings takes, and how much of the processor's time."""
    durations, processor_times = [], []
    for _ in range(rounds):
        started, processor_started = time.perf_counter_ns(), time.process_time_ns()
        score_prediction(moment.text, moment.expected, moment.actual_patch, recent_edits=moment.recent_edits)
        processor_times.append((time.process_time_ns() - processor_started) / 1e6)
        durations.append((time.perf_counter_ns() - started) / 1e6)
    return durations, processor_times


def few_lines() -> Moment:
    """A region of 40 lines: a parameter was renamed in one place, its next place is predicted, and a wrong edit."""
    return _moment("few_lines", functions=4)


def large_excerpt() -> Moment:
    """The same edit in an excerpt as large as a prompt may hold, 24 kB."""
    return _moment("large_excerpt", functions=45)


def rewritten_region() -> Moment:
    """A region of 40 lines, four functions much alike, of which hardly a line stays."""
    text = _text(4)
    expected = text.replace("order", "invoice").replace("Order", "Invoice").replace("    ", "\t")
    actual = text.replace("order", "bill").replace("session", "connection").replace("    ", "\t")
    return _assembled("rewritten_region", text, expected, actual, text.replace("strict", "must_exist"))


def rewritten_program() -> Moment:
    """Two programs, 102 lines and few alike: other indentation throughout, other names in every third line."""
    programs = ("python_parser", "python_settings")
    text = "".join(tomllib.loads((SESSIONS / f"{name}.toml").read_text())["text"] for name in programs)
    expected = text.replace("self", "this").replace("value", "amount").replace("    ", "\t")
    actual = text.replace("self", "me").replace("tok", "word").replace("raw", "given").replace("    ", "\t")
    return _assembled("rewritten_program", text, expected, actual, text.replace("take", "pop"))


def _moment(name: str, functions: int) -> Moment:
    before = _text(functions)
    middle = functions // 2
    call = f"shard {middle}"
    at = before.index(call) - 400
    function = before[at:]
    text = before[:at] + function.replace("strict: bool", "must_exist: bool", 1)
    expected = text[:at] + text[at:].replace("if strict", "if must_exist", 1).replace("fetchone()", "first()", 1)
    actual = text[:at] + text[at:].replace("if strict", "if must_exist", 1).replace("return None", "return", 1)
    return _assembled(name, text, expected, actual, before)


def _assembled(name: str, text: str, expected: str, actual: str, before: str) -> Moment:
    typed = EditEvent(PATH, PATH, write_hunks(before, text))
    elsewhere = EditEvent("src/customers.py", "src/customers.py", write_hunks("a = 1\n", "a = 2\n"))
    history = RecentEdits([elsewhere] * (EVENTS - 1) + [typed], PATH, excerpt_start_row=0)
    expected_patch, actual_patch = (with_file_headers(write_hunks(text, new), PATH) for new in (expected, actual))
    return Moment(name, text, prepare_expected_patches([(expected_patch, None)], text), actual_patch, history)


def _text(functions: int) -> str:
    return "".join(FUNCTION.format(n=number) for number in range(functions))


if __name__ == "__main__":
    main()
