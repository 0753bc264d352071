"""What the judge is asked of a predicted edit, and how its verdict is read.

The text is in ``judge_prompt_1.md``. Knows nothing of models or of what follows from a verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from training_export.example import Example
from training_export.example_format.records import Verdict
from training_export.teachers.prompt import (
    Moment,
    PromptSettings,
    fence_around,
    fill,
    history_text,
    marked_file,
    prompt_text,
)
from training_export.teachers.word_diff import word_diff_of_patch

JUDGE_TEXT: Final = "judge_prompt_1.md"
LEAST, MOST = 1, 5  # of a judge's confidence
_KEYS: Final = ("reverts_edits", "confidence")
_TRUTHS: Final = {"true": True, "yes": True, "false": False, "no": False}


class VerdictUnreadable(ValueError):
    """The judge's answer holds no verdict; the message says why."""


def judge_prompt(example: Example, moment: Moment, settings: PromptSettings, patch: str) -> str:
    """The whole question about one edit, for one user message."""
    parts = {
        "history": word_diff_of_patch(history_text(example, settings.history_lines)) or "(none)",
        "path": moment.inputs.cursor_path,
        "file": marked_file(moment),
        "edit": word_diff_of_patch(patch),
    }
    return fill(prompt_text(JUDGE_TEXT), {**parts, "fence": fence_around(*parts.values())})


def read_verdict(text: str) -> Verdict:
    """The verdict in an answer: its last JSON object that is one, whatever stands around it.

    Raises VerdictUnreadable where there is none, or its values are none a verdict has.
    """
    found = [value for value in _objects(text) if any(value.get(key) is not None for key in _KEYS)]
    if not found:
        raise VerdictUnreadable('the judge\'s answer holds no JSON object with "reverts_edits" and "confidence"')
    value = found[-1]
    reasoning = value.get("reasoning")
    verdict = Verdict(reverts_edits=_truth(value.get("reverts_edits")), confidence=_confidence(value.get("confidence")))
    return replace(verdict, reasoning=_encodable(reasoning)) if isinstance(reasoning, str) else verdict


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text that do not lie in one another."""
    decoder = json.JSONDecoder(strict=False)
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict):
                yield value
        at = text.find("{", end)


def _truth(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUTHS:
        return _TRUTHS[value.strip().lower()]
    raise VerdictUnreadable(f'"reverts_edits" must be true or false, is {value!r:.40}')


def _confidence(value: object) -> int | None:
    """A whole number from 1 to 5, perhaps written ``"4"``, ``"4/5"`` or ``4.0``."""
    if value is None:
        return None
    if isinstance(value, str):
        digits = value.strip().removesuffix(f"/{MOST}").strip()
        value = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) == 1 else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and LEAST <= value <= MOST:
        return value
    raise VerdictUnreadable(f'"confidence" must be a number from {LEAST} to {MOST}, is {value!r:.40}')


def _encodable(text: str) -> str:
    r"""The text without halves of surrogate pairs, which JSON can escape (``\ud800``) and UTF-8 cannot hold."""
    return text.encode(errors="replace").decode()
