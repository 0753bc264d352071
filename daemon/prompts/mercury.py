"""`mercury`: the layout of Inception's Mercury edit models: sections between tags on lines of their own.

Recently viewed snippets, the current file with ``<|code_to_edit|>`` and ``<|cursor|>`` in it, the edit
history; the model writes the code to edit in a fence of three backticks, or ``None``. These models run behind
Inception's API only. This is the text of the one user message, for exchange and for models trained on the
layout; nothing here talks to a network.

The code to edit is what fits 350 tokens around the cursor, and the file shown is the excerpt, as Zed sends
them (`edit_prediction` at 09adbb01); the tokens are counted, not estimated. Sections are set apart by blank
lines, as in Continue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capture.inputs import PredictionInputs, RelatedFile, Span
from daemon.prompts.base import Answer, CountTokens, Delimiters, NewRegion, NoEdit, NoEditReason, Prompt, Refusal
from daemon.prompts.guards import is_covered, no_edit_at_sight
from daemon.prompts.sections import contains_special_tokens, ends_with_newline, write_event
from daemon.prompts.whole_region import answer_budget, checked_target, read_whole_region
from daemon.prompts.windows import (
    cursor_row,
    excerpts_that_fit,
    newest_that_fit,
    screened,
    span_of_rows,
    widest_rows,
    with_cursor,
)

SNIPPETS, SNIPPET = "recently_viewed_code_snippets", "recently_viewed_code_snippet"
CURRENT_FILE, CODE_TO_EDIT, EDIT_HISTORY = "current_file_content", "code_to_edit", "edit_diff_history"
CURSOR = "<|cursor|>"
FENCE = "```"
NO_PREDICTION = "None"
CONTROL_TOKENS = (
    CURSOR,
    *(f"<|{name}|>" for name in (SNIPPETS, SNIPPET, CURRENT_FILE, CODE_TO_EDIT, EDIT_HISTORY)),
    *(f"<|/{name}|>" for name in (SNIPPETS, SNIPPET, CURRENT_FILE, CODE_TO_EDIT, EDIT_HISTORY)),
)


@dataclass(frozen=True, slots=True)
class MercurySizes:
    """Budgets in counted tokens; all but the first are ours."""

    region_tokens: int = 350
    file_tokens: int = 4096
    related_tokens: int = 2048
    context_tokens: int = 8192  # prompt and answer together


class Mercury:
    """A ``PromptFormat`` in Mercury's layout."""

    name = "mercury"
    control_tokens = CONTROL_TOKENS
    delimiters = Delimiters(f"<|{SNIPPETS}|>\n", f"<|/{EDIT_HISTORY}|>\n")

    def __init__(self, sizes: MercurySizes | None = None) -> None:
        self._sizes = sizes or MercurySizes()

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """The message within the context; the oldest events give way first, then related snippets.

        Refused when the text shown or its path hold one of the tags, and when the cursor's row is over budget.
        """
        lines, row = inputs.cursor_excerpt.split("\n"), cursor_row(inputs)
        rows = widest_rows(lines, Span(row, row + 1), self._sizes.region_tokens, count_tokens)
        shown_rows = rows and widest_rows(lines, rows, self._sizes.file_tokens, count_tokens)
        if rows is None or shown_rows is None:
            return Refusal.OVER_BUDGET
        span, shown = (span_of_rows(inputs.excerpt_bytes, some_rows) for some_rows in (rows, shown_rows))
        if not is_covered(inputs, span, shown):
            return Refusal.CURSOR_NOT_COVERED
        text, path = "\n".join(lines[shown_rows.start : shown_rows.end]), inputs.cursor_path
        if contains_special_tokens(f"{path}\n{text}", CONTROL_TOKENS) or "\n" in path:
            return Refusal.CONTROL_TOKENS
        clean = screened(inputs, CONTROL_TOKENS, shown_rows)

        region_text = "\n".join(lines[rows.start : rows.end])
        max_answer_tokens = answer_budget(count_tokens(region_text))
        file = _section(CURRENT_FILE, f"current_file_path: {path}\n{_file_text(inputs, span, shown)}")
        frame = _section(SNIPPETS, "") + file + _section(EDIT_HISTORY, "")
        left = self._sizes.context_tokens - max_answer_tokens - count_tokens(frame)
        if left < 0:
            return Refusal.OVER_BUDGET
        history, left = newest_that_fit([write_event(event) for event in clean.events], left, count_tokens)
        snippets = _snippets(clean.related_files or (), min(left, self._sizes.related_tokens), count_tokens)
        sections = (_section(SNIPPETS, snippets), file, _section(EDIT_HISTORY, "".join(history)))
        return Prompt(
            text="\n".join(sections),
            stop=(),
            region=span,
            region_text=region_text,
            max_answer_tokens=max_answer_tokens,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The fenced text is the whole new code to edit; never raises, whatever the answer.

        A fence that is opened and not closed means that the answer was cut. An answer without fences, and
        tags around the code inside the fence, are forgiven.
        """
        del inputs
        refused = no_edit_at_sight(answer, finished=finished)
        if refused is not None:
            return refused
        text = _unfenced(answer)
        if text is None:
            return NoEdit(NoEditReason.MALFORMED)
        if text.strip() == NO_PREDICTION:
            return NoEdit(NoEditReason.SAID_SO)
        text = text.removeprefix(f"<|{CODE_TO_EDIT}|>\n")
        text = text.removesuffix(f"<|/{CODE_TO_EDIT}|>\n") if text.endswith(f"\n<|/{CODE_TO_EDIT}|>\n") else text
        return read_whole_region(prompt.region_text, text, CONTROL_TOKENS, finished=finished)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The new code in a fence, or ``None`` where nothing changes.

        Raises TargetError when ``parse`` would not give the code back: when it becomes blank or the one word
        ``None``, when it ends in a blank line and shall not any more, when it would hold tags.
        """
        if new_region.text == prompt.region_text:
            return NO_PREDICTION
        return checked_target(self, inputs, prompt, new_region, f"{FENCE}\n{new_region.text}\n{FENCE}")


def _section(name: str, content: str) -> str:
    """Content between two tags, each on its own line."""
    return f"<|{name}|>\n{content and ends_with_newline(content)}<|/{name}|>\n"


def _file_text(inputs: PredictionInputs, span: Span, shown: Span) -> str:
    data = inputs.excerpt_bytes
    before, after = data[shown.start : span.start].decode(), data[span.end : shown.end].decode()
    return before + _section(CODE_TO_EDIT, with_cursor(inputs, span, CURSOR) + "\n") + after.removeprefix("\n")


def _snippets(files: Sequence[RelatedFile], budget_tokens: int, count_tokens: CountTokens) -> str:
    def snippet(path: str, text: str) -> str:
        return _section(SNIPPET, f"code_snippet_file_path: {path}\n{text}")

    chosen = excerpts_that_fit(
        files, lambda file, excerpt: count_tokens(snippet(file.path, excerpt.text)), budget_tokens
    )
    return "".join(snippet(file.path, excerpt.text) for file, excerpts in chosen for excerpt in excerpts)


def _unfenced(answer: str) -> str | None:
    """The text between the fences with its final newline, None where the closing fence is missing."""
    if not answer.startswith(FENCE):
        return answer
    _, newline, body = answer.partition("\n")
    closed = body.rstrip("\n ")
    if not newline or not closed.endswith(f"\n{FENCE}"):
        return None
    return closed.removesuffix(FENCE)
