"""Hashed markers (V0615): tags named by the text they stand before, over every excerpt in a prompt.

``<|marker_XXXX|>`` carries 24 bits of a seeded 64-bit FNV-1a hash of its block, so that leaving out a file
renumbers nothing. Agrees with Zed byte for byte (commit 09adbb01). Offsets are in bytes, so texts are bytes.
Knows nothing of budgets or of the rest of the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, pairwise

from capture.inputs import PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.guards import is_boundary
from daemon.prompts.sections import path_components
from daemon.prompts.zed.marker_spans import MarkerError, changed_span, one_block
from daemon.prompts.zed.markers import V0618_LIMITS, blocks_with_cursor, join_on_own_lines, marker_offsets

FNV_OFFSET_BASIS = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ID_LENGTH = 4
BITS_PER_CHARACTER = 6
ID_MASK = (1 << (ID_LENGTH * BITS_PER_CHARACTER)) - 1
FNV_LOW_PRIME = FNV_PRIME & ID_MASK
# Anything may stand where an id belongs: it is then the id of no marker.
TAG_START = b"<|marker_"
TAG = re.compile(rb"<\|marker_(.*?)\|>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HashedMarker:
    """A marker's id and its byte offset in the text."""

    id: str
    offset: int

    @property
    def tag(self) -> bytes:
        """The tag as it stands in a prompt."""
        return b"<|marker_" + self.id.encode() + b"|>"


@lru_cache(maxsize=4096)  # from one key press to the next nearly all blocks stay what they are
def marker_id(block: bytes, seed: int) -> str:
    """Four characters of FNV-1a over the seed (8 bytes, little end first) and the block, low bits first.

    The low bits of a product depend on the low bits of its factors alone, so the upper 40 are never computed.
    """
    value = FNV_OFFSET_BASIS & ID_MASK
    for byte in seed.to_bytes(8, "little") + block:
        value = (value ^ byte) * FNV_LOW_PRIME & ID_MASK
    return "".join(ALPHABET[(value >> (BITS_PER_CHARACTER * place)) % len(ALPHABET)] for place in range(ID_LENGTH))


def hashed_markers(text: bytes, used: set[str] | None = None) -> list[HashedMarker]:
    """The markers of a text, no id of which is in ``used``; theirs are added to it.

    A marker is named by the block after it, the last by the block before it.
    """
    taken = set() if used is None else used
    offsets = marker_offsets(text, V0618_LIMITS)
    blocks = [text[start:end] for start, end in pairwise(offsets)]
    markers: list[HashedMarker] = []
    for offset, block in zip(offsets, [*blocks, blocks[-1]], strict=True):
        free = next(name for name in (marker_id(block, seed) for seed in count()) if name not in taken)
        taken.add(free)
        markers.append(HashedMarker(free, offset))
    return markers


def hashed_marker_table(related_files: Sequence[RelatedFile]) -> dict[tuple[int, int], list[HashedMarker]]:
    """The markers of every excerpt by ``(file index, excerpt index)``, unique in the whole prompt."""
    used: set[str] = set()
    return {
        (file_index, excerpt_index): hashed_markers(excerpt.text.encode(), used)
        for file_index, file in enumerate(related_files)
        for excerpt_index, excerpt in enumerate(file.excerpts)
    }


def write_hashed(text: bytes, markers: Sequence[HashedMarker], cursor_offset: int | None) -> bytes:
    """The text with every tag on a line of its own."""
    blocks = blocks_with_cursor(text, [marker.offset for marker in markers], cursor_offset)
    return join_on_own_lines(blocks, [marker.tag for marker in markers])


def encode_hashed(old: bytes, new: bytes, cursor_offset_in_new: int | None) -> bytes:
    """One answer block that turns ``old`` into ``new``; a repeated tag where nothing changed."""
    return encode_between(old, new, hashed_markers(old), cursor_offset_in_new)


def encode_between(old: bytes, new: bytes, markers: Sequence[HashedMarker], cursor_offset_in_new: int | None) -> bytes:
    """The same with markers that ``old`` has already, in the order of their offsets."""
    span = changed_span(old, new, [marker.offset for marker in markers], cursor_offset_in_new)
    tags = [markers[span.first].tag, markers[span.last].tag]
    if span.first == span.last:
        return b"".join(tags)
    return one_block(new, span, cursor_offset_in_new, tags)


@dataclass(frozen=True, slots=True)
class HashedSpan:
    """What an answer puts between two markers."""

    start: str
    end: str
    content: bytes


def extract_hashed_span(answer: bytes) -> HashedSpan:
    """The text between the first and the last tag, tags in between left out; raises MarkerError."""
    first = TAG.search(answer)
    last = TAG.match(answer, max(answer.rfind(TAG_START), 0))
    if first is None or last is None or first.start() == last.start():
        raise MarkerError("a span needs a start and an end marker")
    if first[1] == last[1]:
        raise MarkerError("the start and the end marker are the same")
    content = answer[first.end() : last.start()].removeprefix(b"\n")
    return HashedSpan(first[1].decode(), last[1].decode(), _without_tags(content))


def extract_region(answer: bytes) -> bytes | None:
    """The text between the first and the last tag less up to two line breaks at its end.

    None when there are no two tags, or one begins that does not end.
    """
    found = list(TAG.finditer(answer))
    if len(found) < 2 or TAG_START in answer[found[-1].end() :]:
        return None
    content = answer[found[0].end() : found[-1].start()].removeprefix(b"\n").removesuffix(b"\n")
    return _without_tags(content).removesuffix(b"\n")


def _without_tags(content: bytes) -> bytes:
    """The content less its tags; the line break behind a tag goes with it."""
    return re.sub(TAG.pattern + rb"\n?", b"", content, flags=re.DOTALL)


def related_file_patch_path(cursor_path: str, related_path: str) -> str:
    """The path of a related file as patches name it: without its worktree root where it has one.

    The first component is a root when the rest is the cursor's path, or when the cursor's path starts with
    another component; a path without a root stays as it is written.
    """
    related, cursor = path_components(related_path), path_components(cursor_path)
    root, rest = related[:1], related[1:]
    has_root = rest == cursor or (bool(rest) and root != cursor[:1])
    return "/".join(rest) if has_root else related_path


def shown_path(cursor_path: str, related_path: str) -> str:
    """The same as prompts and patches write it, component by component."""
    return "/".join(path_components(related_file_patch_path(cursor_path, related_path)))


@dataclass(frozen=True, slots=True)
class CursorPlace:
    """The excerpt that holds the cursor, and the cursor's byte offset in it."""

    file_index: int
    excerpt_index: int
    offset: int


def locate_cursor(inputs: PredictionInputs) -> CursorPlace | None:
    """Find the first excerpt of the cursor's file that holds the cursor; None where there is none.

    None too without a start row, and where an excerpt on the way has fewer lines than its rows.
    """
    cursor = inputs.cursor_offset_in_excerpt
    if inputs.excerpt_start_row is None or not 0 <= cursor <= len(inputs.excerpt_bytes):
        return None
    if not is_boundary(inputs.excerpt_bytes, cursor):
        return None
    before = inputs.excerpt_bytes[:cursor]
    row = inputs.excerpt_start_row + before.count(b"\n")
    column = len(before) - (before.rfind(b"\n") + 1)
    for file_index, file in enumerate(inputs.related_files or ()):
        if not is_cursor_file(inputs, file):
            continue
        for excerpt_index, excerpt in enumerate(file.excerpts):
            if not excerpt.row_range.start <= row <= excerpt.row_range.end:
                continue
            lines = excerpt.text.encode().split(b"\n")
            row_in_excerpt = row - excerpt.row_range.start
            if row_in_excerpt >= len(lines):
                return None
            line, is_last = lines[row_in_excerpt], row_in_excerpt == len(lines) - 1
            if column <= len(line if is_last else line.removesuffix(b"\r")):
                offset = sum(len(passed) + 1 for passed in lines[:row_in_excerpt]) + column
                return CursorPlace(file_index, excerpt_index, offset)
    return None


def is_cursor_file(inputs: PredictionInputs, file: RelatedFile) -> bool:
    """Whether a related file is the one the cursor is in, perhaps under its worktree root."""
    patch_path = related_file_patch_path(inputs.cursor_path, file.path)
    return path_components(patch_path) == path_components(inputs.cursor_path)


def ensure_cursor_file_excerpt(inputs: PredictionInputs) -> PredictionInputs:
    """Inputs whose related files show the cursor, its own excerpt put in for others of that file if need be.

    Returns them as they are when the cursor is covered already, the excerpt is empty or its start row is
    unknown.
    """
    if inputs.excerpt_start_row is None or not inputs.cursor_excerpt or locate_cursor(inputs) is not None:
        return inputs
    start = inputs.excerpt_start_row
    rows = Span(start, start + inputs.cursor_excerpt.count("\n"))
    excerpt = RelatedExcerpt(rows, inputs.cursor_excerpt, context_source="current_file")
    files = list(inputs.related_files or ())
    for index, file in enumerate(files):
        if is_cursor_file(inputs, file):
            files[index] = replace(file, max_row=max(file.max_row, rows.end), excerpts=(excerpt,))
            break
    else:
        files.insert(0, RelatedFile(inputs.cursor_path, rows.end, (excerpt,), inputs.in_open_source_repo))
    return replace(inputs, related_files=tuple(files))
