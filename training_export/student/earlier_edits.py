"""A longer past for a synthetic moment: edits that led to the text it began with.

A programmer's history holds more than the last change, and shows lines as they no longer are: what a model that copies
must not fall for. Works on lines of text; knows nothing of languages, models or prompt formats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from training_export.student.moments import Case

MAX_LINES_TYPED = 4
_NAME = re.compile(r"\b[A-Za-z_]\w{2,}\b")


def with_earlier_edits(case: Case, random: Random, names: Sequence[str], count: int) -> Case:
    """The case with at most ``count`` more texts before its first; ``names`` are what names may have been before."""
    texts = [case.steps[0]]
    for _ in range(count):
        undo = random.choice((_untyped, _undeleted, _unrenamed))
        earlier = undo(texts[-1], random, names)
        if earlier != texts[-1]:
            texts.append(earlier)
    return replace(case, steps=(*reversed(texts[1:]), *case.steps))


def _untyped(text: str, random: Random, names: Sequence[str]) -> str:
    """Before some lines, or the end of one, were typed."""
    del names
    lines = text.split("\n")
    row = random.randrange(len(lines))
    if random.random() < 0.5:
        return "\n".join([*lines[:row], lines[row][: random.randint(0, len(lines[row]))], *lines[row + 1 :]])
    return "\n".join([*lines[:row], *lines[row + random.randint(1, MAX_LINES_TYPED) :]])


def _undeleted(text: str, random: Random, names: Sequence[str]) -> str:
    """Before a line was deleted; it was like another one."""
    lines = text.split("\n")
    row = random.randrange(len(lines) + 1)
    gone = _NAME.sub(lambda found: random.choice((found[0], random.choice(names))), random.choice(lines))
    return "\n".join([*lines[:row], gone, *lines[row:]])


def _unrenamed(text: str, random: Random, names: Sequence[str]) -> str:
    """Before a name was changed, in one place or in all."""
    places = list(_NAME.finditer(text))
    if not places:
        return text
    place, former = random.choice(places), random.choice(names)
    if random.random() < 0.5:
        return text[: place.start()] + former + text[place.end() :]
    return re.sub(rf"\b{place[0]}\b", former, text)
