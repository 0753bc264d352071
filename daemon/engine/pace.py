"""How many drafted tokens a pass should carry, from what passes cost here and how often drafts were right.

A pass of one token and k drafted ones costs more than a plain pass and yields more tokens; ``Pace`` picks the k
with the least expected time for each token, which is 0 where drafting does not pay. Both inputs are measured
while the engine runs: costs by timing passes, rightness on every token of every answer, drafted or not. Knows
nothing of tokens or models.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from itertools import combinations
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Sample = TypeVar("Sample")

KEPT_SAMPLES = 15  # of each class of pass sizes
REFIT_PASSES = 16  # a few more samples hardly move the medians
FORGETTING_PASSES = 512  # plain ones, until a sample of each class is forgotten
FIRST_SLOPE = 0.3  # of a plain pass, for each further token, until measured
MEMORY_TOKENS = 200.0  # how many outcomes a share remembers
MEMORY_ANSWERS = 20.0  # the same for the first token of an answer
MEMORY_PASSES = 20.0  # how many drafted passes the share of those that had to be done again remembers
PRIOR_WEIGHT = 4.0
PATIENCE_TOKENS = 8  # a second token may cost more than the seven after it: kernels work in tiles
READ_BATCHES = (8, 16, 32, 64, 128)  # with 64 tokens attention works in tiles, which takes a third less
KEY_SECONDS = 0.1  # from key to key, of somebody who types fast
ABOUT_AS_GOOD = 1.02
START = -1  # the run before the answer's first token
# Nothing has agreed yet: unless answers nearly always begin as expected, the first draft may cost so many plain passes.
FIRST_DRAFT_PASSES, SURE_START = 3.0, 0.9
CLASS_STARTS = {START: START, 0: 0, 1: 1, 2: 2, 3: 4, 4: 8, 5: 16}  # the first run of each ``_run_class``
FIRST_SHARES = {START: 0.6, 0: 0.5, 1: 0.6, 2: 0.75, 3: 0.85, 4: 0.93, 5: 0.97}  # by ``_run_class``


class PassCosts(Protocol):
    """What a forward pass costs, in any unit."""

    def cost(self, tokens: int) -> float:
        """Of a pass over so many tokens with logits for most of them."""
        ...

    def record(self, tokens: int, seconds: float) -> None:
        """One pass took this long."""
        ...


class FixedCosts:
    """Costs that are given and never change: ``first`` for one token and ``each`` for every further one."""

    def __init__(self, first: float, each: float) -> None:
        self._first = first
        self._each = each

    def cost(self, tokens: int) -> float:
        """As given."""
        return self._first + self._each * (tokens - 1)

    def record(self, tokens: int, seconds: float) -> None:
        """Measurements change nothing."""


class MeasuredCosts:
    """Costs as measured: of a plain pass, and a straight line for larger ones, which use other kernels.

    A busy machine spoils some measurements, so medians count: of each class of sizes, and of the lines through all
    pairs of classes. Measurements of larger passes are forgotten, slowly, while none is made: what made them look
    dear may be over.
    """

    def __init__(self) -> None:
        self._plain: deque[float] = deque(maxlen=KEPT_SAMPLES)
        self._larger: dict[int, deque[tuple[int, float]]] = {}  # sizes and seconds, by size class
        self._plain_passes = 0
        self._first: float | None = None
        self._line: tuple[float, float] | None = None  # at no tokens, and for each
        self._passes_since_fit = 0

    def record(self, tokens: int, seconds: float) -> None:
        """One pass took this long."""
        if tokens == 1:
            self._plain.append(seconds)
            self._first = _middle(sorted(self._plain))
            self._plain_passes += 1
            if self._plain_passes % FORGETTING_PASSES == 0:
                self._forget()
        else:
            samples = self._larger.setdefault(tokens.bit_length(), deque(maxlen=KEPT_SAMPLES))
            samples.append((tokens, seconds))
        self._passes_since_fit += 1

    def cost(self, tokens: int) -> float:
        """Seconds, at most those of so many plain passes; the unit is a plain pass while that was not measured."""
        if self._first is None:
            return 1 + FIRST_SLOPE * (tokens - 1)
        if tokens == 1:
            return self._first
        if self._line is None or self._passes_since_fit >= REFIT_PASSES:
            self._line = self._fit(self._first)
            self._passes_since_fit = 0
        at_none, each = self._line
        return max(self._first, min(at_none + each * tokens, tokens * self._first))

    def _fit(self, first: float) -> tuple[float, float]:
        points = [
            _middle(sorted(samples, key=lambda sample: sample[1] / sample[0])) for samples in self._larger.values()
        ]
        if not points:
            points = [(1, first)]
        pairs = [(low, high) for low, high in combinations(sorted(points), 2) if low[0] < high[0]]
        slopes = [(high[1] - low[1]) / (high[0] - low[0]) for low, high in pairs]
        each = max(0.0, statistics.median(slopes)) if slopes else FIRST_SLOPE * first
        at_none = statistics.median(seconds - each * size for size, seconds in points)
        # What a plain pass costs beside its token, every pass does: the line may not say that short ones are better,
        # as it would where the samples of long ones are old and were made behind a longer prompt.
        return max(at_none, first - each), each

    def _forget(self) -> None:
        for samples in self._larger.values():
            samples.popleft()
        self._larger = {size_class: samples for size_class, samples in self._larger.items() if samples}


def _middle(ordered: Sequence[Sample]) -> Sample:
    """The median, or the lower of the two in the middle."""
    return ordered[(len(ordered) - 1) // 2]


class Pace:
    """Chooses draft lengths; learns from every token of every answer."""

    def __init__(self, costs: PassCosts) -> None:
        self.costs = costs
        self._extra_passes = 0.0  # that a drafted pass led to, lately
        self._right: dict[tuple[int, int], float] = {}
        self._seen: dict[tuple[int, int], float] = {}

    def learn(self, source: int, run: int, *, right: bool) -> None:
        """A draft from ``source`` after ``run`` agreeing tokens would have been right, or not."""
        key = (source, _run_class(run))
        fade = 1 - 1 / (MEMORY_ANSWERS if run == START else MEMORY_TOKENS)
        self._right[key] = self._right.get(key, 0.0) * fade + right
        self._seen[key] = self._seen.get(key, 0.0) * fade + 1
        self._extra_passes *= 1 - 1 / MEMORY_TOKENS  # so that drafting is tried again one day

    def settle(self, extra_passes: int) -> None:
        """A drafted pass led to so many plain ones that undrafted decoding would not have needed."""
        self._extra_passes += (extra_passes - self._extra_passes) / MEMORY_PASSES

    def share(self, source: int, run: int) -> float:
        """The probability that the next drafted token is right."""
        run_class = _run_class(run)
        key = (source, run_class)
        prior = FIRST_SHARES[run_class]
        return (self._right.get(key, 0.0) + PRIOR_WEIGHT * prior) / (self._seen.get(key, 0.0) + PRIOR_WEIGHT)

    def draft_tokens(self, pending: int, most: int, source: int, run: int) -> int:
        """How many tokens to draft, 0 to ``most``, in a pass that evaluates ``pending`` tokens anyway.

        The tokens beyond a plain pass that have to be evaluated in any case are charged to nobody. Of lengths that are
        about as good the shortest is taken: it loses least where the draft is wrong after all.
        """
        plain = self.costs.cost(1)
        if run == START and self.share(source, START) < SURE_START:
            risked = self.costs.cost(pending) + FIRST_DRAFT_PASSES * plain
            most = next((count for count in range(most, 0, -1) if self.costs.cost(pending + count) <= risked), 0)
        given = self.costs.cost(pending) - plain - self._extra_passes * plain
        times = [plain]
        best = 0
        reached, expected = 1.0, 1.0
        shares = {run_class: self.share(source, run) for run_class, run in CLASS_STARTS.items()}
        for drafted in range(1, most + 1):
            reached *= shares[_run_class(run if drafted == 1 else max(run, 0) + drafted - 1)]
            expected += reached
            times.append((self.costs.cost(pending + drafted) - given) / expected)
            if times[drafted] < times[best]:
                best = drafted
            elif drafted - best > PATIENCE_TOKENS:
                break
        if best == most:  # nothing is left for another pass
            return best
        return next(drafted for drafted, time in enumerate(times) if time <= times[best] * ABOUT_AS_GOOD)


def _run_class(run: int) -> int:
    """Runs in classes that double: 0, 1, 2-3, 4-7, 8-15, 16 and more; the start is one of its own."""
    return START if run < 0 else min(run.bit_length(), 5)


def batch_for(seconds: Mapping[int, float]) -> int:
    """How many prompt tokens a pass should take while a keystroke may make it useless; ``seconds`` by pass size.

    A key that comes while a pass is at work takes that pass away: where keys come every ``KEY_SECONDS``, every other
    pass of half that length. So the size counts with which a token costs least, what is lost included; where every pass
    outlasts the time between two keys, the smallest.
    """

    def each(size: int) -> float:
        survives = 1 - seconds[size] / KEY_SECONDS
        return seconds[size] / size / survives if survives > 0 else math.inf

    return min(sorted(seconds), key=each)
