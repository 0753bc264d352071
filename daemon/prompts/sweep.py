"""`sweep`: the format of the open sweep-next-edit models (0.5B, 1.5B), the dialect of their model card.

Blocks that each start with ``<|file_sep|>``: related files, recent changes as before and after, the window
before the newest change, the window now; the model writes the window as it will be. No cursor token, no line
numbers: a window is the cursor's row and ten rows on either side. The v2 models speak another dialect (a
shorter window with line ranges in the headers and a cursor token): ``sweep_v2.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capture.inputs import EditEvent, PredictionInputs, RelatedFile, Span
from daemon.prompts.base import Answer, CountTokens, Delimiters, NewRegion, Prompt, Refusal
from daemon.prompts.event_hunks import hunks_of, lines_before_event, window_before
from daemon.prompts.guards import is_covered, without_clashing_context
from daemon.prompts.sections import contains_special_tokens
from daemon.prompts.whole_region import answer_budget, checked_target, read_whole_region
from daemon.prompts.windows import cursor_row, excerpts_that_fit, newest_that_fit, rows_around, span_of_rows

FILE_SEPARATOR = "<|file_sep|>"
END_OF_TEXT = "</s>"
# Control tokens of the Qwen2.5-Coder vocabulary.
QWEN_TOKENS = (
    FILE_SEPARATOR,
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|im_start|>",
    "<|im_end|>",
)
CONTROL_TOKENS = (*QWEN_TOKENS, END_OF_TEXT)  # Zed refuses this end token too


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
    control_tokens = CONTROL_TOKENS
    delimiters = Delimiters(FILE_SEPARATOR, "")  # the answer follows a path

    def __init__(self, dialect: SweepDialect | None = None) -> None:
        self._dialect = dialect or SweepDialect()

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """The prompt within the context; the oldest changes give way first, then related files.

        Refused when the window or its path holds control tokens, and when the window alone is over budget.
        """
        rows = self._window_rows(inputs)
        span = span_of_rows(inputs.excerpt_bytes, rows)
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
        max_answer_tokens = answer_budget(count_tokens(window))
        left = self._dialect.context_tokens - max_answer_tokens - count_tokens(ending)
        if left < 0:
            return Refusal.OVER_BUDGET
        changes, left = newest_that_fit(self._change_blocks(screened.events), left, count_tokens)
        related = _related_blocks(screened.related_files or (), min(left, self._dialect.related_tokens), count_tokens)
        return Prompt(
            text=related + "".join(changes) + ending,
            stop=(FILE_SEPARATOR, END_OF_TEXT),
            region=span,
            region_text=window,
            max_answer_tokens=max_answer_tokens,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The answer is the whole new window; never raises, whatever the answer."""
        del inputs
        return read_whole_region(prompt.region_text, answer, CONTROL_TOKENS, finished=finished)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The new window and the separator that ends it.

        Raises TargetError when ``parse`` would not give the window back: when it becomes blank, when it ends
        in a blank line and shall not any more, when it would hold control tokens.
        """
        return checked_target(self, inputs, prompt, new_region, f"{new_region.text}\n{FILE_SEPARATOR}")

    def _window_rows(self, inputs: PredictionInputs) -> Span:
        around = self._dialect.rows_around_cursor
        return rows_around(inputs.excerpt_bytes.count(b"\n") + 1, cursor_row(inputs), around, around)

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
        return window_before(before, current, rows)


def _block(header: str, content: str) -> str:
    return f"{FILE_SEPARATOR}{header}\n{content}\n"


def _related_blocks(files: Sequence[RelatedFile], budget_tokens: int, count_tokens: CountTokens) -> str:
    """Excerpts by importance while they fit, written in their original order, a block per file."""
    chosen = excerpts_that_fit(
        files, lambda file, excerpt: count_tokens(_block(file.path, excerpt.text)), budget_tokens
    )
    return "".join(_block(file.path, "\n".join(excerpt.text for excerpt in excerpts)) for file, excerpts in chosen)
