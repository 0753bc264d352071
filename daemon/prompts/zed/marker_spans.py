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
from itertools import accumulate, pairwise

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

# Numbers that Rust's usize and isize hold; others are ordinary text, as are tags without a number.
NUMBERED_TAG = re.compile(rb"<\|marker_\+?0*([0-9]{1,20})\|>")
RELATIVE_TAG = re.compile(rb"<\|marker([-+]?)0*([0-9]{1,19})\|>")
NUMBERED_VALUES = range(1 << 64)
RELATIVE_VALUES = range(-(1 << 63), 1 << 63)

# What is left out of an answer of V0306: whatever stands in the place of a number, and a line end behind the tag.
ANY_TAG = re.compile(rb"<\|marker_.*?\|>\n?", re.DOTALL)
TAG_START = b"<|marker_"


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

    ``pattern`` is NUMBERED_TAG or RELATIVE_TAG. Raises MarkerError when there are fewer than two tags.
    """
    possible = NUMBERED_VALUES if pattern is NUMBERED_TAG else RELATIVE_VALUES
    found = [
        (match, value) for match in pattern.finditer(answer) if (value := int(b"".join(match.groups()))) in possible
    ]
    if len(found) < 2:
        counted = "only one marker tag" if found else "no marker tag"
        raise MarkerError(f"{counted} in the answer; a span needs two")
    text = b"".join(answer[left.end() : right.start()] for (left, _), (right, _) in pairwise(found))
    return TaggedSpan(tuple(value for _, value in found), text)


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
    if span.says_no_edit:
        return old
    start, end = _span_offsets(offsets, first_index + span.tags[0], first_index + span.tags[-1])
    return old[:start] + span.text + old[end:]


def _span_offsets(offsets: list[int], first: int, last: int) -> tuple[int, int]:
    """The offsets of two markers by index; raises MarkerError where there are none such or they stand reversed."""
    if not (0 <= first < len(offsets) and 0 <= last < len(offsets)):
        raise MarkerError("a marker lies outside the region")
    if offsets[first] > offsets[last]:
        raise MarkerError("the first marker comes after the last")
    return offsets[first], offsets[last]


def apply_on_own_lines(old: bytes, answer: bytes) -> bytes:
    """The new region for an answer of V0306, whose tags stand on their own lines; raises MarkerError.

    The first and the last tag must have numbers; whatever is tagged in between is left out.
    """
    last_start = answer.rfind(TAG_START)
    first, text_start = _number_at(answer, answer.find(TAG_START))
    last, _ = _number_at(answer, last_start)
    if first == last:
        raise MarkerError("a span needs two different marker tags")
    text = ANY_TAG.sub(b"", answer[text_start:last_start].removeprefix(b"\n"))
    start, end = _span_offsets(marker_offsets(old, V0316_LIMITS), first - 1, last - 1)
    text = newline_terminated(text) if old[start:end].endswith(b"\n") else text.removesuffix(b"\n")
    return old[:start] + text + old[end:]


def _number_at(answer: bytes, tag_start: int) -> tuple[int, int]:
    """The number of the tag that starts here and the offset behind the tag; raises MarkerError."""
    match = NUMBERED_TAG.match(answer, max(tag_start, 0))
    if match is None or int(match[1]) not in NUMBERED_VALUES:
        raise MarkerError("no marker tag with a number where the answer needs one")
    return int(match[1]), match.end()


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
    """Find the blocks of ``old``, cut at ``offsets``, that differ from ``new``; at least one where any does."""
    if old == new:
        nearest = nearest_marker(offsets, cursor_offset_in_new) - 1
        return ChangedSpan(nearest, nearest, offsets[nearest], offsets[nearest])
    first, last = _Change.between(old, new).markers(offsets)
    if first == last:
        if last < len(offsets) - 1:
            last += 1
        else:
            first -= 1
    return _span_of(old, new, offsets, first, last)


def _span_of(old: bytes, new: bytes, offsets: list[int], first: int, last: int) -> ChangedSpan:
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
    inner = [change.in_new(offset, new, span) for offset in offsets[span.first + 1 : span.last]]
    boundaries = [*accumulate([span.start, *inner], max), span.end]
    blocks = blocks_with_cursor(new, boundaries, cursor_offset_in_new)
    tagged = [tag(index) + block for index, block in enumerate(blocks, span.first)]
    return b"".join(tagged) + tag(span.last)


def encode_on_own_lines(
    old: bytes, new: bytes, cursor_offset_in_new: int | None, end_marker: bytes, *, readable: bool = False
) -> bytes:
    """The answer of V0306 in its documented form: two tags on their own lines, or NO_EDITS.

    For text put in where a marker stands, Zed writes that marker twice, which its own parser refuses; a
    ``readable`` answer spans the block beside it.
    """
    if old == new:
        return b"NO_EDITS\n" + end_marker
    offsets = marker_offsets(old, V0316_LIMITS)
    if readable:
        span = changed_span(old, new, offsets, cursor_offset_in_new)
    else:
        span = _span_of(old, new, offsets, *_Change.between(old, new).markers(offsets))
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

    def markers(self, offsets: list[int]) -> tuple[int, int]:
        """Indices of the last marker before the change and the first behind it; the same where text is put in."""
        return bisect_right(offsets, self.start) - 1, min(bisect_left(offsets, self.old_end), len(offsets) - 1)

    def in_new(self, offset: int, new: bytes, span: ChangedSpan) -> int:
        """Where a boundary inside the change belongs in the new text: in proportion, at a line start."""
        share = (offset - self.start) * (self.new_end - self.start) // (self.old_end - self.start)
        mapped = self.start + share
        while mapped < span.end and new[mapped] & 0xC0 == 0x80:
            mapped -= 1
        if mapped >= span.end:
            return span.end
        if mapped == span.start or new[mapped - 1 : mapped] == b"\n":
            return mapped
        newline = new.find(b"\n", mapped, span.end)
        return newline + 1 if newline >= 0 else max(span.start, new.rfind(b"\n", span.start, mapped) + 1)
