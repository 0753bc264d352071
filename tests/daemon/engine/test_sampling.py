"""Samples of one prompt: drawn from the model's own probabilities, repeatable, and each text computed once."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from daemon.engine import guard
from daemon.engine.abort import AbortCause, AbortFlag
from daemon.engine.decoder import NEAR_TIE_LOGITS, DecodeRequest
from daemon.engine.errors import EngineError
from daemon.engine.llama import Context, LlamaError
from daemon.engine.loaded import BATCH_TOKENS, LoadedModel
from daemon.engine.messages import Counters, ModelSettings, Sample, SampleAnswer, SampleRequest, StopReason
from daemon.engine.process import WORKER_COMMAND
from daemon.engine.sampling import Sampler, SamplingTask
from daemon.prompts.base import FileEdit
from daemon.prompts.registry import choose_format

STUDENT = Path(__file__).parents[3] / "daemon" / "models" / "student.gguf"
PROMPT = "def total(self):\n    ret = 1\n    return self.or"
LONG_SECONDS = 60.0
USER_TEXT = "total = 0\nfor each in every:\n    total += each\nprint(sum)\n"
INPUTS = PredictionInputs(
    cursor_path="sum.py",
    cursor_excerpt=USER_TEXT,
    cursor_offset_in_excerpt=10,
    excerpt_ranges=ExcerptRanges({"editable_350": Span(0, len(USER_TEXT))}),
    events=(EditEvent("sum.py", "sum.py", "@@ -1,1 +1,1 @@\n-sum = 0\n+total = 0\n"),),
)
functions_as_fixtures = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def task(prompt, count, *, temperature=1.0, seed=1, top_p=1.0, budget=12, stop=()):
    return SamplingTask(prompt, stop, budget, SampleRequest(count, temperature, seed, top_p))


def prefixes(answers):
    """What has to be computed for these answers: each beginning of one, less the whole, once."""
    return {answer.tokens[:end] for answer in answers for end in range(1, len(answer.tokens))}


@pytest.fixture
def open_sampler(open_bench, llama_log):
    """``open_sampler(bench, sequences=..., cells=...)``: a sampler beside the bench's decoder."""
    samplers = []

    def open_(bench, *, sequences=64, cells=8192, batch_tokens=32):
        def open_context():
            return Context(
                bench.model,
                llama_log,
                context_tokens=bench.context.context_tokens,
                batch_tokens=max(batch_tokens, sequences),
                threads=1,
                abort=bench.flag,
                sequences=sequences,
                cells=cells,
            )

        samplers.append(Sampler(bench.model, open_context, bench.decoder.interruption))
        return samplers[-1]

    yield open_
    for sampler in samplers:
        sampler.close()


@pytest.fixture(params=["tiny", "tiny with ends", "student", "recurrent"])
def any_model(request, build_model, recurrent_model):
    return {
        "tiny": build_model,
        "tiny with ends": lambda: build_model(seed=3, end_token=65, line_token_instead_of=86),
        "student": lambda: STUDENT,
        "recurrent": lambda: recurrent_model,
    }[request.param]()


# --- what is drawn -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 0.6, 2.0])
def test_first_and_second_tokens_come_as_often_as_the_model_says(
    open_bench, open_sampler, tiny_model, surprise, temperature
):
    """The second ones from logits that a pass over several sequences made."""
    bench = open_bench(tiny_model)
    sampler = open_sampler(bench)
    prompt = bench.model.tokenize(PROMPT)
    samples = [
        sample.tokens
        for seed in (1, 2)
        for sample in sampler.sample(task(prompt, 1000, temperature=temperature, seed=seed, budget=2)).samples
    ]

    def probabilities(known):
        bench.decoder.decode(DecodeRequest(known, (), 1))
        scaled = bench.context.logits()[-1].astype(np.float64) / temperature
        weights = np.exp(scaled - scaled.max())
        return weights / weights.sum()

    firsts = [tokens[0] for tokens in samples]
    most_frequent = max(set(firsts), key=firsts.count)
    seconds = [tokens[1] for tokens in samples if tokens[0] == most_frequent]
    assert surprise(firsts, probabilities(prompt)) < 6
    assert surprise(seconds, probabilities([*prompt, most_frequent])) < 6
    # The measure can tell: the same counts are surprising at another temperature.
    assert surprise(firsts, probabilities(prompt) ** 2 / (probabilities(prompt) ** 2).sum()) > 6


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 30),
    text=st.text(alphabet="self =()\né🙂", min_size=1, max_size=20),
)
@settings(functions_as_fixtures, max_examples=6)
def test_a_sample_is_as_probable_as_when_it_is_evaluated_alone(open_bench, open_sampler, any_model, seed, count, text):
    """Whatever shared its pass and its cells: the sum of its tokens' log-probabilities is that of one sequence."""
    bench = open_bench(any_model, batch_tokens=64)
    prompt = bench.model.tokenize(text)
    stop = (b"V`", b"e", b"<|line_0|>")
    for sampled in open_sampler(bench).sample(task(prompt, count, seed=seed, stop=stop)).samples[:5]:
        bench.context.clear()
        bench.context.decode(prompt, 0, logits=1)
        alone = 0.0
        for index, token in enumerate(sampled.tokens):
            row = bench.context.logits()[-1].astype(np.float64)
            alone += row[token] - row.max() - math.log(np.exp(row - row.max()).sum())
            bench.context.decode((token,), len(prompt) + index, logits=1)
        # Rounding moves a sum of twelve by up to 0.02, with 8 bits a weight by 0.1; a wrong cell would by far more.
        assert sampled.log_probability == pytest.approx(alone, abs=0.5 if any_model == STUDENT else 0.1)

        written = b"".join(map(bench.model.piece, sampled.tokens))
        before = b"".join(map(bench.model.piece, sampled.tokens[:-1]))
        ends = [written.index(marker) for marker in stop if marker in written]
        assert not any(marker in before for marker in stop)
        if sampled.stop is StopReason.STOP_MARKER:
            assert sampled.answer == written[: min(ends)]
        elif sampled.stop is StopReason.END_OF_SEQUENCE:
            assert bench.model.ends_generation(sampled.tokens[-1])
            assert sampled.answer == before
        else:
            assert (sampled.stop, len(sampled.tokens), ends) == (StopReason.ANSWER_BUDGET, 12, [])
            assert sampled.answer == written


# --- what it costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7, 50])
def test_the_prompt_is_read_once_and_every_different_text_computed_once(open_bench, open_sampler, any_model, count):
    bench = open_bench(any_model)
    prompt = bench.model.tokenize(PROMPT * 4)
    found = open_sampler(bench, batch_tokens=32).sample(task(prompt, count, seed=5))

    longest = max(len(sample.tokens) for sample in found.samples)
    assert len(found.samples) == count
    assert found.counters == Counters(
        prompt_tokens=len(prompt),
        answer_tokens=sum(len(sample.tokens) for sample in found.samples),
        tokens_evaluated=len(prompt) + len(prefixes(found.samples)),
        forward_passes=math.ceil(len(prompt) / 64) + longest - 1,
    )


def test_equal_samples_cost_no_more_than_one(open_bench, open_sampler, tiny_model):
    bench = open_bench(tiny_model)
    sampler = open_sampler(bench)
    prompt = bench.model.tokenize(PROMPT)

    one, many = (sampler.sample(task(prompt, count, temperature=0)).counters for count in (1, 60))

    assert (many.tokens_evaluated, many.answer_tokens) == (one.tokens_evaluated, 60 * one.answer_tokens)


@given(
    count=st.integers(1, 40),
    budget=st.integers(1, 60),
    sequences=st.integers(2, 20),
    prompt_tokens=st.integers(1, 255),
    temperature=st.sampled_from([0.5, 1.0, 1000.0]),
)
@settings(functions_as_fixtures, max_examples=15)
def test_samples_fit_into_few_cells_and_sequences(
    open_bench, open_sampler, build_model, count, budget, sequences, prompt_tokens, temperature
):
    """512 cells, of which the prompt takes up to half: what does not fit side by side comes one after the other."""
    bench = open_bench(build_model(context_tokens=256))
    sampler = open_sampler(bench, sequences=sequences, cells=512)
    found = sampler.sample(task([60] * prompt_tokens, count, temperature=temperature, budget=budget))

    room_tokens = 256 - prompt_tokens
    full = StopReason.CONTEXT_FULL if budget > room_tokens + 1 else StopReason.ANSWER_BUDGET
    for sample in found.samples:
        if sample.stop is StopReason.END_OF_SEQUENCE:
            assert bench.model.ends_generation(sample.tokens[-1])
        else:
            assert (sample.stop, len(sample.tokens)) == (full, min(budget, room_tokens + 1))


def test_a_prompt_larger_than_the_context_costs_nothing(open_bench, open_sampler, tiny_model):
    bench = open_bench(tiny_model)
    found = open_sampler(bench).sample(task([50] * 1024, 3))

    assert [(sample.stop, sample.tokens) for sample in found.samples] == [(StopReason.CONTEXT_FULL, ())] * 3
    assert found.counters.forward_passes == 0


# --- what can be repeated ----------------------------------------------------------------------------------


def test_a_seed_gives_the_same_samples_bit_for_bit_and_another_one_others(open_bench, open_sampler, any_model):
    """Asked again, behind other requests, and by a sampler that was asked nothing before."""
    bench = open_bench(any_model)
    sampler = open_sampler(bench)
    prompt = bench.model.tokenize(PROMPT)
    first = sampler.sample(task(prompt, 30, seed=1))
    other = sampler.sample(task(prompt, 30, seed=2))
    sampler.sample(task(bench.model.tokenize(PROMPT * 5), 3, temperature=0.3))

    assert sampler.sample(task(prompt, 30, seed=1)) == first
    assert open_sampler(bench).sample(task(prompt, 30, seed=1)) == first
    assert other.samples != first.samples
    assert len({sample.tokens for sample in first.samples}) > 1


def test_a_sample_is_the_same_among_few_and_many_and_in_any_group(open_bench, open_sampler, any_model):
    """Passes of other sizes round otherwise, which decides a draw now and then: with 8 bits a weight more often.

    Samples that have nothing to do with one another would differ all.
    """
    bench = open_bench(any_model)
    prompt = bench.model.tokenize(PROMPT)
    together = open_sampler(bench).sample(task(prompt, 40)).samples
    alone = open_sampler(bench, sequences=2).sample(task(prompt, 20)).samples
    grouped = open_sampler(bench, sequences=8).sample(task(prompt, 40)).samples

    for others in (alone, grouped):
        differing = sum(one.tokens != other.tokens for one, other in zip(together, others, strict=False))
        assert differing <= (len(others) // 2 if any_model == STUDENT else 2)


def test_at_temperature_0_all_samples_are_the_decoders_answer(open_bench, open_sampler, any_model):
    """As far as no two tokens are nearly as good: behind such a place another split of the prompt may decide."""
    bench = open_bench(any_model, batch_tokens=64)
    prompt_format = choose_format("", bench.model.facts().metadata, "student.gguf") if any_model == STUDENT else None
    text = prompt_format.render(INPUTS, lambda text: len(bench.model.tokenize(text))).text if prompt_format else PROMPT
    prompt, tokens = bench.model.tokenize(text), []
    for _ in range(12):
        decoded = bench.decoder.decode(DecodeRequest([*prompt, *tokens], (), 1))
        second, best = np.sort(bench.context.logits()[-1])[-2:]
        if best - second < NEAR_TIE_LOGITS:
            break
        tokens.append(int(bench.context.logits()[-1].argmax()))
        if decoded.stop is StopReason.END_OF_SEQUENCE:
            break
    samples = open_sampler(bench).sample(task(prompt, 3, temperature=0)).samples

    assert len(tokens) > 0
    assert len(set(samples)) == 1
    assert list(samples[0].tokens[: len(tokens)]) == tokens


# --- abort -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", [AbortCause.CANCELLED, AbortCause.DEADLINE])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 6, 9])
def test_an_abort_at_any_pass_leaves_predictions_and_samples_right(open_bench, open_sampler, tiny_model, at, cause):
    """In the prompt and in the answers; raised as a pass begins, so that llama.cpp alone can see it."""
    looks = []

    def clock():
        looks.append(0)
        if raising and len(looks) == at:
            bench.flag.set(cause)
        return 0.0

    raising = False
    bench = open_bench(tiny_model, clock=clock, batch_tokens=16)
    sampler = open_sampler(bench, sequences=8, batch_tokens=64)
    prompt = bench.model.tokenize(PROMPT * 6)
    complete = sampler.sample(task(prompt, 20))
    expected = open_bench(tiny_model).decoder.decode(DecodeRequest(prompt, (), 10)).answer
    bench.decoder.decode(DecodeRequest(prompt[:50], (), 3))
    looks, raising = [], True
    aborted = sampler.sample(task(prompt, 20))
    bench.flag.set(AbortCause.NONE)
    raising = False

    stop = StopReason.ABORTED if cause is AbortCause.CANCELLED else StopReason.DEADLINE
    assert {sample.stop for sample in aborted.samples} <= {stop, StopReason.ANSWER_BUDGET}
    assert aborted.samples[-1].stop is stop
    assert aborted.counters.forward_passes == at
    assert aborted.counters.aborted == (cause is AbortCause.CANCELLED)
    for whole, part in zip(complete.samples, aborted.samples, strict=True):
        assert part == whole or part.tokens == whole.tokens[: len(part.tokens)]
    assert bench.decoder.decode(DecodeRequest(prompt, (), 10)).answer == expected
    assert sampler.sample(task(prompt, 20)) == complete


def test_what_had_ended_by_the_deadline_is_whole(open_bench, open_sampler, tiny_model):
    """Groups of three, one after the other: a pass for the prompt, two for each group of answers of three tokens."""
    times = iter(range(100))
    bench = open_bench(tiny_model, clock=lambda: float(next(times)))
    sampler = open_sampler(bench, sequences=4)
    late = SamplingTask([60] * 20, (), 3, SampleRequest(9, 1.0, 1), deadline=3.5)  # passes begin at 0, 1, 2, 3
    found = sampler.sample(late)

    assert found.counters.forward_passes == 4
    assert [sample.stop for sample in found.samples] == [StopReason.ANSWER_BUDGET] * 3 + [StopReason.DEADLINE] * 6
    assert [len(sample.tokens) for sample in found.samples] == [3] * 3 + [2] * 3 + [0] * 3


def test_a_model_whose_output_is_not_a_number_is_an_error_and_not_a_text(open_bench, open_sampler, build_model):
    bench = open_bench(build_model(broken=True))
    with pytest.raises(LlamaError, match="damaged"):
        open_sampler(bench).sample(task([50], 2))


# --- through the worker ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": 10**6}, {"temperature": -0.1}, {"temperature": math.nan}, {"temperature": 1e-40}, {"top_p": 0.0},
              {"top_p": 1.1}, {"seed": -1}, {"seed": 2**63}],
)  # fmt: skip
async def test_numbers_that_make_no_sense_are_refused_before_anything_is_loaded(open_client, moment, wrong):
    client = open_client()
    with pytest.raises(ValueError, match=r"ask for|at least 0\.001|probability|seed"):
        await client.sample(
            moment("def "), **{"count": 2, "temperature": 1.0, "seed": 1, "deadline_seconds": LONG_SECONDS, **wrong}
        )
    assert client.process_id is None


def test_what_the_worker_says_of_samples_survives_the_wire():
    edit = FileEdit("a.py", Span(1, 2), "old\n", "new\n")
    samples = (
        Sample("x", StopReason.STOP_MARKER, -1.5, 3, new_region_text="y", cursor_offset_bytes=1),
        Sample("", StopReason.ABORTED, 0.0, 0, file_edits=(edit,), reason="because"),
    )
    answer = SampleAnswer(7, samples, 1, 2, "", 0.5, Counters(prompt_tokens=4))

    assert SampleAnswer.from_json(orjson.loads(orjson.dumps(answer.to_json()))) == answer


async def test_samples_are_read_as_predictions_are(open_client, moment, open_bench, open_sampler, tiny_model):
    """Where an answer came to its end it is an edit, where not it says why; and the seed reaches the worker."""
    bench = open_bench(tiny_model)
    prompt = bench.model.tokenize("def f")
    here = open_sampler(bench).sample(task(prompt, 25, seed=9, temperature=0.8, top_p=0.9, budget=20, stop=(b"e",)))
    client = open_client()
    inputs = moment("def f", budget=20, stop=["e"])
    answer = await client.sample(inputs, count=25, temperature=0.8, seed=9, top_p=0.9, deadline_seconds=LONG_SECONDS)

    assert [sample.text for sample in answer.samples] == [
        sample.answer.decode(errors="replace") for sample in here.samples
    ]
    assert [sample.log_probability for sample in answer.samples] == [sample.log_probability for sample in here.samples]
    assert (answer.region_start_bytes, answer.region_end_bytes) == (0, 5)
    assert {StopReason.STOP_MARKER, StopReason.ANSWER_BUDGET} <= {sample.stop for sample in answer.samples}
    for sample in answer.samples:
        if sample.stop is StopReason.ANSWER_BUDGET:
            assert (sample.new_region_text, sample.reason) == (None, "the answer grew longer than its budget")
        elif "\ufffd" not in sample.text:
            assert (sample.new_region_text, sample.reason) == (sample.text, "")
    assert answer.counters == here.counters


async def test_a_sample_that_is_no_text_says_so_and_costs_no_other(open_client, moment, build_model):
    client = open_client(build_model(text=False))
    inputs = moment("def f", budget=12, stop=[" "])
    answer = await client.sample(inputs, count=100, temperature=1.0, seed=3, deadline_seconds=LONG_SECONDS)
    ended = [sample for sample in answer.samples if sample.stop is StopReason.STOP_MARKER]

    assert any(sample.reason for sample in ended)
    for sample in ended:
        malformed = "\ufffd" in sample.text
        assert sample.reason == ("the answer does not follow its format" if malformed else "")
        assert sample.new_region_text == (None if malformed else sample.text)


async def test_cancelling_frees_the_engine_and_the_next_answers_are_right(open_client, slow_model, moment):
    client = open_client(slow_model)
    inputs = moment("def total(self)", budget=8)
    expected = await client.predict(inputs, deadline_seconds=LONG_SECONDS)
    drawn = await client.sample(inputs, count=4, temperature=1.0, seed=1, deadline_seconds=LONG_SECONDS)
    worker = client.process_id
    many = moment("def ", budget=2000)
    task_ = asyncio.create_task(client.sample(many, count=1000, temperature=1.0, seed=1, deadline_seconds=LONG_SECONDS))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task_), 0.3)  # it would take hours
    task_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task_
    answer = await client.predict(inputs, deadline_seconds=LONG_SECONDS)
    again = await client.sample(inputs, count=4, temperature=1.0, seed=1, deadline_seconds=LONG_SECONDS)

    assert answer.confidence == pytest.approx(expected.confidence, rel=1e-2)
    assert again.samples == drawn.samples
    assert client.process_id == worker


async def test_samples_that_were_not_done_by_the_deadline_say_so(open_client, slow_model, moment):
    client = open_client(slow_model)
    await client.ready()
    inputs = moment("def ", budget=2000)  # minutes
    answer = await client.sample(inputs, count=1000, temperature=1.0, seed=1, deadline_seconds=0.5)

    assert len(answer.samples) == 1000
    assert answer.samples[-1].stop is StopReason.DEADLINE
    assert answer.samples[-1].reason == "the prediction took longer than its deadline"


async def test_a_prompt_that_the_format_refuses_gives_no_samples_but_a_reason(open_client):
    client = open_client(STUDENT, command=WORKER_COMMAND)
    refused = PredictionInputs("a.py", "x = '<|region|>'\n", 3, ExcerptRanges({"editable_350": Span(0, 17)}))
    answers = [
        await client.sample(inputs, count=5, temperature=1.0, seed=1, deadline_seconds=LONG_SECONDS)
        for inputs in (refused, INPUTS)
    ]

    assert (answers[0].samples, bool(answers[0].reason)) == ((), True)
    assert (len(answers[1].samples), answers[1].reason) == (5, "")
    for sample in answers[1].samples:
        assert (sample.new_region_text is None) == bool(sample.reason)


def test_sampling_without_memory_for_it_is_refused_with_a_cure_and_predictions_go_on(llama_log, monkeypatch):
    flag = AbortFlag.create()
    loaded = LoadedModel.load(ModelSettings(str(STUDENT), threads=1), choose_format, llama_log, flag)
    monkeypatch.setattr(guard, "available_bytes", lambda: 1000)
    with pytest.raises(EngineError, match=r"GB are free; close other programs or choose a smaller model"):
        loaded.sample(1, INPUTS, SampleRequest(2, 1.0, 1), LONG_SECONDS)

    assert loaded.predict(2, INPUTS, LONG_SECONDS).counters.answer_tokens > 0


async def test_what_nothing_supersedes_is_read_in_the_largest_batches(open_client, moment):
    client = open_client()
    read_batch_tokens = (await client.ready()).read_batch_tokens
    passes = []
    for text, can_be_superseded in (("x" * 300, True), ("y" * 300, False)):
        inputs = moment(text, budget=1)
        answer = await client.predict(inputs, deadline_seconds=LONG_SECONDS, can_be_superseded=can_be_superseded)
        assert answer.counters.tokens_evaluated == answer.counters.prompt_tokens == 300
        passes.append(answer.counters.forward_passes)
    samples = await client.sample(
        moment("z" * 300, budget=1), count=9, temperature=1.0, seed=1, deadline_seconds=LONG_SECONDS
    )

    assert passes == [math.ceil(300 / read_batch_tokens), math.ceil(300 / BATCH_TOKENS)]
    assert samples.counters.forward_passes == math.ceil(300 / BATCH_TOKENS)
