"""What a row of logits says of the next token: how probable each is, and which one a draw takes.

Pure arithmetic on arrays; knows nothing of models and of what tokens mean.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from daemon.engine.llama import LlamaError, Logits

if TYPE_CHECKING:
    from collections.abc import Callable

VANISHING = -87.0  # exp of less is 0 in float32, and takes numpy forty times as long


class Probabilities:
    """What the model itself says; ``logits`` is one row, ``best`` the place of its largest value where that is known.

    Raises LlamaError when one is not a number.
    """

    def __init__(self, logits: Logits, best: int | None = None) -> None:
        self.logits = logits
        self._best = float(logits[logits.argmax() if best is None else best])  # argmax finds a NaN if there is one
        if not math.isfinite(self._best):
            raise LlamaError("the model's output is not a number: the file is damaged; download it again")

    def logarithm(self, token: int) -> float:
        """The natural logarithm of the token's probability."""
        return float(self.logits[token]) - self._best - self._log_total

    def weights(self, temperature: float) -> Logits:
        """The probabilities of all tokens at a temperature above 0, not divided by their sum: that of the best is 1."""
        return self._weights if temperature == 1 else self._at(temperature)

    @cached_property
    def _weights(self) -> Logits:
        return self._at(1.0)

    @cached_property
    def _log_total(self) -> float:
        shifted: Logits = self.logits - np.float32(self._best)
        np.maximum(shifted, np.float32(VANISHING), out=shifted)  # what vanishes adds nothing to the sum
        return math.log(float(np.exp(shifted, out=shifted).sum()))

    def _at(self, temperature: float) -> Logits:
        shifted: Logits = self.logits - np.float32(self._best)
        if temperature != 1:
            np.divide(shifted, np.float32(temperature), out=shifted)
        counts = shifted > VANISHING
        np.maximum(shifted, np.float32(VANISHING), out=shifted)
        weights: Logits = np.exp(shifted, out=shifted)
        return np.multiply(weights, counts, out=weights)


class Distribution:
    """What is drawn from: the probabilities at a temperature, perhaps of the most probable tokens alone.

    ``temperature`` 0 leaves the best token only. ``top_p`` below 1 leaves the fewest tokens that together have at least
    this probability.

    A token is found by halving: is it in one half of the vocabulary or the other, and so on, each time by a number of
    its own. A little rounding in one probability so decides few draws otherwise: on one line of all tokens it
    would move every border behind it, and thousands of improbable tokens lie close together there.
    """

    def __init__(self, probabilities: Probabilities, temperature: float, top_p: float = 1.0) -> None:
        if temperature == 0:
            weights = np.zeros_like(probabilities.logits)
            weights[probabilities.logits.argmax()] = 1
        else:
            weights = probabilities.weights(temperature)
            if top_p < 1:
                weights = _without_improbable(weights, top_p)
        self._sums = [weights]  # then of pairs of tokens, of pairs of these, ... and of all
        while len(weights) > 1:
            half = (len(weights) + 1) // 2
            pairs = weights[:half].copy()
            pairs[: len(weights) - half] += weights[half:]
            self._sums.append(pairs)
            weights = pairs

    def token(self, draw: Callable[[], float]) -> int:
        """A token; ``draw`` gives numbers from 0 (included) to 1 (not), equally distributed."""
        index = 0
        for weights in self._sums[-2::-1]:
            other = index + (len(weights) + 1) // 2
            if other < len(weights):
                weight = float(weights[index])
                if draw() * (weight + float(weights[other])) >= weight:
                    index = other
        return index


def _without_improbable(weights: Logits, top_p: float) -> Logits:
    """Zeros for all but the fewest tokens that together have at least this probability."""
    total = float(weights.sum(dtype=np.float64))
    # The others together could not make up what may be left out, however many they are: only these need sorting.
    likely = np.flatnonzero(weights >= (1 - top_p) * total / len(weights))
    order = likely[np.argsort(-weights[likely], kind="stable")]
    reached = np.cumsum(weights[order], dtype=np.float64)
    kept = order[: int(np.searchsorted(reached, top_p * total)) + 1]
    remaining = np.zeros_like(weights)
    remaining[kept] = weights[kept]
    return remaining
