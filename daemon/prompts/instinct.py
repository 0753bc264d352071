"""`instinct`: the format of Continue's Instinct (Qwen2.5-Coder-7B): a chat turn with sections.

    ### Context:       <|context_file|> path, <|snippet|>, an excerpt        the most important first
    ### User Edits:    User edited file "path", and the diff in a fence      newest first
    ### User Excerpt:  "path", and 25 rows on either side of the cursor, the editable ones between
                       <|editable_region_start|> and <|editable_region_end|>, with <|user_cursor_is_here|>

The model writes the editable rows: the cursor's, one above it, five below. The layout is that of its training
code (github.com/continuedev/instinct, ``utils/datautils.py``; Continue itself adds a fence and `### Response:`),
the rows are Continue's. The two instructions are ours and say in few words what theirs say in many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capture.inputs import EditEvent, PredictionInputs, RelatedFile, Span
from daemon.prompts.base import Answer, CountTokens, Delimiters, NewRegion, Prompt, Refusal
from daemon.prompts.guards import is_covered
from daemon.prompts.sections import contains_special_tokens
from daemon.prompts.sweep import QWEN_TOKENS
from daemon.prompts.whole_region import answer_budget, checked_target, read_whole_region
from daemon.prompts.windows import (
    cursor_row,
    excerpts_that_fit,
    newest_that_fit,
    rows_around,
    screened,
    span_of_rows,
    with_cursor,
)

REGION_START, REGION_END = "<|editable_region_start|>", "<|editable_region_end|>"
CURSOR = "<|user_cursor_is_here|>"
CONTEXT_FILE, SNIPPET = "<|context_file|>", "<|snippet|>"
TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
END_OF_TEXT = "<|endoftext|>"
CONTROL_TOKENS = (*QWEN_TOKENS, REGION_START, REGION_END, CURSOR, CONTEXT_FILE, SNIPPET)

SYSTEM_INSTRUCTION = (
    f"You predict a programmer's next edit. Rewrite the code between {REGION_START} and {REGION_END} as it will "
    "stand after that edit, in the style of the code around it. The context may be irrelevant; the recent edits, "
    f"newest first, show what the programmer is doing; {CURSOR} marks the cursor. Answer with the rewritten code "
    "alone, without the markers, and do not take back what was just changed."
)
USER_INSTRUCTION = (
    "Work out from context, edits and excerpt what comes next, and make that change in the editable region."
)


@dataclass(frozen=True, slots=True)
class InstinctSizes:
    """Rows as in Continue; tokens are ours."""

    rows_above: int = 1
    rows_below: int = 5
    excerpt_rows_around: int = 25
    max_edits: int = 6
    related_tokens: int = 2048
    context_tokens: int = 8192  # prompt and answer together


class Instinct:
    """A ``PromptFormat`` for Instinct."""

    name = "instinct"
    control_tokens = CONTROL_TOKENS
    delimiters = Delimiters(f"{TURN_START}system\n", f"{TURN_START}assistant\n")

    def __init__(self, sizes: InstinctSizes | None = None) -> None:
        self._sizes = sizes or InstinctSizes()

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """The prompt within the context; the oldest edits give way first, then related excerpts.

        Refused when the excerpt shown or its path hold control tokens, and when it alone is over budget.
        """
        row, row_count = cursor_row(inputs), inputs.excerpt_bytes.count(b"\n") + 1
        rows = rows_around(row_count, row, self._sizes.rows_above, self._sizes.rows_below)
        shown_rows = rows_around(row_count, row, self._sizes.excerpt_rows_around, self._sizes.excerpt_rows_around)
        span, shown = (span_of_rows(inputs.excerpt_bytes, some_rows) for some_rows in (rows, shown_rows))
        if not is_covered(inputs, span, shown):
            return Refusal.CURSOR_NOT_COVERED
        text, path = inputs.excerpt_bytes[shown.start : shown.end].decode(), inputs.cursor_path
        if contains_special_tokens(f"{path}\n{text}", CONTROL_TOKENS) or "\n" in path:
            return Refusal.CONTROL_TOKENS
        clean = screened(inputs, CONTROL_TOKENS, shown_rows)

        region_text = inputs.excerpt_bytes[span.start : span.end].decode()
        max_answer_tokens = answer_budget(count_tokens(region_text))
        excerpt = _marked_excerpt(inputs, span, shown)
        frame = _prompt("", "", path, excerpt)
        left = self._sizes.context_tokens - max_answer_tokens - count_tokens(frame)
        if left < 0:
            return Refusal.OVER_BUDGET
        newest = clean.events[-self._sizes.max_edits :]
        edits, left = newest_that_fit([_edit(event) for event in newest], left, count_tokens)
        context = _context(clean.related_files or (), min(left, self._sizes.related_tokens), count_tokens)
        return Prompt(
            text=_prompt(context, "".join(reversed(edits)), path, excerpt),
            stop=(TURN_END, END_OF_TEXT),
            region=span,
            region_text=region_text,
            max_answer_tokens=max_answer_tokens,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The answer is the whole new region; the markers around it are forgiven. Never raises."""
        del inputs
        text = answer.removeprefix(f"{REGION_START}\n")
        marked = text.removesuffix("\n")
        text = marked.removesuffix(REGION_END) if marked.endswith(f"\n{REGION_END}") else text
        return read_whole_region(prompt.region_text, text, CONTROL_TOKENS, finished=finished)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The new region, a newline, and the end of the turn.

        Continue trains without that newline; with it a complete answer can be told from one that was cut.
        Raises TargetError when ``parse`` would not give the region back: when it becomes blank, when it ends
        in a blank line and shall not any more, when it would hold control tokens.
        """
        return checked_target(self, inputs, prompt, new_region, f"{new_region.text}\n{TURN_END}")


def _prompt(context: str, edits: str, path: str, excerpt: str) -> str:
    return (
        f"{TURN_START}system\n{SYSTEM_INSTRUCTION}{TURN_END}\n"
        f"{TURN_START}user\n{USER_INSTRUCTION}\n\n"
        f"### Context:\n\n{context}\n\n\n"
        f"### User Edits:\n\n{edits}"
        f'### User Excerpt:\n"{path}"\n\n{excerpt}{TURN_END}\n'
        f"{TURN_START}assistant\n"
    )


def _marked_excerpt(inputs: PredictionInputs, span: Span, shown: Span) -> str:
    """The rows shown, the editable ones between two marker lines."""
    data = inputs.excerpt_bytes
    before, after = data[shown.start : span.start].decode(), data[span.end : shown.end].decode()
    return f"{before}{REGION_START}\n{with_cursor(inputs, span, CURSOR)}\n{REGION_END}{after}"


def _edit(event: EditEvent) -> str:
    diff = event.diff.removesuffix("\n")
    return f'User edited file "{event.path}"\n\n```diff\n{diff}\n```\n\n'


def _context(files: Sequence[RelatedFile], budget_tokens: int, count_tokens: CountTokens) -> str:
    def item(path: str, text: str) -> str:
        trimmed = text.rstrip("\n")
        return f"{CONTEXT_FILE} {path}\n{SNIPPET}\n{trimmed}"

    chosen = excerpts_that_fit(files, lambda file, excerpt: count_tokens(item(file.path, excerpt.text)), budget_tokens)
    return "\n\n".join(item(file.path, excerpt.text) for file, excerpts in chosen for excerpt in excerpts)
