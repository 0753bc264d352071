"""V0615HashRegions as Zed has it: every excerpt may be edited, those of other files too.

Every excerpt of the inputs is shown with hashed markers around its blocks; the cursor's own file is one of
them (see ``hashed_markers.ensure_cursor_file_excerpt``). There is no edit history. An answer is a run of
spans between two tags each, or ``NO_EDITS``. As trusting as Zed (`zeta_prompt` at 09adbb01): what a patch
changes outside the prompt is left out of a target. ``hash_region_prompts`` is the daemon's side.
"""

from __future__ import annotations

from collections.abc import Sequence

from capture.editing.line_diff import TextEdit
from capture.editing.unified_diff import Hunk, parse_patch, with_file_headers, write_hunks
from capture.inputs import PredictionInputs, RelatedFile, Span
from daemon.prompts.sections import (
    OMITTED_ROWS_LINE,
    apply_budget_margin,
    ends_with_newline,
    estimate_tokens,
    path_components,
)
from daemon.prompts.zed.answer import is_empty_patch
from daemon.prompts.zed.format import CURSOR_MARKER, SEED_CODER, SEED_CODER_END_OF_SEQUENCE, ZetaConstants
from daemon.prompts.zed.hash_snippets import (
    Snippet,
    edited_text,
    pair_spans,
    resolve_spans,
    snippets_of,
    without_overlaps,
)
from daemon.prompts.zed.hashed_markers import (
    encode_between,
    hashed_marker_table,
    locate_cursor,
    shown_path,
    write_hashed,
)
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.markers import RUST_WHITESPACE

NO_EDITS = "NO_EDITS"

V0615_HASH_REGIONS = ZetaConstants(
    name="V0615HashRegions",
    editable_tokens=8000,
    context_tokens=0,
    max_prompt_tokens=8000,
    tokens=SEED_CODER,
    clash_tokens=(
        SEED_CODER.suffix,
        SEED_CODER.prefix,
        SEED_CODER.middle,
        SEED_CODER.file,
        SEED_CODER_END_OF_SEQUENCE,
        CURSOR_MARKER,
        "<|marker_",
    ),
    zed_stop_tokens=(SEED_CODER_END_OF_SEQUENCE,),
    end_marker=SEED_CODER_END_OF_SEQUENCE,
    instruction_part=SEED_CODER.suffix,
    response_part=SEED_CODER.middle,
)


def format_hash_regions_prompt(inputs: PredictionInputs, max_prompt_tokens: int | None = None) -> str | None:
    """The prompt; None when no excerpt holds the cursor or the one that does is over the budget.

    Other excerpts compete by ``(order, file, excerpt)``; those that do not fit are skipped.
    """
    maximum = V0615_HASH_REGIONS.max_prompt_tokens if max_prompt_tokens is None else max_prompt_tokens
    cursor = locate_cursor(inputs)
    if cursor is None:
        return None
    files = inputs.related_files or ()
    shown: dict[tuple[int, int], str] = {}
    for (file_index, excerpt_index), markers in hashed_marker_table(files).items():
        at_cursor = (file_index, excerpt_index) == (cursor.file_index, cursor.excerpt_index)
        text = files[file_index].excerpts[excerpt_index].text.encode()
        tagged = write_hashed(text, markers, cursor.offset if at_cursor else None).decode()
        shown[file_index, excerpt_index] = ends_with_newline(tagged)
    headers = [f"{SEED_CODER.file}{shown_path(inputs.cursor_path, file.path)}\n" for file in files]

    opening, closing = f"{SEED_CODER.suffix}\n{SEED_CODER.prefix}", SEED_CODER.middle
    budget_tokens = max(0, apply_budget_margin(maximum) - estimate_tokens(opening + closing))
    required = (cursor.file_index, cursor.excerpt_index)
    chosen = _chosen(files, headers, shown, required, budget_tokens)
    if chosen is None:
        return None
    return opening + _sections(files, headers, shown, chosen) + closing


def parse_hash_regions(inputs: PredictionInputs, output: str) -> str:
    """The patch of all files that an answer means, rows counted in each file; raises MarkerError.

    It carries no cursor. Of spans that overlap the first in the file counts.
    """
    answer = output.removesuffix(V0615_HASH_REGIONS.end_marker)
    if answer.strip(RUST_WHITESPACE) == NO_EDITS:
        return ""
    edits = resolve_spans(snippets_of(inputs), pair_spans(answer.encode()))
    patches: list[str] = []
    for snippet in dict.fromkeys(edit.snippet for edit in edits):
        kept = without_overlaps(edit for edit in edits if edit.snippet is snippet)
        new_text = edited_text(snippet, kept).decode()
        row = snippet.start_row
        hunks = write_hunks(snippet.text.decode(), new_text, old_start_row=row, new_start_row=row)
        if hunks:
            patches.append(with_file_headers(hunks, snippet.patch_path))
    return "".join(patches)


def hash_regions_target(inputs: PredictionInputs, patch: str, cursor_offset: int | None) -> str:
    """The answer that Zed writes for a patch: one span for each hunk it can place, in the patch's order.

    A hunk is searched in the first snippet of its file alone, and skipped where it is not found. Raises
    MarkerError when the inputs have no related files at all.
    """
    blocks: list[str] = []
    if not is_empty_patch(patch):
        if inputs.related_files is None:
            raise MarkerError("inputs without related files show nothing to edit")
        snippets = snippets_of(inputs)
        for hunk in parse_patch(patch):
            if isinstance(hunk, Hunk):
                block = _block(snippets, hunk, cursor_offset)
                blocks += [] if block is None else [block]
    return ("\n".join(blocks) or NO_EDITS) + V0615_HASH_REGIONS.end_marker


def _chosen(
    files: Sequence[RelatedFile],
    headers: Sequence[str],
    shown: dict[tuple[int, int], str],
    required: tuple[int, int],
    budget_tokens: int,
) -> set[tuple[int, int]] | None:
    """The excerpts that fit, None where the required one does not."""
    spent = estimate_tokens(headers[required[0]] + shown[required])
    if spent > budget_tokens:
        return None
    chosen = {required}
    files_shown = {required[0]}
    for key in sorted(shown, key=lambda key: (files[key[0]].excerpts[key[1]].order, *key)):
        file_index = key[0]
        if key in chosen:
            continue
        header_tokens = 0 if file_index in files_shown else estimate_tokens(headers[file_index])
        cost = header_tokens + estimate_tokens(shown[key])
        if spent + cost <= budget_tokens:
            spent += cost
            chosen.add(key)
            files_shown.add(file_index)
    return chosen


def _sections(
    files: Sequence[RelatedFile],
    headers: Sequence[str],
    shown: dict[tuple[int, int], str],
    chosen: set[tuple[int, int]],
) -> str:
    """The chosen excerpts in their own order, each file under its header, dots where rows are left out."""
    parts: list[str] = []
    for file_index, file in enumerate(files):
        indices = [
            excerpt_index for excerpt_index in range(len(file.excerpts)) if (file_index, excerpt_index) in chosen
        ]
        if not indices:
            continue
        parts.append(headers[file_index])
        next_starts = [file.excerpts[index].row_range.start for index in indices[1:]] + [file.max_row]
        for index, next_start in zip(indices, next_starts, strict=True):
            parts.append(shown[file_index, index])
            if file.excerpts[index].row_range.end < next_start:
                parts.append(OMITTED_ROWS_LINE)
    return "".join(parts)


def _block(snippets: Sequence[Snippet], hunk: Hunk, cursor_offset: int | None) -> str | None:
    """The span for one hunk; None where its file is not shown or its text not found there."""
    wanted = path_components(hunk.path)
    snippet = next((snippet for snippet in snippets if path_components(snippet.patch_path) == wanted), None)
    placed = None if snippet is None else _place(hunk, snippet)
    if snippet is None or placed is None:
        return None
    offset, edits = placed
    new = snippet.text
    for edit in reversed(edits):
        new = new[: offset + edit.range.start] + edit.text.encode() + new[offset + edit.range.end :]
    cursor = None if cursor_offset is None else min(offset + cursor_offset, len(new))
    return encode_between(snippet.text, new, snippet.markers, cursor).decode()


def _place(hunk: Hunk, snippet: Snippet) -> tuple[int, Sequence[TextEdit]] | None:
    """Where a hunk's text stands in a snippet, and its edits, adapted where the snippet has no final newline.

    Unlike `apply_patch` this does not look at the stated row first: equal places that overlap are one, as they
    are for Zed.
    """
    text, context, edits = snippet.text, hunk.context.encode(), hunk.edits
    places = _occurrences(text, context)
    if not places and context.endswith(b"\n") and len(context) > 1:
        length = len(context) - 1
        places = [place for place in _occurrences(text, context[:-1]) if place + length == len(text)]
        edits = tuple(_within(edit, length) for edit in edits)
    if len(places) > 1 and hunk.start_row is not None:
        row = hunk.start_row - snippet.start_row
        places = [place for place in places if text.count(b"\n", 0, place) == row][:1]
    return (places[0], edits) if len(places) == 1 else None


def _occurrences(text: bytes, wanted: bytes) -> list[int]:
    """Where ``wanted`` stands, places that overlap an earlier one left out; nothing stands at every character."""
    if not wanted:
        return [place for place in range(len(text) + 1) if place == len(text) or text[place] & 0xC0 != 0x80]
    places: list[int] = []
    place = text.find(wanted)
    while place >= 0:
        places.append(place)
        place = text.find(wanted, place + len(wanted))
    return places


def _within(edit: TextEdit, length_bytes: int) -> TextEdit:
    """The edit of a hunk's text that loses its final newline."""
    text = edit.text.removesuffix("\n") if edit.range.end > length_bytes else edit.text
    return TextEdit(Span(min(edit.range.start, length_bytes), min(edit.range.end, length_bytes)), text)
