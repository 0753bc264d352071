"""`zeta2_1`: the format of the open zeta-2.1 weights, Zed's V0318SeedMultiRegions.

Numbered tags cut the region into blocks; the model writes only the blocks it changes, between two tags. A
repeated tag means no edit.
"""

from __future__ import annotations

from itertools import pairwise

from daemon.prompts.base import NoEditReason
from daemon.prompts.zed.format import CURSOR_MARKER, SEED_CODER, SEED_CODER_END_OF_SEQUENCE, ZetaFormat
from daemon.prompts.zed.layouts import suffix_prefix_middle
from daemon.prompts.zed.marker_spans import MarkerError, apply_numbered, encode_numbered, read_span
from daemon.prompts.zed.markers import V0318_LIMITS, BlockLimits, write_numbered
from daemon.prompts.zed.safe import ZetaPrompts


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
        try:
            span = read_span(answer)
        except MarkerError:
            return NoEditReason.MALFORMED
        if span.says_no_edit:
            return NoEditReason.SAID_SO
        rising = all(left < right for left, right in pairwise(span.tags))
        return None if rising else NoEditReason.MALFORMED

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """The changed blocks between their tags, or the tag nearest to the cursor twice."""
        return encode_numbered(region, new_region, cursor_offset, b"", self._limits)


V0318_SEED_MULTI_REGIONS = ZetaFormat(
    name="V0318SeedMultiRegions",
    editable_tokens=350,
    context_tokens=150,
    max_prompt_tokens=4096,
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
    region=NumberedBlocks(V0318_LIMITS),
    layout=suffix_prefix_middle,
)

ZETA2_1 = ZetaPrompts("zeta2_1", V0318_SEED_MULTI_REGIONS, stop=(SEED_CODER_END_OF_SEQUENCE,))
