"""Answers of the Zeta formats, read and written byte for byte as Zed does (`zeta_prompt` at 09adbb01).

As trusting as Zed: an empty or truncated answer deletes text here. What a daemon may do with an answer is
decided in ``zeta``; these functions serve it, the training data, and files exchanged with Zed.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture.editing.unified_diff import (
    apply_patch,
    encode_cursor,
    split_lines,
    with_file_headers,
    write_hunks,
)
from capture.inputs import PredictionInputs, Span
from daemon.prompts.sections import ends_with_newline
from daemon.prompts.zed.format import CURSOR_MARKER, ZetaFormat
from daemon.prompts.zed.prompt import zeta_ranges

# A patch of so few lines is file headers and no hunk.
EMPTY_PATCH_LINES = 3


@dataclass(frozen=True, slots=True)
class ParsedOutput:
    """The region after an answer; ``cursor_offset`` is in bytes of it, the range is the old region's."""

    new_editable_region: str
    range_in_excerpt: Span
    cursor_offset: int | None


@dataclass(frozen=True, slots=True)
class CursorPosition:
    """A predicted cursor, in bytes of the new excerpt and, the last field, of the new region."""

    row: int
    column: int
    offset: int
    editable_region_offset: int


def parse_output(inputs: PredictionInputs, zeta: ZetaFormat, output: str) -> ParsedOutput:
    """The new region as Zed reads it; raises MarkerError. It may end in a newline the old one lacks."""
    editable, _ = zeta_ranges(inputs, zeta)
    region = inputs.excerpt_bytes[editable.start : editable.end]
    answer = output.removesuffix(zeta.end_marker).encode()
    if zeta.read_span is None:
        replaced = editable
        new_region = zeta.region.read(region, answer, inputs.cursor_offset_in_excerpt - editable.start)
    else:
        span, new_region = zeta.read_span(region, answer)
        replaced = Span(editable.start + span.start, editable.start + span.end)
    text, cursor_offset = take_cursor(new_region.decode())
    return ParsedOutput(text, replaced, cursor_offset)


def take_cursor(text: str) -> tuple[str, int | None]:
    """The text without its first cursor marker, and the byte offset where that was."""
    before, marker, after = text.partition(CURSOR_MARKER)
    return before + after, len(before.encode()) if marker else None


def cursor_position(inputs: PredictionInputs, parsed: ParsedOutput) -> CursorPosition | None:
    """Where the predicted cursor stands, None without one; rows count from the start of the excerpt."""
    if parsed.cursor_offset is None:
        return None
    region = parsed.new_editable_region.encode()[: parsed.cursor_offset]
    before = inputs.excerpt_bytes[: parsed.range_in_excerpt.start] + region
    column = len(before) - (before.rfind(b"\n") + 1)
    return CursorPosition(before.count(b"\n"), column, len(before), parsed.cursor_offset)


def region_to_patch(inputs: PredictionInputs, parsed: ParsedOutput) -> str:
    """A patch of one hunk that shows the whole region, cursor inline; rows count from the excerpt's start."""
    return excerpt_patch(inputs.cursor_path, inputs.excerpt_bytes, 0, parsed)


def excerpt_patch(path: str, excerpt: bytes, excerpt_start_row: int, parsed: ParsedOutput) -> str:
    """The same for any excerpt of a file, which starts at a row of it (0-based)."""
    span = parsed.range_in_excerpt
    old = excerpt[span.start : span.end].decode()
    old_text = ends_with_newline(old) if old else ""
    new = parsed.new_editable_region
    start_row = excerpt_start_row + excerpt[: span.start].count(b"\n")
    hunks = write_hunks(
        old_text,
        ends_with_newline(new) if new else "",
        old_start_row=start_row,
        new_start_row=start_row,
        context_lines=old_text.count("\n"),
    )
    return with_file_headers(encode_cursor(hunks, parsed.cursor_offset), path.lstrip("/"))


def expected_output(inputs: PredictionInputs, zeta: ZetaFormat, patch: str, cursor_offset: int | None) -> str:
    """The answer a model should give to make ``patch`` happen, end marker included.

    ``cursor_offset`` counts from the start of the patch's first hunk, as ``extract_cursor`` gives it. Raises
    PatchError when the patch does not apply to the region.
    """
    editable, _ = zeta_ranges(inputs, zeta)
    region = inputs.excerpt_bytes[editable.start : editable.end].decode()
    old = ends_with_newline(region) if region else ""
    written = None if zeta.patch_target is None else zeta.patch_target(old, patch, cursor_offset)
    if written is not None:
        return written
    new, first_hunk_offset = old, None
    if not is_empty_patch(patch):
        new, first_hunk_offset = apply_patch(patch, old)
    cursor = None
    if cursor_offset is not None:
        cursor = min(cursor_offset + (first_hunk_offset or 0), len(new.encode()))
    return zeta.region.write(old.encode(), new.encode(), cursor).decode() + zeta.end_marker


def is_empty_patch(patch: str) -> bool:
    """Whether Zed takes a patch for one that changes nothing; also a one-line change without file headers."""
    return len(split_lines(patch)) <= EMPTY_PATCH_LINES
