"""Answers of the multi-region formats: from a span between two markers to a region, and back.

``apply_*`` reads an answer, ``encode_*`` writes the answer a model should give. Both agree with Zed byte for
byte (commit 09adbb01) and are as trusting as Zed: ``guards`` decides what may reach a buffer. Offsets are in
bytes, so texts are bytes. Knows nothing of prompts.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from daemon.prompts.zed.markers import (
    V0316_LIMITS,
    BlockLimits,
    block_of,
    blocks_with_cursor,
    insert_cursor,
    join_on_own_lines,
    marker_offsets,
    nearest_marker,
    newline_terminated,
    numbered_tag,
    relative_tag,
)

# A number with more digits than any marker has is ordinary text.
NUMBERED_TAG = re.compile(rb"<\|marker_\+?([0-9]{1,18})\|>")
RELATIVE_TAG = re.compile(rb"<\|marker([-+][0-9]{1,18})\|>")


class MarkerError(ValueError):
    """An answer whose markers name no span of the region; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class TaggedSpan:
    """What an answer says: the values of its tags in order, and the text between the first and the last."""

    tags: tuple[int, ...]
    text: bytes

    @property
    def says_no_edit(self) -> bool:
        """A tag that is repeated means that nothing changes."""
        return self.tags[0] == self.tags[-1]


def read_span(answer: bytes, pattern: re.Pattern[bytes] = NUMBERED_TAG) -> TaggedSpan:
    """Find the tags of an answer; text outside the first and the last tag is ignored.

    Raises MarkerError when there are fewer than two tags.
    """
    found = list(pattern.finditer(answer))
    if len(found) < 2:
        counted = "only one marker tag" if found else "no marker tag"
        raise MarkerError(f"{counted} in the answer; a span needs two")
    text = b"".join(answer[left.end() : right.start()] for left, right in pairwise(found))
    return TaggedSpan(tuple(int(match[1]) for match in found), text)


def apply_numbered(old: bytes, answer: bytes, limits: BlockLimits) -> bytes:
    """The new region for an answer of V0316 or V0318; raises MarkerError."""
    span = read_span(answer)
    return _replace(old, span, marker_offsets(old, limits), first_index=-1)


def apply_relative(old: bytes, answer: bytes, cursor_offset_in_old: int | None) -> bytes:
    """The new region for an answer of V0317; raises MarkerError."""
    span = read_span(answer, RELATIVE_TAG)
    offsets = marker_offsets(old, V0316_LIMITS)
    return _replace(old, span, offsets, first_index=block_of(offsets, cursor_offset_in_old))


def _replace(old: bytes, span: TaggedSpan, offsets: list[int], *, first_index: int) -> bytes:
    """Put the span's text between the offsets its tags name; a tag's value counts from ``first_index``."""
    start, end = first_index + span.tags[0], first_index + span.tags[-1]
    if start < 0 or end < 0:
        raise MarkerError("a marker lies before the region")
    if span.says_no_edit:
        return old
    if start > end:
        raise MarkerError("the first marker comes after the last")
    if end >= len(offsets):
        raise MarkerError("a marker lies behind the region")
    return old[: offsets[start]] + span.text + old[offsets[end] :]


def apply_on_own_lines(old: bytes, answer: bytes) -> bytes:
    """The new region for an answer of V0306, whose tags stand on their own lines; raises MarkerError."""
    found = list(NUMBERED_TAG.finditer(answer))
    if len(found) < 2 or found[0][1] == found[-1][1]:
        raise MarkerError("a span needs two different marker tags")
    text = answer[found[0].end() : found[-1].start()].removeprefix(b"\n")
    text = re.sub(NUMBERED_TAG.pattern + rb"\n?", b"", text)
    offsets = marker_offsets(old, V0316_LIMITS)
    start, end = int(found[0][1]) - 1, int(found[-1][1]) - 1
    if not 0 <= start <= end < len(offsets):
        raise MarkerError("the markers name no span of the region")
    old_text = old[offsets[start] : offsets[end]]
    text = newline_terminated(text) if old_text.endswith(b"\n") else text.removesuffix(b"\n")
    return old[: offsets[start]] + text + old[offsets[end] :]


@dataclass(frozen=True, slots=True)
class ChangedSpan:
    """The fewest whole blocks that hold every difference between two texts.

    ``first`` and ``last`` are marker indices (0-based), equal when nothing changed; ``start`` and ``end`` are
    bytes of the new text.
    """

    first: int
    last: int
    start: int
    end: int


def changed_span(old: bytes, new: bytes, offsets: list[int], cursor_offset_in_new: int | None) -> ChangedSpan:
    """Find the blocks of ``old``, cut at ``offsets``, that differ from ``new``."""
    if old == new:
        nearest = nearest_marker(offsets, cursor_offset_in_new) - 1
        return ChangedSpan(nearest, nearest, offsets[nearest], offsets[nearest])
    change = _Change.between(old, new)
    first = bisect_right(offsets, change.start) - 1
    last = min(bisect_left(offsets, change.old_end), len(offsets) - 1)
    if first == last:
        if last < len(offsets) - 1:
            last += 1
        else:
            first -= 1
    return ChangedSpan(first, last, offsets[first], len(new) - (len(old) - offsets[last]))


def encode_numbered(
    old: bytes, new: bytes, cursor_offset_in_new: int | None, end_marker: bytes, limits: BlockLimits
) -> bytes:
    """The answer of V0316 and V0318 that turns ``old`` into ``new``; every tag inside the span is written."""
    offsets = marker_offsets(old, limits)
    return _encode_glued(old, new, offsets, cursor_offset_in_new, numbered_tag) + end_marker


def encode_relative(old: bytes, new: bytes, cursor_offset_in_new: int | None, end_marker: bytes) -> bytes:
    """The answer of V0317; its tags count from the block that the *new* cursor is in, 0 without a cursor."""
    offsets = marker_offsets(old, V0316_LIMITS)
    origin = block_of(offsets, cursor_offset_in_new)

    def tag(index: int) -> bytes:
        return relative_tag(index - origin)

    if old == new:
        return relative_tag(0) * 2 + end_marker
    return _encode_glued(old, new, offsets, cursor_offset_in_new, tag) + end_marker


def _encode_glued(
    old: bytes,
    new: bytes,
    offsets: list[int],
    cursor_offset_in_new: int | None,
    tag: Callable[[int], bytes],
) -> bytes:
    span = changed_span(old, new, offsets, cursor_offset_in_new)
    if span.first == span.last:
        return tag(span.first) * 2
    if span.first > span.last:  # an empty old region: both markers stand at 0, and Zed writes only one
        return tag(span.last)
    change = _Change.between(old, new)
    inner = [min(change.in_new(offset, new), span.end) for offset in offsets[span.first + 1 : span.last]]
    boundaries = [span.start, *inner, span.end]
    blocks = blocks_with_cursor(new, boundaries, cursor_offset_in_new)
    tagged = [tag(index) + block for index, block in enumerate(blocks, span.first)]
    return b"".join(tagged) + tag(span.last)


def encode_on_own_lines(old: bytes, new: bytes, cursor_offset_in_new: int | None, end_marker: bytes) -> bytes:
    """The answer of V0306 in its documented form: two tags on their own lines, or NO_EDITS."""
    offsets = marker_offsets(old, V0316_LIMITS)
    span = changed_span(old, new, offsets, cursor_offset_in_new)
    if span.first == span.last:
        return b"NO_EDITS\n" + end_marker
    tags = [numbered_tag(span.first), numbered_tag(span.last)]
    return one_block(new, span, cursor_offset_in_new, tags) + b"\n" + end_marker


def one_block(new: bytes, span: ChangedSpan, cursor_offset_in_new: int | None, tags: list[bytes]) -> bytes:
    """The changed span as a single block between two tags on their own lines."""
    text = new[span.start : span.end]
    if cursor_offset_in_new is not None and span.start <= cursor_offset_in_new <= span.end:
        text = insert_cursor(text, cursor_offset_in_new - span.start)
    return join_on_own_lines([text], tags)


@dataclass(frozen=True, slots=True)
class _Change:
    """The bytes between the common prefix and the common suffix of two texts."""

    start: int
    old_end: int
    new_end: int

    @classmethod
    def between(cls, old: bytes, new: bytes) -> _Change:
        shorter = min(len(old), len(new))
        start = next((i for i in range(shorter) if old[i] != new[i]), shorter)
        limit = shorter - start
        suffix = next((i for i in range(limit) if old[-1 - i] != new[-1 - i]), limit)
        return cls(start, len(old) - suffix, len(new) - suffix)

    def in_new(self, offset: int, new: bytes) -> int:
        """Where a boundary inside the change belongs in the new text: in proportion, at a line start."""
        share = (offset - self.start) * (self.new_end - self.start) // (self.old_end - self.start)
        mapped = self.start + share
        if new[mapped - 1 : mapped] == b"\n":
            return mapped
        newline = new.find(b"\n", mapped)
        return len(new) if newline < 0 else newline + 1
