"""Median cost of one prompt in every format of Zed, filled to 4,096 tokens by history and related files.

    python -m bench.prompts [--repetitions N]

``zed`` is Zed's own prompt, ``daemon`` the same behind the checks for control tokens. Each is made of fresh inputs,
as for a new question, once with syntax ranges and once with precomputed ones. Zeta1 shows no related files and stays
shorter. Prints a table for people and
one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from capture.editing.excerpt import cursor_excerpt, excerpt_ranges, ranges_of_inputs
from capture.inputs import EditEvent, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import Refusal
from daemon.prompts.sections import estimate_tokens
from daemon.prompts.zed.hash_region_prompts import HASH_REGIONS
from daemon.prompts.zed.hash_regions import format_hash_regions_prompt
from daemon.prompts.zed.hashed_markers import ensure_cursor_file_excerpt
from daemon.prompts.zed.prompt import format_zeta_prompt
from daemon.prompts.zed.table import ZETA_FORMATS, ZETA_PROMPTS
from daemon.prompts.zed.zeta1 import CONTEXT_TOKENS, EDITABLE_TOKENS, ZETA1, format_zeta1_prompt

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.prompts.base import PromptFormat
    from daemon.prompts.zed.format import ZetaFormat

    Ask = Callable[[PredictionInputs], str]

PROMPT_TOKENS = 4096
EXCERPT_TOKENS = 8192
# These show the whole excerpt, so they get one that leaves room for the rest.
SHOW_THE_WHOLE_EXCERPT = ("V0327SingleFile", "V0615HashRegions")
WHOLE_EXCERPT_TOKENS = 3000
FILE_ROWS = 4000
EVENTS = 6
RELATED_FILES = 3
RELATED_ROWS = 300


def source_row(row: int) -> str:
    """A row of a file with functions of ten rows."""
    place = row % 10
    if place == 0:
        return f"def compute_{row}(items, start={row}):"
    return "" if place == 9 else f"    value_{row} = combine(items[{row}], previous_{place})  # grüße"


def sample_inputs(excerpt_tokens: int) -> PredictionInputs:
    """A moment in the middle of a long file, six edits behind it and three files beside it."""
    lines = [source_row(row) for row in range(FILE_ROWS)]
    cursor_row = FILE_ROWS // 2 + 4
    rows, text = cursor_excerpt(lines, cursor_row, excerpt_tokens)
    row_starts = [0]
    for line in lines[rows.start : rows.end]:
        row_starts.append(row_starts[-1] + len(line.encode()) + 1)
    cursor = row_starts[cursor_row - rows.start] + 12
    function = Span(row_starts[cursor_row - 4 - rows.start], row_starts[cursor_row + 6 - rows.start] - 1)
    nodes = [Span(cursor - 4, cursor + 4), function, Span(0, len(text.encode()))]
    return PredictionInputs(
        cursor_path="src/compute.py",
        cursor_excerpt=text,
        cursor_offset_in_excerpt=cursor,
        excerpt_ranges=excerpt_ranges(text, cursor, nodes),
        excerpt_start_row=rows.start,
        syntax_ranges=tuple(nodes),
        events=tuple(sample_event(index) for index in range(EVENTS)),
        related_files=tuple(sample_related_file(index) for index in range(RELATED_FILES)),
    )


def sample_event(index: int) -> EditEvent:
    """One line changed between three lines of context."""
    context = "".join(f" {source_row(row)}\n" for row in range(index, index + 3))
    diff = f"@@ -{index + 1},7 +{index + 1},7 @@\n{context}-old_{index} = 1\n+new_{index} = 2\n{context}"
    return EditEvent("src/compute.py", "src/compute.py", diff)


def sample_related_file(index: int) -> RelatedFile:
    """A file that is shown in pieces of twenty rows."""
    excerpts = tuple(
        RelatedExcerpt(
            Span(row, row + 20), "".join(source_row(at) + "\n" for at in range(row, row + 20)), order=row // 20
        )
        for row in range(0, RELATED_ROWS, 20)
    )
    return RelatedFile(f"src/related_{index}.py", RELATED_ROWS, excerpts)


def microseconds(step: Callable[[PredictionInputs], object], inputs: PredictionInputs, repetitions: int) -> list[float]:
    """How long each repetition takes, every one with inputs of its own, which have nothing cached."""
    durations = []
    for fresh in [replace(inputs) for _ in range(repetitions)]:
        started = time.perf_counter_ns()
        step(fresh)
        durations.append((time.perf_counter_ns() - started) / 1000)
    return durations


def ways_to_ask(zeta: ZetaFormat) -> dict[str, Ask]:
    """The prompt as Zed makes it and as the daemon does."""
    full = replace(zeta, max_prompt_tokens=PROMPT_TOKENS)
    prompts = next(prompts for prompts in ZETA_PROMPTS.values() if prompts.zeta.name == zeta.name)
    safe = replace(prompts, zeta=replace(prompts.zeta, max_prompt_tokens=PROMPT_TOKENS))
    return {
        "zed": lambda inputs: within_budget(format_zeta_prompt(inputs, full)),
        "daemon": lambda inputs: rendered(safe, inputs),
    }


def ways_to_ask_hash_regions() -> dict[str, Ask]:
    """The same of V0615HashRegions; the daemon's takes as much as the format may, 8,000 tokens."""
    return {
        "zed": lambda inputs: within_budget(
            format_hash_regions_prompt(ensure_cursor_file_excerpt(inputs), PROMPT_TOKENS)
        ),
        "daemon": lambda inputs: rendered(HASH_REGIONS, inputs),
    }


def ways_to_ask_zeta1() -> dict[str, Ask]:
    """The same of Zeta1."""

    def zed(inputs: PredictionInputs) -> str:
        ranges = ranges_of_inputs(inputs, EDITABLE_TOKENS, CONTEXT_TOKENS)
        return within_budget(None if ranges is None else format_zeta1_prompt(inputs, *ranges))

    return {"zed": zed, "daemon": lambda inputs: rendered(ZETA1, inputs)}


def within_budget(prompt: str | None) -> str:
    """The prompt; raises RuntimeError where there is none."""
    if prompt is None:
        raise RuntimeError("the sample is over budget")
    return prompt


def rendered(prompt_format: PromptFormat, inputs: PredictionInputs) -> str:
    """The daemon's prompt; raises RuntimeError where it refuses."""
    prompt = prompt_format.render(inputs, estimate_tokens)
    if not isinstance(prompt, Refusal):
        return prompt.text
    raise RuntimeError(f"the sample is refused in {prompt_format.name}: {prompt.value}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    repetitions = parser.parse_args().repetitions
    large, small = sample_inputs(EXCERPT_TOKENS), sample_inputs(WHOLE_EXCERPT_TOKENS)
    result: dict[str, Any] = {"bench": "prompts", "prompt_tokens": PROMPT_TOKENS, "repetitions": repetitions}
    ways = {name: ways_to_ask(zeta) for name, zeta in ZETA_FORMATS.items()}
    ways |= {HASH_REGIONS.name: ways_to_ask_hash_regions(), ZETA1.name: ways_to_ask_zeta1()}
    for name, asks in ways.items():
        inputs = small if name in SHOW_THE_WHOLE_EXCERPT else large
        for ranges, moment in (("syntax", inputs), ("precomputed", replace(inputs, syntax_ranges=None))):
            for way, ask in asks.items():
                tokens = estimate_tokens(ask(moment))
                durations = microseconds(ask, moment, repetitions)
                median = statistics.median(durations)
                deciles = statistics.quantiles(durations, n=10)
                result[f"{name}_{ranges}_{way}_median_us"] = round(median, 1)
                print(
                    f"{name:27} {ranges:12} {way:7} {tokens:5} tokens   median {median:8.1f} us"
                    f"   tenth to ninth decile {deciles[0]:8.1f} to {deciles[-1]:8.1f} us"
                )
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
