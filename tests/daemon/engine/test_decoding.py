"""Greedy decoding with a reused cache gives the text of a plain loop, and its counters say what it cost."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from daemon.engine.abort import AbortCause
from daemon.engine.decoder import DecodeRequest
from daemon.engine.llama import LlamaError
from daemon.engine.messages import StopReason

PROMPT = "def total(self):\n    ret = 1\n    return self.or"
TIE = 1e-3  # below this lead rounding may decide which token is best, and greedy decoding is not defined

# Prompts as typing makes them: a common start, cut somewhere, something appended.
typed_prompts = st.lists(
    st.builds(
        lambda cut, tail: PROMPT[:cut] + tail,
        st.integers(1, len(PROMPT)),
        st.text(alphabet="self =()\né🙂", max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def request(prompt, *, stop=(), budget=8, deadline=math.inf):
    return DecodeRequest(prompt=prompt, stop=stop, max_answer_tokens=budget, deadline=deadline)


@given(prompts=typed_prompts, budget=st.integers(1, 10))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_answer_equals_plain_greedy_decoding_whatever_was_asked_before(
    open_bench, tiny_model, plain_loop, prompts, budget
):
    """One decoder answers a row of prompts; each answer is that of a loop that reuses nothing."""
    bench = open_bench(tiny_model)
    for text in prompts:
        prompt = bench.model.tokenize(text)
        expected, log_probability, lead = plain_loop.answer(prompt, budget)
        assume(lead > TIE)

        decoded = bench.decoder.decode(request(prompt, budget=budget))

        assert decoded.answer == b"".join(map(bench.model.piece, expected))
        assert decoded.stop is StopReason.ANSWER_BUDGET
        assert decoded.log_probability == pytest.approx(log_probability, abs=1e-2)
        counters = decoded.counters
        assert counters.prompt_tokens == len(prompt)
        assert counters.answer_tokens == budget
        # Every prompt and answer token but the last answer token is evaluated or reused, once.
        assert counters.tokens_evaluated + counters.tokens_reused == len(prompt) + budget - 1


def test_the_same_prompt_again_evaluates_one_prompt_token(open_bench, tiny_model):
    bench = open_bench(tiny_model, batch_tokens=16)
    prompt = bench.model.tokenize(PROMPT)
    first = bench.decoder.decode(request(prompt, budget=5))
    again = bench.decoder.decode(request(prompt, budget=5))

    assert first.counters.tokens_reused == 0
    assert first.counters.tokens_evaluated == len(prompt) + 4
    assert first.counters.forward_passes == math.ceil(len(prompt) / 16) + 4
    assert again.counters.tokens_reused == len(prompt) - 1
    assert again.counters.tokens_evaluated == 1 + 4
    assert again.counters.forward_passes == 1 + 4
    assert again.answer == first.answer


def test_an_appended_prompt_evaluates_what_was_appended(open_bench, tiny_model):
    bench = open_bench(tiny_model)
    prompt = bench.model.tokenize(PROMPT)
    bench.decoder.decode(request(prompt, budget=1))
    longer = bench.decoder.decode(request([*prompt, 40, 41, 42], budget=1))

    assert longer.counters.tokens_reused == len(prompt)
    assert longer.counters.tokens_evaluated == 3


def test_a_diverging_prompt_reuses_the_common_part_only(open_bench, tiny_model):
    bench = open_bench(tiny_model)
    prompt = bench.model.tokenize(PROMPT)
    bench.decoder.decode(request(prompt, budget=4))
    changed = [*prompt[:10], prompt[10] + 1, *prompt[11:]]
    diverging = bench.decoder.decode(request(changed, budget=1))

    assert diverging.counters.tokens_reused == 10
    assert diverging.counters.tokens_evaluated == len(prompt) - 10


def test_an_accepted_answer_is_not_evaluated_again(open_bench, tiny_model):
    """The answer's cells serve a next prompt that contains it."""
    bench = open_bench(tiny_model)
    prompt = bench.model.tokenize(PROMPT)
    decoded = bench.decoder.decode(request(prompt, budget=6))
    tokens = [next(t for t in range(272) if bench.model.piece(t) == bytes([b])) for b in decoded.answer[:3]]
    if b"".join(map(bench.model.piece, tokens)) != decoded.answer[:3]:
        pytest.fail("the answer is not made of byte tokens")
    follow = bench.decoder.decode(request([*prompt, *tokens, 40], budget=1))

    assert follow.counters.tokens_reused == len(prompt) + 3


@pytest.mark.parametrize(("first", "last"), [(2, 2), (2, 4), (0, 1)])
def test_an_answer_ends_before_its_stop_marker_of_one_or_several_tokens(
    open_bench, tiny_model, plain_loop, first, last
):
    bench = open_bench(tiny_model)
    prompt = bench.model.tokenize(PROMPT)
    pieces = [bench.model.piece(token) for token in plain_loop.answer(prompt, 8)[0]]
    marker = b"".join(pieces[first : last + 1])
    decoded = bench.decoder.decode(request(prompt, stop=(b"never there", marker)))

    assert decoded.stop is StopReason.STOP_MARKER
    assert decoded.answer == b"".join(pieces)[: b"".join(pieces).index(marker)]
    assert decoded.counters.answer_tokens == last + 1


def test_a_control_token_can_be_the_stop_marker(open_bench, tiny_model, build_model, plain_loop):
    bench = open_bench(tiny_model)
    prompt = bench.model.tokenize(PROMPT)
    expected = plain_loop.answer(prompt, 6)[0]
    ending = open_bench(build_model(line_token_instead_of=expected[3]))
    decoded = ending.decoder.decode(request(prompt, stop=(b"<|line_0|>",)))

    assert decoded.stop is StopReason.STOP_MARKER
    kept = expected[: expected.index(expected[3])]
    assert decoded.answer == b"".join(map(bench.model.piece, kept))


def test_an_answer_ends_before_the_vocabularys_end_token(open_bench, tiny_model, build_model, plain_loop):
    bench = open_bench(tiny_model)
    prompt = bench.model.tokenize(PROMPT)
    expected = plain_loop.answer(prompt, 6)[0]
    ending = open_bench(build_model(end_token=expected[3]))
    decoded = ending.decoder.decode(request(prompt))

    assert decoded.stop is StopReason.END_OF_SEQUENCE
    kept = expected[: expected.index(expected[3])]
    assert decoded.answer == b"".join(map(bench.model.piece, kept))
    assert decoded.counters.answer_tokens == len(kept) + 1


def test_an_answer_stops_where_the_context_is_full(open_bench, tiny_model):
    bench = open_bench(tiny_model, batch_tokens=256)
    decoded = bench.decoder.decode(request([50] * 1020, budget=100))

    assert decoded.stop is StopReason.CONTEXT_FULL
    assert decoded.counters.tokens_evaluated == bench.context.context_tokens == 1024
    assert decoded.counters.answer_tokens == 5  # the last one is known but has no place


def test_a_prompt_larger_than_the_context_costs_nothing(open_bench, tiny_model):
    bench = open_bench(tiny_model)
    decoded = bench.decoder.decode(request([50] * 1024))

    assert decoded.stop is StopReason.CONTEXT_FULL
    assert decoded.counters.forward_passes == 0


def test_the_deadline_is_looked_at_before_every_forward_pass(open_bench, tiny_model):
    times = iter(range(100))
    bench = open_bench(tiny_model, clock=lambda: float(next(times)))
    decoded = bench.decoder.decode(request([50] * 5, budget=50, deadline=3.5))  # passes begin at 0, 1, 2, 3

    assert decoded.stop is StopReason.DEADLINE
    assert decoded.counters.forward_passes == 4


class AbortAtPass:
    """A decoder's clock that raises the flag as pass number ``at`` begins: after the decoder looked at it."""

    def __init__(self, at: int, cause: AbortCause = AbortCause.CANCELLED) -> None:
        self.passes = 0
        self.at = at
        self.cause = cause
        self.flag = None

    def __call__(self) -> float:
        self.passes += 1
        if self.passes == self.at and self.flag is not None:
            self.flag.set(self.cause)
        return 0.0


@pytest.mark.parametrize("cause", [AbortCause.CANCELLED, AbortCause.DEADLINE])
@pytest.mark.parametrize("at", [1, 2, 4])
def test_an_abort_in_prefill_keeps_what_was_evaluated(open_bench, tiny_model, at, cause):
    """Only llama.cpp itself can see this flag: it is raised after the decoder's own look at it."""
    clock = AbortAtPass(at, cause)
    bench = open_bench(tiny_model, clock=clock, batch_tokens=16)
    clock.flag = bench.flag
    prompt = bench.model.tokenize(PROMPT * 3)
    assert len(prompt) > 4 * 16
    aborted = bench.decoder.decode(request(prompt))

    assert aborted.stop.name == {"CANCELLED": "ABORTED", "DEADLINE": "DEADLINE"}[cause.name]
    assert aborted.counters.aborted == (cause is AbortCause.CANCELLED)
    assert aborted.counters.forward_passes == at
    bench.flag.set(AbortCause.NONE)
    complete = bench.decoder.decode(request(prompt))
    assert complete.counters.tokens_reused == (at - 1) * 16
    assert complete.answer == open_bench(tiny_model).decoder.decode(request(prompt)).answer


def test_an_abort_in_the_answer_leaves_the_cache_right(open_bench, tiny_model, plain_loop):
    clock = AbortAtPass(6)
    bench = open_bench(tiny_model, clock=clock, batch_tokens=64)
    clock.flag = bench.flag
    prompt = bench.model.tokenize(PROMPT)
    aborted = bench.decoder.decode(request(prompt, budget=100))

    assert aborted.stop is StopReason.ABORTED
    assert aborted.counters.forward_passes == 6
    bench.flag.set(AbortCause.NONE)
    expected = plain_loop.answer(prompt, 8)[0]
    again = bench.decoder.decode(request(prompt, budget=8))
    assert again.answer == b"".join(map(bench.model.piece, expected))
    assert again.counters.tokens_reused == len(prompt) - 1


def test_a_model_whose_output_is_not_a_number_is_an_error_and_not_a_text(open_bench, build_model):
    bench = open_bench(build_model(broken=True))
    with pytest.raises(LlamaError, match="damaged"):
        bench.decoder.decode(request([50]))


@given(text=st.text(max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bytes_of_the_tokens_of_a_text_are_the_text(open_bench, tiny_model, text):
    """Characters may span tokens: é is two, an emoji four."""
    bench = open_bench(tiny_model)
    tokens = bench.model.tokenize(text, parse_special=False)

    assert b"".join(map(bench.model.piece, tokens)).decode() == text


def test_control_tokens_are_recognised_only_where_asked(open_bench, tiny_model):
    bench = open_bench(tiny_model)

    assert len(bench.model.tokenize("<|line_1|>")) == 1
    assert len(bench.model.tokenize("<|line_1|>", parse_special=False)) > 1
