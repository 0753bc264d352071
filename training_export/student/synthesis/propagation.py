"""A change made at some of its places, the others still to follow: the moment that most tasks end in.

Knows where people are likely to be in the middle of such a change; nothing of languages, nor of what the change is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from training_export.student.synthesis.anatomy import anatomy_of
from training_export.student.synthesis.edits import Edit, apply_edits, offset_after, place_at
from training_export.student.synthesis.moment import Moment, Step, Task

if TYPE_CHECKING:
    from training_export.student.syntax.parsed import ParsedFile

# A region holds at least this many rows on either side of the cursor (the daemon's line_region.py).
NEAR_ROWS = 8
SHARE_FROM_THE_TOP = 0.8
SHARE_ONE_DONE = 0.65
SHARE_UNFINISHED = 0.25  # of those whose change is known from another place


@dataclass(frozen=True, slots=True)
class Change:
    """What is done at one place: edits of the file's text that belong together, in its order."""

    edits: tuple[Edit, ...]

    @property
    def end(self) -> int:
        """Where the cursor is afterwards, as an offset of the text before."""
        return self.edits[-1].end


def propagated(
    file: ParsedFile,
    random: Random,
    task: Task,
    kind: str,
    changes: Sequence[Change],
    *,
    first: int | None = None,
    fewest_done: int = 1,
    planted: bool = False,
    jumps: bool = False,
) -> Moment | None:
    """The moment after some of ``changes`` were made; None where no order leaves one near the cursor to be made.

    ``first`` is the place where it has to begin. With ``planted`` the changes lead from the file to the text in which
    nothing was done, and doing one is leaving it out. With ``jumps`` the cursor may have gone to a place that is still
    to be changed, where none is near.
    """
    if len(changes) <= fewest_done:
        return None
    rows = anatomy_of(file).rows
    play = _Play(file, changes, planted)
    places = [rows.row_of(change.edits[0].start) for change in changes]
    order = _order(len(changes), random, first)
    done = fewest_done if random.random() < SHARE_ONE_DONE else random.randint(fewest_done, len(changes) - 1)
    here = places[order[done - 1]]
    nearest = min(order[done:], key=lambda index: abs(places[index] - here))
    is_near = abs(places[nearest] - here) <= NEAR_ROWS
    if not is_near and not jumps:
        return None
    steps = play.steps(order[:done], random)
    if done > 1 and is_near and not planted and random.random() < SHARE_UNFINISHED:
        steps[-1] = play.unfinished(order[:done], random) or steps[-1]
    if not is_near:
        offset = play.offset(changes[nearest].edits[0].start, order[:done])
        steps.append(Step(file.path, steps[-1].text, place_at(steps[-1].text, offset), random.uniform(1.0, 6.0)))
    return moment_of(file, task, kind, steps, play.text(order), before=play.text(()))


def finished(
    file: ParsedFile, random: Random, kind: str, changes: Sequence[Change], *, planted: bool = False
) -> Moment | None:
    """The quiet moment after all of ``changes`` were made, in their order."""
    play = _Play(file, changes, planted)
    steps = play.steps(_order(len(changes), random, None), random)
    return moment_of(file, Task.QUIET, kind, steps, steps[-1].text, before=play.text(()))


def moment_of(
    file: ParsedFile, task: Task, kind: str, steps: Sequence[Step], expected: str, *, before: str | None = None
) -> Moment | None:
    """A moment in one file; None where it is quiet and should not be, or the reverse.

    ``before`` is the text it begins with, where that is not the file's own.
    """
    if (steps[-1].text == expected) is not (task is Task.QUIET):
        return None
    return Moment(
        task=task,
        kind=kind,
        language=file.language,
        project=file.project,
        path=file.path,
        texts={file.path: file.text if before is None else before},
        steps=tuple(steps),
        expected=expected,
    )


def _order(count: int, random: Random, first: int | None) -> list[int]:
    start = 0 if random.random() < SHARE_FROM_THE_TOP else random.randrange(count)
    if first is not None:
        start = first
    return [(start + index) % count for index in range(count)]


@dataclass(frozen=True, slots=True)
class _Play:
    """The texts on the way from nothing done to everything done."""

    file: ParsedFile
    changes: Sequence[Change]
    planted: bool

    def text(self, done: Collection[int]) -> str:
        """The text once these changes are made."""
        return apply_edits(self.file.text, self._edits(done))

    def offset(self, offset: int, done: Collection[int]) -> int:
        """Where an offset of the file's text stands then."""
        return offset_after(offset, self._edits(done))

    def steps(self, order: Sequence[int], random: Random) -> list[Step]:
        """The changes made in this order, the cursor behind each."""
        steps = []
        for count, index in enumerate(order, 1):
            text = self.text(order[:count])
            cursor = place_at(text, self.offset(self.changes[index].end, order[:count]))
            steps.append(Step(self.file.path, text, cursor, random.uniform(0.5, 4.0)))
        return steps

    def unfinished(self, order: Sequence[int], random: Random) -> Step | None:
        """The last of these changes half typed, None where too little is typed."""
        *others, newest = self.changes[order[-1]].edits
        if len(newest.text) < 4:
            return None
        half = Edit(newest.start, newest.end, newest.text[: random.randint(1, len(newest.text) - 2)])
        made = [*self._edits(order[:-1]), *others, half]
        text = apply_edits(self.file.text, made)
        return Step(self.file.path, text, place_at(text, offset_after(half.end, made)), random.uniform(0.3, 1.5))

    def _edits(self, done: Collection[int]) -> list[Edit]:
        made = [index for index in range(len(self.changes)) if (index in done) is not self.planted]
        return [edit for index in made for edit in self.changes[index].edits]
