"""`sweep_v2`: the format of sweep-next-edit-v2, with row numbers in the headers and a cursor token.

    <|file_sep|>path                            the file, broadly
    <|file_sep|>related path                    up to 3 chunks
    <|file_sep|>path:start:end                  up to 6 recent changes, each with original: and updated:
    <|file_sep|>original/path:start:end         the block before the recent changes in it
    <|file_sep|>current/path:start:end          the block now, with <|cursor|>
    <|file_sep|>updated/path:start:end          the prefill; the model writes the rest of the block

The layout is that of the v2 model card (``inference.py``), the sizes are those of Sweep's own server
(`sweep-autocomplete` 0.1.1). Rows in headers are the file's, from 1, the last included; those of a change are
the rows it replaced. Sweep shows the file as it was when it got the focus; that is not known here, so the
broad file is the cursor excerpt as it is now, cut to a budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from capture.inputs import PredictionInputs, RelatedExcerpt, Span
from daemon.prompts.base import (
    Answer,
    CountTokens,
    Delimiters,
    NewRegion,
    NoEdit,
    NoEditReason,
    Prompt,
    Refusal,
    TargetError,
)
from daemon.prompts.event_hunks import EventHunk, hunks_of, states_before
from daemon.prompts.guards import is_covered, no_edit_at_sight
from daemon.prompts.sections import contains_special_tokens
from daemon.prompts.sweep import FILE_SEPARATOR, QWEN_TOKENS
from daemon.prompts.whole_region import checked_target, read_whole_region
from daemon.prompts.windows import (
    cursor_row,
    excerpts_that_fit,
    newest_that_fit,
    rows_around,
    screened,
    span_of_rows,
    widest_rows,
    with_cursor,
)

CURSOR = "<|cursor|>"
END_OF_TEXT = "<|endoftext|>"
CONTROL_TOKENS = (*QWEN_TOKENS, CURSOR)
# The models sometimes write this line of git's diffs; it stands nowhere in a file.
DIFF_REMARK = "\\ No newline at end of file"


class Prefill(Enum):
    """How much of the block is given to the model, and so is not up for change."""

    BEFORE_CURSOR_LINE = auto()  # the default of the model card
    FIRST_LINE = auto()  # its insertion mode: the first line and the blank lines that follow
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class SweepV2Sizes:
    """Rows, tokens and characters; ``context_tokens`` and ``broad_tokens`` are ours."""

    rows_above: int = 2
    rows_below: int = 5
    block_tokens: int = 512
    max_hunks: int = 6
    retrieval_chunks: int = 3
    retrieval_lines: int = 25
    retrieval_tokens: int = 2048
    line_characters: int = 600  # longer lines are cut, except in the block
    broad_tokens: int = 4096
    answer_tokens: int = 1024
    context_tokens: int = 8192  # prompt and answer together


class SweepV2:
    """A ``PromptFormat`` for sweep-next-edit-v2."""

    name = "sweep_v2"
    control_tokens = CONTROL_TOKENS
    delimiters = Delimiters(FILE_SEPARATOR, "")  # the answer follows a path and row numbers

    def __init__(self, prefill: Prefill = Prefill.BEFORE_CURSOR_LINE, sizes: SweepV2Sizes | None = None) -> None:
        self._prefill = prefill
        self._sizes = sizes or SweepV2Sizes()

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """The prompt within the context: the block, then recent changes, the file, related chunks.

        Refused when block or path hold control tokens, and when the cursor's row alone is over budget.
        """
        lines = inputs.cursor_excerpt.split("\n")
        rows = self._block_rows(lines, cursor_row(inputs), count_tokens)
        if rows is None:
            return Refusal.OVER_BUDGET
        span = span_of_rows(inputs.excerpt_bytes, rows)
        if not is_covered(inputs, span, span):
            return Refusal.CURSOR_NOT_COVERED
        block, path = "\n".join(lines[rows.start : rows.end]), inputs.cursor_path
        if contains_special_tokens(f"{path}\n{block}", CONTROL_TOKENS) or "\n" in path:
            return Refusal.CONTROL_TOKENS
        clean = screened(inputs, CONTROL_TOKENS, rows)

        prefill = self._prefill_of(block, cursor_row(inputs) - rows.start)
        ending = _ending(clean, rows, span, prefill)
        opening = f"{FILE_SEPARATOR}{path}\n"
        left = self._sizes.context_tokens - self._sizes.answer_tokens - count_tokens(opening + ending)
        if left < 0:
            return Refusal.OVER_BUDGET
        changes, left = newest_that_fit(self._change_blocks(clean), left, count_tokens)
        broad = self._broad_file(lines, rows, min(left, self._sizes.broad_tokens), count_tokens)
        left -= count_tokens(broad)
        retrieval = self._retrieval(clean, min(left, self._sizes.retrieval_tokens), count_tokens)
        recent_changes = "".join(changes).removesuffix("\n")
        return Prompt(
            text=f"{opening}{broad}{retrieval}\n{recent_changes}\n{ending}",
            stop=(END_OF_TEXT, FILE_SEPARATOR),
            region=span,
            region_text=block,
            max_answer_tokens=self._sizes.answer_tokens,
            prefill=prefill,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """Prefill and answer are the whole new block; never raises, whatever the answer.

        No edit, as in Sweep's server: an answer that starts with a control token; lines inserted right above
        the cursor's line and nothing else; a change of blank lines and trailing whitespace only; a block that
        was there before one of the recent changes.
        """
        refused = no_edit_at_sight(answer, finished=finished)
        if refused is not None:
            return refused
        if answer.startswith("<|"):
            return NoEdit(NoEditReason.CONTROL_TOKENS)
        tokens = (*CONTROL_TOKENS, DIFF_REMARK)
        region = read_whole_region(prompt.region_text, prompt.prefill + answer, tokens, finished=finished)
        unwanted = _unwanted(inputs, prompt, region.text) if isinstance(region, NewRegion) else None
        return region if unwanted is None else NoEdit(unwanted)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The new block less the prefill, and the separator that ends it.

        Raises TargetError when the new block changes the prefill (``Prefill.NOTHING`` allows it), and when
        ``parse`` would not give it back: when it or what follows the prefill becomes blank, when it ends in a
        blank line and shall not any more, when it would hold control tokens, when it is a change that is not
        shown.
        """
        if not new_region.text.startswith(prompt.prefill):
            raise TargetError("the new block changes lines that the prompt has already given as the answer's start")
        target = f"{new_region.text.removeprefix(prompt.prefill)}\n{FILE_SEPARATOR}"
        return checked_target(self, inputs, prompt, new_region, target)

    def _block_rows(self, lines: Sequence[str], row: int, count_tokens: CountTokens) -> Span | None:
        """The rows around the cursor's without outer blank rows, cut to the budget from the far end."""
        rows = rows_around(len(lines), row, self._sizes.rows_above, self._sizes.rows_below)
        start, end = rows.start, rows.end
        while start < row and not lines[start].strip():
            start, end = start + 1, min(len(lines), end + 1)
        while end > row + 1 and not lines[end - 1].strip():
            end -= 1
        while count_tokens("\n".join(lines[start:end])) > self._sizes.block_tokens:
            if end > row + 1:
                end -= 1
            elif start < row:
                start += 1
            else:
                return None
        return Span(start, end)

    def _prefill_of(self, block: str, cursor_row_in_block: int) -> str:
        above = [line + "\n" for line in block.split("\n")[:cursor_row_in_block]]
        if self._prefill is Prefill.NOTHING:
            return ""
        if self._prefill is Prefill.BEFORE_CURSOR_LINE:
            return "".join(above)
        blank = 1
        while blank < len(above) and above[blank] == "\n":
            blank += 1
        return "".join(above[:blank])

    def _change_blocks(self, inputs: PredictionInputs) -> list[str]:
        """The newest hunks of all files, oldest first, with a line of context in both halves."""
        hunks = [(event.path, hunk) for event in inputs.events for hunk in hunks_of(event) if hunk.changes_text]
        return [self._change_block(path, hunk.with_context(1)) for path, hunk in hunks[-self._sizes.max_hunks :]]

    def _change_block(self, path: str, hunk: EventHunk) -> str:
        original, updated = ("\n".join(self._cut(lines)).strip("\n") for lines in (hunk.old_lines, hunk.new_lines))
        last = max(hunk.old_row + 1, hunk.old_row + len(hunk.old_lines))
        header = f"{FILE_SEPARATOR}{path}:{hunk.old_row + 1}:{last}"
        return f"{header}\noriginal:\n{original}\nupdated:\n{updated}\n"

    def _broad_file(self, lines: Sequence[str], rows: Span, budget_tokens: int, count_tokens: CountTokens) -> str:
        cut = self._cut(lines)
        if contains_special_tokens("\n".join(cut), CONTROL_TOKENS):
            return ""  # the block itself is clean and stands further down
        shown = widest_rows(cut, rows, budget_tokens, count_tokens)
        return "" if shown is None else "\n".join(cut[shown.start : shown.end])

    def _retrieval(self, inputs: PredictionInputs, budget_tokens: int, count_tokens: CountTokens) -> str:
        def chunk(path: str, excerpt: RelatedExcerpt) -> str:
            text = "\n".join(self._cut(excerpt.text.split("\n")[: self._sizes.retrieval_lines]))
            return f"\n{FILE_SEPARATOR}{path}\n{text}\n"

        chosen = excerpts_that_fit(
            inputs.related_files or (),
            lambda file, excerpt: count_tokens(chunk(file.path, excerpt)),
            budget_tokens,
            self._sizes.retrieval_chunks,
        )
        return "".join(chunk(file.path, excerpt) for file, excerpts in chosen for excerpt in excerpts)

    def _cut(self, lines: Sequence[str]) -> list[str]:
        return [line[: self._sizes.line_characters] for line in lines]


def _ending(inputs: PredictionInputs, rows: Span, span: Span, prefill: str) -> str:
    """The blocks before, now and to come, under headers with the block's rows."""
    first_row = inputs.excerpt_start_row or 0
    place = f"{inputs.cursor_path}:{first_row + rows.start + 1}:{first_row + rows.end}"
    block = inputs.excerpt_bytes[span.start : span.end].decode()
    original = next(iter(_earlier_blocks(inputs, rows, block)[::-1]), block)
    return (
        f"{FILE_SEPARATOR}original/{place}\n{original}\n"
        f"{FILE_SEPARATOR}current/{place}\n{with_cursor(inputs, span, CURSOR)}\n"
        f"{FILE_SEPARATOR}updated/{place}\n{prefill}"
    )


def _earlier_blocks(inputs: PredictionInputs, rows: Span, block: str) -> list[str]:
    """The block as it was before the newest change in it, before the one before that, and so on."""
    events = [event for event in inputs.events if event.path == inputs.cursor_path]
    hunks = [hunk for event in events for hunk in hunks_of(event) if hunk.changes_text]
    start_row = None if inputs.excerpt_start_row is None else inputs.excerpt_start_row + rows.start
    return ["\n".join(state) for state in states_before(block.split("\n"), start_row, hunks)]


def _unwanted(inputs: PredictionInputs, prompt: Prompt, text: str) -> NoEditReason | None:
    """Why a new block is not shown, as Sweep's server would not; None when it may be."""
    data, region = inputs.excerpt_bytes, prompt.region
    first = data[: region.start].count(b"\n")
    old = prompt.region_text.split("\n")
    rows = Span(first, first + len(old))
    earlier = _earlier_blocks(screened(inputs, CONTROL_TOKENS, rows), rows, prompt.region_text)
    if any(text.strip("\n") == block.strip("\n") for block in earlier):
        return NoEditReason.REVERTS
    if _visible_lines(text) == _visible_lines(prompt.region_text):
        return NoEditReason.WHITESPACE
    inserts_above = _only_inserts_above(old, text.split("\n"), cursor_row(inputs) - first)
    return NoEditReason.INSERTS_ABOVE if inserts_above else None


def _visible_lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def _only_inserts_above(old: list[str], new: list[str], row: int) -> bool:
    """Whether lines were added right above the cursor's line, which is not blank, and nothing else changed.

    Lines that may as well have been added below it are none of these.
    """
    if not old[row].strip() or len(new) <= len(old) or new[: row + 1] == old[: row + 1]:
        return False
    return new[:row] == old[:row] and new[len(new) - len(old) + row :] == old[row:]
