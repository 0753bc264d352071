"""The choice among measured ways."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.pace import KEY_SECONDS
from daemon.engine.ways import FlashAttention, Way
from daemon.tuning import choice


@given(st.integers(1, 1024), st.integers(1, 1024))
def test_thread_counts_begin_with_the_default_and_never_exceed_the_cores(cores, default):
    counts = choice.thread_counts(cores, default)
    assert counts[0] == min(default, cores)
    assert counts[1:] == sorted(set(counts) - {counts[0]})
    assert {1, cores} <= set(counts)
    assert max(counts) == cores
    assert all(count in counts for count in (2, 4, 8, 16, 512) if count <= cores)


def test_a_thread_must_save_a_tenth(costing):
    one, two, four = Way(1), Way(2), Way(4)
    assert choice.choose_threads([costing(two, 0.91), costing(one, 1.0)]) == one
    assert choice.choose_threads([costing(two, 0.89), costing(one, 1.0)]) == two
    assert choice.choose_threads([costing(one, 1.0), costing(two, 0.6), costing(four, 0.58)]) == two
    assert choice.choose_threads([costing(one, 1.0), costing(two, 0.6), costing(four, 0.3)]) == four
    assert choice.choose_threads([costing(two, 1.0), costing(four, 3.0), costing(one, 1.7)]) == two


def test_threads_and_kernels_are_chosen_by_the_keystroke_after_a_pause(costing):
    one, two, off = Way(1), Way(2), Way(1, FlashAttention.OFF)
    fast_at_once = replace(costing(two, 0.1), keystroke_seconds=costing(one, 2.0).keystroke_seconds)
    assert choice.choose_threads([fast_at_once, costing(one, 1.0)]) == one
    assert choice.choose_kernels(one, [costing(one, 1.0), replace(fast_at_once, way=off)]) == one
    slow_at_once = replace(costing(two, 9.0), keystroke_seconds=costing(one, 0.5).keystroke_seconds)
    assert choice.choose_threads([slow_at_once, costing(one, 1.0)]) == two
    assert choice.choose_kernels(one, [costing(one, 1.0), replace(slow_at_once, way=off)]) == off


def test_a_number_of_threads_that_was_not_measured_is_not_chosen(costing):
    unmeasured = replace(costing(Way(2), 0.1), rounds=0, pass_seconds={}, read_seconds={}, gap_seconds={})
    assert choice.choose_threads([unmeasured, costing(Way(1), 1.0)]) == Way(1)
    with pytest.raises(ValueError):
        choice.choose_threads([unmeasured])


@given(st.data(), st.sets(st.integers(1, 64), min_size=1, max_size=5))
def test_no_number_of_threads_is_chosen_that_another_beats(any_measurement, data, counts):
    measured = {count: data.draw(any_measurement(Way(count))) for count in counts}
    seconds = {count: one.keystroke_seconds for count, one in measured.items()}
    chosen = choice.choose_threads(list(measured.values())).threads
    for count in counts - {chosen}:
        assert not (count < chosen and seconds[count] <= seconds[chosen])
        assert count < chosen or seconds[count] > seconds[chosen] * (1 - choice.THREAD_GAIN) or seconds[count] == 0
    if chosen > min(counts):
        fastest = min(seconds.values())
        fewer = [count for count in counts if count < chosen]
        assert all(fastest <= seconds[count] * (1 - choice.THREAD_GAIN) for count in fewer)


def test_kernels_are_changed_only_for_a_gain_that_is_no_chance(costing):
    present, off, on = (Way(2, flash) for flash in (FlashAttention.AUTO, FlashAttention.OFF, FlashAttention.ON))
    assert choice.choose_kernels(present, [costing(present, 1.0), costing(off, 0.91), costing(on, 1.1)]) == present
    assert choice.choose_kernels(present, [costing(present, 1.0), costing(off, 0.89), costing(on, 0.9)]) == off
    assert choice.choose_kernels(present, [costing(off, 0.1)]) == present, "nothing to compare it with"
    assert choice.choose_kernels(present, []) == present


@given(st.data())
def test_speed_never_changes_the_type_of_the_cache(any_measurement, any_way, data):
    ways = data.draw(st.lists(any_way(), min_size=1, max_size=6, unique=True))
    measured = [data.draw(any_measurement(way)) for way in ways]
    present = data.draw(st.sampled_from(ways))
    chosen = choice.choose_kernels(present, measured)
    seconds = {one.way: one.keystroke_seconds for one in measured if one.way.kv_type is present.kv_type}
    assert chosen.kv_type is present.kv_type
    assert chosen == present or (
        seconds[chosen] == min(seconds.values()) and seconds[chosen] <= seconds[present] * (1 - choice.SWITCH_GAIN)
    )


@given(st.data())
def test_the_batch_for_reading_is_interrupted_in_time_and_done_between_two_keys(any_measurement, data):
    batches = data.draw(st.sampled_from([choice.READ_BATCHES, choice.GPU_READ_BATCHES]))
    measured = data.draw(any_measurement(Way(1), batches))
    gaps = {batch: data.draw(st.floats(1e-5, 0.03)) for batch in batches}
    measured = replace(measured, gap_seconds=gaps)
    chosen = choice.choose_read_batch(measured)
    in_time = [batch for batch in batches if gaps[batch] + choice.AROUND_A_GAP_SECONDS <= choice.ABORT_SECONDS]
    if not in_time:
        assert chosen == min(batches)
        return
    assert chosen in in_time
    done = [batch for batch in in_time if measured.read_seconds[batch] <= KEY_SECONDS]
    assert chosen in (done or [min(in_time)])


def test_a_slow_models_batches_are_small_enough_to_be_done_while_somebody_types(costing):
    """On one core a model of half a billion parameters takes 9 ms a token: 64 at once would be begun anew each key."""
    measured = costing(Way(1), 1.0)
    read_seconds = {8: 0.076, 16: 0.142, 32: 0.276, 64: 0.57, 128: 1.2}
    gaps = dict.fromkeys(read_seconds, 0.004)
    assert choice.choose_read_batch(replace(measured, read_seconds=read_seconds, gap_seconds=gaps)) == 8


def test_a_slow_batch_gives_way_to_one_that_can_be_interrupted(costing):
    measured = costing(Way(1), 1.0)
    faster_in_large = {batch: 0.002 + batch / 10_000 for batch in choice.READ_BATCHES}
    gaps = {8: 0.001, 16: 0.002, 32: 0.004, 64: 0.008, 128: 0.016}
    assert choice.choose_read_batch(replace(measured, read_seconds=faster_in_large, gap_seconds=gaps)) == 64
    late = {batch: gap + 0.02 for batch, gap in gaps.items()}
    assert choice.choose_read_batch(replace(measured, read_seconds=faster_in_large, gap_seconds=late)) == 8


def test_without_measurements_the_batch_is_left_to_the_engine(costing):
    empty = replace(costing(Way(1), 1.0), rounds=0, pass_seconds={}, read_seconds={}, gap_seconds={})
    assert choice.choose_read_batch(empty) == 0
    measured = costing(Way(1), 1.0)
    assert choice.choose_read_batch(replace(measured, gap_seconds={})) == 0


def test_a_round_cut_short_is_enough_to_choose_among_the_batches_it_reached(costing):
    cut = replace(
        costing(Way(1), 1.0),
        rounds=0,
        read_seconds={8: 0.018, 16: 0.026, 32: 0.042},
        gap_seconds={8: 0.001, 16: 0.002},
    )
    assert choice.choose_read_batch(cut) == 16
