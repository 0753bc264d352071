"""`next_edit_qwen`: the tokens of NextEditPrediction's models (`*-NEP`) and of Tabby's next-edit prompt.

    <|original_code|>     the text before the recent edits
    <|edits_diff|>        those edits as a unified diff
    <|current_version|>   the text now
    <|next_version|>      the model writes the text as it will be

The authors take whole files, in sequences of 2048 tokens when they train; so here the text is a window of up to
1536 counted tokens around the cursor: the most that leaves room for the text twice, its rewriting and the
diff in 8192. There is no cursor. Layout: github.com/lurf21/NextEditPrediction, ``data_processing.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture.editing.unified_diff import write_hunks
from capture.inputs import PredictionInputs, Span
from daemon.prompts.base import Answer, CountTokens, Delimiters, NewRegion, Prompt, Refusal
from daemon.prompts.event_hunks import lines_before_event, window_before
from daemon.prompts.guards import is_covered
from daemon.prompts.sections import MAX_EDIT_EVENTS, contains_special_tokens
from daemon.prompts.sweep import QWEN_TOKENS
from daemon.prompts.whole_region import answer_budget, checked_target, read_whole_region
from daemon.prompts.windows import cursor_row, screened, span_of_rows, widest_rows

ORIGINAL, DIFF = "<|original_code|>", "<|edits_diff|>"
CURRENT, NEXT = "<|current_version|>", "<|next_version|>"
END_OF_TEXT = "<|endoftext|>"
STRUCTURE = (ORIGINAL, DIFF, CURRENT, NEXT)
CONTROL_TOKENS = (*STRUCTURE, *QWEN_TOKENS)


@dataclass(frozen=True, slots=True)
class NextEditSizes:
    """Budgets in counted tokens; the original text may be half as large again as the window."""

    window_tokens: int = 1536
    context_tokens: int = 8192  # prompt and answer together


class NextEditQwen:
    """A ``PromptFormat`` for the NEP models."""

    name = "next_edit_qwen"
    control_tokens = CONTROL_TOKENS
    delimiters = Delimiters(f"{ORIGINAL}\n", f"{NEXT}\n")

    def __init__(self, sizes: NextEditSizes | None = None) -> None:
        self._sizes = sizes or NextEditSizes()

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """The prompt within the context; of several recent events the oldest give way.

        Refused when the window or its path hold control tokens, and when the cursor's row is over budget.
        """
        lines, row = inputs.cursor_excerpt.split("\n"), cursor_row(inputs)
        rows = widest_rows(lines, Span(row, row + 1), self._sizes.window_tokens, count_tokens)
        if rows is None:
            return Refusal.OVER_BUDGET
        span = span_of_rows(inputs.excerpt_bytes, rows)
        if not is_covered(inputs, span, span):
            return Refusal.CURSOR_NOT_COVERED
        window, path = "\n".join(lines[rows.start : rows.end]), inputs.cursor_path
        if contains_special_tokens(f"{path}\n{window}", CONTROL_TOKENS) or "\n" in path:
            return Refusal.CONTROL_TOKENS
        clean = screened(inputs, CONTROL_TOKENS, rows)

        max_answer_tokens = answer_budget(count_tokens(window))
        budget_tokens = self._sizes.context_tokens - max_answer_tokens
        first_row = (inputs.excerpt_start_row or 0) + rows.start
        text = _prompt(path, window, window, first_row)
        if count_tokens(text) > budget_tokens:
            return Refusal.OVER_BUDGET
        for original in _earlier_windows(clean, lines, rows):
            longer = _prompt(path, original, window, first_row)
            if contains_special_tokens(original, CONTROL_TOKENS) or count_tokens(longer) > budget_tokens:
                break
            text = longer
        return Prompt(
            text=text,
            stop=(END_OF_TEXT, *STRUCTURE),
            region=span,
            region_text=window,
            max_answer_tokens=max_answer_tokens,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The answer is the whole new window; never raises, whatever the answer."""
        del inputs
        return read_whole_region(prompt.region_text, answer, CONTROL_TOKENS, finished=finished)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The new window, a newline, and the end of text.

        Raises TargetError when ``parse`` would not give the window back: when it becomes blank, when it ends
        in a blank line and shall not any more, when it would hold control tokens.
        """
        return checked_target(self, inputs, prompt, new_region, f"{new_region.text}\n{END_OF_TEXT}")


def _prompt(path: str, original: str, window: str, first_row: int) -> str:
    hunks = write_hunks(f"{original}\n", f"{window}\n", old_start_row=first_row, new_start_row=first_row)
    diff = f"--- {path}\n+++ {path}\n{hunks}" if hunks else "\n"
    return f"{ORIGINAL}\n{original}\n{DIFF}\n{diff}{CURRENT}\n{window}\n{NEXT}\n"


def _earlier_windows(inputs: PredictionInputs, lines: list[str], rows: Span) -> list[str]:
    """The window before the newest event of this file, before the newest two, and so on while they fit the text."""
    windows: list[str] = []
    before = lines
    events = [event for event in inputs.events if event.path == inputs.cursor_path]
    for event in reversed(events[-MAX_EDIT_EVENTS:]):
        undone = lines_before_event(before, inputs.excerpt_start_row, event)
        if undone is None:
            break
        before = undone
        windows.append(window_before(before, lines, rows))
    return windows
