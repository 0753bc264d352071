"""Edits anywhere in what a teacher is shown: hashed markers cut all code into blocks, and an answer names its place.

The markers are those of Zed's V0615 (`daemon/prompts/zed/hashed_markers`). What is shown is chosen first: a marker's
name depends on all the others. Patches of such edits count rows in their files and carry no cursor. Knows nothing of
the words around it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from capture.editing.unified_diff import PatchError, apply_patch, with_file_headers, write_hunks
from capture.inputs import PredictionInputs, RelatedFile
from daemon.prompts.sections import ends_with_newline, estimate_tokens
from daemon.prompts.zed.hash_snippets import (
    Snippet,
    SpanEdit,
    edited_text,
    resolve_spans,
    snippets_of,
    without_overlaps,
)
from daemon.prompts.zed.hashed_markers import (
    HashedSpan,
    ensure_cursor_file_excerpt,
    hashed_marker_table,
    is_cursor_file,
    locate_cursor,
    shown_path,
    write_hashed,
)
from daemon.prompts.zed.marker_spans import MarkerError

RELATED_TOKENS: Final = 8192
FILE_MARK: Final = "==> "
_TAG_LINE: Final = re.compile(r"^[ \t]*<\|marker_(.{4})\|>[ \t]*$", re.MULTILINE)


class JumpsUnreadable(ValueError):
    """An answer that names no places of the prompt, or would lose text; the message says what is wrong."""


def jump_inputs(inputs: PredictionInputs, related_tokens: int) -> PredictionInputs | None:
    """The inputs less what will not be shown, the cursor's whole excerpt first; None where its row is not known.

    Excerpts of other files compete by their order; the first that does not fit ends the selection.
    """
    if inputs.excerpt_start_row is None or not inputs.cursor_excerpt:
        return None
    others = [file for file in inputs.related_files or () if not is_cursor_file(inputs, file)]
    shown = replace(inputs, related_files=_within(others, related_tokens))
    return ensure_cursor_file_excerpt(shown)


def shown_code(inputs: PredictionInputs) -> str:
    """All code with its markers, each file under its path."""
    cursor = locate_cursor(inputs)
    table = hashed_marker_table(inputs.related_files or ())
    parts: list[str] = []
    for file_index, file in enumerate(inputs.related_files or ()):
        parts.append(f"{FILE_MARK}{shown_path(inputs.cursor_path, file.path)}\n")
        for excerpt_index, excerpt in enumerate(file.excerpts):
            here = cursor is not None and (file_index, excerpt_index) == (cursor.file_index, cursor.excerpt_index)
            offset = cursor.offset if cursor is not None and here else None
            markers = table[file_index, excerpt_index]
            if excerpt_index and file.excerpts[excerpt_index - 1].row_range.end < excerpt.row_range.start:
                parts.append("...\n")
            parts.append(ends_with_newline(write_hashed(excerpt.text.encode(), markers, offset).decode()))
    return "".join(parts).rstrip("\n")


def read_jumps(inputs: PredictionInputs, blocks: Sequence[str]) -> str:
    """The patch of all files that an answer's code blocks mean, one span each; raises JumpsUnreadable."""
    spans = [_span(block) for block in blocks if "<|marker_" in block]
    if not spans:
        raise JumpsUnreadable("no code block of the answer stands between markers")
    try:
        edits = [_with_blank_edges(edit) for edit in resolve_spans(snippets_of(inputs), spans)]
    except MarkerError as error:
        raise JumpsUnreadable(str(error)) from error
    return "".join(_patch(snippet, edits) for snippet in dict.fromkeys(edit.snippet for edit in edits))


def _span(block: str) -> HashedSpan:
    """What a block puts between its two markers, which are its first and its last line."""
    tags = list(_TAG_LINE.finditer(block))
    if len(tags) != 2 or block[: tags[0].start()].strip() or block[tags[1].end() :].strip():
        raise JumpsUnreadable("a code block must begin with one marker, end with another, and hold no more")
    first, last = tags
    if first[1] == last[1]:
        raise JumpsUnreadable("a code block begins and ends with the same marker")
    return HashedSpan(first[1], last[1], block[first.end() : last.start()].removeprefix("\n").encode())


def _with_blank_edges(edit: SpanEdit) -> SpanEdit:
    """The blank lines at both ends of a span as they were: blocks end in them, and models drop or add some there."""
    old = edit.snippet.text[edit.span.start : edit.span.end]
    inside = edit.new_text.strip(b"\n")
    if not inside or not old.strip(b"\n"):
        return edit
    lead, trail = old[: len(old) - len(old.lstrip(b"\n"))], old[len(old.rstrip(b"\n")) :]
    return replace(edit, new_text=lead + inside + trail)


def _patch(snippet: Snippet, edits: Sequence[SpanEdit]) -> str:
    own = [edit for edit in edits if edit.snippet is snippet]
    kept = without_overlaps(own)
    if len(kept) < len(own):
        raise JumpsUnreadable("two code blocks of the answer rewrite the same lines")
    old, new = snippet.text.decode(), edited_text(snippet, kept).decode()
    hunks = write_hunks(old, new, old_start_row=snippet.start_row, new_start_row=snippet.start_row)
    if not hunks:
        return ""
    # Rows count in the file; that the edit is said rightly shows where they count from the snippet.
    here = with_file_headers(write_hunks(old, new), snippet.patch_path)
    try:
        is_said = ends_with_newline(apply_patch(here, old, trust_rows=True)[0]) == ends_with_newline(new)
    except PatchError:
        is_said = False
    if not is_said:
        raise JumpsUnreadable("Zed's patches cannot say this edit: a line of it reads as a file header")
    return with_file_headers(hunks, snippet.patch_path)


def _within(files: Sequence[RelatedFile], budget_tokens: int) -> tuple[RelatedFile, ...]:
    candidates = sorted(
        (excerpt.order, file_index, excerpt_index)
        for file_index, file in enumerate(files)
        for excerpt_index, excerpt in enumerate(file.excerpts)
    )
    chosen: set[tuple[int, int]] = set()
    spent = 0
    for _, file_index, excerpt_index in candidates:
        spent += estimate_tokens(files[file_index].path + files[file_index].excerpts[excerpt_index].text)
        if spent > budget_tokens:
            break
        chosen.add((file_index, excerpt_index))
    kept = (
        replace(file, excerpts=tuple(one for at, one in enumerate(file.excerpts) if (file_index, at) in chosen))
        for file_index, file in enumerate(files)
    )
    return tuple(file for file in kept if file.excerpts)
