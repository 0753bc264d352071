"""A longer past for a moment: edits that led to the text it begins with, and a cursor that is not always at its place.

A programmer's history holds more than the last change, and shows lines as they no longer are: what a model that copies
must not fall for. Works on rows of text; knows nothing of languages or of what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from training_export.student.synthesis.moment import Moment, Place, Step, Surroundings, Task

MAX_LINES_TYPED = 4
NEAR_ROWS = 30
SHARE_NEAR = 0.75
SHARE_ELSEWHERE = 0.15  # of earlier edits, in another open file
SHARE_JITTERED, MAX_JITTER = 0.12, 5
_NAME: Final = re.compile(r"\b[A-Za-z_]\w{2,}\b")
# Where the cursor stands is part of what is asked.
_FIXED_CURSOR: Final = frozenset({Task.FINISH_LINE, Task.FINISH_BLOCK, Task.BRANCH})

Earlier = Callable[[list[str], int, Random, Sequence[str]], tuple[list[str], Place] | None]


def with_past(moment: Moment, random: Random, surroundings: Surroundings, count: int) -> Moment:
    """The moment with at most ``count`` edits before its first step, the cursor at the end of each."""
    if not count:
        return moment
    elsewhere = [sibling for sibling in surroundings.siblings if sibling.path not in moment.texts]
    texts = dict(moment.texts)
    newest = moment.texts[moment.path].split("\n")
    focus = moment.steps[0].cursor.row if moment.steps else moment.opened_at.row
    steps: list[Step] = []
    for _ in range(count):
        if elsewhere and random.random() < SHARE_ELSEWHERE:
            sibling = elsewhere[0]
            after = texts.get(sibling.path, sibling.text).split("\n")
            found = _earlier(after, random.randrange(len(after)), random, surroundings.names)
            if found is not None:
                steps.insert(0, Step(sibling.path, "\n".join(after), found[1], random.uniform(1.0, 20.0)))
                texts[sibling.path] = "\n".join(found[0])
            continue
        found = _earlier(newest, _row_near(random, focus, len(newest)), random, surroundings.names)
        if found is not None:
            steps.insert(0, Step(moment.path, "\n".join(newest), found[1], random.uniform(0.5, 15.0)))
            newest = found[0]
    texts[moment.path] = "\n".join(newest)
    if not moment.steps and steps:
        # Whoever goes to a place after an edit has not just opened the file.
        steps.append(Step(moment.path, moment.current, moment.opened_at, random.uniform(1.0, 10.0)))
    return replace(moment, texts=texts, steps=(*steps, *moment.steps))


def jittered(moment: Moment, random: Random) -> Moment:
    """The moment with the cursor now and then a few columns off, as it is where somebody clicked or moved on."""
    if not moment.steps or moment.task in _FIXED_CURSOR or random.random() >= SHARE_JITTERED:
        return moment
    *before, last = moment.steps
    line = last.text.split("\n")[last.cursor.row]
    column = last.cursor.column + random.choice((-1, 1)) * random.randint(1, MAX_JITTER)
    cursor = Place(last.cursor.row, max(0, min(len(line), column)))
    return replace(moment, steps=(*before, replace(last, cursor=cursor)))


def _row_near(random: Random, focus: int, count: int) -> int:
    if random.random() >= SHARE_NEAR:
        return random.randrange(count)
    return max(0, min(count - 1, focus + random.randint(-NEAR_ROWS, NEAR_ROWS)))


def _earlier(lines: list[str], row: int, random: Random, names: Sequence[str]) -> tuple[list[str], Place] | None:
    """The rows as they may have been before one edit, and where it left the cursor; None where it changes nothing."""
    found = random.choice(_UNDOES)(lines, row, random, names)
    return None if found is None or found[0] == lines else found


def _untyped(lines: list[str], row: int, random: Random, names: Sequence[str]) -> tuple[list[str], Place] | None:
    """Before some rows, or the end of one, were typed."""
    del names
    if random.random() < 0.5:
        kept = lines[row][: random.randint(0, len(lines[row]))]
        return [*lines[:row], kept, *lines[row + 1 :]], Place(row, len(lines[row]))
    end = min(len(lines) - 1, row + random.randint(1, MAX_LINES_TYPED))
    if end <= row:
        return None
    return [*lines[:row], *lines[end:]], Place(end - 1, len(lines[end - 1]))


def _undeleted(lines: list[str], row: int, random: Random, names: Sequence[str]) -> tuple[list[str], Place] | None:
    """Before a row was deleted; it was like another one."""
    model = lines[max(0, min(len(lines) - 1, row + random.randint(-6, 6)))]
    gone = _NAME.sub(lambda found: random.choice((found[0], found[0], random.choice(names))), model)
    return [*lines[:row], gone, *lines[row:]], Place(row, 0)


def _changed(lines: list[str], row: int, random: Random, names: Sequence[str]) -> tuple[list[str], Place] | None:
    """Before a word of a row was replaced by another."""
    places = list(_NAME.finditer(lines[row]))
    if not places:
        return None
    place, former = random.choice(places), random.choice(names)
    line = lines[row]
    was = line[: place.start()] + former + line[place.end() :]
    return [*lines[:row], was, *lines[row + 1 :]], Place(row, place.end())


_UNDOES: Final[tuple[Earlier, ...]] = (_untyped, _untyped, _undeleted, _changed)
