"""V0112, V0113 and V0114: the model writes the whole new region; the end of the sequence ends its answer.

``WholeRegion`` is also what the formats with merge markers read and write.
"""

from __future__ import annotations

from dataclasses import replace

from daemon.prompts.base import NoEditReason
from daemon.prompts.guards import stops_early
from daemon.prompts.sections import ends_with_newline
from daemon.prompts.zed.format import CURSOR_MARKER, QWEN, SpecialTokens, ZetaFormat
from daemon.prompts.zed.layouts import CursorSectionLast, CursorText
from daemon.prompts.zed.markers import insert_cursor, newline_terminated
from daemon.prompts.zed.truncation import drops_the_end


class WholeRegion:
    """The region as it is; the answer is the new one."""

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The region with the cursor, closed by a newline."""
        return newline_terminated(insert_cursor(region, cursor_offset))

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The answer is the new region."""
        del region, cursor_offset
        return answer

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """An answer that looks as if it had stopped early: the rest of the region would be deleted."""
        del cursor_offset
        old, new = region.decode(), answer.decode().replace(CURSOR_MARKER, "")
        return NoEditReason.MALFORMED if _ends_early(old, new) or drops_the_end(old, new) else None

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """The new region; an unchanged one is repeated."""
        del region
        text = new_region if cursor_offset is None else insert_cursor(new_region, cursor_offset)
        return newline_terminated(text)


def _ends_early(region_text: str, answer: str) -> bool:
    """Whether an answer ends inside a line, the region's last one included; complete answers end in a newline."""
    last_line = region_text.removesuffix("\n").rpartition("\n")[2]
    last_written = answer.rpartition("\n")[2]
    is_cut = last_written != last_line and last_line.startswith(last_written)
    return stops_early(region_text, answer) or (bool(last_written) and is_cut)


def region_last(tokens: SpecialTokens, text: CursorText) -> str:
    """The cursor section of V0112: before, after, region."""
    after = ends_with_newline(text.after) if text.after else ""
    return (
        f"{tokens.prefix}\n{text.before}{tokens.suffix}\n{after}"
        f"{tokens.middle}current\n{text.region}{tokens.middle}updated\n"
    )


def in_file_order(tokens: SpecialTokens, text: CursorText) -> str:
    """The cursor section of V0113: before, region, after."""
    before = ends_with_newline(text.before) if text.before else ""
    after = ends_with_newline(text.after) if text.after else ""
    return (
        f"{tokens.prefix}\n{before}{tokens.middle}current\n{text.region}"
        f"{tokens.suffix}\n{after}{tokens.middle}updated\n"
    )


QWEN_TOKENS = (QWEN.prefix, QWEN.suffix, QWEN.middle, QWEN.file)

V0112_MIDDLE_AT_END = ZetaFormat(
    name="V0112MiddleAtEnd",
    editable_tokens=150,
    context_tokens=350,
    max_prompt_tokens=4096,
    tokens=QWEN,
    clash_tokens=(*QWEN_TOKENS, CURSOR_MARKER),
    zed_stop_tokens=(),
    end_marker="",
    instruction_part=QWEN.file,
    response_part=QWEN.middle + "updated\n",
    region=WholeRegion(),
    layout=CursorSectionLast(region_last),
)
V0113_ORDERED = replace(V0112_MIDDLE_AT_END, name="V0113Ordered", layout=CursorSectionLast(in_file_order))
V0114180_EDITABLE_REGION = replace(V0113_ORDERED, name="V0114180EditableRegion", editable_tokens=180)
