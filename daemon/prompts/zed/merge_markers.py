"""The formats that show the region as one side of a merge conflict and take the other side for the answer.

V0120 and V0131 with Qwen's tokens, V0211Prefill whose prompt already writes the start of the answer, and with
Seed-Coder's tokens V0211 (the format of the open zeta-2 weights: ``zeta2``), its twin V0331, and
V0304SeedNoEdits, which has a word for "no edit".
"""

from __future__ import annotations

from dataclasses import replace

from daemon.prompts.base import NoEditReason
from daemon.prompts.sections import ends_with_newline
from daemon.prompts.zed.answer import is_empty_patch
from daemon.prompts.zed.format import CURSOR_MARKER, QWEN, SEED_CODER, SpecialTokens, ZetaFormat
from daemon.prompts.zed.layouts import CursorSectionLast, CursorText, suffix_prefix_middle
from daemon.prompts.zed.safe import ZetaPrompts, stop_strings
from daemon.prompts.zed.whole_region import QWEN_TOKENS, WholeRegion

START_MARKER = "<<<<<<< CURRENT\n"
SEPARATOR = "=======\n"
END_MARKER = ">>>>>>> UPDATED\n"
NO_EDITS = "NO_EDITS\n"
PREFILL_RATIO = 0.1


class MergeMarkers(WholeRegion):
    """The region as one side of a merge conflict, the answer as the other."""

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The region, closed by a newline, between ``<<<<<<< CURRENT`` and ``=======``."""
        return START_MARKER.encode() + super().show(region, cursor_offset) + SEPARATOR.encode()


class MergeMarkersOrNoEdits(MergeMarkers):
    """The same; an answer that starts with the line ``NO_EDITS`` leaves the region as it is."""

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The region or the answer."""
        return region if answer.startswith(NO_EDITS.encode()) else super().read(region, answer, cursor_offset)

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """Nothing changes, or an answer that stops inside a line."""
        if answer.startswith(NO_EDITS.encode()):
            return NoEditReason.SAID_SO
        return super().doubt(region, answer, cursor_offset)


class MergeMarkersTaught(MergeMarkersOrNoEdits):
    """What a model is taught to say; Zed says ``NO_EDITS`` of empty patches only (see ``no_edits_target``)."""

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """``NO_EDITS`` for an unchanged region, else the new one."""
        return NO_EDITS.encode() if region == new_region else super().write(region, new_region, cursor_offset)


def no_edits_target(old_text: str, patch: str, cursor_offset: int | None) -> str | None:
    """The answer to a patch without hunks; None where there are some."""
    del old_text, cursor_offset
    return NO_EDITS + END_MARKER if is_empty_patch(patch) else None


def region_last(tokens: SpecialTokens, text: CursorText) -> str:
    """The cursor section of V0120: before, after, region."""
    return f"{tokens.prefix}{text.before}{tokens.suffix}{ends_with_newline(text.after)}{tokens.middle}{text.region}"


def region_in_prefix(tokens: SpecialTokens, text: CursorText) -> str:
    """The cursor section of V0131: before, region, after."""
    return f"{tokens.prefix}{text.before}{text.region}{tokens.suffix}{ends_with_newline(text.after)}{tokens.middle}"


def first_tenth(region: bytes) -> bytes:
    """At most a tenth of the region, cut at the last line end (and those right behind it), else before a space."""
    length = int(len(region) * PREFILL_RATIO)
    while length and region[length] & 0xC0 == 0x80:
        length -= 1
    newline = region.rfind(b"\n", 0, length)
    if newline >= 0:
        rest = region[newline:]
        return region[: newline + len(rest) - len(rest.lstrip(b"\n"))]
    space = region.rfind(b" ", 0, length)
    return region[: space if space >= 0 else length]


MERGE_MARKERS = (START_MARKER, SEPARATOR, END_MARKER)

V0131_GIT_MERGE_MARKERS_PREFIX = ZetaFormat(
    name="V0131GitMergeMarkersPrefix",
    editable_tokens=350,
    context_tokens=150,
    max_prompt_tokens=4096,
    tokens=QWEN,
    clash_tokens=(*QWEN_TOKENS, *MERGE_MARKERS, CURSOR_MARKER),
    zed_stop_tokens=(),
    end_marker=END_MARKER,
    instruction_part=QWEN.file,
    response_part=QWEN.middle,
    region=MergeMarkers(),
    layout=CursorSectionLast(region_in_prefix),
)
V0120_GIT_MERGE_MARKERS = replace(
    V0131_GIT_MERGE_MARKERS_PREFIX,
    name="V0120GitMergeMarkers",
    response_part=SEPARATOR,
    layout=CursorSectionLast(region_last),
)
V0211_PREFILL = replace(V0131_GIT_MERGE_MARKERS_PREFIX, name="V0211Prefill", prefill=first_tenth)

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
        *MERGE_MARKERS,
        CURSOR_MARKER,
    ),
    zed_stop_tokens=(),
    end_marker=END_MARKER,
    instruction_part=SEED_CODER.suffix,
    response_part=SEED_CODER.middle,
    region=MergeMarkers(),
    layout=suffix_prefix_middle,
)
V0331_SEED_CODER_MODEL_PY = replace(V0211_SEED_CODER, name="V0331SeedCoderModelPy")
V0304_SEED_NO_EDITS = replace(
    V0211_SEED_CODER, name="V0304SeedNoEdits", region=MergeMarkersOrNoEdits(), patch_target=no_edits_target
)

ZETA2 = ZetaPrompts("zeta2", V0211_SEED_CODER, stop_strings(V0211_SEED_CODER))
V0304_PROMPTS = ZetaPrompts(
    V0304_SEED_NO_EDITS.name,
    replace(V0304_SEED_NO_EDITS, region=MergeMarkersTaught()),
    stop_strings(V0304_SEED_NO_EDITS),
)
