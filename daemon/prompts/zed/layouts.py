"""How the sections of Zed's prompts stand: which comes first, what separates them, who gives way to whom.

The cursor's own section is never cut; the edit history gets what it leaves of the budget, diagnostics what both
leave, related files the rest. Byte for byte as in Zed (`zeta_prompt` at 09adbb01). Knows nothing of answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from capture.inputs import PredictionInputs, RelatedFile, Span
from daemon.prompts.sections import (
    ends_with_newline,
    estimate_tokens,
    filter_redundant_excerpts,
    format_diagnostics,
    format_edit_history,
    format_related_files,
)
from daemon.prompts.zed.format import SpecialTokens, ZetaFormat

EDIT_HISTORY_NAME = "edit_history"
QWEN_EDIT_HISTORY_NAME = "edit history"


@dataclass(frozen=True, slots=True)
class CursorText:
    """What a prompt shows of the cursor's file; ``region`` is written as the format's region codec shows it."""

    before: str
    region: str
    after: str


WriteCursorSection = Callable[[SpecialTokens, CursorText], str]


@dataclass(frozen=True, slots=True)
class SuffixPrefixMiddle:
    """The Seed-Coder layout: what follows the region, then everything that precedes it."""

    related_files: bool = True
    diagnostics: bool = False

    def __call__(
        self, inputs: PredictionInputs, zeta: ZetaFormat, editable: Span, context: Span, budget_tokens: int
    ) -> str:
        """The prompt; over the budget only where the cursor's own text is."""
        tokens, text = zeta.tokens, _cursor_text(inputs, zeta, editable, context)
        suffix = tokens.suffix + ends_with_newline(text.after) + tokens.prefix
        cursor_file = f"{tokens.file}{inputs.cursor_path}\n{text.before}{text.region}{tokens.middle}"
        left = max(0, budget_tokens - estimate_tokens(suffix) - estimate_tokens(cursor_file))
        history = _closed(format_edit_history(inputs.events, tokens.file, EDIT_HISTORY_NAME, left))
        left = max(0, left - estimate_tokens(history))
        diagnostics = _closed(_diagnostics(inputs, tokens, left)) if self.diagnostics else ""
        left = max(0, left - estimate_tokens(diagnostics))
        related = (
            _closed(format_related_files(_related_files(inputs, context), tokens.file, left))
            if self.related_files
            else ""
        )
        return suffix + diagnostics + related + history + cursor_file


suffix_prefix_middle = SuffixPrefixMiddle()


def prefix_suffix_middle(
    inputs: PredictionInputs, zeta: ZetaFormat, editable: Span, context: Span, budget_tokens: int
) -> str:
    """The layout of V0608: everything that precedes the region's end, then what follows it."""
    tokens, text = zeta.tokens, _cursor_text(inputs, zeta, editable, context)
    cursor_file = f"{tokens.file}{inputs.cursor_path}\n{text.before}{text.region}"
    suffix = tokens.suffix + ends_with_newline(text.after)
    # The suffix token is charged twice, as Zed charges it.
    fixed_tokens = estimate_tokens(tokens.prefix + cursor_file) + estimate_tokens(
        suffix + tokens.suffix + tokens.middle
    )
    left = max(0, budget_tokens - fixed_tokens)
    history = _closed(format_edit_history(inputs.events, tokens.file, EDIT_HISTORY_NAME, left))
    left = max(0, left - estimate_tokens(history))
    related = _closed(format_related_files(_related_files(inputs, context), tokens.file, left))
    return tokens.prefix + related + history + cursor_file + suffix + tokens.middle


@dataclass(frozen=True, slots=True)
class CursorSectionLast:
    """The layout of the older Qwen formats: related files, edit history, the cursor's file as ``write`` has it.

    Nothing separates the sections.
    """

    write: WriteCursorSection

    def __call__(
        self, inputs: PredictionInputs, zeta: ZetaFormat, editable: Span, context: Span, budget_tokens: int
    ) -> str:
        """The prompt; over the budget only where the cursor's own text is."""
        tokens = zeta.tokens
        text = _cursor_text(inputs, zeta, editable, context)
        cursor_file = f"{tokens.file}{inputs.cursor_path}\n{self.write(tokens, text)}"
        left = max(0, budget_tokens - estimate_tokens(cursor_file))
        history = format_edit_history(inputs.events, tokens.file, QWEN_EDIT_HISTORY_NAME, left)
        left = max(0, left - estimate_tokens(history))
        related = format_related_files(_related_files(inputs, context), tokens.file, left)
        return related + history + cursor_file


def _cursor_text(inputs: PredictionInputs, zeta: ZetaFormat, editable: Span, context: Span) -> CursorText:
    excerpt = inputs.excerpt_bytes
    region = zeta.region.show(excerpt[editable.start : editable.end], inputs.cursor_offset_in_excerpt - editable.start)
    return CursorText(
        before=excerpt[context.start : editable.start].decode(),
        region=region.decode(),
        after=excerpt[editable.end : context.end].decode(),
    )


def _closed(section: str) -> str:
    """A section and the line break that parts it from the next; nothing for a section that is left out."""
    return section + "\n" if section else ""


def _diagnostics(inputs: PredictionInputs, tokens: SpecialTokens, max_tokens: int) -> str:
    cursor_row = None
    if inputs.excerpt_start_row is not None:
        cursor_row = inputs.excerpt_start_row + inputs.excerpt_bytes.count(b"\n", 0, inputs.cursor_offset_in_excerpt)
    return format_diagnostics(inputs.active_buffer_diagnostics, tokens.file, cursor_row, max_tokens)


def _related_files(inputs: PredictionInputs, context: Span) -> tuple[RelatedFile, ...]:
    """The related files without what the cursor's context shows anyway, where its rows are known."""
    files = inputs.related_files or ()
    if inputs.excerpt_start_row is None:
        return files
    return filter_redundant_excerpts(
        files, inputs.cursor_path, _context_rows(inputs, inputs.excerpt_start_row, context)
    )


def _context_rows(inputs: PredictionInputs, excerpt_start_row: int, context: Span) -> Span:
    """Rows of the file that the context shows; an empty row at its end does not count."""
    excerpt = inputs.excerpt_bytes
    first = excerpt_start_row + excerpt.count(b"\n", 0, context.start)
    rows = excerpt.count(b"\n", context.start, context.end)
    ends_in_a_row = excerpt[context.end - 1 : context.end] != b"\n" if context.end else True
    return Span(first, first + rows + ends_in_a_row)
