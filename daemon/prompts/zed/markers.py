"""Markers: where they stand in a region, and how a region is written with them.

The multi-region formats (V0306, V0316, V0317, V0318, V0420, V0608) cut the editable region into blocks of
whole lines and put a tag at every boundary; a model answers with a span of blocks between two tags (see
``marker_spans``). Offsets are in bytes, so texts are bytes. Agrees with Zed byte for byte (commit 09adbb01).
Knows nothing of prompts, budgets or tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from capture.editing.excerpt import BYTES_PER_TOKEN
from capture.inputs import Span

CURSOR_MARKER = b"<|user_cursor|>"

# When a good start is wanted but the line found is a tail such as "}", look this many lines further.
MAX_NUDGE_LINES = 5

# Words that, alone on a line, end a block rather than start one.
TAIL_WORDS = frozenset({"break", "continue", "return", "throw", "end"})

# What Rust's str::trim removes. str.strip would also remove U+001C to U+001F.
RUST_WHITESPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """How many lines a block has: a split at a blank line needs ``minimum``, any line ``maximum``."""

    minimum: int
    maximum: int


V0316_LIMITS = BlockLimits(3, 8)  # also V0306 and V0317
V0318_LIMITS = BlockLimits(6, 16)  # also V0327, V0420 and V0608
V0618_LIMITS = BlockLimits(3, 32)  # V0615


def is_good_block_start(trimmed_line: str) -> bool:
    """Whether a block may start at a line with this trimmed text: not blank and not the tail of another."""
    if not trimmed_line or trimmed_line.startswith(("}", "]", ")")):
        return False
    return trimmed_line.rstrip(";") not in TAIL_WORDS


def marker_offsets(text: bytes, limits: BlockLimits) -> list[int]:
    """Byte offsets of the block boundaries, 0 and ``len(text)`` included; ``[0, 0]`` for empty text."""
    if not text:
        return [0, 0]
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    trimmed = [line.decode(errors="replace").strip(RUST_WHITESPACE) for line in lines]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)

    offsets = [0]
    boundary_row = 0
    row = 1
    while row < len(lines):
        gap = row - boundary_row
        after_blank = bool(trimmed[row]) and not trimmed[row - 1]
        if gap >= limits.minimum and (after_blank or gap >= limits.maximum):
            target = _nudge(trimmed, row)
            leaves_a_block = len(lines) - target >= limits.minimum
            if gap >= limits.maximum or leaves_a_block:
                offsets.append(starts[target])
                boundary_row = target
                row = target + 1
                continue
        row += 1
    offsets.append(len(text))
    return offsets


def _nudge(trimmed: list[str], row: int) -> int:
    """The first good block start among ``row`` and the next few rows, else ``row`` itself."""
    for candidate in range(row, min(row + MAX_NUDGE_LINES, len(trimmed))):
        if is_good_block_start(trimmed[candidate]):
            return candidate
    return row


def nearest_marker(offsets: list[int], cursor_offset: int | None) -> int:
    """The 1-based number of the marker nearest to the cursor; a tie goes to the lower, no cursor to 1."""
    cursor = 0 if cursor_offset is None else cursor_offset
    return min(range(len(offsets)), key=lambda index: abs(offsets[index] - cursor)) + 1


def block_of(offsets: list[int], cursor_offset: int | None) -> int:
    """The index of the block that holds the cursor; the last block for a cursor at the end, 0 for none."""
    if cursor_offset is None:
        return 0
    return min(max(bisect_right(offsets, cursor_offset) - 1, 0), len(offsets) - 2)


def write_numbered(text: bytes, cursor_offset: int | None, limits: BlockLimits) -> bytes:
    """The region as V0316 and V0318 show it: ``<|marker_1|>`` and so on, glued to the text byte for byte."""
    offsets = marker_offsets(text, limits)
    blocks = blocks_with_cursor(text, offsets, cursor_offset)
    tagged = [numbered_tag(index) + block for index, block in enumerate(blocks)]
    return b"".join(tagged) + numbered_tag(len(blocks))


def write_relative(text: bytes, cursor_offset: int | None) -> bytes:
    """The region as V0317 shows it: tags count from the block of the cursor, which starts at -0."""
    offsets = marker_offsets(text, V0316_LIMITS)
    blocks = blocks_with_cursor(text, offsets, cursor_offset)
    origin = block_of(offsets, cursor_offset)
    tagged = [relative_tag(index - origin) + block for index, block in enumerate(blocks)]
    return b"".join(tagged) + relative_tag(len(blocks) - origin)


def write_on_own_lines(text: bytes, cursor_offset: int | None) -> bytes:
    """The region as V0306 shows it: every tag on a line of its own."""
    offsets = marker_offsets(text, V0316_LIMITS)
    blocks = blocks_with_cursor(text, offsets, cursor_offset)
    return join_on_own_lines(blocks, [numbered_tag(index) for index in range(len(offsets))])


def join_on_own_lines(blocks: list[bytes], tags: list[bytes]) -> bytes:
    """Blocks between tags that stand on their own lines; there is one more tag than blocks."""
    tagged = [tag + b"\n" + newline_terminated(block) for tag, block in zip(tags, blocks, strict=False)]
    return b"".join(tagged) + tags[-1]


def blocks_with_cursor(text: bytes, offsets: list[int], cursor_offset: int | None) -> list[bytes]:
    """The text between successive offsets, the cursor marker in the first block that reaches the cursor."""
    blocks = [text[start:end] for start, end in pairwise(offsets)]
    if cursor_offset is not None:
        for index, (start, end) in enumerate(pairwise(offsets)):
            if start <= cursor_offset <= end:
                blocks[index] = insert_cursor(blocks[index], cursor_offset - start)
                break
    return blocks


def insert_cursor(text: bytes, cursor_offset: int) -> bytes:
    """The text with the cursor marker at a byte offset in it."""
    return text[:cursor_offset] + CURSOR_MARKER + text[cursor_offset:]


def newline_terminated(text: bytes) -> bytes:
    """The text with a newline at its end, added where it is missing; empty text stays empty."""
    return text if text.endswith(b"\n") or not text else text + b"\n"


def numbered_tag(index: int) -> bytes:
    """The tag of the marker with a 0-based index; tags count from 1."""
    return b"<|marker_%d|>" % (index + 1)


def relative_tag(distance: int) -> bytes:
    """The tag of the marker ``distance`` blocks after the start of the cursor's block."""
    return b"<|marker%b%d|>" % (b"+" if distance > 0 else b"-", abs(distance))


def v0327_editable_range(text: bytes, cursor_offset: int, editable_tokens: int) -> Span:
    """The region of V0327: a window of bytes around the cursor, cut back to markers inside it.

    The window is ``3 * editable_tokens`` bytes, moved where the text ends, widened to whole lines; its first
    block goes when the cursor is not in it, its last when the cursor is before it or where it starts.
    """
    window = _window(text, cursor_offset, max(1, editable_tokens * BYTES_PER_TOKEN))
    offsets = [window.start + offset for offset in marker_offsets(text[window.start : window.end], V0318_LIMITS)]
    if len(offsets) < 3:
        return window
    cursor = min(max(cursor_offset, window.start), window.end)
    start = offsets[1] if cursor >= offsets[1] else window.start
    end = offsets[-2] if cursor <= offsets[-2] else window.end
    # The cursor stands at the only marker between two blocks: it is in the second.
    return Span(start, end if start < end else window.end)


def _window(text: bytes, cursor_offset: int, length_bytes: int) -> Span:
    """Whole lines, the last one's newline included, that hold so many bytes around the cursor."""
    end = min(max(0, cursor_offset - length_bytes // 2) + length_bytes, len(text))
    start = max(0, min(cursor_offset - length_bytes // 2, end - length_bytes))
    newline = text.find(b"\n", end)
    return Span(text.rfind(b"\n", 0, start) + 1, len(text) if newline < 0 else newline + 1)
