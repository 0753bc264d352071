r"""Which lines around the cursor a model sees, and which of them it may rewrite.

Three nested ranges: the cursor excerpt (everything sent along), the context range (shown) and the editable
range (rewritten). They grow from the cursor by whole lines under budgets of estimated tokens, exactly as in
Zed's `zeta_prompt` and `edit_prediction` at 09adbb01. Here a line ends at ``\n`` only; offsets are UTF-8
bytes, rows are 0-based. Knows nothing of documents, languages or prompts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import add
from typing import NamedTuple

from capture.inputs import ExcerptRanges, PredictionInputs, Span

BYTES_PER_TOKEN = 3  # the estimate used everywhere a budget is in tokens
CURSOR_EXCERPT_TOKENS = 8192

# Key of `ExcerptRanges` -> (editable tokens, context tokens); no context means the editable range itself.
PRECOMPUTED_BUDGETS: dict[str, tuple[int, int | None]] = {
    "editable_150": (150, None),
    "editable_180": (180, None),
    "editable_350": (350, None),
    "editable_512": (512, None),
    "editable_150_context_350": (150, 350),
    "editable_180_context_350": (180, 350),
    "editable_350_context_150": (350, 150),
    "editable_350_context_512": (350, 512),
    "editable_350_context_1024": (350, 1024),
    "context_4096": (350, 4096),
    "context_8192": (350, 8192),
}
_EDITABLE_BUDGETS = frozenset(editable_tokens for editable_tokens, _ in PRECOMPUTED_BUDGETS.values())

TokensOfRow = Callable[[int], int]


def line_tokens(length_bytes: int) -> int:
    """Estimated tokens of a line of ``length_bytes``, its newline not counted; never less than 1."""
    return max(1, length_bytes // BYTES_PER_TOKEN)


def cursor_excerpt_rows(
    tokens_of_row: TokensOfRow, row_count: int, cursor_row: int, budget_tokens: int = CURSOR_EXCERPT_TOKENS
) -> Span:
    """Rows of the cursor excerpt, end exclusive; asks only for the cost of rows it may include."""
    rows, _ = _grow_symmetrically(tokens_of_row, row_count, cursor_row, budget_tokens)
    return Span(rows.first, rows.last + 1)


def cursor_excerpt(
    lines: Sequence[str], cursor_row: int, budget_tokens: int = CURSOR_EXCERPT_TOKENS
) -> tuple[Span, str]:
    """Rows (end exclusive) and text of the excerpt of ``lines``, which carry no line terminators.

    The text ends at the end of its last row, without a newline.
    """
    rows = cursor_excerpt_rows(lambda row: line_tokens(len(lines[row].encode())), len(lines), cursor_row, budget_tokens)
    return rows, "\n".join(lines[rows.start : rows.end])


def editable_and_context_ranges(
    text: str | bytes,
    cursor_offset: int,
    syntax_ranges: Iterable[Span],
    editable_tokens: int,
    context_tokens: int,
) -> tuple[Span, Span]:
    """The editable and the context byte range of an excerpt.

    ``syntax_ranges`` are the syntax nodes around the cursor, innermost first, relative to ``text``; pass an
    empty sequence where there are none. Both ranges consist of whole lines, the newline of the last one
    excluded.
    """
    lines = _Lines.of(text)
    cursor_row = lines.row_at(cursor_offset)
    nodes = [_Rows(lines.row_at(span.start), lines.row_at(span.end)) for span in syntax_ranges]
    growth = _Growth.of(lines, cursor_row, _even_budget(editable_tokens))
    editable = _editable_rows(lines, growth, nodes, editable_tokens)
    context = _context_rows(lines, editable, nodes, context_tokens)
    return lines.span(editable), lines.span(context)


def excerpt_ranges(text: str | bytes, cursor_offset: int, syntax_ranges: Iterable[Span]) -> ExcerptRanges:
    """All precomputed ranges of an excerpt, for readers that have no syntax ranges."""
    lines = _Lines.of(text)
    cursor_row = lines.row_at(cursor_offset)
    nodes = [_Rows(lines.row_at(span.start), lines.row_at(span.end)) for span in syntax_ranges]
    growth = _Growth.of(lines, cursor_row, _even_budget(max(_EDITABLE_BUDGETS)))
    editable_rows = {tokens: _editable_rows(lines, growth, nodes, tokens) for tokens in _EDITABLE_BUDGETS}
    ranges: dict[str, Span] = {}
    for key, (editable_tokens, context_tokens) in PRECOMPUTED_BUDGETS.items():
        rows = editable_rows[editable_tokens]
        if context_tokens is not None:
            rows = _context_rows(lines, rows, nodes, context_tokens)
        ranges[key] = lines.span(rows)
    return ExcerptRanges(ranges)


def ranges_of_inputs(inputs: PredictionInputs, editable_tokens: int, context_tokens: int) -> tuple[Span, Span] | None:
    """Editable and context range of ``inputs``.

    Computed from the syntax ranges where they are present, else looked up among the precomputed ranges;
    None when there are no syntax ranges and nobody precomputed a range for this pair of budgets.
    """
    if inputs.syntax_ranges is not None:
        return editable_and_context_ranges(
            inputs.excerpt_bytes,
            inputs.cursor_offset_in_excerpt,
            inputs.syntax_ranges,
            editable_tokens,
            context_tokens,
        )
    keys = {budgets: key for key, budgets in PRECOMPUTED_BUDGETS.items()}
    editable_key = keys.get((editable_tokens, None))
    context_key = keys.get((editable_tokens, context_tokens))
    if editable_key is None or context_key is None:
        return None
    editable, context = inputs.excerpt_ranges.get(editable_key), inputs.excerpt_ranges.get(context_key)
    return None if editable is None or context is None else (editable, context)


class _Rows(NamedTuple):
    """Rows ``first`` to ``last``, both included."""

    first: int
    last: int

    def covers(self, other: _Rows) -> bool:
        return self.first <= other.first and other.last <= self.last


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where the lines of an excerpt start, and what they cost."""

    starts: list[int]  # one past the end of the text is appended, as if a newline ended the last line
    tokens: list[int]  # of each line
    tokens_above: list[int]  # of all lines above each one, and at last of all lines

    @classmethod
    def of(cls, text: str | bytes) -> _Lines:
        data = text.encode() if isinstance(text, str) else text
        lengths = list(map(len, data.split(b"\n")))
        tokens = [length // BYTES_PER_TOKEN or 1 for length in lengths]  # ``line_tokens``, less the time of the calls
        return cls([0, *accumulate(map(add, lengths, repeat(1)))], tokens, [0, *accumulate(tokens)])

    @property
    def count(self) -> int:
        return len(self.tokens)

    def row_at(self, offset: int) -> int:
        return min(bisect_right(self.starts, offset) - 1, self.count - 1)

    def span(self, rows: _Rows) -> Span:
        return Span(self.starts[rows.first], self.starts[rows.last + 1] - 1)

    def cost(self, rows: _Rows, added: _Rows) -> int:
        """Tokens of the rows of ``added`` that ``rows`` does not have."""
        above = self.tokens_above[rows.first] - self.tokens_above[min(added.first, rows.first)]
        below = self.tokens_above[max(added.last, rows.last) + 1] - self.tokens_above[rows.last + 1]
        return above + below


@dataclass(frozen=True, slots=True)
class _Growth:
    """The rows around one row as they join it, one down, one up, and so on; the same for every budget."""

    rows: list[_Rows]  # at each step
    tokens: list[int]

    @classmethod
    def of(cls, lines: _Lines, row: int, budget_tokens: int) -> _Growth:
        """As far as the budget reaches."""
        first = last = row
        spent = lines.tokens[row]
        rows, tokens = [_Rows(row, row)], [spent]
        while spent < budget_tokens and (first > 0 or last + 1 < lines.count):
            if last + 1 < lines.count:
                last += 1
                spent += lines.tokens[last]
                rows.append(_Rows(first, last))
                tokens.append(spent)
            if first > 0:
                first -= 1
                spent += lines.tokens[first]
                rows.append(_Rows(first, last))
                tokens.append(spent)
        return cls(rows, tokens)

    def within(self, budget_tokens: int) -> tuple[_Rows, int]:
        """The rows that fit, at least the first, and the tokens left over."""
        steps = max(1, bisect_right(self.tokens, budget_tokens))
        return self.rows[steps - 1], max(0, budget_tokens - self.tokens[steps - 1])


def _even_budget(budget_tokens: int) -> int:
    """What of an editable budget is spent evenly around the cursor."""
    return budget_tokens * 3 // 4


def _editable_rows(lines: _Lines, growth: _Growth, nodes: list[_Rows], budget_tokens: int) -> _Rows:
    """Three quarters of the budget evenly around the cursor, then whole syntax nodes, then single lines."""
    even, left = growth.within(_even_budget(budget_tokens))
    left += budget_tokens - _even_budget(budget_tokens)
    rows, left, _ = _grow_to_nodes(lines, even, nodes, left)
    grown_up, grown_down = even.first - rows.first, rows.last - even.last
    return _grow_by_lines(lines, rows, left, up_first=grown_up <= grown_down)


def _context_rows(lines: _Lines, editable: _Rows, nodes: list[_Rows], budget_tokens: int) -> _Rows:
    """The editable rows and the syntax nodes around them that fit; single lines only where none does."""
    rows, left, grew = _grow_to_nodes(lines, editable, nodes, budget_tokens)
    return rows if grew else _grow_by_lines(lines, rows, left, up_first=True)


def _grow_symmetrically(tokens_of_row: TokensOfRow, row_count: int, row: int, budget_tokens: int) -> tuple[_Rows, int]:
    """One line down, one line up, and so on; the first line that does not fit ends both directions.

    ``row`` itself is always taken. Also returns the tokens left over.
    """
    first = last = row
    left = max(0, budget_tokens - tokens_of_row(row))
    while left and (first > 0 or last + 1 < row_count):
        for step in (1, -1):
            candidate = last + 1 if step == 1 else first - 1
            if not 0 <= candidate < row_count or not left:
                continue
            tokens = tokens_of_row(candidate)
            if tokens > left:
                return _Rows(first, last), left
            left -= tokens
            first, last = min(first, candidate), max(last, candidate)
    return _Rows(first, last), left


def _grow_to_nodes(lines: _Lines, start: _Rows, nodes: list[_Rows], budget_tokens: int) -> tuple[_Rows, int, bool]:
    """Take in the nodes that reach beyond ``start``, innermost first, up to the first that does not fit.

    Which nodes are candidates is decided once, by ``start``. Also returns the tokens left over and whether
    any candidate fitted.
    """
    rows, left, grew = start, budget_tokens, False
    for node in nodes:
        if start.covers(node):
            continue
        tokens = lines.cost(rows, node)
        if tokens > left:
            break
        rows = _Rows(min(rows.first, node.first), max(rows.last, node.last))
        left -= tokens
        grew = True
    return rows, left, grew


def _grow_by_lines(lines: _Lines, rows: _Rows, budget_tokens: int, *, up_first: bool) -> _Rows:
    """Alternate between the two sides; a side that is full or at the end of the text stands still."""
    everything = _Rows(0, lines.count - 1)
    if lines.cost(rows, everything) <= budget_tokens:
        return everything
    first, last, left = rows.first, rows.last, budget_tokens
    while left:
        before = left
        for up in (up_first, not up_first):
            candidate = first - 1 if up else last + 1
            if 0 <= candidate < lines.count and (tokens := lines.tokens[candidate]) <= left:
                left -= tokens
                first, last = min(first, candidate), max(last, candidate)
        if left == before:
            break
    return _Rows(first, last)
