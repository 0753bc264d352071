"""How the sections of Zed's prompts stand: which comes first, what separates them, who gives way to whom.

Byte for byte as in Zed (`zeta_prompt` at 09adbb01). Knows nothing of answers.
"""

from __future__ import annotations

from capture.inputs import PredictionInputs, RelatedFile, Span
from daemon.prompts.sections import (
    ends_with_newline,
    estimate_tokens,
    filter_redundant_excerpts,
    format_edit_history,
    format_related_files,
)
from daemon.prompts.zed.format import ZetaFormat

EDIT_HISTORY_NAME = "edit_history"


def suffix_prefix_middle(
    inputs: PredictionInputs, zeta: ZetaFormat, editable: Span, context: Span, budget_tokens: int
) -> str:
    """The Seed-Coder layout: what follows the region, then everything that precedes it.

    The cursor's file is never cut; the edit history gets what it leaves, related files what both leave.
    """
    excerpt, tokens = inputs.excerpt_bytes, zeta.tokens
    before = excerpt[context.start : editable.start]
    after = excerpt[editable.end : context.end].decode()
    region = zeta.region.show(excerpt[editable.start : editable.end], inputs.cursor_offset_in_excerpt - editable.start)

    suffix = tokens.suffix + ends_with_newline(after) + tokens.prefix
    cursor_file = f"{tokens.file}{inputs.cursor_path}\n{(before + region).decode()}{tokens.middle}"
    left = max(0, budget_tokens - estimate_tokens(suffix) - estimate_tokens(cursor_file))
    history = format_edit_history(inputs.events, tokens.file, EDIT_HISTORY_NAME, left)
    if history:
        history += "\n"
    left = max(0, left - estimate_tokens(history))
    related = format_related_files(_related_files(inputs, context), tokens.file, left)
    if related:
        related += "\n"
    return suffix + related + history + cursor_file


def _related_files(inputs: PredictionInputs, context: Span) -> tuple[RelatedFile, ...]:
    """The related files without what the cursor's context shows anyway, where its rows are known."""
    files = inputs.related_files or ()
    if inputs.excerpt_start_row is None:
        return files
    first = inputs.excerpt_start_row + inputs.excerpt_bytes[: context.start].count(b"\n")
    rows = Span(first, first + inputs.excerpt_bytes[context.start : context.end].count(b"\n") + 1)
    return filter_redundant_excerpts(files, inputs.cursor_path, rows)
