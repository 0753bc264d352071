"""Answers that are the whole new text of the region, in lines: how they are read, and what is trained.

The prompt shows the region and a newline behind it, and so does the answer; that newline is not the
region's. Knows nothing of any one format: each hands in its control tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from capture.inputs import PredictionInputs
from daemon.prompts.base import Answer, NewRegion, NoEdit, NoEditReason, Prompt, PromptFormat, TargetError
from daemon.prompts.guards import judge, no_edit_at_sight, stops_early

EXTRA_ANSWER_TOKENS = 64


def answer_budget(region_tokens: int) -> int:
    """Tokens that an answer may take: half as many again as the region has, and some."""
    return region_tokens * 3 // 2 + EXTRA_ANSWER_TOKENS


def read_whole_region(region_text: str, answer: str, tokens: Sequence[str], *, finished: bool) -> Answer:
    """The new region, or why there is none; never raises, whatever the answer."""
    refused = no_edit_at_sight(answer, finished=finished)
    if refused is not None:
        return refused
    if stops_early(region_text, answer):
        return NoEdit(NoEditReason.MALFORMED)
    return judge(region_text, NewRegion(region_of(region_text, answer)), tokens)


def region_of(region_text: str, answer: str) -> str:
    """The answer less the newline behind the region; a region that ends in a newline keeps one."""
    text = answer.removesuffix("\n")
    return text + "\n" if region_text.endswith("\n") and not text.endswith("\n") else text


def checked_target(
    prompt_format: PromptFormat, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion, target: str
) -> str:
    """``target``, if the format reads ``new_region`` from it; a region that does not change is read as no edit.

    The formats that ask have no predicted cursor, so that of the new region is let go. Raises TargetError.
    """
    ends = [target.find(text) for text in prompt.stop if text in target]
    read = prompt_format.parse(inputs, prompt, target[: min(ends, default=len(target))], finished=True)
    if isinstance(read, NoEdit):
        if new_region.text != prompt.region_text:
            raise TargetError(f"the format cannot say this edit: {read.reason.value}")
    elif not isinstance(read, NewRegion) or read.text != new_region.text:
        raise TargetError("the format cannot say this edit: its answer would be read as another")
    return target
