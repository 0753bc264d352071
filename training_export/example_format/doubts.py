"""What is allowed in an example and yet likely to be wrong: said, never refused.

What must be refused is in `example_shape` and `example_positions`. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from capture.editing.unified_diff import CURSOR_MARKER, FileEnd, parse_patch
from capture.inputs import ActiveBufferDiagnostic, EditEvent, PredictionInputs, RelatedFile
from training_export.example import Example
from training_export.example_format.cursor_position import COMMENT_MARKER, CursorForm
from training_export.example_format.patch_traps import traps, why_not_applicable

# Zed cannot read prompt_inputs without these.
REQUIRED_RANGES: Final = (
    "editable_150", "editable_180", "editable_350", "editable_150_context_350", "editable_180_context_350",
    "editable_350_context_150",
)  # fmt: skip


class Warned(NamedTuple):
    """``field`` is the path of what is doubtful."""

    field: str
    reason: str


def warnings_of(example: Example) -> Iterator[Warned]:
    """Everything doubtful about one example, in the order of its keys."""
    yield from _cursor(example)
    yield from _patches(example)
    if example.prompt_inputs is not None:
        yield from _inputs(example, example.prompt_inputs)
    yield from _predictions(example)


def _cursor(example: Example) -> Iterator[Warned]:
    found = example.cursor_excerpt
    if found.form is CursorForm.IMPORTED:
        yield Warned("cursor_position", f"has {COMMENT_MARKER} in the text, which Zed cannot read")
    if found.form is CursorForm.INLINE and COMMENT_MARKER in found.text:
        yield Warned("cursor_position", f"holds {COMMENT_MARKER} besides {CURSOR_MARKER}; it stays in the text")
    if not example.cursor_path:
        yield Warned("cursor_path", "is empty")


def _patches(example: Example) -> Iterator[Warned]:
    for field, diff in (("uncommitted_diff", example.uncommitted_diff), ("edit_history", example.edit_history)):
        if "\r" in diff:
            yield Warned(field, "holds carriage returns, which reading it loses")
        if diff.strip() and not any(not isinstance(event, FileEnd) for event in parse_patch(diff)):
            yield Warned(field, "is no unified diff: nothing is read from it")
    patches = [(f"expected_patches[{index}]", patch) for index, patch in enumerate(example.expected_patches)]
    if example.rejected_patch is not None:
        patches.append(("rejected_patch", example.rejected_patch))
    for field, patch in patches:
        yield from (Warned(field, reason) for reason in traps(patch))
        reason = why_not_applicable(patch, example.original_text)
        if reason:
            yield Warned(field, reason)
    if example.rejected_patch is not None and example.rejected_patch in example.expected_patches:
        yield Warned("rejected_patch", "is one of the expected patches")


def _inputs(example: Example, inputs: PredictionInputs) -> Iterator[Warned]:
    path, marked = "prompt_inputs", example.cursor_excerpt
    if not _same_path(inputs.cursor_path, example.cursor_path):
        yield Warned(f"{path}.cursor_path", f"is {inputs.cursor_path!r}, the example's is {example.cursor_path!r}")
    if not _same_cursor(inputs, marked.text, marked.offset_bytes):
        yield Warned(f"{path}.cursor_offset_in_excerpt", "is at another place than the cursor of cursor_position")
    if CURSOR_MARKER in inputs.cursor_excerpt:
        yield Warned(f"{path}.cursor_excerpt", f"holds {CURSOR_MARKER}, which a model would be shown")
    yield from _ranges(path, inputs)
    for index, event in enumerate(inputs.events):
        yield from _event(f"{path}.events[{index}]", event)
    for index, related in enumerate(inputs.related_files or ()):
        yield from _related(f"{path}.related_files[{index}]", related)
    for index, diagnostic in enumerate(inputs.active_buffer_diagnostics):
        yield from _diagnostic(f"{path}.active_buffer_diagnostics[{index}]", diagnostic)


def _same_path(path: str, other: str) -> bool:
    """Whether they may be one file: one counts from the repository, the other from a folder above or below its root."""
    return path == other or path.endswith(f"/{other}") or other.endswith(f"/{path}")


def _ranges(path: str, inputs: PredictionInputs) -> Iterator[Warned]:
    missing = [key for key in REQUIRED_RANGES if inputs.excerpt_ranges.get(key) is None]
    if missing:
        yield Warned(f"{path}.excerpt_ranges", f"lacks {', '.join(missing)}, without which Zed cannot read it")
    ranges = [(f"excerpt_ranges.{key}", span) for key, span in inputs.excerpt_ranges.ranges.items()]
    ranges += [(f"syntax_ranges[{index}]", span) for index, span in enumerate(inputs.syntax_ranges or ())]
    for name, span in ranges:
        if not span.start <= inputs.cursor_offset_in_excerpt <= span.end:
            yield Warned(f"{path}.{name}", "does not hold the cursor")


def _event(path: str, event: EditEvent) -> Iterator[Warned]:
    for side, span in (("old_range", event.old_range), ("new_range", event.new_range)):
        if span.start > span.end:
            yield Warned(f"{path}.{side}", f"starts at {span.start}, behind its end {span.end}")
    if "\r" in event.diff:
        yield Warned(f"{path}.diff", "holds carriage returns, which reading it loses")


def _same_cursor(inputs: PredictionInputs, text: str, offset_bytes: int) -> bool:
    """Whether what is before and behind the cursor agrees as far as both excerpts go."""
    data, own, at = text.encode(), inputs.excerpt_bytes, inputs.cursor_offset_in_excerpt
    before, behind = min(offset_bytes, at), min(len(data.rstrip(b"\n")) - offset_bytes, len(own.rstrip(b"\n")) - at)
    same_before = data[offset_bytes - before : offset_bytes] == own[at - before : at]
    return same_before and data[offset_bytes:][: max(behind, 0)] == own[at:][: max(behind, 0)]


def _related(path: str, related: RelatedFile) -> Iterator[Warned]:
    for index, excerpt in enumerate(related.excerpts):
        rows = excerpt.row_range
        where = f"{path}.excerpts[{index}].row_range"
        if rows.start > rows.end:
            yield Warned(where, f"starts at {rows.start}, behind its end {rows.end}")
        elif rows.end > related.max_row + 1:
            yield Warned(where, f"ends at row {rows.end}, the file at row {related.max_row}")


def _diagnostic(path: str, diagnostic: ActiveBufferDiagnostic) -> Iterator[Warned]:
    span, snippet = diagnostic.diagnostic_range_in_snippet, diagnostic.snippet.encode()
    rows = diagnostic.snippet_buffer_row_range
    if rows.start > rows.end:
        yield Warned(f"{path}.snippet_buffer_row_range", f"starts at {rows.start}, behind its end {rows.end}")
    if span.start > span.end or span.end > len(snippet):
        yield Warned(f"{path}.diagnostic_range_in_snippet", f"is no range of the snippet of {len(snippet)} bytes")
    elif any(at < len(snippet) and snippet[at] & 0xC0 == 0x80 for at in (span.start, span.end)):
        yield Warned(f"{path}.diagnostic_range_in_snippet", "begins or ends inside a UTF-8 character")


def _predictions(example: Example) -> Iterator[Warned]:
    count = len(example.predictions)
    if example.score and len(example.score) != count:
        yield Warned("score", f"has {len(example.score)} items for {count} predictions")
    if len(example.qa) > count:
        yield Warned("qa", f"has {len(example.qa)} items for {count} predictions")
    for index, verdict in enumerate(example.qa):
        if verdict is not None and verdict.confidence is not None and not 1 <= verdict.confidence <= 5:
            yield Warned(f"qa[{index}].confidence", f"is {verdict.confidence}, not between 1 and 5")
