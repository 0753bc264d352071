"""The second question to a teacher whose answer is doubted: its own answer, what was found, and three ways out.

The text is in ``repair_prompt_1.md``. Knows nothing of how faults are found or of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from capture.editing.unified_diff import PatchError, extract_cursor
from training_export.example import Example
from training_export.example_format.records import ExamplePrediction, PredictedCursor
from training_export.patches import RegionLeft, region_after
from training_export.teachers.answer import AnswerUnreadable, read_answer_for, says, write_answer
from training_export.teachers.api import Message
from training_export.teachers.faults import Doubts
from training_export.teachers.prompt import (
    KEEP_PREVIOUS,
    Moment,
    PromptSettings,
    fence_around,
    fill,
    prompt_text,
    write_prompt,
)
from training_export.teachers.word_diff import word_diff_of_patch

REPAIR_TEXT: Final = "repair_prompt_1.md"
MANY_TOKENS: Final = 100  # beyond so many the message warns


class Outcome(Enum):
    """What a teacher made of a doubt."""

    KEPT = "kept"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Repair:
    """The edit after the second answer: the patch is empty for no edit, and the old one where it was kept."""

    outcome: Outcome
    patch: str
    cursor: PredictedCursor | None = None


def repair_messages(
    example: Example, moment: Moment, settings: PromptSettings, prediction: ExamplePrediction, doubts: Doubts
) -> tuple[Message, ...]:
    """The conversation: the question as it was, the doubted answer, what was found. It needs a patch."""
    patch = prediction.actual_patch or ""
    edit = word_diff_of_patch(patch)
    is_large = max(doubts.inserted_tokens, doubts.deleted_tokens) > MANY_TOKENS
    parts = {
        "faults": "\n".join(f"- {sentence}" for sentence in doubts.faults.values()),
        "inserted": str(doubts.inserted_tokens),
        "deleted": str(doubts.deleted_tokens),
        "warning": " That is a lot for one step of editing." if is_large else "",
        "edit": edit,
        "fence": fence_around(edit, moment.region_text),
    }
    return (
        Message("user", write_prompt(example, moment, settings)),
        Message("assistant", _answer_as_given(moment, prediction)),
        Message("user", fill(prompt_text(REPAIR_TEXT), parts)),
    )


def read_repair(moment: Moment, previous: ExamplePrediction, text: str) -> Repair:
    """What the second answer comes to; raises AnswerUnreadable."""
    old_patch = previous.actual_patch or ""
    if says(text.replace("\r\n", "\n"), KEEP_PREVIOUS):
        return Repair(Outcome.KEPT, old_patch, previous.actual_cursor)
    answer = read_answer_for(moment, text)
    if answer.is_no_edit:
        return Repair(Outcome.WITHDRAWN, "")
    return Repair(Outcome.KEPT if _same(answer.patch, old_patch) else Outcome.CHANGED, answer.patch, answer.cursor)


def _answer_as_given(moment: Moment, prediction: ExamplePrediction) -> str:
    """The raw answer if it is one to this prompt; else the same edit in the form the prompt asks for, or as a diff."""
    patch = prediction.actual_patch or ""
    try:
        if _same(read_answer_for(moment, prediction.actual_output).patch, patch):
            return prediction.actual_output
    except AnswerUnreadable:
        pass  # another model's, in a form of its own
    try:
        return write_answer(region_after(moment.inputs, moment.region, patch), "This is what I would change.")
    except (PatchError, RegionLeft):
        fence = fence_around(patch)
        return f"This is what I would change, as a diff.\n\n{fence}diff\n{patch.rstrip()}\n{fence}\n"


def _same(patch: str, other: str) -> bool:
    return extract_cursor(patch)[0] == extract_cursor(other)[0]
