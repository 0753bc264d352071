"""What a stand-in answers: computed from the request's text alone, the same every time.

It does to the region what the user did last: the words that the newest edit replaced are replaced in it, too. Uses
nothing of the rest of foretype, so that a mistake there is not answered with the same mistake.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Final

REGION: Final = re.compile(r"<\|editable_region_start\|>\n(.*?)\n<\|editable_region_end\|>", re.DOTALL)
MOMENT: Final = "\n# The moment\n"
CURSOR: Final = "<|user_cursor|>"
WORD: Final = re.compile(r"\w+|\W")
FENCE: Final = "`" * 7
HISTORY_TITLE, EDIT_TITLE = "\n# Edits so far\n", "\n# The suggested edit\n"
CHANGED_WORD: Final = re.compile(r"\[-(\w+)-\]\{\+(\w+)\+\}")


def answer(messages: Sequence[tuple[str, str]], *, mistakes: int = 0) -> str:
    """The answer to (role, text) turns. One in ``mistakes`` first answers takes back what the user just did."""
    first = messages[0][1]
    if '"reverts_edits"' in messages[-1][1]:
        return _verdict(messages[-1][1])
    regions = list(REGION.finditer(first))
    if not regions:
        return "I cannot see a region."
    region = regions[-1][1].replace(CURSOR, "")
    # The worked examples before the moment have histories of their own.
    moment = first[: regions[-1].start()].rpartition(MOMENT)[2]
    substitution = last_substitution(moment)
    if substitution is None:
        return no_edits()
    old, new = substitution
    if mistakes and len(messages) == 1 and _number(first) % mistakes == 0:
        old, new = new, old
    changed = "".join(new if word == old else word for word in WORD.findall(region))
    return no_edits() if changed == region else _block(f"The same as in the last edit: {old} becomes {new}.", changed)


def _verdict(question: str) -> str:
    """A judge's: it takes back the newest edit where it turns that edit's change of a word round."""
    before, _, edit = question.rpartition(EDIT_TITLE)
    changed = CHANGED_WORD.findall(before.rpartition(HISTORY_TITLE)[2])
    reverts = bool(changed) and changed[-1][::-1] in CHANGED_WORD.findall(edit)
    reasoning = "It takes back what was just done." if reverts else "It goes on with what was begun."
    verdict = {"reasoning": reasoning, "reverts_edits": reverts, "confidence": 1 if reverts else 4}
    return f"```json\n{json.dumps(verdict)}\n```"


def no_edits() -> str:
    """The answer that nothing should change."""
    return f"Nothing is left to do.\n\n{FENCE}\nNO_EDITS\n{FENCE}\n"


def last_substitution(history: str) -> tuple[str, str] | None:
    """The first word that the newest edit replaced by one other, in unified diffs; None where it did not."""
    removed: list[str] = []
    found = None
    for line in history.split("\n"):
        if line.startswith("-") and not line.startswith("---"):
            removed.append(line[1:])
        elif line.startswith("+") and not line.startswith("+++"):
            if removed:
                found = _substitution(removed.pop(0), line[1:]) or found
        else:
            removed = []
    return found


def _substitution(old: str, new: str) -> tuple[str, str] | None:
    before, after = WORD.findall(old), WORD.findall(new)
    if len(before) != len(after):
        return None
    return next(((a, b) for a, b in zip(before, after, strict=True) if a != b and a.isidentifier()), None)


def _block(sentence: str, region: str) -> str:
    return f"{sentence}\n\n{FENCE}\n<|editable_region_start|>\n{region}\n<|editable_region_end|>\n{FENCE}\n"


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
