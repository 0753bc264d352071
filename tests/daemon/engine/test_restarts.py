"""Restarts wait longer each time and end with the third death in a minute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.restarts import RestartPolicy, Restarts


def test_three_deaths_in_a_minute_end_the_restarts():
    restarts = Restarts(RestartPolicy())
    assert [restarts.record(now) for now in (0.0, 30.0, 60.0)] == [1.0, 2.0, None]


def test_deaths_further_apart_only_wait_longer_each_time():
    restarts = Restarts(RestartPolicy())
    assert [restarts.record(now) for now in (0.0, 31.0, 62.0, 93.0)] == [1.0, 2.0, 4.0, 4.0]


def test_a_quiet_minute_makes_the_next_death_a_first_one():
    restarts = Restarts(RestartPolicy())
    assert [restarts.record(now) for now in (0.0, 31.0, 92.0)] == [1.0, 2.0, 1.0]


def test_a_forgotten_past_does_not_count():
    restarts = Restarts(RestartPolicy())
    restarts.record(0.0)
    restarts.record(1.0)
    restarts.forget()
    assert restarts.record(2.0) == 1.0


@given(gaps=st.lists(st.floats(0, 100), max_size=30))
def test_it_ends_exactly_when_the_last_minute_saw_three_deaths(gaps):
    restarts = Restarts(RestartPolicy())
    times = []
    for gap in gaps:
        now = (times[-1] if times else 0.0) + gap
        times.append(now)
        recent = [time for time in times if time >= now - 60.0]
        assert (restarts.record(now) is None) == (len(recent) >= 3)
