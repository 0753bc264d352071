"""A teacher's answer: read into a patch, or refused with the reason; and written, for those who play the teacher.

The answer is the last code block: the new region between its marks, or ``NO_EDITS``. What a model often gets wrong and
what is still clear is put right; what would lose text of the user's, or carry a mark or a sentinel into it, is refused.
Knows nothing of models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from capture.editing.unified_diff import CURSOR_MARKER
from daemon.prompts.base import NewRegion
from daemon.prompts.guards import without_added_newline
from daemon.prompts.sections import contains_special_tokens
from daemon.prompts.zed.answer import ParsedOutput, cursor_position, take_cursor
from training_export.example import Example
from training_export.example_format.records import PredictedCursor
from training_export.patches import NotSayable, patch_of_region
from training_export.teachers.jumps import JumpsUnreadable, read_jumps
from training_export.teachers.prompt import (
    FORBIDDEN,
    NO_EDITS,
    REGION_END,
    REGION_START,
    Moment,
    PromptSettings,
    fence_around,
    moment_of,
)

# Marks count where a line begins and where one ends: a sentence may mention them.
_START: Final = re.compile(rf"^[ \t]*{re.escape(REGION_START)}(?:[ \t]*\n)?", re.MULTILINE)
_END: Final = re.compile(rf"(?:\n[ \t]*)?{re.escape(REGION_END)}[ \t]*$", re.MULTILINE)
_FENCE: Final = re.compile(r"^ {0,3}(`{3,})([^`\n]*)$", re.MULTILINE)
_DECORATION: Final = " \t`*_.\"'"


class AnswerUnreadable(ValueError):
    """What was answered is no edit that could be used; the message says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """The edit as a patch of the excerpt, empty where nothing should change, and the cursor after it."""

    patch: str
    cursor: PredictedCursor | None = None

    @property
    def is_no_edit(self) -> bool:
        """Whether the moment should stay as it is: it was said, or the region came back as it was."""
        return not self.patch


def read_answer(example: Example, settings: PromptSettings, text: str) -> TeacherAnswer:
    """The edit that ``text`` answers with, to the prompt of the same settings.

    Raises AnswerUnreadable, and NotAskable where no prompt could have been.
    """
    return read_answer_for(moment_of(example, settings), text)


def read_answer_for(moment: Moment, text: str) -> TeacherAnswer:
    """The same for a moment that is known already."""
    answer = text.replace("\r\n", "\n")
    if says(answer, NO_EDITS):
        return TeacherAnswer("")
    if moment.jumps:
        return _read_jumps(moment, answer)
    stated, cursor = take_cursor(_stated_region(answer, moment.region_text))
    if stated.strip() == NO_EDITS:
        return TeacherAnswer("")
    restored, added_bytes = _with_dropped_lines(moment.region_text, stated)
    region_bytes = len(restored.encode())
    new = NewRegion(restored, None if cursor is None else min(cursor + added_bytes, region_bytes))
    _check(moment.region_text, new.text)
    try:
        patch = patch_of_region(moment.inputs, moment.region, new)
    except NotSayable as error:
        raise AnswerUnreadable(str(error)) from error
    found = cursor_position(moment.inputs, ParsedOutput(new.text, moment.region, new.cursor_offset_bytes))
    if found is None or not patch:
        return TeacherAnswer(patch)
    place = (found.row, found.column, found.offset, found.editable_region_offset)
    return TeacherAnswer(patch, PredictedCursor(moment.inputs.cursor_path, *place))


def write_answer(new: NewRegion | None, explanation: str = "") -> str:
    """An answer as the prompt asks for it; None for no edit."""
    if new is None:
        block = NO_EDITS
    else:
        data, cursor = new.text.encode(), new.cursor_offset_bytes
        marked = new.text if cursor is None else f"{data[:cursor].decode()}{CURSOR_MARKER}{data[cursor:].decode()}"
        block = f"{REGION_START}\n{marked}\n{REGION_END}"
    fence = fence_around(block)
    return f"{explanation}\n\n{fence}\n{block}\n{fence}\n".lstrip("\n")


def says(answer: str, sentinel: str) -> bool:
    """Whether the answer's last word is the sentinel: in the last block, or on the last line."""
    trimmed = answer.rstrip()
    block = _last_block(trimmed)
    if block is not None and block.text.strip() == sentinel:
        return _START.search(trimmed, block.end) is None
    last_line = trimmed[trimmed.rfind("\n") + 1 :].strip(_DECORATION)
    return last_line == sentinel or (_START.search(trimmed) is None and last_line.endswith(f" {sentinel}"))


@dataclass(frozen=True, slots=True)
class _Block:
    """A fenced block: its text without the newline before the closing fence, and where it ends in the answer."""

    text: str
    end: int
    is_closed: bool


def _last_block(answer: str) -> _Block | None:
    """The last fenced block that does not lie in another."""
    found = None
    for block in _blocks(answer):
        found = block
    return found


def _blocks(answer: str) -> Iterator[_Block]:
    """The fenced blocks that do not lie in one another."""
    at = 0
    while opening := _FENCE.search(answer, at):
        start = opening.end() + 1
        closing = next(
            (
                fence
                for fence in _FENCE.finditer(answer, start)
                if len(fence[1]) >= len(opening[1]) and not fence[2].strip()
            ),
            None,
        )
        if closing is None:
            yield _Block(answer[start:], len(answer), is_closed=False)
            return
        yield _Block(answer[start : max(start, closing.start() - 1)], closing.end(), is_closed=True)
        at = closing.end()


def _read_jumps(moment: Moment, answer: str) -> TeacherAnswer:
    blocks = list(_blocks(answer))
    if blocks and not blocks[-1].is_closed:
        raise AnswerUnreadable("the answer stops in the middle of a code block")
    try:
        patch = read_jumps(moment.inputs, [block.text for block in blocks])
    except JumpsUnreadable as error:
        raise AnswerUnreadable(str(error)) from error
    _check_tokens("\n".join(line[1:] for line in patch.split("\n")))
    return TeacherAnswer(patch)


def _stated_region(answer: str, old: str) -> str:
    """What stands between the last marks, without the newlines that belong to them."""
    starts, ends = list(_START.finditer(answer)), list(_END.finditer(answer))
    if starts and ends and starts[-1].start() < ends[-1].start():
        # The newline of an empty region belongs to both marks.
        return answer[starts[-1].end() : max(starts[-1].end(), ends[-1].start())]
    block = _last_block(answer)
    if block is None:
        raise AnswerUnreadable("the answer has neither a region between its marks, nor a code block, nor NO_EDITS")
    return _region_with_a_mark_missing(block, old)


def _region_with_a_mark_missing(block: _Block, old: str) -> str:
    """The block from its start, or to its end, if it begins or ends there as the region does."""
    text = block.text
    start, end = _START.search(text), _END.search(text)
    text = text[start.end() if start else 0 : end.start() if end else len(text)]
    plain = text.replace(CURSOR_MARKER, "").strip("\n")
    if end is None and not (block.is_closed and _last_line(plain) == _last_line(old.strip("\n"))):
        raise AnswerUnreadable("the answer stops before the end of the region")
    if start is None and _first_line(plain) != _first_line(old.strip("\n")):
        raise AnswerUnreadable("the answer begins after the start of the region")
    return text


def _with_dropped_lines(old: str, stated: str) -> tuple[str, int]:
    """The region with the blank lines at its edges that models drop and add, and the bytes put in front.

    A patch of whole lines cannot tell a final newline from none, so the end is as it was. Blank lines in front of a
    first line that stayed are put back; to take away nothing but those is an edit that cannot be said.
    """
    text = without_added_newline(old, stated)
    if not old.endswith("\n"):
        text = text.rstrip("\n")
    lead = old[: len(old) - len(old.lstrip("\n"))]
    if not lead or text.startswith("\n") or _first_line(old.lstrip("\n")) != _first_line(text):
        return text, 0
    return lead + text, len(lead)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _last_line(text: str) -> str:
    return text.rpartition("\n")[2]


def _check(old: str, new: str) -> None:
    if old.strip() and not new.strip():
        raise AnswerUnreadable("the answer leaves nothing of the region")
    _check_tokens(new)


def _check_tokens(new: str) -> None:
    found = next((token for token in FORBIDDEN if contains_special_tokens(new, (token,))), None)
    if found is not None:
        raise AnswerUnreadable(f"the new code holds {found.rstrip()!r}, which belongs to prompts and not to code")
