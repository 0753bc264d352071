"""Tokens are drawn as often as they are probable, whatever the shape of the probabilities."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.engine.llama import LlamaError
from daemon.engine.logits import Distribution, Probabilities


def naive_nucleus(logits, temperature, top_p):
    """Probabilities the plain way: those of the most probable tokens up to the limit, the others 0."""
    scaled = np.array(logits, np.float64) / temperature
    probabilities = np.exp(scaled - scaled.max())
    probabilities /= probabilities.sum()
    total, kept = 0.0, np.zeros(len(logits), bool)
    for token in np.argsort(-probabilities, kind="stable"):
        if total >= top_p:
            break
        kept[token] = True
        total += probabilities[token]
    return np.where(kept, probabilities, 0.0) / total


@given(
    seed=st.integers(0, 1000),
    size=st.integers(1, 1500),
    spread=st.sampled_from([0.1, 1.0, 5.0, 60.0]),
    temperature=st.sampled_from([0.05, 0.7, 1.0, 3.0, 1000.0]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 0.999, 1.0]),
)
@settings(deadline=None, max_examples=40, derandomize=True)
def test_tokens_are_drawn_as_often_as_they_are_probable(surprise, seed, size, spread, temperature, top_p):
    logits = (np.random.default_rng(seed).standard_normal(size) * spread).astype(np.float32)
    expected = naive_nucleus(logits, temperature, top_p)
    distribution = Distribution(Probabilities(logits), temperature, top_p)
    drawn = [distribution.token(Random(number).random) for number in range(2000)]

    assert surprise(drawn, expected) < 8
    assert logits[drawn].min() >= logits[expected > 0].min()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_are_an_error(value):
    with pytest.raises(LlamaError, match="damaged"):
        Probabilities(np.full(5, value, np.float32))


def test_tokens_that_can_never_win_are_never_drawn():
    logits = np.array([-1e9] * 300 + [0.0, 1.0] + [-1e9] * 300, np.float32)
    distribution = Distribution(Probabilities(logits), 1.0)

    draws = [lambda: 0.0, lambda: math.nextafter(1.0, 0.0), *(Random(number).random for number in range(500))]
    assert {distribution.token(draw) for draw in draws} == {300, 301}
    assert Probabilities(logits).logarithm(301) == pytest.approx(-math.log(1 + math.exp(-1)), abs=1e-6)
