"""The multi-region formats: tags cut the region into blocks, the model writes the blocks it changes.

V0306, V0316, V0317, V0318 (the format of the open zeta-2.1 weights: ``zeta2_1``) and V0318's variants V0327,
V0420 and V0608. A repeated tag means no edit, in V0306 the word ``NO_EDITS``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from capture.inputs import PredictionInputs, Span
from daemon.prompts.base import NoEditReason
from daemon.prompts.zed.format import (
    CURSOR_MARKER,
    QWEN,
    QWEN_END_OF_TURN,
    SEED_CODER,
    SEED_CODER_END_OF_SEQUENCE,
    ZetaFormat,
)
from daemon.prompts.zed.layouts import SuffixPrefixMiddle, prefix_suffix_middle, suffix_prefix_middle
from daemon.prompts.zed.marker_spans import (
    NUMBERED_TAG,
    RELATIVE_TAG,
    MarkerError,
    apply_numbered,
    apply_on_own_lines,
    apply_relative,
    encode_numbered,
    encode_on_own_lines,
    encode_relative,
    read_span,
)
from daemon.prompts.zed.markers import (
    V0316_LIMITS,
    V0318_LIMITS,
    BlockLimits,
    v0327_editable_range,
    write_numbered,
    write_on_own_lines,
    write_relative,
)
from daemon.prompts.zed.merge_markers import (
    MERGE_MARKERS,
    NO_EDITS,
    SEPARATOR,
    START_MARKER,
    V0211_SEED_CODER,
    no_edits_target,
)
from daemon.prompts.zed.safe import ZetaPrompts, stop_strings
from daemon.prompts.zed.whole_region import QWEN_TOKENS, WholeRegion


class NumberedBlocks:
    """The region cut into blocks by tags that are glued to the text."""

    def __init__(self, limits: BlockLimits) -> None:
        self._limits = limits

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The tagged region and a newline."""
        return write_numbered(region, cursor_offset, self._limits) + b"\n"

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The region with the answer's span put in; raises MarkerError."""
        del cursor_offset
        return apply_numbered(region, answer, self._limits)

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """A repeated tag says no edit; otherwise tags must rise, or text would be doubled or lost."""
        del region, cursor_offset
        return _doubt(answer, NUMBERED_TAG)

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """The changed blocks between their tags, or the tag nearest to the cursor twice."""
        return encode_numbered(region, new_region, cursor_offset, b"", self._limits)


class RelativeBlocks:
    """The same with tags that count from the cursor's block: the old cursor's to read, the new one's to write."""

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The tagged region and a newline."""
        return write_relative(region, cursor_offset) + b"\n"

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The region with the answer's span put in; raises MarkerError."""
        return apply_relative(region, answer, cursor_offset)

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """As for numbered blocks."""
        del region, cursor_offset
        return _doubt(answer, RELATIVE_TAG)

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """The changed blocks between their tags, or the tag of the cursor's block twice."""
        return encode_relative(region, new_region, cursor_offset, b"")


class BlocksOnOwnLines(WholeRegion):
    """V0306: tags on their own lines inside merge markers. Zed reads tags and writes whole regions."""

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The tagged region between ``<<<<<<< CURRENT`` and ``=======``."""
        return START_MARKER.encode() + write_on_own_lines(region, cursor_offset) + b"\n" + SEPARATOR.encode()

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The region, with the answer's span put in unless it starts with ``NO_EDITS``; raises MarkerError."""
        del cursor_offset
        return region if answer.startswith(NO_EDITS.encode()) else apply_on_own_lines(region, answer)

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """Nothing changes, or tags that do not rise."""
        del region, cursor_offset
        if answer.startswith(NO_EDITS.encode()):
            return NoEditReason.SAID_SO
        return _doubt(answer, NUMBERED_TAG)


class BlocksOnOwnLinesTaught(BlocksOnOwnLines):
    """The documented form of V0306's answers, which its parser understands."""

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """The changed blocks between two tags, or ``NO_EDITS``."""
        return encode_on_own_lines(region, new_region, cursor_offset, b"", readable=True)


def _doubt(answer: bytes, tag: re.Pattern[bytes]) -> NoEditReason | None:
    try:
        span = read_span(answer, tag)
    except MarkerError:
        return NoEditReason.MALFORMED
    if span.says_no_edit:
        return NoEditReason.SAID_SO
    rising = all(left < right for left, right in pairwise(span.tags))
    return None if rising else NoEditReason.MALFORMED


def single_file_ranges(inputs: PredictionInputs, editable_tokens: int, context_tokens: int) -> tuple[Span, Span]:
    """The ranges of V0327: blocks around the cursor, and the whole excerpt as context."""
    del context_tokens
    excerpt = inputs.excerpt_bytes
    editable = v0327_editable_range(excerpt, inputs.cursor_offset_in_excerpt, editable_tokens)
    return editable, Span(0, len(excerpt))


SEED_CODER_TOKENS = (SEED_CODER.suffix, SEED_CODER.prefix, SEED_CODER.middle, SEED_CODER.file)
MARKER_TAG_START = "<|marker_"

V0306_SEED_MULTI_REGIONS = replace(
    V0211_SEED_CODER,
    name="V0306SeedMultiRegions",
    clash_tokens=(*SEED_CODER_TOKENS, *MERGE_MARKERS, CURSOR_MARKER, MARKER_TAG_START),
    region=BlocksOnOwnLines(),
    patch_target=no_edits_target,
)
V0318_SEED_MULTI_REGIONS = ZetaFormat(
    name="V0318SeedMultiRegions",
    editable_tokens=350,
    context_tokens=150,
    max_prompt_tokens=4096,
    tokens=SEED_CODER,
    clash_tokens=(*SEED_CODER_TOKENS, SEED_CODER_END_OF_SEQUENCE, CURSOR_MARKER, MARKER_TAG_START),
    zed_stop_tokens=(SEED_CODER_END_OF_SEQUENCE,),
    end_marker=SEED_CODER_END_OF_SEQUENCE,
    instruction_part=SEED_CODER.suffix,
    response_part=SEED_CODER.middle,
    region=NumberedBlocks(V0318_LIMITS),
    layout=suffix_prefix_middle,
)
V0316_SEED_MULTI_REGIONS = replace(
    V0318_SEED_MULTI_REGIONS, name="V0316SeedMultiRegions", region=NumberedBlocks(V0316_LIMITS)
)
V0317_SEED_MULTI_REGIONS = replace(
    V0318_SEED_MULTI_REGIONS,
    name="V0317SeedMultiRegions",
    clash_tokens=(*SEED_CODER_TOKENS, SEED_CODER_END_OF_SEQUENCE, CURSOR_MARKER, "<|marker"),
    region=RelativeBlocks(),
)
V0327_SINGLE_FILE = replace(
    V0318_SEED_MULTI_REGIONS,
    name="V0327SingleFile",
    max_prompt_tokens=16384,
    layout=SuffixPrefixMiddle(related_files=False),
    ranges=single_file_ranges,
)
V0420_DIAGNOSTICS = replace(
    V0318_SEED_MULTI_REGIONS,
    name="V0420Diagnostics",
    max_prompt_tokens=8192,
    layout=SuffixPrefixMiddle(diagnostics=True),
)
V0608_QWEN_MULTI_REGIONS = replace(
    V0318_SEED_MULTI_REGIONS,
    name="V0608QwenMultiRegions",
    tokens=QWEN,
    clash_tokens=(*QWEN_TOKENS, QWEN_END_OF_TURN, CURSOR_MARKER, MARKER_TAG_START),
    zed_stop_tokens=(QWEN_END_OF_TURN,),
    end_marker=QWEN_END_OF_TURN,
    instruction_part=QWEN.prefix,
    response_part=QWEN.middle,
    layout=prefix_suffix_middle,
)

ZETA2_1 = ZetaPrompts("zeta2_1", V0318_SEED_MULTI_REGIONS, stop_strings(V0318_SEED_MULTI_REGIONS))
V0306_PROMPTS = ZetaPrompts(
    V0306_SEED_MULTI_REGIONS.name,
    replace(V0306_SEED_MULTI_REGIONS, region=BlocksOnOwnLinesTaught()),
    stop_strings(V0306_SEED_MULTI_REGIONS),
)
