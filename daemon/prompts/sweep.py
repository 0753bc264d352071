"""`sweep`: the format of the open sweep-next-edit models (0.5B, 1.5B), the dialect of their model card.

Blocks that each start with ``<|file_sep|>``: related files, recent changes as before and after, the window
before the newest change, the window now; the model writes the window as it will be. No cursor token, no line
numbers: a window is the cursor's row and ten rows on either side. The v2 models speak another dialect (a
shorter window with line ranges in the headers and a cursor token); it will be another ``SweepDialect``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capture.editing.histogram import Change, changes
from capture.inputs import EditEvent, PredictionInputs, RelatedFile, Span
from daemon.prompts.base import Answer, CountTokens, NewRegion, NoEdit, NoEditReason, Prompt, Refusal
from daemon.prompts.event_hunks import hunks_of, lines_before_event
from daemon.prompts.guards import (
    is_covered,
    judge,
    no_edit_at_sight,
    stops_early,
    without_clashing_context,
)
from daemon.prompts.sections import contains_special_tokens

FILE_SEPARATOR = "<|file_sep|>"
END_OF_TEXT = "</s>"
# Control tokens of the Qwen2.5-Coder vocabulary, and the end token that Zed also refuses.
CONTROL_TOKENS = (
    FILE_SEPARATOR,
    END_OF_TEXT,
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|im_start|>",
    "<|im_end|>",
)
EXTRA_ANSWER_TOKENS = 64


@dataclass(frozen=True, slots=True)
class SweepDialect:
    """The sizes of a dialect; ``related_tokens`` is ours, as Zed sends related files without a budget."""

    rows_around_cursor: int = 10
    max_changes: int = 3
    max_change_lines: int = 40  # on each side of a change; the middle of a longer one is left out
    context_tokens: int = 8192  # prompt and answer together
    related_tokens: int = 2048


class Sweep:
    """A ``PromptFormat`` for sweep-next-edit."""

    name = "sweep"

    def __init__(self, dialect: SweepDialect | None = None) -> None:
        self._dialect = dialect or SweepDialect()

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """The prompt within the context; the oldest changes give way first, then related files.

        Refused when the window or its path holds control tokens, and when the window alone is over budget.
        """
        rows = self._window_rows(inputs)
        span = _span_of_rows(inputs.excerpt_bytes, rows)
        if not is_covered(inputs, span, span):
            return Refusal.CURSOR_NOT_COVERED
        window = inputs.excerpt_bytes[span.start : span.end].decode()
        path = inputs.cursor_path
        if contains_special_tokens(f"{path}\n{window}", CONTROL_TOKENS) or "\n" in path:
            return Refusal.CONTROL_TOKENS
        screened = without_clashing_context(inputs, CONTROL_TOKENS)

        original = self._window_before_newest_change(screened, rows, window)
        ending = _block(f"original/{path}", original) + _block(f"current/{path}", window)
        ending += f"{FILE_SEPARATOR}updated/{path}\n"
        max_answer_tokens = count_tokens(window) * 3 // 2 + EXTRA_ANSWER_TOKENS
        left = self._dialect.context_tokens - max_answer_tokens - count_tokens(ending)
        if left < 0:
            return Refusal.OVER_BUDGET
        changes, left = _newest_that_fit(self._change_blocks(screened.events), left, count_tokens)
        related = _related_blocks(screened.related_files or (), min(left, self._dialect.related_tokens), count_tokens)
        return Prompt(
            text=related + changes + ending,
            stop=(FILE_SEPARATOR, END_OF_TEXT),
            region=span,
            region_text=window,
            max_answer_tokens=max_answer_tokens,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The answer is the whole new window; never raises, whatever the answer."""
        del inputs
        refused = no_edit_at_sight(answer, finished=finished)
        if refused is not None:
            return refused
        if stops_early(prompt.region_text, answer):
            return NoEdit(NoEditReason.MALFORMED)
        text = answer.removesuffix("\n")
        if prompt.region_text.endswith("\n") and not text.endswith("\n"):
            text += "\n"
        return judge(prompt.region_text, NewRegion(text), CONTROL_TOKENS)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The new window and the separator that ends it.

        ``parse`` gives the window back, with two limits: a window that ends in a blank line keeps one, and a
        window cannot become blank.
        """
        del inputs, prompt
        return f"{new_region.text}\n{FILE_SEPARATOR}"

    def _window_rows(self, inputs: PredictionInputs) -> Span:
        row = inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].count(b"\n")
        row_count = inputs.excerpt_bytes.count(b"\n") + 1
        around = self._dialect.rows_around_cursor
        return Span(max(0, row - around), min(row_count, row + around + 1))

    def _change_blocks(self, events: Sequence[EditEvent]) -> list[str]:
        """The newest changes, oldest first; context lines stand in both halves."""
        return [self._change_block(event) for event in events[-self._dialect.max_changes :]]

    def _change_block(self, event: EditEvent) -> str:
        hunks = list(hunks_of(event))
        original = self._clip([line for hunk in hunks for line in hunk.old_lines])
        updated = self._clip([line for hunk in hunks for line in hunk.new_lines])
        return _block(f"{event.path}.diff", "\n".join(["original:", *original, "updated:", *updated]))

    def _clip(self, lines: list[str]) -> list[str]:
        most = self._dialect.max_change_lines
        if len(lines) <= most:
            return lines
        return [*lines[: most // 2], "...", *lines[-(most - most // 2) :]]

    def _window_before_newest_change(self, inputs: PredictionInputs, rows: Span, window: str) -> str:
        """The window as it was before this file's newest event; as it is now where that is unknown."""
        newest = next((event for event in reversed(inputs.events) if event.path == inputs.cursor_path), None)
        if newest is None:
            return window
        current = inputs.cursor_excerpt.split("\n")
        before = lines_before_event(current, inputs.excerpt_start_row, newest)
        if before is None:
            return window
        differences = changes(before, current)
        start, end = _old_row(differences, rows.start), _old_row(differences, rows.end)
        return "\n".join(before[start:end])


def _old_row(differences: list[Change], row: int) -> int:
    """The row in the old text that corresponds to one in the new."""
    shift = 0
    for change in differences:
        if row >= change.new_end:
            shift = change.old_end - change.new_end
        elif row > change.new_start:
            return change.old_start + min(row - change.new_start, change.old_end - change.old_start)
        else:
            break
    return row + shift


def _block(header: str, content: str) -> str:
    return f"{FILE_SEPARATOR}{header}\n{content}\n"


def _span_of_rows(data: bytes, rows: Span) -> Span:
    """The bytes of whole rows, the newline of the last excluded."""
    lines = data.split(b"\n")
    start = sum(len(line) + 1 for line in lines[: rows.start])
    return Span(start, start + sum(len(line) + 1 for line in lines[rows.start : rows.end]) - 1)


def _newest_that_fit(blocks: Sequence[str], budget_tokens: int, count_tokens: CountTokens) -> tuple[str, int]:
    """Blocks from the newest on while they fit, in their order, and the tokens left over."""
    chosen: list[str] = []
    left = budget_tokens
    for block in reversed(blocks):
        cost = count_tokens(block)
        if cost > left:
            break
        left -= cost
        chosen.insert(0, block)
    return "".join(chosen), left


def _related_blocks(files: Sequence[RelatedFile], budget_tokens: int, count_tokens: CountTokens) -> str:
    """Excerpts by importance while they fit, written in their original order, a block per file."""
    candidates = sorted(
        (excerpt.order, file_index, excerpt_index)
        for file_index, file in enumerate(files)
        for excerpt_index, excerpt in enumerate(file.excerpts)
    )
    chosen: set[tuple[int, int]] = set()
    left = budget_tokens
    for _, file_index, excerpt_index in candidates:
        file = files[file_index]
        left -= count_tokens(_block(file.path, file.excerpts[excerpt_index].text))
        if left < 0:
            break
        chosen.add((file_index, excerpt_index))
    blocks: list[str] = []
    for file_index, file in enumerate(files):
        texts = [excerpt.text for index, excerpt in enumerate(file.excerpts) if (file_index, index) in chosen]
        if texts:
            blocks.append(_block(file.path, "\n".join(texts)))
    return "".join(blocks)
