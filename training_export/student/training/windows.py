"""An example with fewer lines around its cursor, and nothing older than the last edit.

From short prompts copying is learnt first. Knows nothing of formats and tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from capture.editing.unified_diff import PatchError
from capture.inputs import ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from training_export.patches import NotSayable, RegionLeft, patch_of_region, region_after


@dataclass(frozen=True, slots=True)
class Window:
    """The moment seen through fewer lines, all of which may be edited, and the same edits as patches of these."""

    inputs: PredictionInputs
    patch: str
    rejected_patch: str | None


def narrowed(inputs: PredictionInputs, patch: str, rejected_patch: str | None, line_count: int) -> Window | None:
    """At most ``line_count`` lines that hold the cursor and all that changes; None where no such lines hold both.

    A rejected patch that does not fit in is left out.
    """
    whole = Span(0, len(inputs.excerpt_bytes))
    try:
        expected = region_after(inputs, whole, patch)
    except (PatchError, RegionLeft):
        return None
    lines = inputs.cursor_excerpt.split("\n")
    cursor_row = inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].count(b"\n")
    first, end = _changed_rows(lines, expected.text.split("\n"), cursor_row)
    if end - first > line_count:
        return None
    spare = line_count - (end - first)
    top = min(max(0, first - spare // 2), max(0, len(lines) - line_count))
    bottom = min(len(lines), top + line_count)
    shown = _cut(inputs, lines, top, bottom)
    before = len("\n".join(lines[:top]).encode()) + (top > 0)
    after = whole.end - before - len(shown.excerpt_bytes)
    try:
        narrow = _patch(shown, expected, before, after)
    except NotSayable:
        return None
    return Window(shown, narrow, _other_patch(inputs, shown, rejected_patch, before, after))


def _changed_rows(old: list[str], new: list[str], cursor_row: int) -> tuple[int, int]:
    """Rows of the old lines that change, and the cursor's, end exclusive."""
    shortest = min(len(old), len(new))
    same_above = next((row for row in range(shortest) if old[row] != new[row]), shortest)
    below = range(shortest - same_above)
    same_below = next((row for row in below if old[-1 - row] != new[-1 - row]), shortest - same_above)
    first, end = same_above, len(old) - same_below
    if old == new:
        return cursor_row, cursor_row + 1
    return min(max(0, first - 1), cursor_row), max(min(end + 1, len(old)), cursor_row + 1)


def _cut(inputs: PredictionInputs, lines: list[str], top: int, bottom: int) -> PredictionInputs:
    text = "\n".join(lines[top:bottom])
    whole = Span(0, len(text.encode()))
    before = len("\n".join(lines[:top]).encode()) + (top > 0)
    return replace(
        inputs,
        cursor_excerpt=text,
        cursor_offset_in_excerpt=inputs.cursor_offset_in_excerpt - before,
        excerpt_ranges=ExcerptRanges(dict.fromkeys(inputs.excerpt_ranges.ranges, whole)),
        excerpt_start_row=None if inputs.excerpt_start_row is None else inputs.excerpt_start_row + top,
        syntax_ranges=(),
        events=inputs.events[-1:],
        related_files=None if inputs.related_files is None else (),
    )


def _patch(shown: PredictionInputs, new: NewRegion, before: int, after: int) -> str:
    """The new text between ``before`` bytes and the last ``after`` bytes, as a patch of what is shown."""
    text = new.text.encode()
    inner = text[before : len(text) - after]
    cursor = None if new.cursor_offset_bytes is None else new.cursor_offset_bytes - before
    if cursor is not None and not 0 <= cursor <= len(inner):
        cursor = None
    return patch_of_region(shown, Span(0, len(shown.excerpt_bytes)), NewRegion(inner.decode(), cursor))


def _other_patch(
    inputs: PredictionInputs, shown: PredictionInputs, patch: str | None, before: int, after: int
) -> str | None:
    if patch is None:
        return None
    excerpt = inputs.excerpt_bytes
    try:
        new = region_after(inputs, Span(before, len(excerpt) - after), patch)
        return patch_of_region(shown, Span(0, len(shown.excerpt_bytes)), new)
    except (PatchError, RegionLeft, NotSayable):
        return None
