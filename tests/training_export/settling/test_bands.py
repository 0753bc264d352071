"""Edges, and what lies between them."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import BadArgument
from training_export.settling.bands import Bands, SettleClass, median, read_bands, score

DISTANCES = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 9)), min_size=1, max_size=8).map(sorted)


def flat(counted):
    return [distance for distance, count in counted for _ in range(count)]


@given(DISTANCES)
def test_counted_distances_are_as_good_as_all_of_them(counted):
    assert median(counted) == statistics.median_low(flat(counted))
    assert score(counted) == pytest.approx(statistics.mean(min(1, one) for one in flat(counted)), abs=1e-6)


@given(DISTANCES, st.integers(2, 5))
def test_more_samples_of_the_same_kind_do_not_change_the_class(counted, times):
    bands = Bands(0.05, 0.96)
    more = [(distance, count * times) for distance, count in counted]
    assert bands.classify(more) is bands.classify(counted)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ([(0.0, 25), (1.0, 25)], SettleClass.OBVIOUS),
        ([(0.0, 24), (1.0, 26)], SettleClass.LEARNABLE),
        ([(0.0, 3), (1.0, 47)], SettleClass.LEARNABLE),
        ([(0.97, 50)], SettleClass.NOISE),
        ([(1.0, 30), (4.0, 20)], SettleClass.NOISE),
        ([(0.4, 50)], SettleClass.LEARNABLE),
    ],
)
def test_most_right_is_obvious_and_none_nearer_is_noise(counted, expected):
    assert Bands(0.05, 0.96).classify(counted) is expected


def test_edges_are_values_or_shares_of_the_examples():
    assert read_bands("0.1:0.9").bands() == Bands(0.1, 0.9)
    values = [index / 100 for index in range(100)]
    assert read_bands("20%:0.9").bands(values, values) == Bands(0.2, 0.9)
    assert read_bands("10%:70%").bands(values, values) == Bands(0.1, 0.7)
    assert read_bands("10%:100%").bands(values, values) == Bands(0.1, 0.99)


@pytest.mark.parametrize("text", ["", "0.5", "0.9:0.1", "0.5:0.5", "a:b", "0:2", "-1:1", "0.1:0.5:0.9", "nan:0.5"])
def test_other_edges_are_refused_with_what_is_wanted(text):
    with pytest.raises(BadArgument, match="--bands"):
        read_bands(text)


def test_shares_of_nothing_are_refused():
    with pytest.raises(BadArgument, match="settled before"):
        read_bands("10%:70%").bands()
    with pytest.raises(BadArgument, match="two values"):
        read_bands("10%:70%").bands([0.5], [0.5])
