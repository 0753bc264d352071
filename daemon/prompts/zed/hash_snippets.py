"""Snippets: stretches of a file that a hash-region prompt shows, and spans of them that an answer replaces.

Excerpts that follow each other without a gap are one snippet, so that a span may reach from one into the
next. As trusting as Zed (`zeta_prompt` at 09adbb01). Offsets are bytes of a snippet's text. Knows nothing of
prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capture.inputs import PredictionInputs, RelatedFile, Span
from daemon.prompts.zed.hashed_markers import (
    TAG,
    HashedMarker,
    HashedSpan,
    hashed_marker_table,
    is_cursor_file,
    shown_path,
)
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.markers import CURSOR_MARKER, newline_terminated
from daemon.prompts.zed.truncation import drops_the_end


@dataclass(frozen=True, slots=True)
class Snippet:
    """A stretch of a file from ``start_row`` (0-based) on, and its markers in the order of their offsets.

    ``path`` is the cursor's where it is that file, else as the inputs have it; ``patch_path`` is without its
    worktree root.
    """

    file_index: int
    path: str
    patch_path: str
    start_row: int
    text: bytes
    markers: tuple[HashedMarker, ...]


@dataclass(frozen=True, slots=True)
class SpanEdit:
    """What an answer puts in the place of a span of one snippet."""

    snippet: Snippet
    span: Span
    new_text: bytes


def snippets_of(inputs: PredictionInputs) -> list[Snippet]:
    """The snippets of the related files, in their order."""
    table = hashed_marker_table(inputs.related_files or ())
    return [
        snippet
        for file_index, file in enumerate(inputs.related_files or ())
        for snippet in _snippets_of_file(inputs, file_index, file, table)
    ]


def pair_spans(answer: bytes) -> list[HashedSpan]:
    """The spans of an answer: its tags two by two, an odd one out ignored; raises MarkerError below two."""
    tags = list(TAG.finditer(answer))
    if len(tags) < 2:
        raise MarkerError("a span needs a start and an end marker")
    return [
        HashedSpan(
            first[1].decode(),
            last[1].decode(),
            answer[first.end() : last.start()].removeprefix(b"\n"),
        )
        for first, last in zip(tags[::2], tags[1::2], strict=False)
    ]


def resolve_spans(snippets: Sequence[Snippet], spans: Iterable[HashedSpan]) -> list[SpanEdit]:
    """What each span replaces, its new text with the line end that the old text has.

    Raises MarkerError for a marker there is none of, markers of two snippets or in the wrong order, and a new
    text that stops before the end of what it replaces.
    """
    places = {marker.id: (snippet, marker.offset) for snippet in snippets for marker in snippet.markers}
    edits: list[SpanEdit] = []
    for span in spans:
        if span.start not in places or span.end not in places:
            raise MarkerError("a marker is none of the prompt's")
        (snippet, start), (other, end) = places[span.start], places[span.end]
        if snippet is not other:
            raise MarkerError("the markers of a span stand in texts that do not follow each other")
        if start > end:
            raise MarkerError("the start marker of a span comes after its end marker")
        old_text = snippet.text[start:end]
        new_text = span.content.replace(CURSOR_MARKER, b"")
        if old_text and not old_text.endswith(b"\n"):
            new_text = new_text.removesuffix(b"\n")
        else:
            new_text = newline_terminated(new_text)
        if new_text and drops_the_end(old_text.decode(), new_text.decode()):
            raise MarkerError("the new text of a span stops before its end marker, which would delete the rest")
        edits.append(SpanEdit(snippet, Span(start, end), new_text))
    return edits


def without_overlaps(edits: Iterable[SpanEdit]) -> list[SpanEdit]:
    """The edits of one snippet in the order of their text, less those that begin inside another."""
    kept: list[SpanEdit] = []
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        if not kept or edit.span.start >= kept[-1].span.end:
            kept.append(edit)
    return kept


def edited_text(snippet: Snippet, edits: Sequence[SpanEdit]) -> bytes:
    """The snippet's text with edits that do not overlap, in the order of their spans."""
    text, reached = b"", 0
    for edit in edits:
        text += snippet.text[reached : edit.span.start] + edit.new_text
        reached = edit.span.end
    return text + snippet.text[reached:]


def _snippets_of_file(
    inputs: PredictionInputs,
    file_index: int,
    file: RelatedFile,
    table: dict[tuple[int, int], list[HashedMarker]],
) -> list[Snippet]:
    patch_path = shown_path(inputs.cursor_path, file.path)
    path = inputs.cursor_path if is_cursor_file(inputs, file) else file.path
    snippets: list[Snippet] = []
    end_row: int | None = None
    for excerpt_index, excerpt in enumerate(file.excerpts):
        start_row, before = excerpt.row_range.start, b""
        markers: tuple[HashedMarker, ...] = ()
        if end_row == start_row:
            joined = snippets.pop()
            start_row, before, markers = joined.start_row, newline_terminated(joined.text), joined.markers
        shifted = (HashedMarker(marker.id, len(before) + marker.offset) for marker in table[file_index, excerpt_index])
        text = before + excerpt.text.encode()
        snippets.append(Snippet(file_index, path, patch_path, start_row, text, (*markers, *shifted)))
        end_row = excerpt.row_range.end
    return snippets
