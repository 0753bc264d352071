"""Whole rows around the cursor, and what of a context fits a budget of counted tokens.

A window is a run of rows of the cursor excerpt; its text has no newline after its last row. Texts are cut
between lines only. ``count_tokens`` is a real tokenizer, so places to cut are found by bisection: about twenty calls
for the largest excerpt. Knows nothing of any one format: each hands in its sizes and its way to write a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from capture.inputs import PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import CountTokens
from daemon.prompts.guards import without_clashing_context
from daemon.prompts.sections import filter_redundant_excerpts

FileExcerpts = tuple[RelatedFile, list[RelatedExcerpt]]


def cursor_row(inputs: PredictionInputs) -> int:
    """The cursor's row in the excerpt, from 0."""
    return inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].count(b"\n")


def rows_around(row_count: int, row: int, above: int, below: int) -> Span:
    """``row`` with so many rows above and below it, as far as there are any."""
    return Span(max(0, row - above), min(row_count, row + below + 1))


def span_of_rows(data: bytes, rows: Span) -> Span:
    """The bytes of whole rows, the newline of the last excluded."""
    lines = data.split(b"\n")
    start = sum(len(line) + 1 for line in lines[: rows.start])
    return Span(start, start + sum(len(line) + 1 for line in lines[rows.start : rows.end]) - 1)


def with_cursor(inputs: PredictionInputs, span: Span, marker: str) -> str:
    """The text at ``span`` (bytes of the excerpt) with ``marker`` at the cursor, which lies in it."""
    data, cursor = inputs.excerpt_bytes, inputs.cursor_offset_in_excerpt
    return data[span.start : cursor].decode() + marker + data[cursor : span.end].decode()


def widest_rows(lines: Sequence[str], inner: Span, budget_tokens: int, count_tokens: CountTokens) -> Span | None:
    """``inner`` and as many rows on either side as fit, equally many while there are; None if it does not fit.

    At an end of the text only the other side grows on.
    """

    def window(radius: int) -> Span:
        return Span(max(0, inner.start - radius), min(len(lines), inner.end + radius))

    def fits(radius: int) -> bool:
        rows = window(radius)
        return count_tokens("\n".join(lines[rows.start : rows.end])) <= budget_tokens

    radius = _largest(max(inner.start, len(lines) - inner.end), fits)
    return None if radius is None else window(radius)


def last_lines_within(text: str, budget_tokens: int, count_tokens: CountTokens) -> str | None:
    """As much of the end of ``text`` as fits, from a line's start on; None if its last line does not fit."""
    starts = [0, *(index + 1 for index, character in enumerate(text) if character == "\n")]
    dropped = len(starts) - 1
    kept = _largest(dropped, lambda more: count_tokens(text[starts[dropped - more] :]) <= budget_tokens)
    return None if kept is None else text[starts[dropped - kept] :]


def first_lines_within(text: str, budget_tokens: int, count_tokens: CountTokens) -> str | None:
    """As much of the start of ``text`` as fits, up to the end of a line; None if its first line does not fit."""
    ends = [*(index + 1 for index, character in enumerate(text) if character == "\n"), len(text)]
    kept = _largest(len(ends) - 1, lambda more: count_tokens(text[: ends[more]]) <= budget_tokens)
    return None if kept is None else text[: ends[kept]]


def newest_that_fit(blocks: Sequence[str], budget_tokens: int, count_tokens: CountTokens) -> tuple[list[str], int]:
    """Blocks from the newest (the last) on while they fit, in their order, and the tokens left over."""
    chosen: list[str] = []
    left = budget_tokens
    for block in reversed(blocks):
        cost = count_tokens(block)
        if cost > left:
            break
        left -= cost
        chosen.append(block)
    return chosen[::-1], left


def excerpts_that_fit(
    files: Sequence[RelatedFile],
    cost: Callable[[RelatedFile, RelatedExcerpt], int],
    budget_tokens: int,
    max_excerpts: int | None = None,
) -> Iterator[FileExcerpts]:
    """Excerpts by importance up to the first that does not fit, given file by file in their original order."""
    candidates = sorted(
        (excerpt.order, file_index, excerpt_index)
        for file_index, file in enumerate(files)
        for excerpt_index, excerpt in enumerate(file.excerpts)
    )
    chosen: set[tuple[int, int]] = set()
    left = budget_tokens
    for _, file_index, excerpt_index in candidates[:max_excerpts]:
        left -= cost(files[file_index], files[file_index].excerpts[excerpt_index])
        if left < 0:
            break
        chosen.add((file_index, excerpt_index))
    for file_index, file in enumerate(files):
        excerpts = [excerpt for index, excerpt in enumerate(file.excerpts) if (file_index, index) in chosen]
        if excerpts:
            yield file, excerpts


def screened(inputs: PredictionInputs, tokens: Sequence[str], shown_rows: Span) -> PredictionInputs:
    """The inputs less what would break a prompt, or repeat it.

    Left out are events and excerpts with control tokens or with a newline in their path, and excerpts of the
    cursor's own file that lie in ``shown_rows`` (of the excerpt).
    """
    clean = without_clashing_context(inputs, tokens)
    related: Sequence[RelatedFile] = [file for file in clean.related_files or () if "\n" not in file.path]
    if inputs.excerpt_start_row is not None:
        first = inputs.excerpt_start_row
        shown = Span(first + shown_rows.start, first + shown_rows.end)
        related = filter_redundant_excerpts(related, inputs.cursor_path, shown)
    events = tuple(event for event in clean.events if "\n" not in event.path)
    return replace(clean, events=events, related_files=tuple(related))


def _largest(most: int, fits: Callable[[int], bool]) -> int | None:
    """The largest number from 0 to ``most`` that fits, given that all below one that fits do too.

    Steps grow from the small end, so that a long text is not counted in full for a small budget.
    """
    if not fits(0):
        return None
    low, step, high = 0, 1, most + 1
    while low < most and high > most:
        probe = min(most, low + step)
        if fits(probe):
            low, step = probe, step * 4
        else:
            high = probe
    while high - low > 1 and low < most:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
