"""One choice after the other, with a worker whose measurements are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.engine.errors import ModelRefused
from daemon.engine.messages import ModelSettings
from daemon.engine.ways import FlashAttention, KvType, Measured, Opened, Way, default_threads
from daemon.errors import TuningFailed
from daemon.tuning import choice
from daemon.tuning.measure import Search

AUTO, ON, OFF = FlashAttention.AUTO, FlashAttention.ON, FlashAttention.OFF
F16, Q8_0 = KvType.F16, KvType.Q8_0
CORES = 8


class ScriptedWorker:
    """Measures what ``cost(way)`` says, a factor or a refusal; None where the time runs out. Keeps the requests."""

    def __init__(self, costing, cost, gap_seconds=0.001, fitting=(F16, Q8_0)):
        self.opened = Opened("CPU; AVX = 1", fitting)
        self.requests = []
        self.now = 0.0
        self.seconds_each = 0.0
        self.seconds_late = 0.0
        self._costing = costing
        self._cost = cost
        self._gap_seconds = gap_seconds

    async def measure(self, request):
        self.requests.append(request)
        self.now += min(self.seconds_each, request.seconds) + self.seconds_late
        return [self._measured(way) for way in request.ways]

    def _measured(self, way):
        cost = self._cost(way)
        if cost is None:
            return Measured(way)
        return Measured(way, refused=cost) if isinstance(cost, str) else self._costing(way, cost, self._gap_seconds)

    def search(self, *, seconds=60.0, steps=None, **settings):
        wanted = ModelSettings("/home/ada/model.gguf", **settings)
        step = (lambda _what: None) if steps is None else steps.append
        return Search(self.measure, self.opened, wanted, CORES, seconds, step, lambda: self.now)


@pytest.fixture
def worker(costing):
    """``worker(cost, ...)``: a scripted worker."""
    return lambda cost, **options: ScriptedWorker(costing, cost, **options)


async def test_each_choice_is_made_with_the_best_of_those_before_it(worker):
    factors = {AUTO: 1.0, OFF: 0.5, ON: 0.9}
    made = worker(lambda way: factors[way.flash_attention] / min(way.threads, 4))
    found = await made.search().run()
    threads, kernels, reading = made.requests
    assert {way.threads for way in threads.ways} == {1, 2, 4, 8, min(CORES, default_threads())}
    assert {(way.flash_attention, way.kv_type) for way in threads.ways} == {(AUTO, F16)}
    assert {way.threads for way in kernels.ways} == {4}
    assert [(way.flash_attention, way.kv_type) for way in kernels.ways] == [
        (AUTO, F16),
        (OFF, F16),
        (ON, F16),
        (AUTO, Q8_0),
    ]
    assert reading.ways == (Way(4, OFF, F16),)
    assert reading.gap_tokens == reading.read_tokens == choice.READ_BATCHES
    tuning = found.tuning
    assert (tuning.threads, tuning.flash_attention, tuning.kv_type, tuning.system_info) == (4, OFF, F16, "CPU; AVX = 1")
    assert tuning.read_batch_tokens in choice.READ_BATCHES
    assert len(found.measured) == len(threads.ways) + len(kernels.ways) + 1
    assert found.notes == ()


async def test_the_cache_keeps_sixteen_bits_however_fast_eight_are(worker):
    made = worker(lambda way: 0.01 if way.kv_type is Q8_0 else 1.0)
    assert (await made.search().run()).tuning.kv_type is F16


async def test_eight_bits_are_taken_where_sixteen_do_not_fit_and_where_they_are_asked_for(worker):
    found = await worker(lambda _way: 1.0, fitting=(Q8_0,)).search().run()
    assert found.tuning.kv_type is Q8_0
    assert any("does not fit" in note for note in found.notes)
    made = worker(lambda way: "needs flash attention" if way.flash_attention is OFF else 1.0)
    asked = await made.search().run(Q8_0)
    assert (asked.tuning.kv_type, asked.tuning.flash_attention) == (Q8_0, AUTO)
    assert [one.refused for one in asked.measured if one.way.flash_attention is OFF] == ["needs flash attention"]
    assert asked.notes == ()


async def test_a_cache_that_does_not_fit_is_refused_with_the_one_that_does(worker):
    with pytest.raises(ModelRefused, match="--kv-type q8_0"):
        await worker(lambda _way: 1.0, fitting=(Q8_0,)).search().run(F16)


async def test_a_cache_that_llama_cpp_refuses_is_named_with_its_words(worker):
    with pytest.raises(ModelRefused, match="block size 32 does not divide"):
        await worker(lambda _way: "block size 32 does not divide").search().run(Q8_0)


async def test_time_that_is_too_short_for_anything_changes_nothing_and_says_how_to_go_on(worker):
    with pytest.raises(TuningFailed, match="--seconds 8"):
        await worker(lambda _way: None).search(seconds=2).run()


async def test_what_was_not_measured_stays_as_it_is_and_is_named(worker):
    measured_first = Way(min(CORES, default_threads()))
    found = await worker(lambda way: 1.0 if way == measured_first else None).search().run()
    assert (found.tuning.threads, found.tuning.flash_attention) == (measured_first.threads, AUTO)
    assert any("too few" in note and "--seconds" in note for note in found.notes)


async def test_nothing_measured_of_reading_leaves_the_batch_to_the_engine(worker):
    made = worker(lambda _way: None if len(made.requests) == 3 else 1.0)
    found = await made.search().run()
    assert found.tuning.read_batch_tokens == 0
    assert any("too few" in note for note in found.notes)


async def test_all_choices_together_take_no_longer_than_the_time_given(worker):
    made = worker(lambda _way: 1.0)
    made.seconds_each = 1e9
    await made.search(seconds=10.0).run()
    assert made.now <= 10.0 + 1e-9
    assert [request.seconds for request in made.requests] == pytest.approx([3.0, 4.5, 2.5])


async def test_a_choice_that_took_too_long_takes_it_from_the_later_ones(worker):
    made = worker(lambda _way: 1.0)
    made.seconds_late = 7.0
    await made.search(seconds=10.0).run()
    assert [request.seconds for request in made.requests] == pytest.approx([3.0, 3.0, 0.0])


async def test_time_left_over_goes_to_the_later_choices(worker):
    made = worker(lambda _way: 1.0)
    made.seconds_each = 1.0
    await made.search(seconds=10.0).run()
    assert made.requests[-1].seconds == pytest.approx(8.0)


async def test_threads_in_the_settings_stay_and_the_rest_is_measured_with_them(worker):
    steps = []
    factors = {AUTO: 1.0, OFF: 0.5, ON: 0.9}
    made = worker(lambda way: factors[way.flash_attention] / way.threads)
    found = await made.search(threads=3, steps=steps).run()
    assert {way.threads for request in made.requests for way in request.ways} == {3}
    tuning = found.tuning
    assert (tuning.threads, tuning.threads_were_set, tuning.flash_attention) == (3, True, OFF)
    assert tuning.read_batch_tokens in choice.READ_BATCHES
    assert any("threads = 3" in note for note in found.notes)
    assert "threads = 3" in steps[0]
    assert not (await worker(lambda _way: 1.0).search().run()).tuning.threads_were_set


async def test_ways_are_compared_by_a_keystroke_after_a_pause(worker):
    made = worker(lambda _way: 1.0)
    await made.search().run()
    assert [request.keystroke_tokens for request in made.requests] == [choice.KEYSTROKE_TOKENS] * 2 + [()]


async def test_a_gpu_may_read_in_larger_batches(worker):
    made = worker(lambda _way: 1.0)
    await made.search(gpu_layers=-1).run()
    assert made.requests[-1].read_tokens == choice.GPU_READ_BATCHES


async def test_a_busy_machine_is_named(costing, worker):
    made = worker(lambda _way: 1.0)
    made._costing = lambda *of: replace(costing(*of), processor_share=0.4)
    found = await made.search().run()
    assert any("60%" in note and "idle" in note for note in found.notes)


async def test_every_step_is_announced(worker):
    steps = []
    await worker(lambda _way: 1.0).search(steps=steps).run()
    assert len(steps) == 3
    assert "threads" in steps[0]
