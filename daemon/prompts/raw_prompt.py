"""A prompt that a client rendered itself, and what can be read back from it: the region that it shows.

Zed sends whole prompts (``zeta``, ``zeta2``, ``zeta2_1`` and fill-in-the-middle) and applies whatever comes back: an
answer that was cut off would delete the rest of its region. So the region is found by its marks, as what an answer
will mostly copy, and as what a client is given instead of an answer without an end. Knows nothing of tokens or models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from daemon.prompts.zed.format import CURSOR_MARKER, QWEN, SEED_CODER
from daemon.prompts.zed.merge_markers import END_MARKER, SEPARATOR, START_MARKER
from daemon.prompts.zed.zeta1 import REGION_END, REGION_START, ZETA1_CURSOR_MARKER

_FILE_HEADS = re.compile(f"(?:{re.escape(SEED_CODER.file)}|{re.escape(QWEN.file)})([^\n]+)\n")
_ZETA1_HEADS = re.compile(r"### User Excerpt:\n\n```([^\n]+)\n")
_NUMBERED_TAG = re.compile(r"<\|marker_[1-9][0-9]*\|>")


@dataclass(frozen=True, slots=True)
class RawPrompt:
    """``text`` is tokenised with control tokens recognised; the answer is cut before the first of ``stop``."""

    text: str
    stop: tuple[str, ...]
    max_answer_tokens: int


@dataclass(frozen=True, slots=True)
class ShownRegion:
    """What a prompt shows as its region, the cursor's mark left out.

    ``unchanged`` is the whole answer that changes nothing, up to and with ``end_marker``, None where the prompt does
    not tell; ``copies`` whether that is a copy of the region, so that answers can be stopped once they have come back
    to it. ``marks`` are the control texts that belong into an answer.
    """

    text: str
    unchanged: str | None
    end_marker: str
    copies: bool
    marks: str = CURSOR_MARKER

    @property
    def no_edit(self) -> str | None:
        """The answer that changes nothing, as a client gets it: without the end marker."""
        return None if self.unchanged is None else self.unchanged.removesuffix(self.end_marker)


def shown_region(prompt: str) -> ShownRegion | None:
    """The region of a prompt by its marks, the last ones that stand in it; None where an answer inserts text."""
    return _merge_markers(prompt) or _zeta1(prompt) or _numbered(prompt)


def shown_path(prompt: str) -> str:
    """The path of the cursor's file, which stands last; empty where a prompt names none."""
    heads = _FILE_HEADS.findall(prompt) or _ZETA1_HEADS.findall(prompt)
    return str(heads[-1]) if heads else ""


def _merge_markers(prompt: str) -> ShownRegion | None:
    start = prompt.rfind(START_MARKER)
    if start < 0:
        return None
    inner = prompt[start + len(START_MARKER) :]
    end = 0 if inner.startswith(SEPARATOR) else inner.find("\n" + SEPARATOR) + 1
    if not end:
        return None
    shown = inner[:end]
    text = shown.replace(CURSOR_MARKER, "")
    if tags := _NUMBERED_TAG.findall(text):
        return ShownRegion(text, f"{tags[0]}{tags[0]}{END_MARKER}", END_MARKER, copies=False)
    # The newline behind a cursor on an empty last line is the region's, or was added to close it: nobody can tell.
    is_ambiguous = text.endswith("\n\n") and shown.endswith(f"{CURSOR_MARKER}\n")
    return ShownRegion(text, None if is_ambiguous else text + END_MARKER, END_MARKER, copies=not is_ambiguous)


def _zeta1(prompt: str) -> ShownRegion | None:
    _, found, inner = prompt.rpartition(f"{REGION_START}\n")
    text, end, _ = inner.partition(f"\n{REGION_END}")
    if not found or not end:
        return None
    text = text.replace(ZETA1_CURSOR_MARKER, "")
    return ShownRegion(
        text,
        f"{REGION_START}\n{text}\n{REGION_END}",
        REGION_END,
        copies=True,
        marks=f"{REGION_START}{ZETA1_CURSOR_MARKER}",
    )


def _numbered(prompt: str) -> ShownRegion | None:
    """From the first tag of the last run of tags that rise; a tag twice says that nothing changes."""
    tags = list(_NUMBERED_TAG.finditer(prompt))
    first = max((index for index, tag in enumerate(tags) if tag[0] == "<|marker_1|>"), default=-1)
    if first < 0 or len(tags) - first < 2:
        return None
    text = prompt[tags[first].start() : tags[-1].end()].replace(CURSOR_MARKER, "")
    return ShownRegion(text, tags[first][0] * 2, "", copies=False)
