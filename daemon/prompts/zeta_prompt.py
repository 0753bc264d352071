"""Prompts of the Zeta formats, byte for byte those of Zed (`zeta_prompt` at 09adbb01).

As trusting as Zed: control tokens in the inputs are not looked for here (``zeta`` does that before it asks).
Knows nothing of answers.
"""

from __future__ import annotations

from capture.editing.excerpt import ranges_of_inputs
from capture.inputs import PredictionInputs, RelatedFile, Span
from daemon.prompts.sections import (
    apply_budget_margin,
    contains_special_tokens,
    ends_with_newline,
    estimate_tokens,
    filter_redundant_excerpts,
    format_edit_history,
    format_related_files,
)
from daemon.prompts.zeta_format import ZetaFormat

EDIT_HISTORY_NAME = "edit_history"


def zeta_ranges(inputs: PredictionInputs, zeta: ZetaFormat) -> tuple[Span, Span]:
    """The editable and the context range of a format, in bytes of the excerpt.

    Raises KeyError when the inputs have neither syntax ranges nor the precomputed ranges this format uses.
    """
    ranges = ranges_of_inputs(inputs, zeta.editable_tokens, zeta.context_tokens)
    if ranges is None:
        raise KeyError(f"no ranges of {zeta.editable_tokens} and {zeta.context_tokens} tokens for {zeta.name}")
    return ranges


def excerpt_clashes(inputs: PredictionInputs, zeta: ZetaFormat) -> bool:
    """Whether the excerpt contains text the format would take for its own control tokens."""
    return contains_special_tokens(inputs.cursor_excerpt, zeta.clash_tokens)


def format_zeta_prompt(inputs: PredictionInputs, zeta: ZetaFormat, max_prompt_tokens: int | None = None) -> str | None:
    """The prompt, or None when it is over ``max_prompt_tokens`` (the format's own maximum by default)."""
    maximum = zeta.max_prompt_tokens if max_prompt_tokens is None else max_prompt_tokens
    editable, context = zeta_ranges(inputs, zeta)
    prompt = _suffix_prefix_middle(inputs, zeta, editable, context, apply_budget_margin(maximum))
    return prompt if estimate_tokens(prompt) <= maximum else None


def _suffix_prefix_middle(
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
