"""What is done after each failure, and when: the table row by row, and waits in any order of failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.upload.retries import BAD_REPLY, CANNOT_SEND, LOCAL_FILE, MESSAGE_TOO_LARGE, Failure, Retries, verdict_on

AGAIN = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS", BAD_REPLY, LOCAL_FILE)
PAUSE = ("UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", CANNOT_SEND)
DIVIDE = ("INVALID_ARGUMENT", MESSAGE_TOO_LARGE)
SUSPECT = ("UNKNOWN", "INTERNAL", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "SOMETHING_NEW")
CODES = (*AGAIN, *PAUSE, *DIVIDE, *SUSPECT, "RESOURCE_EXHAUSTED")


class Time:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.mark.parametrize("asked", [None, 3.0])
@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        *((code, "again") for code in AGAIN),
        *((code, "pause") for code in PAUSE),
        *((code, "divide") for code in DIVIDE),
        *((code, "suspect") for code in SUSPECT),
    ],
)
def test_each_status_has_its_row_whether_or_not_a_delay_is_asked_for(code, verdict, asked):
    assert verdict_on(Failure(code, "", asked)) == verdict


def test_an_exhausted_collector_is_tried_again_only_if_it_says_when():
    assert verdict_on(Failure("RESOURCE_EXHAUSTED", "", 3.0)) == "again"
    assert verdict_on(Failure("RESOURCE_EXHAUSTED", "")) == "suspect"


def test_waits_grow_by_half_from_five_seconds_to_five_minutes_and_never_end():
    time = Time()
    retries = Retries(time, lambda: 0.5)
    waits = [retries.failed(Failure("UNAVAILABLE", ""), "setup") for _ in range(2000)]
    assert waits[:4] == [5.0, 7.5, 11.25, 16.875]
    assert waits[11:] == [300.0] * 1989


@given(st.floats(0, 1), st.integers(1, 40))
def test_jitter_is_a_fifth_either_way(share, failures):
    retries, plain = Retries(Time(), lambda: share), Retries(Time(), lambda: 0.5)
    for _ in range(failures):
        ours = retries.failed(Failure("UNAVAILABLE", ""), "setup")
        middle = plain.failed(Failure("UNAVAILABLE", ""), "setup")
    assert ours == pytest.approx(middle * (0.8 + 0.4 * share))


@pytest.mark.parametrize(
    ("asked", "waited"), [(30.0, 30.0), (0.0, 1.0), (3599.0, 3599.0), (3601.0, 3600.0), (1e15, 3600.0)]
)
def test_a_delay_that_is_asked_for_is_kept_within_a_second_and_an_hour(asked, waited):
    retries = Retries(Time(), lambda: 0.0)
    assert retries.failed(Failure("UNAVAILABLE", "", asked), "setup") == waited


def test_a_delay_that_is_asked_for_does_not_grow_the_wait_that_is_not():
    retries = Retries(Time(), lambda: 0.5)
    retries.failed(Failure("RESOURCE_EXHAUSTED", "", 60.0), "setup")
    assert retries.failed(Failure("UNAVAILABLE", ""), "setup") == 5.0


@pytest.mark.parametrize("code", PAUSE)
def test_what_a_person_has_to_cure_pauses_for_an_hour_or_until_the_setup_is_another(code):
    time = Time()
    retries = Retries(time, lambda: 0.5)
    assert retries.failed(Failure(code, "words", 2.0), "old") == 3600.0
    assert retries.is_paused
    time.seconds = 3599.0
    assert retries.wait_seconds("old") == 1.0
    assert retries.wait_seconds("new") == 0.0
    assert not retries.is_paused


failures = st.builds(Failure, st.sampled_from(CODES), st.just("words"), st.none() | st.floats(0, 1e9))
steps = st.lists(st.one_of(failures, st.just("success"), st.floats(0, 4000), st.sampled_from(["one", "two"])))


@given(steps, st.floats(0, 1))
def test_in_any_order_of_events_waits_are_bounded_count_down_and_start_small_after_a_success(events, share):
    time = Time()
    retries = Retries(time, lambda: share)
    setup, until = "one", 0.0
    unasked = 0  # failures in a row for which nobody asked for a delay
    for event in events:
        if isinstance(event, Failure):
            seconds = retries.failed(event, setup)
            verdict = verdict_on(event)
            if verdict == "pause":
                assert seconds == 3600.0
            elif verdict == "again" and event.retry_after_seconds is not None:
                assert min(max(event.retry_after_seconds, 1.0), 3600.0) <= seconds <= 3600.0
            else:
                middle = min(5.0 * 1.5 ** min(unasked, 50), 300.0)
                assert 0.8 * middle - 1e-9 <= seconds <= 1.2 * middle + 1e-9
                unasked += 1
            until = time.seconds + seconds
        elif event == "success":
            retries.succeeded()
            until, unasked = time.seconds, 0
        elif isinstance(event, str):
            if event != setup and retries.latest is not None:
                until, unasked = time.seconds, 0
            setup = event
        else:
            time.seconds += event
        assert retries.wait_seconds(setup) == pytest.approx(max(0.0, until - time.seconds), abs=1e-6)
