"""Prompts of the Zeta formats, byte for byte those of Zed (`zeta_prompt` at 09adbb01).

As trusting as Zed: control tokens in the inputs are not looked for here (``zeta`` does that before it asks).
Knows nothing of answers.
"""

from __future__ import annotations

from capture.inputs import PredictionInputs, Span
from daemon.prompts.sections import (
    apply_budget_margin,
    contains_special_tokens,
    estimate_tokens,
)
from daemon.prompts.zed.format import ZetaConstants, ZetaFormat


def zeta_ranges(inputs: PredictionInputs, zeta: ZetaFormat) -> tuple[Span, Span]:
    """The editable and the context range of a format, in bytes of the excerpt.

    Raises KeyError when the inputs have neither syntax ranges nor the precomputed ranges this format uses.
    """
    ranges = zeta.ranges(inputs, zeta.editable_tokens, zeta.context_tokens)
    if ranges is None:
        raise KeyError(f"no ranges of {zeta.editable_tokens} and {zeta.context_tokens} tokens for {zeta.name}")
    return ranges


def excerpt_clashes(inputs: PredictionInputs, zeta: ZetaConstants) -> bool:
    """Whether the excerpt contains text the format would take for its own control tokens."""
    return contains_special_tokens(inputs.cursor_excerpt, zeta.clash_tokens)


def format_zeta_prompt(inputs: PredictionInputs, zeta: ZetaFormat, max_prompt_tokens: int | None = None) -> str | None:
    """The prompt, or None when it is over ``max_prompt_tokens`` (the format's own maximum by default)."""
    return format_zeta_ranges(inputs, zeta, zeta_ranges(inputs, zeta), max_prompt_tokens)


def format_zeta_ranges(
    inputs: PredictionInputs, zeta: ZetaFormat, ranges: tuple[Span, Span], max_prompt_tokens: int | None = None
) -> str | None:
    """The same for an editable and a context range that are known already."""
    maximum = zeta.max_prompt_tokens if max_prompt_tokens is None else max_prompt_tokens
    prompt = zeta.layout(inputs, zeta, *ranges, apply_budget_margin(maximum))
    return prompt if estimate_tokens(prompt) <= maximum else None


def format_prefill(inputs: PredictionInputs, zeta: ZetaFormat) -> str:
    """The start of the answer that stands in the prompt already; it is not part of ``format_zeta_prompt``."""
    editable, _ = zeta_ranges(inputs, zeta)
    return zeta.prefill(inputs.excerpt_bytes[editable.start : editable.end]).decode()
