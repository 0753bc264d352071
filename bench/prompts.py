"""Median cost of one prompt in every Zeta format, filled to 4,096 tokens by history and related files.

    python -m bench.prompts [--repetitions N]

``zed`` is Zed's own prompt, ``daemon`` the same behind the checks for control tokens. Each is made of fresh inputs,
as for a new question, once with syntax ranges and once with precomputed ones. Prints a table for people and
one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from capture.editing.excerpt import cursor_excerpt, excerpt_ranges
from capture.inputs import EditEvent, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import Refusal
from daemon.prompts.sections import estimate_tokens
from daemon.prompts.zed.prompt import format_zeta_prompt
from daemon.prompts.zed.table import ZETA_FORMATS, ZETA_PROMPTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.prompts.zed.format import ZetaFormat

PROMPT_TOKENS = 4096
EXCERPT_TOKENS = 8192
# V0327 shows its whole excerpt, so it gets one that leaves room for the history.
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


def ways_to_ask(zeta: ZetaFormat) -> dict[str, Callable[[PredictionInputs], str]]:
    """The prompt as Zed makes it and as the daemon does."""
    full = replace(zeta, max_prompt_tokens=PROMPT_TOKENS)
    prompts = next(prompts for prompts in ZETA_PROMPTS.values() if prompts.zeta.name == zeta.name)
    safe = replace(prompts, zeta=replace(prompts.zeta, max_prompt_tokens=PROMPT_TOKENS))

    def zed(inputs: PredictionInputs) -> str:
        prompt = format_zeta_prompt(inputs, full)
        if prompt is None:
            raise RuntimeError(f"the sample is over budget in {zeta.name}")
        return prompt

    def daemon(inputs: PredictionInputs) -> str:
        prompt = safe.render(inputs, estimate_tokens)
        if not isinstance(prompt, Refusal):
            return prompt.text
        raise RuntimeError(f"the sample is refused in {zeta.name}: {prompt.value}")

    return {"zed": zed, "daemon": daemon}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    repetitions = parser.parse_args().repetitions
    samples = {tokens: sample_inputs(tokens) for tokens in (EXCERPT_TOKENS, WHOLE_EXCERPT_TOKENS)}
    result: dict[str, Any] = {"bench": "prompts", "prompt_tokens": PROMPT_TOKENS, "repetitions": repetitions}
    for name, zeta in ZETA_FORMATS.items():
        inputs = samples[WHOLE_EXCERPT_TOKENS if name == "V0327SingleFile" else EXCERPT_TOKENS]
        for ranges, moment in (("syntax", inputs), ("precomputed", replace(inputs, syntax_ranges=None))):
            for way, ask in ways_to_ask(zeta).items():
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
