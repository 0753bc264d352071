"""Median cost of one keystroke: our document beside pygls's TextDocument, same text, same edits, same run.

    python -m bench.documents [--keystrokes N]

Prints a table for people and one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from typing import TYPE_CHECKING, Any

import orjson
from lsprotocol import types
from pygls.workspace import TextDocument

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 10_000
ROW_BYTES = 48


def sample_text() -> str:
    """10,000 rows of 48 bytes each."""
    return "".join(f"    value_{row:05} = compute({row:05})".ljust(ROW_BYTES - 1, "#") + "\n" for row in range(ROWS))


def keystroke_places(count: int, *, scattered: bool) -> list[Position]:
    """Where the keys are typed: onwards from one place, or all over the file."""
    random_numbers = random.Random(7)
    if scattered:
        return [Position(random_numbers.randrange(ROWS), random_numbers.randrange(40)) for _ in range(count)]
    return [Position(ROWS // 2, 4 + index) for index in range(count)]


def microseconds(step: Callable[[Position], object], places: list[Position]) -> list[float]:
    """How long each step takes."""
    durations = []
    for place in places:
        started = time.perf_counter_ns()
        step(place)
        durations.append((time.perf_counter_ns() - started) / 1000)
    return durations


def type_into_ours(text: str) -> Callable[[Position], object]:
    """A step that types one character into a Document."""
    document = Document(text)
    return lambda place: document.apply(ContentChange(Range(place, place), "x"))


def type_into_pygls(text: str) -> Callable[[Position], object]:
    """The same step on pygls's TextDocument, its cached lines read as any handler would."""
    document = TextDocument("file:///sample.py", text, version=0)

    def step(place: Position) -> object:
        at = types.Position(place.line, place.character_utf16)
        document.apply_change(types.TextDocumentContentChangePartial(range=types.Range(at, at), text="x"))
        return document.lines[place.line]

    return step


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keystrokes", type=int, default=200)
    keystrokes = parser.parse_args().keystrokes
    text = sample_text()
    result: dict[str, Any] = {
        "bench": "documents",
        "rows": ROWS,
        "bytes": len(text),
        "keystrokes": keystrokes,
    }
    for name, make_step in (("foretype", type_into_ours), ("pygls", type_into_pygls)):
        for pattern, scattered in (("onwards", False), ("scattered", True)):
            durations = microseconds(make_step(text), keystroke_places(keystrokes, scattered=scattered))
            median, worst = statistics.median(durations), max(durations)
            result[f"{name}_{pattern}_median_us"] = round(median, 2)
            print(f"{name:9} {pattern:10} median {median:10.1f} us   worst {worst:10.1f} us")
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
