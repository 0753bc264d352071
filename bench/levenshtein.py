"""Distances as `foretype settle` reckons them: 5,000,000 pairs of texts, as it meets them, on two cores.

    python -m bench.levenshtein [--pairs N] [--workers N]

An example is a settled text (Python code, cut from the standard library; lengths spread around a median of 1,050
characters, at most 4,096, as long as a region may grow) and 50 samples: no edit, the settled text, one to four words
other than settled, a line rewritten, now and then a block. Nothing is measured once that occurs twice, though settle
would. Beside it, in the same run: the same pairs in rapidfuzz's `process.cdist`, one core each, and the worst case,
pairs of unrelated texts. Prints for people and ends with one JSON line.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from capture.inputs import Span
from training_export.settling.distance import CommonGround, distances

PAIRS, WORKERS, SAMPLES = 5_000_000, 2, 50
MEDIAN_CHARACTERS, LEAST_CHARACTERS, MOST_CHARACTERS = 1050, 100, 4096
SPREAD = 0.5  # of the logarithm of lengths
SEED = 3
EXAMPLES = 200  # a worker goes through them again and again: 10,000 pairs, 10 MB, more than a core's own cache
PEER_EXAMPLES, WORST_EXAMPLES = 40, 8
# How samples differ from what settled: shares of the 50 that were drawn of the planted set of tests, roughly.
SHARES = {"no edit": 25, "settled": 25, "words": 38, "line": 9, "block": 3}
WORDS = ("total", "order_id", "value", "(order, retries=3)", "None", "self.entries", "x", "_", " + 1", "")


@dataclass(frozen=True)
class SettledPairs:
    """One example: all its samples are compared with the same settled text."""

    ground: CommonGround
    samples: list[str]


class Pairs:
    """Makes examples, the same from the same seed on the same Python."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._code = _code()

    def example(self) -> SettledPairs:
        """As settle meets them."""
        settled = self._cut(self._length())
        before = self._with_words(settled, self._random.randint(1, 4))
        kinds = self._random.choices(list(SHARES), list(SHARES.values()), k=SAMPLES)
        samples = [self._sample(kind, before, settled) for kind in kinds]
        return SettledPairs(CommonGround(Span(0, len(before.encode())), before, settled), samples)

    def unrelated(self, length: int) -> SettledPairs:
        """Texts of one length that have nothing to do with each other."""
        before, settled = self._cut(length), self._cut(length)
        samples = [self._cut(length) for _ in range(SAMPLES)]
        return SettledPairs(CommonGround(Span(0, len(before.encode())), before, settled), samples)

    def _length(self) -> int:
        found = MEDIAN_CHARACTERS * math.exp(self._random.gauss(0, SPREAD))
        return min(MOST_CHARACTERS, max(LEAST_CHARACTERS, round(found)))

    def _cut(self, length: int) -> str:
        start = self._random.randrange(len(self._code) - length)
        return self._code[start : start + length]

    def _sample(self, kind: str, before: str, settled: str) -> str:
        if kind == "no edit":
            return before
        if kind == "settled":
            return settled
        if kind == "words":
            return self._with_words(settled, self._random.randint(1, 4))
        lines = settled.split("\n")
        row, height = self._random.randrange(len(lines)), 1 if kind == "line" else self._random.randint(3, 8)
        written = self._cut(40 * height).split("\n")
        return "\n".join([*lines[:row], *written, *lines[row + height :]])

    def _with_words(self, text: str, count: int) -> str:
        for _ in range(count):
            at = self._random.randrange(len(text))
            text = text[:at] + self._random.choice(WORDS) + text[at + self._random.randint(0, 8) :]
        return text


def _code() -> str:
    folder = Path(sysconfig.get_paths()["stdlib"])
    names = ("argparse.py", "dataclasses.py", "inspect.py", "subprocess.py", "tarfile.py", "typing.py")
    return "".join((folder / name).read_text(encoding="utf-8") for name in names)


class Part(NamedTuple):
    """What one worker did: ``began`` and ``ended`` by the clock all share, the rest in seconds."""

    began: float
    ended: float
    processor: float
    pairs: int
    longest_example: float


def reckon(seed: int, pairs: int) -> Part:
    """One worker's part."""
    maker = Pairs(seed)
    examples = [maker.example() for _ in range(EXAMPLES)]
    done, longest = 0, 0.0
    began, processor = time.perf_counter(), time.process_time()
    while done < pairs:
        for example in examples:
            started = time.perf_counter()
            distances(example.ground, example.samples)
            longest = max(longest, time.perf_counter() - started)
            done += SAMPLES
            if done >= pairs:
                break
    return Part(began, time.perf_counter(), time.process_time() - processor, done, longest)


def microseconds_a_pair(examples: Sequence[SettledPairs], *, is_peer: bool) -> list[float]:
    """Of each example, of the processor: what else the machine does plays no part."""
    found = []
    for example in examples:
        started = time.process_time()
        if is_peer:
            process.cdist([example.ground.settled], example.samples, scorer=Levenshtein.distance)
        else:
            distances(example.ground, example.samples)
        found.append((time.process_time() - started) / SAMPLES * 1e6)
    return found


def measure(pairs: int, workers: int) -> dict[str, Any]:
    """Everything, as the last line has it."""
    maker = Pairs(SEED)
    examples = [maker.example() for _ in range(PEER_EXAMPLES)]
    ours, peers = (microseconds_a_pair(examples, is_peer=is_peer) for is_peer in (False, True))
    with ProcessPoolExecutor(workers, get_context("forkserver")) as pool:
        parts = list(pool.map(reckon, range(SEED, SEED + workers), [math.ceil(pairs / workers)] * workers))
    seconds = max(part.ended for part in parts) - min(part.began for part in parts)
    processor = sum(part.processor for part in parts)
    done = sum(part.pairs for part in parts)
    unrelated = {
        length: statistics.median(
            microseconds_a_pair([maker.unrelated(length) for _ in range(WORST_EXAMPLES)], is_peer=False)
        )
        for length in (MEDIAN_CHARACTERS, MOST_CHARACTERS)
    }
    return {
        "bench": "levenshtein",
        "pairs": done,
        "workers": workers,
        "median_characters": statistics.median(len(text) for one in examples for text in one.samples),
        "seconds": round(seconds, 2),
        "seconds_for_5_million": round(seconds / done * PAIRS, 2),
        "processor_seconds_for_5_million": round(processor / done * PAIRS, 2),
        "longest_example_ms": round(1e3 * max(part.longest_example for part in parts), 3),
        "one_core_us_a_pair": round(statistics.median(ours), 2),
        "cdist_us_a_pair": round(statistics.median(peers), 2),
        "ratio_to_cdist": round(statistics.median(b / a for a, b in zip(ours, peers, strict=True)), 2),
        "unrelated_us_a_pair": {str(length): round(found, 1) for length, found in unrelated.items()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "load": round(os.getloadavg()[0], 2),
    }


def show(found: dict[str, Any]) -> None:
    """For people."""
    print(
        f"{found['pairs']:,} pairs, median length {found['median_characters']:g}: {found['seconds']:g} s with"
        f" {found['workers']} workers, so {found['seconds_for_5_million']:g} s for 5,000,000"
        f" ({found['processor_seconds_for_5_million']:g} s of processors; longest example of {SAMPLES}:"
        f" {found['longest_example_ms']:g} ms)"
    )
    print(
        f"one core: {found['one_core_us_a_pair']:g} us a pair, rapidfuzz's cdist {found['cdist_us_a_pair']:g} us:"
        f" {found['ratio_to_cdist']:g} times as fast as that"
    )
    for length, microseconds in found["unrelated_us_a_pair"].items():
        seconds = microseconds * PAIRS / found["workers"] / 1e6
        print(
            f"worst case, unrelated texts of {length} characters: {microseconds:g} us a pair, {seconds:.0f} s for all"
        )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--workers", type=int, default=WORKERS)
    given = parser.parse_args()
    found = measure(given.pairs, given.workers)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    show(found)
    print(json.dumps({**found, "commit": commit.stdout.strip()}))


if __name__ == "__main__":
    main()
