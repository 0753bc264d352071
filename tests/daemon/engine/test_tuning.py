"""Measuring with the real llama.cpp, and running a model as measured."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, replace

import llama_cpp
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine import guard, tuning
from daemon.engine.abort import AbortCause, AbortFlag
from daemon.engine.client import EngineClient
from daemon.engine.errors import ModelRefused, WorkerDied
from daemon.engine.llama import Context, DecodeStatus, LlamaError, Model, system_info
from daemon.engine.loaded import BATCH_TOKENS, LoadedModel
from daemon.engine.messages import ModelSettings
from daemon.engine.tuning import DEPTH_TOKENS, PAUSE_SECONDS, ROUNDS, Tuner
from daemon.engine.ways import FlashAttention, KvType, MeasureRequest, Tuning, Way, default_threads, in_use
from daemon.errors import TuningFailed
from daemon.prompts.registry import choose_format
from daemon.registry import EMBEDDED_PATH
from daemon.tuning.measure import tune

LOG = logging.getLogger("tests.worker")
AUTO, ON, OFF = FlashAttention.AUTO, FlashAttention.ON, FlashAttention.OFF
F16, Q8_0 = KvType.F16, KvType.Q8_0
LONG_SECONDS = 600.0
SOON_SECONDS = 20.0
PROMPT = "def self = " * 20


@pytest.fixture
def flag():
    made = AbortFlag.create()
    yield made
    made.close()


@pytest.fixture
def open_tuner(llama_log, flag):
    """``open_tuner(path)``: a tuner in this process, closed after the test; any prompt format will do."""
    tuners = []

    def open_(path, **settings):
        tuners.append(Tuner.open(ModelSettings(str(path), **settings), lambda *_: None, llama_log, flag))
        return tuners[-1]

    yield open_
    for tuner in tuners:
        tuner.close()


def request(*ways, seconds=LONG_SECONDS, passes=(1, 4), reads=(8,), gaps=(8,), keystroke=()):
    return MeasureRequest(ways, seconds, passes, reads, gaps, keystroke)


def tuned(**changes):
    """What may have been measured with this llama.cpp here."""
    found = Tuning(2, OFF, F16, 8, "2026-01-02T03:04:05+00:00", system_info(0))
    return replace(found, **changes)


# Measuring


def test_everything_asked_for_is_measured_of_the_shipped_model(open_tuner):
    tuner = open_tuner(EMBEDDED_PATH)
    (measured,) = tuner.measure(request(Way(1), passes=(1, 63), reads=(8, 64), gaps=(8,)))
    assert tuner.opened.fitting == (F16, Q8_0)
    assert measured.rounds == ROUNDS
    assert measured.depth_tokens == DEPTH_TOKENS
    assert (set(measured.pass_seconds), set(measured.read_seconds), set(measured.gap_seconds)) == (
        {1, 63},
        {8, 64},
        {8},
    )
    assert min([*measured.pass_seconds.values(), *measured.read_seconds.values(), *measured.gap_seconds.values()]) > 0


def test_a_keystroke_is_passes_one_behind_the_other_after_a_pause(open_tuner, tiny_model, monkeypatch):
    tuner = open_tuner(tiny_model)
    events = []
    plain = Context.decode

    def decode(context, tokens, start, *, logits, sequence=0):
        events.append((start, len(tokens), logits))
        return plain(context, tokens, start, logits=logits, sequence=sequence)

    (without,) = tuner.measure(request(Way(1)))
    assert without.keystroke_seconds == 0.0
    monkeypatch.setattr(Context, "decode", decode)
    monkeypatch.setattr("daemon.engine.tuning.time.sleep", events.append)
    asked = request(Way(1), passes=(), reads=(), gaps=(), keystroke=(20, 1, 8))
    (measured,) = tuner.measure(asked)
    start = DEPTH_TOKENS
    passes = [(start, 20, 20), (start + 20, 1, 1), (start + 21, 8, 8)]
    assert events == [(start, 1, 1), PAUSE_SECONDS, *passes] * ROUNDS
    assert measured.keystroke_seconds > 0
    assert (measured.rounds, measured.processor_share > 0) == (ROUNDS, True)
    assert MeasureRequest.from_json(asdict(asked)) == asked


def test_a_prompt_that_was_read_serves_later_requests(open_tuner, tiny_model, monkeypatch):
    tuner = open_tuner(tiny_model)
    assert tuner.measure(request(Way(1)))[0].depth_tokens == DEPTH_TOKENS
    filled = []
    monkeypatch.setattr("daemon.engine.tuning._Bench.fill", lambda *_: filled.append(1))
    (measured,) = tuner.measure(request(Way(1), gaps=()))
    assert (measured.rounds, measured.depth_tokens, filled) == (ROUNDS, DEPTH_TOKENS, [])


def test_a_way_that_llama_cpp_refuses_is_named_in_its_words_and_the_others_are_measured(open_tuner, tiny_model):
    plain, refused, small = open_tuner(tiny_model).measure(request(Way(1), Way(1, OFF, Q8_0), Way(1, ON, Q8_0)))
    assert (plain.rounds, refused.rounds, small.rounds) == (ROUNDS, 0, ROUNDS)
    assert "lash" in refused.refused
    assert not refused.pass_seconds
    assert not plain.refused + small.refused


def test_without_time_nothing_is_measured_and_nothing_is_refused(open_tuner, tiny_model):
    measured = open_tuner(tiny_model).measure(request(Way(1), Way(1, OFF), seconds=0.0))
    assert [(one.way, one.rounds, one.refused, one.pass_seconds) for one in measured] == [
        (Way(1), 0, "", {}),
        (Way(1, OFF), 0, "", {}),
    ]


def test_an_abort_ends_measuring_and_the_next_request_is_served(open_tuner, tiny_model, flag):
    tuner = open_tuner(tiny_model)
    flag.set(AbortCause.DEADLINE)
    assert [one.rounds for one in tuner.measure(request(Way(1)))] == [0]
    flag.set(AbortCause.NONE)
    assert [one.rounds for one in tuner.measure(request(Way(1)))] == [ROUNDS]


def test_a_round_that_is_cut_short_shows_what_it_reached(open_tuner, tiny_model, flag, monkeypatch):
    tuner = open_tuner(tiny_model)
    plain = Context.decode

    def decode(context, tokens, start, *, logits, sequence=0):
        if len(tokens) == 8:
            flag.set(AbortCause.DEADLINE)
        return plain(context, tokens, start, logits=logits, sequence=sequence)

    monkeypatch.setattr(Context, "decode", decode)
    (measured,) = tuner.measure(request(Way(1), passes=(1, 4, 16), reads=(2, 8)))
    assert measured.rounds == 0
    assert (set(measured.pass_seconds), set(measured.read_seconds), set(measured.gap_seconds)) == ({1, 4}, {2}, set())
    monkeypatch.undo()
    flag.set(AbortCause.NONE)
    assert [one.rounds for one in tuner.measure(request(Way(1), passes=(8,)))] == [ROUNDS], "the context is intact"


def test_what_is_larger_than_the_context_is_left_out(open_tuner, build_model):
    tuner = open_tuner(build_model(context_tokens=128))
    (measured,) = tuner.measure(request(Way(1), passes=(1, 63, 65), reads=(64, 128), gaps=(64, 512)))
    assert measured.rounds == ROUNDS
    assert measured.depth_tokens == 64
    assert (set(measured.pass_seconds), set(measured.read_seconds), set(measured.gap_seconds)) == ({1, 63}, {64}, {64})


def test_a_model_with_a_tiny_context_is_refused(open_tuner, build_model):
    with pytest.raises(ModelRefused, match="64 tokens"):
        open_tuner(build_model(context_tokens=64))


def test_a_file_that_is_no_model_is_refused(open_tuner, tmp_path):
    (tmp_path / "text.gguf").write_text("just text")
    with pytest.raises(ModelRefused, match="not a GGUF"):
        open_tuner(tmp_path / "text.gguf")


def test_a_cache_of_sixteen_bits_that_does_not_fit_leaves_that_of_eight(open_tuner, tiny_model, monkeypatch):
    facts = Model.load(str(tiny_model), open_tuner(tiny_model)._log, vocabulary_only=True).facts()
    size_bytes = tiny_model.stat().st_size
    needed = {kv_type: guard.needed_bytes(size_bytes, facts.metadata, 4096, kv_type) for kv_type in KvType}
    rest = guard.needed_bytes(size_bytes, {}, 4096)
    assert (needed[Q8_0] - rest) * 64 == (needed[F16] - rest) * 34
    for available, fitting in ((needed[F16], (F16, Q8_0)), (needed[F16] - 1, (Q8_0,)), (needed[Q8_0], (Q8_0,))):
        monkeypatch.setattr(guard, "available_bytes", lambda available=available: available)
        assert open_tuner(tiny_model).opened.fitting == fitting
    monkeypatch.setattr(guard, "available_bytes", lambda: needed[Q8_0] - 1)
    with pytest.raises(ModelRefused, match="GB are free"):
        open_tuner(tiny_model)


def test_looks_at_the_flag_are_noted_while_asked_for_and_the_flag_counts_throughout(tiny_model, llama_log, flag):
    model = Model.load(str(tiny_model), llama_log)
    context = Context(model, llama_log, context_tokens=256, batch_tokens=16, threads=1, abort=flag)
    ticks = iter(range(1_000_000))
    with context.noting_checks(lambda: next(ticks)) as looks:
        assert context.decode([1] * 16, 0, logits=0) is DecodeStatus.DONE
        assert len(looks) > 10, "between graph nodes"
        assert looks == sorted(looks)
        flag.set(AbortCause.CANCELLED)
        assert context.decode([1] * 16, 16, logits=0) is DecodeStatus.ABORTED
    noted = len(looks)
    assert context.decode([1] * 16, 16, logits=0) is DecodeStatus.ABORTED
    flag.set(AbortCause.NONE)
    assert context.decode([1] * 16, 16, logits=0) is DecodeStatus.DONE
    assert len(looks) == noted
    context.close()
    model.close()


def test_a_context_takes_its_kernels_and_the_type_of_its_cache(tiny_model, llama_log):
    model = Model.load(str(tiny_model), llama_log)
    sizes = {}
    for flash, kv_type in ((AUTO, F16), (ON, F16), (OFF, F16), (ON, Q8_0)):
        context = Context(
            model, llama_log, context_tokens=256, batch_tokens=16, threads=1, flash_attention=flash, kv_type=kv_type
        )
        context.decode([1] * 16, 0, logits=1)
        sizes[flash, kv_type] = llama_cpp.llama_state_get_size(context._pointer)
        context.close()
    assert sizes[ON, Q8_0] < sizes[ON, F16]
    with pytest.raises(LlamaError, match="lash"):
        Context(model, llama_log, context_tokens=256, batch_tokens=16, threads=1, flash_attention=OFF, kv_type=Q8_0)
    model.close()


# The worker and its end


def workers():
    return [child for child in psutil.Process().children() if "plain_worker" in " ".join(child.cmdline())]


async def test_a_model_is_tuned_by_a_worker_that_then_is_gone(tiny_model, plain_worker_command):
    steps = []
    found = await tune(
        ModelSettings(str(tiny_model)),
        1,
        seconds=LONG_SECONDS,
        log=LOG,
        step=steps.append,
        command=plain_worker_command,
    )
    assert found.tuning.threads == 1
    assert found.tuning.kv_type is F16
    assert found.tuning.read_batch_tokens in found.measured[-1].gap_seconds
    assert found.tuning.system_info == system_info(0)
    assert all(one.rounds == ROUNDS for one in found.measured)
    assert Tuning.from_json(asdict(found.tuning)) == found.tuning
    assert len(steps) == 3
    assert not workers()


@pytest.mark.parametrize(
    ("path", "seconds", "error", "said"),
    [
        ("tiny", 1e-6, TuningFailed, "--seconds"),
        ("/home/ada/none.gguf", 1.0, ModelRefused, "does not exist"),
    ],
)
async def test_tuning_that_fails_leaves_no_worker(tiny_model, plain_worker_command, path, seconds, error, said):
    settings = ModelSettings(str(tiny_model) if path == "tiny" else path)
    with pytest.raises(error, match=said):
        await tune(settings, 1, seconds=seconds, log=LOG, command=plain_worker_command)
    assert not workers()


async def test_a_model_whose_format_nobody_knows_is_refused(build_model, plain_worker_command):
    with pytest.raises(ModelRefused, match="unknown prompt format"):
        await tune(
            ModelSettings(str(build_model(prompt_format="none"))), 1, seconds=1.0, log=LOG, command=plain_worker_command
        )


async def test_tuning_that_is_cancelled_leaves_no_worker(slow_model, plain_worker_command):
    announced = asyncio.Event()
    task = asyncio.create_task(
        tune(
            ModelSettings(str(slow_model)),
            1,
            seconds=LONG_SECONDS,
            log=LOG,
            step=lambda _what: announced.set(),
            command=plain_worker_command,
        )
    )
    await asyncio.wait_for(announced.wait(), SOON_SECONDS)
    await asyncio.sleep(0)  # the request is on its way
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, SOON_SECONDS)
    assert not workers()


async def test_a_worker_that_dies_while_it_measures_is_an_error(slow_model, plain_worker_command):
    def kill(_what):
        for worker in workers():
            worker.kill()

    with pytest.raises(WorkerDied, match="SIGKILL"):
        await tune(
            ModelSettings(str(slow_model)), 1, seconds=LONG_SECONDS, log=LOG, step=kill, command=plain_worker_command
        )
    assert not workers()


# Running as measured


@pytest.fixture
async def open_settings(plain_worker_command):
    """``open_settings(settings, **options)``: a client, closed after the test."""
    clients = []

    def open_(settings, **options):
        clients.append(EngineClient(settings, log=LOG, command=plain_worker_command, **options))
        return clients[-1]

    yield open_
    for client in clients:
        await client.close()


async def test_the_worker_runs_the_model_as_measured_and_says_so(open_settings, tiny_model, moment):
    client = open_settings(ModelSettings(str(tiny_model), tuning=tuned()))
    info = await client.ready()
    assert (info.threads, info.flash_attention, info.kv_type, info.read_batch_tokens) == (2, "off", "f16", 8)
    assert set(info.sources.values()) == {"measured"}
    assert info.tuning == "measured 2026-01-02 03:04 UTC"
    counters = (await client.predict(moment(PROMPT, budget=1), deadline_seconds=LONG_SECONDS)).counters
    assert counters.prompt_tokens > 64
    assert counters.forward_passes == -(-counters.prompt_tokens // 8)


@pytest.mark.parametrize("read_batch", [16, 2 * BATCH_TOKENS])
def test_threads_and_batch_reach_llama_cpp(tiny_model, llama_log, flag, read_batch):
    settings = ModelSettings(
        str(tiny_model), tuning=tuned(threads=3, flash_attention=ON, kv_type=Q8_0, read_batch_tokens=read_batch)
    )
    loaded = LoadedModel.load(settings, lambda *_: choose_format("line_edits", {}, "m.gguf"), llama_log, flag)
    pointer = loaded._decoder.context._pointer
    assert llama_cpp.llama_n_threads(pointer) == llama_cpp.llama_n_threads_batch(pointer) == 3
    assert llama_cpp.llama_n_ubatch(pointer) == max(BATCH_TOKENS, read_batch)
    assert loaded.info.kv_type == "q8_0"
    assert loaded.info.read_batch_tokens == read_batch


async def test_a_setting_counts_before_what_was_measured(open_settings, tiny_model):
    info = await open_settings(ModelSettings(str(tiny_model), threads=1, tuning=tuned())).ready()
    assert (info.threads, info.sources["threads"]) == (1, "setting")
    assert (info.flash_attention, info.sources["flash_attention"]) == ("off", "measured")


async def test_without_measurements_the_defaults_hold_and_the_reason_is_told(open_settings, tiny_model):
    info = await open_settings(ModelSettings(str(tiny_model), why_untuned="because")).ready()
    assert (info.threads, info.flash_attention, info.kv_type) == (default_threads(), "auto", "f16")
    assert info.read_batch_tokens > 0, "chosen while loading"
    assert set(info.sources.values()) == {"default"}
    assert info.tuning == "because"


async def test_measurements_of_another_build_are_not_used(open_settings, tiny_model):
    info = await open_settings(ModelSettings(str(tiny_model), tuning=tuned(system_info="CPU; NEON = 1"))).ready()
    assert (info.threads, info.flash_attention) == (default_threads(), "auto")
    assert "another build" in info.tuning
    assert "foretype model tune" in info.tuning


async def test_a_model_that_is_loaded_again_takes_what_was_measured_meanwhile(open_settings, tiny_model):
    known = []
    client = open_settings(
        ModelSettings(str(tiny_model), threads=1),
        prepare=lambda settings: replace(settings, tuning=known[0]) if known else settings,
    )
    assert (await client.ready()).sources["read_batch_tokens"] == "default"
    known.append(tuned(read_batch_tokens=BATCH_TOKENS))
    await client.unload()
    info = await client.ready()
    assert (info.read_batch_tokens, info.sources["read_batch_tokens"]) == (BATCH_TOKENS, "measured")
    assert client.settings == ModelSettings(str(tiny_model), threads=1)


def test_a_model_that_fits_only_with_a_smaller_cache_names_the_cure(tiny_model, llama_log, flag, monkeypatch):
    def load(tuning):
        settings = ModelSettings(str(tiny_model), tuning=tuning)
        return LoadedModel.load(settings, lambda *_: choose_format("line_edits", {}, "m.gguf"), llama_log, flag)

    facts = Model.load(str(tiny_model), llama_log, vocabulary_only=True).facts()
    available = guard.needed_bytes(tiny_model.stat().st_size, facts.metadata, 4096, Q8_0)
    monkeypatch.setattr(guard, "available_bytes", lambda: available)
    with pytest.raises(ModelRefused, match="foretype model tune"):
        load(None)
    assert load(tuned(threads=1, flash_attention=ON, kv_type=Q8_0)).info.kv_type == "q8_0"
    monkeypatch.setattr(guard, "available_bytes", lambda: available - 1)
    with pytest.raises(ModelRefused) as refusal:
        load(None)
    assert "tune" not in str(refusal.value)


@given(
    st.integers(0, 64),
    st.none()
    | st.builds(
        Tuning,
        st.integers(1, 64),
        st.sampled_from(FlashAttention),
        st.just(F16),
        st.integers(0, 512),
        st.just("2026-01-02T03:04:05+00:00"),
        st.sampled_from("ab"),
        st.booleans(),
    ),
)
def test_a_setting_comes_first_then_what_was_measured_here_then_the_default(setting, tuning):
    used = in_use(setting, tuning, "because", "a")
    holds = tuning is not None and tuning.system_info == "a"
    chosen = holds and not tuning.threads_were_set
    assert used.way.threads == (setting or (tuning.threads if chosen else default_threads()))
    assert used.sources["threads"] == ("setting" if setting else "measured" if chosen else "default")
    assert ("in the settings" in used.tuning) == (holds and tuning.threads_were_set)
    assert used.way.flash_attention == (tuning.flash_attention if holds else AUTO)
    assert used.read_batch_tokens == (tuning.read_batch_tokens if holds else 0)
    assert (used.sources["read_batch_tokens"] == "measured") == bool(used.read_batch_tokens)
    assert used.tuning.startswith("measured 2026" if holds else "because" if tuning is None else "not tuned")


def test_a_keystroke_that_time_cut_short_leaves_the_prompt_to_the_next_request(open_tuner, monkeypatch):
    tuner, decode, cut = open_tuner(EMBEDDED_PATH), tuning._Bench._decode, []

    def decode_until_time_is_out(bench, tokens, *, logits, start=None):
        if start is not None and start > bench.depth_tokens and not cut:
            cut.append(start)
            raise tuning._OutOfTimeError
        decode(bench, tokens, logits=logits, start=start)

    monkeypatch.setattr(tuning._Bench, "_decode", decode_until_time_is_out)
    tuner.measure(request(Way(1), seconds=2.0, keystroke=(4, 1)))
    [again] = tuner.measure(request(Way(1), seconds=2.0, keystroke=(4, 1)))
    assert cut
    assert again.keystroke_seconds
