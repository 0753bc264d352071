"""Intervals cover what they should, and are the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from training_export.reports.bootstrap import Interval, intervals, ratios


def means(values):
    """Columns of a mean: the values, and one each."""
    return np.column_stack([values, np.ones(len(values))])


def test_a_ratio_without_anything_below_the_line_is_not_a_number():
    found = ratios(np.array([[6.0, 3.0, 0.0, 0.0, 5.0, 0.0]]))
    assert found[0, 0] == 2.0
    assert np.isnan(found[0, 1:]).all()


def test_a_known_difference_lies_in_the_interval_and_zero_does_not():
    random = np.random.default_rng(1)
    common = random.normal(50, 20, 200)  # examples differ far more than the runs do: only pairs show the difference
    columns = np.hstack([means(common + random.normal(2, 3, 200)), means(common)])
    [interval] = intervals(columns, lambda sums: ratios(sums[:, :2]) - ratios(sums[:, 2:]), seed=7)
    assert interval.low < 2.0 < interval.high
    assert interval.excludes_zero
    assert interval.high - interval.low < 1.5


def test_about_nineteen_of_twenty_intervals_hold_the_truth():
    random = np.random.default_rng(3)
    held = 0
    for repetition in range(300):
        [interval] = intervals(means(random.normal(10, 4, 60)), ratios, seed=repetition, resamples=400)
        held += interval.low <= 10 <= interval.high
    assert 270 <= held <= 297


def test_the_width_is_that_of_the_standard_error():
    values = np.random.default_rng(5).normal(0, 1, 2000)
    [interval] = intervals(means(values), ratios, seed=7)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.1)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    columns = means(np.random.default_rng(1).normal(0, 1, 50))
    assert intervals(columns, ratios, seed=7) == intervals(columns, ratios, seed=7)
    assert intervals(columns, ratios, seed=7) != intervals(columns, ratios, seed=8)


def test_many_examples_are_drawn_in_parts(monkeypatch):
    monkeypatch.setattr("training_export.reports.bootstrap._DRAWS_AT_ONCE", 100)
    values = np.random.default_rng(1).normal(3, 1, 64)
    [interval] = intervals(means(values), ratios, seed=7, resamples=1000)
    assert interval.low < values.mean() < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 8, rel=0.25)


def test_one_example_or_none_gives_no_false_certainty():
    assert intervals(means(np.array([4.0])), ratios, seed=7) == [Interval(4.0, 4.0)]
    [nothing] = intervals(np.zeros((0, 2)), ratios, seed=7)
    assert not nothing.is_known
    assert not nothing.excludes_zero


def test_draws_in_which_a_measure_says_nothing_are_left_out():
    columns = np.array([[5.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    [interval] = intervals(columns, ratios, seed=7)
    assert interval == Interval(5.0, 5.0)
