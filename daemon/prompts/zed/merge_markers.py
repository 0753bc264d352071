"""`zeta2`: the format of the open zeta-2 weights, Zed's V0211SeedCoder.

The region stands between merge-conflict markers; the model writes the whole new region and closes it with
``>>>>>>> UPDATED``.
"""

from __future__ import annotations

from daemon.prompts.base import NoEditReason
from daemon.prompts.guards import stops_early
from daemon.prompts.zed.format import CURSOR_MARKER, SEED_CODER, SEED_CODER_END_OF_SEQUENCE, ZetaFormat
from daemon.prompts.zed.layouts import suffix_prefix_middle
from daemon.prompts.zed.markers import insert_cursor, newline_terminated
from daemon.prompts.zed.safe import ZetaPrompts

START_MARKER = b"<<<<<<< CURRENT\n"
SEPARATOR = b"=======\n"
END_MARKER = ">>>>>>> UPDATED\n"


class MergeMarkers:
    """The region as one side of a merge conflict, the answer as the other."""

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The region, closed by a newline, between ``<<<<<<< CURRENT`` and ``=======``."""
        return START_MARKER + newline_terminated(insert_cursor(region, cursor_offset)) + SEPARATOR

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The answer is the new region."""
        del region, cursor_offset
        return answer

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """An answer that stops inside a line was cut: the rest of the region would be deleted."""
        del cursor_offset
        return NoEditReason.MALFORMED if stops_early(region.decode(), answer.decode()) else None

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """The new region; an unchanged one is repeated."""
        del region
        text = new_region if cursor_offset is None else insert_cursor(new_region, cursor_offset)
        return newline_terminated(text)


V0211_SEED_CODER = ZetaFormat(
    name="V0211SeedCoder",
    editable_tokens=350,
    context_tokens=150,
    max_prompt_tokens=4096,
    tokens=SEED_CODER,
    clash_tokens=(
        SEED_CODER.suffix,
        SEED_CODER.prefix,
        SEED_CODER.middle,
        SEED_CODER.file,
        START_MARKER.decode(),
        SEPARATOR.decode(),
        END_MARKER,
        CURSOR_MARKER,
    ),
    zed_stop_tokens=(),
    end_marker=END_MARKER,
    instruction_part=SEED_CODER.suffix,
    response_part=SEED_CODER.middle,
    region=MergeMarkers(),
    layout=suffix_prefix_middle,
)

ZETA2 = ZetaPrompts("zeta2", V0211_SEED_CODER, stop=(END_MARKER.removesuffix("\n"), SEED_CODER_END_OF_SEQUENCE))
