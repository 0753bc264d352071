"""How probable the model finds answers that others wrote: read side by side behind the prompt it has just answered.

A whole answer, its end included, is one outcome of the model's distribution over answers, and its probability the
product of those of its tokens. Long answers are less probable than short ones, and rightly: each names one text, and
all of them together, "no edit" among them, make up at most 1. So totals are compared, not means for each token.

What decoding found out already is not computed again: what the first token of any answer has, and the tokens that an
answer shares with the decoded one. An answer that cannot come to more than what was asked for is not read at all. The
others share the cells of the prompt, each in a sequence of the context that nobody else uses, and are gone afterwards.
Knows tokens only; nothing of prompts or edits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.engine.cache import common_prefix
from daemon.engine.decoder import DRAFTED_PASS_TOKENS
from daemon.engine.llama import DecodeStatus, LlamaError
from daemon.engine.logits import Probabilities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.engine.decoder import Decoded, Decoder
    from daemon.engine.messages import StopReason


@dataclass(frozen=True, slots=True)
class Score:
    """The log-probability of one answer; not ``is_exact``, it is at most this, and nobody found out how much less."""

    log_probability: float
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """Those of all answers, in their order, and what they cost; ``stop`` is why some were not scored to their end."""

    of_each: tuple[Score, ...]
    stop: StopReason | None = None
    tokens_evaluated: int = 0
    forward_passes: int = 0


@dataclass(slots=True)
class _Reading:
    """One answer on its way: the tokens to ``read`` from position ``start`` on, and those ``expected`` after each."""

    number: int
    read: Sequence[int]
    expected: Sequence[int]
    start: int
    log_probability: float


class Scorer:
    """Scores answers in the spare sequences of a decoder's context; ``most`` is how many at a time."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._context = decoder.context
        self._sequences = range(self._context.sequences - decoder.spare_sequences, self._context.sequences)

    @property
    def most(self) -> int:
        """How many answers can be scored at a time; none where memory cannot be shared or forgotten in parts."""
        return len(self._sequences) if self._decoder.model.can_forget else 0

    def score(
        self,
        prompt: Sequence[int],
        decoded: Decoded,
        answers: Sequence[Sequence[int]],
        *,
        above: float,
        deadline: float = math.inf,
    ) -> Scores:
        """The log-probabilities of ``answers``, none of them empty, as far as they may be greater than ``above``.

        ``decoded`` is what the decoder said to ``prompt`` right before, with ``first`` and without ``unchanged``. After
        an abort or past the deadline the cache is what it was before. Raises LlamaError when llama.cpp fails or the
        model's output is not a number; the cache is then empty.
        """
        if len(answers) > self.most:
            raise ValueError(f"{len(answers)} answers cannot be scored at a time, {self.most} can")
        scores, readings = [], []
        for number, answer in enumerate(answers):
            score, reading = _known(number, prompt, decoded, answer)
            scores.append(score)
            if reading is not None and score.log_probability > above and self._fits(reading):
                readings.append(reading)
        if not readings:
            return Scores(tuple(scores))
        try:
            return self._read(readings, scores, deadline)
        except LlamaError:
            self._decoder.cache.clear()
            raise

    def _fits(self, reading: _Reading) -> bool:
        fits: bool = reading.start + len(reading.read) <= self._context.context_tokens
        return fits

    def _read(self, readings: Sequence[_Reading], scores: list[Score], deadline: float) -> Scores:
        cache, count = self._decoder.cache, sum(len(reading.read) for reading in readings)
        if not cache.has_room(count):
            return Scores(tuple(scores))
        stop, evaluated, passes = None, 0, 0
        try:
            for reading in readings:
                self._context.share(cache.sequence, self._sequences[reading.number], reading.start)
            for part in self._passes(readings):
                stop = self._decoder.interruption(deadline)
                if stop is not None:
                    break
                status = self._context.decode_side_by_side(
                    [reading.read[at] for reading, at in part],
                    [reading.start + at for reading, at in part],
                    [self._sequences[reading.number] for reading, _ in part],
                )
                evaluated += len(part)
                passes += 1
                if status is DecodeStatus.ABORTED:
                    stop = self._decoder.interruption(deadline)
                    break
                for (reading, at), row in zip(part, self._context.logits(), strict=True):
                    reading.log_probability += Probabilities(row).logarithm(reading.expected[at])
        finally:
            for reading in readings:
                self._context.keep(0, self._sequences[reading.number])
        if stop is None:
            for reading in readings:
                scores[reading.number] = Score(reading.log_probability, is_exact=True)
        return Scores(tuple(scores), stop, evaluated, passes)

    def _passes(self, readings: Sequence[_Reading]) -> Iterator[list[tuple[_Reading, int]]]:
        """All tokens to read, mostly in one pass; a larger one would round coarsely."""
        size = min(DRAFTED_PASS_TOKENS, self._context.batch_tokens)
        tokens = [(reading, at) for reading in readings for at in range(len(reading.read))]
        for start in range(0, len(tokens), size):
            yield tokens[start : start + size]


def _known(
    number: int, prompt: Sequence[int], decoded: Decoded, answer: Sequence[int]
) -> tuple[Score, _Reading | None]:
    """What decoding says of the answer, and what is left to read of it: nothing where that is all."""
    assert decoded.first is not None  # noqa: S101  asked for
    shared = common_prefix(list(decoded.tokens), list(answer))
    # The token that comes behind what is shared was seen by the decoder too, but only the first one's row is kept: so
    # the last shared token is read once more.
    if shared:
        known, begun = math.fsum(decoded.log_probabilities[:shared]), shared
    else:
        known, begun = decoded.first.logarithm(answer[0]), 1
    if begun == len(answer):
        return Score(known, is_exact=True), None
    return Score(known, is_exact=False), _Reading(
        number, answer[begun - 1 : -1], answer[begun:], len(prompt) + begun - 1, known
    )
