"""Which examples come next: drawn from several sets by their shares, in an order fixed by a seed.

Where it stands is a few numbers, from which an interrupted run goes on with exactly the step that would have come.
Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training_export.errors import TrainingRefused
from training_export.student.training.arrays import ArraySet, Row
from training_export.student.training.copies import RandomCopies, evenly_by_magnitude
from training_export.student.training.recipe import Stage

STEPS_PER_ROUND: Final = 12  # sorted by length together, so that rows of a batch are of similar length

MicroBatch = list[Row]
Step = list[MicroBatch]


@dataclass(frozen=True, slots=True)
class Source:
    """A set to draw from. ``share`` is of the examples that are drawn; ``rows`` are the indices that may be."""

    examples: ArraySet
    rows: NDArray[np.int64]
    share: float


@dataclass(frozen=True, slots=True)
class Shape:
    """How a step is divided: micro-batches of at most ``micro_tokens``, padding counted; packed ones hold none."""

    micro_tokens: int
    is_packed: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the order a run is: the next step is ``step`` of ``round``, at whose start so much had been drawn."""

    round: int = 0
    step: int = 0
    drawn: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"round": self.round, "step": self.step, "drawn": list(self.drawn)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Place:
        """Read that form."""
        return cls(value["round"], value["step"], tuple(value["drawn"]))


class Order:
    """The steps of one stage, without end."""

    def __init__(
        self,
        sources: Sequence[Source],
        stage: Stage,
        shape: Shape,
        seed: int,
        copies: RandomCopies | None = None,
        place: Place | None = None,
    ) -> None:
        """``copies``: for a stage of random copies, which needs no sources. Raises TrainingRefused for an empty one."""
        self._stage = stage
        self._shape = replace(shape, micro_tokens=max(min(shape.micro_tokens, stage.batch_tokens), stage.max_tokens))
        self._seed = seed
        self._copies = copies if stage.random_copies else None
        self._pools = [] if self._copies else _pools(sources, stage, seed)
        self.place = place or Place(drawn=(0,) * len(self._pools))
        self._steps, self._drawn_after = self._round(self.place)

    def next(self) -> Step:
        """The examples of the next step."""
        while self.place.step >= len(self._steps):
            self.place = Place(self.place.round + 1, 0, self._drawn_after)
            self._steps, self._drawn_after = self._round(self.place)
        step = self._steps[self.place.step]
        self.place = replace(self.place, step=self.place.step + 1)
        return step

    def _round(self, place: Place) -> tuple[list[Step], tuple[int, ...]]:
        random = np.random.default_rng([self._seed, place.round])
        wanted = STEPS_PER_ROUND * self._stage.batch_tokens
        rows: list[Row] = []
        drawn = list(place.drawn)
        tokens = 0
        shares = np.array([pool.share for pool in self._pools])
        while tokens < wanted:
            if self._copies is not None:
                row = self._copies.one(random, self._stage.max_tokens)
            else:
                number = int(random.choice(len(shares), p=shares))
                row = self._pools[number].row(drawn[number])
                drawn[number] += 1
            if self._stage.max_gap_tokens:
                row = replace(row, gap_tokens=evenly_by_magnitude(random, 1, self._stage.max_gap_tokens))
            rows.append(row)
            tokens += len(row.tokens)
        batches = _packed(rows, self._shape) if self._shape.is_packed else _alike(rows, self._shape)
        random.shuffle(batches)
        return list(_grouped(batches, self._stage.batch_tokens)), tuple(drawn)


class _Pool:
    """Rows of one set, again and again, each time in another order."""

    def __init__(self, examples: ArraySet, rows: NDArray[np.int64], share: float, seed: list[int]) -> None:
        self.share = share
        self._examples = examples
        self._rows = rows
        self._seed = seed
        self._epoch, self._order = -1, rows

    def row(self, number: int) -> Row:
        epoch, index = divmod(number, len(self._rows))
        if epoch != self._epoch:
            self._order = np.random.default_rng([*self._seed, epoch]).permutation(self._rows)
            self._epoch = epoch
        return self._examples[int(self._order[index])]


def _pools(sources: Sequence[Source], stage: Stage, seed: int) -> list[_Pool]:
    """One for each source; where the stage says how often each task comes, one for each source and task."""
    pools: list[_Pool] = []
    for number, source in enumerate(sources):
        lengths = source.examples.rows["length"][source.rows]
        fitting = source.rows[lengths <= stage.max_tokens]
        for index, (rows, share) in enumerate(_by_task(source.examples, fitting, stage.tasks)):
            pools.append(_Pool(source.examples, rows, share * source.share, [seed, number, index]))
    total = sum(pool.share for pool in pools)
    if not pools or not total:
        raise TrainingRefused(
            f"no example is left for a stage of at most {stage.max_tokens} tokens"
            + (f" with the tasks {', '.join(stage.tasks)}" if stage.tasks else "")
        )
    for pool in pools:
        pool.share /= total
    return pools


def _by_task(
    examples: ArraySet, rows: NDArray[np.int64], tasks: Mapping[str, float]
) -> Iterator[tuple[NDArray[np.int64], float]]:
    if not tasks:
        if len(rows):
            yield rows, 1.0
        return
    numbers = examples.rows["task"][rows]
    found = [(rows[numbers == number], tasks.get(task, 0.0)) for number, task in enumerate(examples.tasks)]
    present = [(chosen, weight) for chosen, weight in found if len(chosen) and weight]
    total = sum(weight for _, weight in present)
    yield from ((chosen, weight / total) for chosen, weight in present)


def _alike(rows: list[Row], shape: Shape) -> list[MicroBatch]:
    """Rows of similar length together, so that little is padded."""
    made: list[MicroBatch] = [[]]
    for row in sorted(rows, key=lambda row: len(row.tokens)):
        if made[-1] and (len(made[-1]) + 1) * len(row.tokens) > shape.micro_tokens:
            made.append([])
        made[-1].append(row)
    return made


def _packed(rows: list[Row], shape: Shape) -> list[MicroBatch]:
    """Rows that fill the room together: the longest first, each where it first fits."""
    made: list[MicroBatch] = []
    left: list[int] = []
    for row in sorted(rows, key=lambda row: -len(row.tokens)):
        size = len(row.tokens)
        fitting = next((index for index, room in enumerate(left) if room >= size), None)
        if fitting is None:
            made.append([row])
            left.append(shape.micro_tokens - size)
        else:
            made[fitting].append(row)
            left[fitting] -= size
    return made


def _grouped(batches: list[MicroBatch], batch_tokens: int) -> Iterator[Step]:
    """Micro-batches one after the other, as many as a step's tokens allow."""
    step: Step = []
    tokens = 0
    for batch in batches:
        size = sum(len(row.tokens) for row in batch)
        if step and tokens + size > batch_tokens:
            yield step
            step, tokens = [], 0
        step.append(batch)
        tokens += size
    if step:
        yield step
