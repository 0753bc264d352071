"""What one worker does: a file parsed, and a moment of each task that is wanted of it made into a line.

All chance comes from the seed, the file and the number of the slot: who does it and when changes nothing. Knows nothing
of quotas, duplicates or files on disk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Final

from training_export.patches import NotSayable
from training_export.student.sources.source_file import SourceFile
from training_export.student.syntax.parsed import ParsedFile, parse
from training_export.student.synthesis.asked import Asked, asked_at, example_of, expected_excerpt, fingerprint
from training_export.student.synthesis.edits import EditsOverlap
from training_export.student.synthesis.mixture import (
    MOST_EARLIER_EDITS,
    RULE_TASKS,
    SHARE_AGAINST_RULE,
    SHARE_WITH_RULE,
    SHARE_WITHOUT_PAST,
    family_of,
    maker_of,
)
from training_export.student.synthesis.moment import Moment, Surroundings, Task
from training_export.student.synthesis.trajectory import jittered, with_past

TRIES = 5
MAX_SIBLINGS_KEPT = 64
_IDENTIFIER: Final = re.compile(r"\b[A-Za-z][A-Za-z_]{2,23}\b")


@dataclass(frozen=True, slots=True)
class Job:
    """A file, others of its project, and the tasks that are wanted of it; ``turn`` tells visits of a file apart."""

    file: SourceFile
    siblings: tuple[SourceFile, ...]
    tasks: tuple[Task, ...]
    seed: int
    turn: int


@dataclass(frozen=True, slots=True)
class Made:
    """One moment as a line, and what is counted of it."""

    line: bytes
    fingerprint: str
    task: Task
    kind: str
    family: str
    is_quiet: bool
    rule_is_right: bool


@dataclass(frozen=True, slots=True)
class JobDone:
    """What came of a file; ``reasons`` counts what was made and could not be used, or not made at all."""

    made: tuple[Made, ...]
    is_parsed: bool
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Names:
    """Names that programmers use, by family of languages."""

    names: dict[str, tuple[str, ...]]
    type_names: dict[str, tuple[str, ...]]


def names_of(texts: Sequence[str], most: int = 4000) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names that most of the texts use, those of types apart; the same for the same texts."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(_IDENTIFIER.findall(text)))
    common = sorted(counts, key=lambda name: (-counts[name], name))[: 2 * most]
    types = tuple(name for name in common if name[0].isupper() and not name.isupper())[:most]
    values = tuple(name for name in common if name[0].islower())[:most]
    return values or ("value", "item", "result"), types or ("Item", "Result", "Entry")


def work(job: Job, names: Names) -> JobDone:
    """The moments of one file."""
    reasons: Counter[str] = Counter()
    file = parse(job.file)
    if file is None:
        return JobDone((), False, reasons)
    family = family_of(job.file.language)
    siblings = tuple(found for source in job.siblings if (found := _parsed_sibling(source)) is not None)
    surroundings = Surroundings(names.names[family], names.type_names[family], siblings)
    made = []
    for slot, task in enumerate(job.tasks):
        random = Random(f"{job.seed} {job.turn} {job.file.project} {job.file.path} {slot}")
        moment = _fulfilled(file, task, random, surroundings, job.seed, reasons)
        if moment is not None:
            made.append(moment)
    return JobDone(tuple(made), True, reasons)


def _fulfilled(
    file: ParsedFile, task: Task, random: Random, surroundings: Surroundings, seed: int, reasons: Counter[str]
) -> Made | None:
    """A moment of the task; one for which the plain rule is right, or wrong, where chance wants that and finds one."""
    rule_is_right = _wish(random) if task in RULE_TASKS else None
    otherwise: Made | None = None
    for _ in range(TRIES):
        try:
            moment = maker_of(task, random)(file, random, surroundings)
        except EditsOverlap:
            reasons[f"{task}: its edits overlap"] += 1
            continue
        if moment is None:
            reasons[f"{task}: the file offers none"] += 1
            continue
        found = _made(moment, random, surroundings, seed, reasons)
        if found is None:
            continue
        if rule_is_right in (None, found.rule_is_right):
            return found
        otherwise = otherwise or found
    return otherwise


def _wish(random: Random) -> bool | None:
    """Whether the plain rule is to be right, None where either will do."""
    drawn = random.random()
    if drawn < SHARE_AGAINST_RULE:
        return False
    return True if drawn < SHARE_AGAINST_RULE + SHARE_WITH_RULE else None


def _made(moment: Moment, random: Random, surroundings: Surroundings, seed: int, reasons: Counter[str]) -> Made | None:
    count = 0 if random.random() < SHARE_WITHOUT_PAST else random.randint(1, MOST_EARLIER_EDITS)
    moment = jittered(with_past(moment, random, surroundings, count), random)
    inputs = moment.inputs()
    try:
        expected = expected_excerpt(moment, inputs)
        asked: Asked | None = asked_at(inputs, expected)
        if asked is None:
            reasons[f"{moment.task}: nothing can be asked in the region"] += 1
            return None
        if asked.changes is moment.is_quiet:
            reasons[f"{moment.task}: nothing changes in the region"] += 1
            return None
        example = example_of(moment, inputs, seed, asked)
    except NotSayable:
        reasons[f"{moment.task}: no patch says it"] += 1
        return None
    return Made(
        line=example.to_line().encode(),
        fingerprint=fingerprint(inputs, expected),
        task=moment.task,
        kind=moment.kind,
        family=family_of(moment.language),
        is_quiet=moment.is_quiet,
        rule_is_right=asked.rule_is_right,
    )


@lru_cache(maxsize=MAX_SIBLINGS_KEPT)
def _parsed_sibling(source: SourceFile) -> ParsedFile | None:
    return parse(source)
