"""Threads that help with a pass start on other cores than the one that wakes them."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.engine.llama import Context, DecodeStatus, Model
from daemon.engine.placing import PAUSE_SECONDS, Placing

CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
pytestmark = pytest.mark.skipif(CORES < 2, reason="needs Linux and two cores")


class Clock:
    """Stands still until it is told otherwise."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sleeper():
    """The native id of a thread of this process that waits for the end of the test."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait, daemon=True)
    thread.start()
    yield thread.native_id
    end.set()
    thread.join()


@pytest.fixture
def all_cores():
    """Those the test may run on; it gets them back afterwards."""
    cores = os.sched_getaffinity(0)
    yield cores
    os.sched_setaffinity(0, cores)


def core():
    return ctypes.CDLL(None).sched_getcpu()


def test_the_first_pass_after_a_pause_has_its_core_to_itself_and_then_all_may_run_anywhere(sleeper, clock):
    cores = os.sched_getaffinity(0)
    placing = Placing(clock)
    for _ in range(3):
        clock.now += 2 * PAUSE_SECONDS
        with placing.apart():
            (kept_free,) = cores - os.sched_getaffinity(sleeper)
            assert kept_free in cores
            assert os.sched_getaffinity(0) == cores, "the one that evaluates may go anywhere"
        assert os.sched_getaffinity(sleeper) == cores


def test_passes_that_follow_at_once_place_nothing(sleeper, clock):
    cores = os.sched_getaffinity(0)
    placing = Placing(clock)
    with placing.apart():
        pass
    for _ in range(3):
        clock.now += PAUSE_SECONDS / 2
        with placing.apart():
            assert os.sched_getaffinity(sleeper) == cores


def test_a_pass_that_fails_leaves_every_thread_free(sleeper, clock):
    cores = os.sched_getaffinity(0)
    placed = []
    with suppress(RuntimeError), Placing(clock).apart():
        placed.append(os.sched_getaffinity(sleeper))
        raise RuntimeError
    assert placed[0] < cores
    assert os.sched_getaffinity(sleeper) == cores


def test_a_thread_whose_cores_somebody_chose_stays_there(sleeper, clock):
    chosen = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(sleeper, chosen)
    with Placing(clock).apart():
        assert os.sched_getaffinity(sleeper) == chosen
    assert os.sched_getaffinity(sleeper) == chosen


def test_on_one_core_nothing_is_placed(sleeper, clock, all_cores):
    os.sched_setaffinity(0, {core()})
    os.sched_setaffinity(sleeper, os.sched_getaffinity(0))
    with Placing(clock).apart():
        assert os.sched_getaffinity(sleeper) == os.sched_getaffinity(0)
    assert os.sched_getaffinity(0) < all_cores


def test_a_thread_that_ends_during_the_pass_does_no_harm(clock):
    end = threading.Event()
    thread = threading.Thread(target=end.wait, daemon=True)
    thread.start()
    with Placing(clock).apart():
        end.set()
        while Path(f"/proc/self/task/{thread.native_id}").exists():  # Python's own ``join`` returns before that
            os.sched_yield()


def placed_passes(monkeypatch):
    seen = []
    plain = Placing.apart

    def apart(placing):
        seen.append(placing)
        return plain(placing)

    monkeypatch.setattr(Placing, "apart", apart)
    return seen


def test_only_passes_of_several_threads_are_placed_and_their_logits_stay_the_same(tiny_model, llama_log, monkeypatch):
    model = Model.load(str(tiny_model), llama_log)
    context = Context(model, llama_log, context_tokens=256, batch_tokens=16, threads=1)
    placed = placed_passes(monkeypatch)
    logits = []
    for threads, passes in ((1, 0), (2, 1), (1, 1), (2, 2)):
        context.use_threads(threads)
        context.clear()
        assert context.decode([1, 2, 3, 4], 0, logits=4) is DecodeStatus.DONE
        logits.append(context.logits().copy())
        assert len(placed) == passes
    assert (logits[1] == logits[3]).all()
    assert logits[0] == pytest.approx(logits[1], abs=1e-3)
    context.close()
    model.close()
