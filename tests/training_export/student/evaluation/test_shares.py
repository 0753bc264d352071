"""Shares and their intervals, against published and hand-computed values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from training_export.student.evaluation.shares import Share


def test_the_interval_is_the_one_published_for_wilson() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
    assert Share(81, 263).wilson() == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert Share(0, 20).wilson() == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert Share(1, 29).wilson() == pytest.approx((0.0061, 0.1718), abs=5e-5)


@pytest.mark.parametrize("total", [1, 30, 2000])
def test_none_of_many_is_bounded_by_the_power_of_what_is_left(total: int) -> None:
    assert Share(0, total).upper_bound() == pytest.approx(1 - 0.05 ** (1 / total))
    assert Share(total, total).lower_bound() == pytest.approx(0.05 ** (1 / total))
    assert Share(total, total).upper_bound() == 1.0
    assert Share(0, total).lower_bound() == 0.0


@given(st.integers(1, 60).flatmap(lambda total: st.tuples(st.integers(0, total - 1), st.just(total))))
def test_at_the_upper_bound_so_few_come_one_time_in_twenty(counts: tuple[int, int]) -> None:
    count, total = counts
    bound = Share(count, total).upper_bound()
    so_few = sum(math.comb(total, k) * bound**k * (1 - bound) ** (total - k) for k in range(count + 1))
    assert so_few == pytest.approx(0.05, abs=1e-6)


def test_of_nothing_everything_may_be_said() -> None:
    nothing = Share.of([])
    assert str(nothing) == "-"
    assert nothing.wilson() == (0.0, 1.0)
    assert (nothing.lower_bound(), nothing.upper_bound()) == (0.0, 1.0)
    assert nothing.to_json()["share"] is None


@pytest.mark.parametrize(("count", "total"), [(3, 2), (-1, 2)])
def test_more_than_all_is_no_share(count: int, total: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        Share(count, total)


@given(st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_intervals_and_bounds_are_those_of_scipy(counts: tuple[int, int]) -> None:
    share = Share(*counts)
    assert share.wilson() == pytest.approx(tuple(binomtest(*counts).proportion_ci(method="wilson")), abs=1e-12)
    upper = binomtest(*counts, alternative="less").proportion_ci(method="exact").high
    lower = binomtest(*counts, alternative="greater").proportion_ci(method="exact").low
    assert (share.lower_bound(), share.upper_bound()) == pytest.approx((lower, upper), abs=1e-9)
