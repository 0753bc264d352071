"""Greedy decoding with a reused cache and with drafts gives the text of a plain loop; its counters say what it cost."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from daemon.engine.abort import AbortCause
from daemon.engine.decoder import WARM_UP_CONTEXT_TOKENS, WARM_UP_SIZES, DecodeRequest
from daemon.engine.llama import LlamaError
from daemon.engine.messages import StopReason
from daemon.engine.pace import READ_BATCHES, FixedCosts

STUDENT = Path(__file__).parents[3] / "daemon" / "models" / "student.gguf"
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


def request(prompt, *, stop=(), budget=8, deadline=math.inf, drafts=()):
    return DecodeRequest(prompt, stop, budget, drafts, deadline=deadline)


@pytest.fixture(scope="module")
def certain_model(build_model):
    """A model without near ties: what it costs to decode is known to the pass."""
    return build_model(certainty=30.0)


def plain_tokens(bench, prompt, budget=40):
    """The tokens of the plain answer, found by asking for one more each time; the cache is then empty."""
    tokens = []
    for _ in range(budget):
        before = len(bench.decoder.cache.held)
        bench.decoder.decode(request([*prompt, *tokens], budget=1))
        tokens.append(int(bench.context.logits()[-1].argmax()))
        assert len(bench.decoder.cache.held) > before or before == 0
    bench.decoder.cache.clear()
    return tokens


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


@given(budget=st.integers(2, 12), part=st.floats(0.05, 1.2), drafted=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_answer_is_given_up_with_the_token_that_makes_it_too_unsure(open_bench, tiny_model, budget, part, drafted):
    """The text up to there is that of the whole answer, and the next question is answered as ever."""
    bench = open_bench(tiny_model)
    prompt = bench.model.tokenize(PROMPT)
    bench.decoder.cache.clear()
    drafts = [plain_tokens(bench, prompt, budget)] if drafted else ()
    whole = bench.decoder.decode(request(prompt, budget=budget))
    limit = part * whole.log_probability

    given_up = bench.decoder.decode(DecodeRequest(prompt, (), budget, drafts, least_log_probability=limit))

    assert whole.answer.startswith(given_up.answer)
    assert (given_up.stop is StopReason.UNSURE) is (given_up.counters.answer_tokens < budget)
    assert (given_up.stop is StopReason.UNSURE) <= (given_up.log_probability < limit)
    if part > 1:
        assert given_up.answer == whole.answer
    again = bench.decoder.decode(request(prompt, budget=budget))
    assert again.answer == whole.answer


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


# --- drafts ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["tiny", "tiny with ends", "another tiny", "student"])
def any_model(request, build_model):
    """Models of random weights, and a trained one."""
    return {
        "tiny": build_model,
        "tiny with ends": lambda: build_model(seed=3, end_token=65, line_token_instead_of=86),
        "another tiny": lambda: build_model(seed=2, width=96, layers=3, text=False),
        "student": lambda: STUDENT,
    }[request.param]()


mutations = st.lists(st.tuples(st.sampled_from(["replace", "remove", "insert"]), st.integers(0, 30)), max_size=4)


def mutated(tokens, changes):
    """Almost ``tokens``."""
    result = list(tokens)
    for kind, index in changes:
        at = min(index, len(result))
        result[at : at + (kind != "insert")] = [] if kind == "remove" else [70 + index]
    return result


@given(
    text=st.text(alphabet="self =()\né🙂defor", min_size=1, max_size=70),
    budget=st.integers(1, 40),
    changes=st.lists(mutations, max_size=3),
    wrong=st.lists(st.lists(st.integers(0, 271), max_size=30), max_size=2),
    endless=st.booleans(),
    each=st.sampled_from([0.0, 0.2, 0.7]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_drafted_answer_is_the_plain_answer_whatever_was_drafted(
    open_bench, any_model, text, budget, changes, wrong, endless, each
):
    """Sources: the answer itself with differences, anything, nothing, more than the context takes."""
    bench = open_bench(any_model, batch_tokens=64, costs=FixedCosts(1.0, each))
    prompt = bench.model.tokenize(text)
    stop = (b"V`", b"<|line_0|>", b"<|end|>")
    plain = bench.decoder.decode(request(prompt, stop=stop, budget=budget))
    written = list(bench.decoder.cache.held[len(prompt) :])
    bench.decoder.cache.clear()

    sources = [mutated(written, some) for some in changes] + wrong + [[66] * 3000] * endless
    drafted = bench.decoder.decode(request(prompt, stop=stop, budget=budget, drafts=sources))

    assert drafted.answer == plain.answer
    assert drafted.stop is plain.stop
    assert drafted.log_probability == pytest.approx(plain.log_probability, abs=0.05)
    counters = drafted.counters
    assert counters.answer_tokens == plain.counters.answer_tokens
    assert counters.accepted <= counters.drafted
    held = bench.decoder.cache.held
    assert bench.context.held_tokens() == len(held)
    # What the cache holds is the prompt and what was written, whatever was drafted.
    assert list(held[: len(prompt) + len(written)]) == [*prompt, *written][: len(held)]
    assert len(held) >= len(prompt) + len(written)


def test_a_right_draft_takes_as_many_passes_as_it_fits_into(open_bench, certain_model):
    bench = open_bench(certain_model, batch_tokens=16, costs=FixedCosts(1.0, 0.0))
    prompt = bench.model.tokenize(PROMPT)[:10]
    tokens = plain_tokens(bench, prompt)
    decoded = bench.decoder.decode(request(prompt, budget=40, drafts=[tokens]))

    assert decoded.answer == b"".join(map(bench.model.piece, tokens))
    # 10 of the prompt and 6 drafted tokens give 7, then the last token and 15 drafted ones give 16, twice; and one.
    assert decoded.counters.forward_passes == 4
    assert decoded.counters.drafted == decoded.counters.accepted == 6 + 15 + 15
    assert decoded.counters.tokens_evaluated == len(prompt) + 40 - 1


def test_an_answer_that_was_drafted_to_its_end_is_one_pass_over_what_is_new(open_bench, certain_model):
    """No edit: the region is in the cache, and its copy and the end marker come out of a single pass."""
    bench = open_bench(certain_model, batch_tokens=128, costs=FixedCosts(1.0, 0.0))
    prompt = bench.model.tokenize(PROMPT)
    tokens = plain_tokens(bench, prompt)
    bench.decoder.decode(request(prompt[:-1], budget=1))
    end = bench.model.piece(tokens[-2]) + bench.model.piece(tokens[-1])
    decoded = bench.decoder.decode(request(prompt, stop=(end,), budget=100, drafts=[tokens]))

    assert decoded.stop is StopReason.STOP_MARKER
    assert decoded.counters.forward_passes == 1
    assert decoded.counters.answer_tokens == len(tokens)
    assert decoded.counters.drafted == decoded.counters.accepted == len(tokens) - 1


@pytest.mark.parametrize(
    ("text", "stop", "end_token", "drafted"),
    [
        ("~", (b"!", b"~"), None, 0),
        ("b~", (b"~",), None, 1),
        ("b~", (b"ab~",), None, 2),
        ("b~", (b"b~",), None, 1),
        ("b~", (), ord("~"), 1),
        ("", (b"~",), None, 0),
    ],
    ids=["nothing but a marker", "a marker", "the end of a longer marker", "a marker of two tokens", "the vocabulary's end",
         "an empty draft"],
)  # fmt: skip
def test_the_token_that_would_end_the_answer_is_not_drafted(open_bench, build_model, text, stop, end_token, drafted):
    """Nothing follows it, so evaluating it would be in vain."""
    bench = open_bench(build_model(end_token=end_token), batch_tokens=64, costs=FixedCosts(1.0, 0.0))
    prompt = bench.model.tokenize(PROMPT)
    decoded = bench.decoder.decode(request(prompt, stop=stop, budget=3, drafts=[bench.model.tokenize(text)]))

    assert decoded.counters.drafted == drafted


def test_a_rejected_draft_leaves_nothing_in_the_cache(open_bench, certain_model):
    bench = open_bench(certain_model, batch_tokens=64, costs=FixedCosts(1.0, 0.0))
    prompt = bench.model.tokenize(PROMPT)
    tokens = plain_tokens(bench, prompt, 3)
    wrong = [token + 1 for token in tokens]
    decoded = bench.decoder.decode(request(prompt, budget=1, drafts=[wrong]))
    assert decoded.counters.drafted == 0  # a token of which one is wanted needs no draft
    decoded = bench.decoder.decode(request(prompt, budget=3, drafts=[[tokens[0], *wrong[1:]]]))

    assert (decoded.counters.drafted, decoded.counters.accepted) == (2, 1)
    assert list(bench.decoder.cache.held) == [*prompt, *tokens[:2]]
    assert bench.context.held_tokens() == len(prompt) + 2


def test_no_more_is_drafted_than_the_context_takes(open_bench, tiny_model):
    bench = open_bench(tiny_model, batch_tokens=128, costs=FixedCosts(1.0, 0.0))
    prompt = [50, 51] * 500
    plain = bench.decoder.decode(request(prompt, budget=100))
    written = list(bench.decoder.cache.held[len(prompt) :])
    bench.decoder.cache.clear()
    decoded = bench.decoder.decode(request(prompt, budget=100, drafts=[written * 10]))

    assert (decoded.stop, decoded.answer) == (StopReason.CONTEXT_FULL, plain.answer)
    assert len(bench.decoder.cache.held) == bench.context.context_tokens == 1024


@pytest.mark.parametrize("at", range(1, 11))
def test_an_abort_at_any_pass_leaves_the_cache_right(open_bench, tiny_model, at):
    """Reading, in a drafted pass, in a plain one: the next answer is that of a fresh engine."""
    clock = AbortAtPass(at)
    bench = open_bench(tiny_model, clock=clock, batch_tokens=16, costs=FixedCosts(1.0, 0.1))
    prompt = bench.model.tokenize(PROMPT * 2)
    fresh = open_bench(tiny_model, batch_tokens=16)
    expected = fresh.decoder.decode(request(prompt, budget=30))
    written = list(fresh.decoder.cache.held[len(prompt) :])
    drafts = [mutated(written, [("replace", 4), ("remove", 9), ("insert", 17)])]
    clock.flag = bench.flag
    aborted = bench.decoder.decode(request(prompt, budget=30, drafts=drafts))
    assert aborted.stop is StopReason.ABORTED
    assert aborted.counters.forward_passes == at
    held = list(bench.decoder.cache.held)
    assert held == [*prompt, *written][: len(held)]
    assert bench.context.held_tokens() == len(held)

    bench.flag.set(AbortCause.NONE)
    again = bench.decoder.decode(request(prompt, budget=30, drafts=drafts))
    assert (again.answer, again.stop) == (expected.answer, expected.stop)
    assert again.counters.tokens_reused == min(len(held), len(prompt) - 1)


def test_what_nobody_waits_for_is_read_in_larger_batches(open_bench, tiny_model):
    bench = open_bench(tiny_model, batch_tokens=128, read_batch_tokens=16)
    waited_for = bench.decoder.decode(DecodeRequest([60] * 128, (), 1))
    bench.decoder.cache.clear()
    unhurried = bench.decoder.decode(DecodeRequest([60] * 128, (), 1, can_be_superseded=False))

    assert (waited_for.counters.forward_passes, unhurried.counters.forward_passes) == (8, 1)


class NotedCosts(FixedCosts):
    """Costs that note what was measured."""

    def __init__(self):
        super().__init__(1.0, 0.0)
        self.sizes = []

    def record(self, tokens, seconds):
        assert seconds >= 0
        self.sizes.append(tokens)


def test_every_pass_that_chooses_tokens_says_what_it_cost_but_for_those_as_large_as_no_draft_makes_them(
    open_bench, tiny_model
):
    """A typical keystroke has drafts in no other pass than that which ends its prompt."""
    costs = NotedCosts()
    bench = open_bench(tiny_model, batch_tokens=128, read_batch_tokens=16, costs=costs)
    bench.decoder.decode(request([60] * 40, budget=3, drafts=[[1, 2, 3]]))
    assert costs.sizes[0] == 8 + 2
    costs.sizes.clear()
    bench.decoder.cache.clear()
    bench.decoder.decode(DecodeRequest([60] * 100, (), 2, can_be_superseded=False))

    assert costs.sizes == [1]


def test_warming_up_measures_passes_behind_a_prompt_like_a_small_models(open_bench, tiny_model):
    costs = NotedCosts()
    bench = open_bench(tiny_model, batch_tokens=64, costs=costs)
    starts = []
    decode = bench.context.decode

    def noted(tokens, start, *, logits, sequence=0):
        starts.append(start)
        return decode(tokens, start, logits=logits, sequence=sequence)

    bench.context.decode = noted
    bench.decoder.warm_up(60.0)

    assert set(WARM_UP_SIZES) <= set(costs.sizes)
    assert set(starts[-len(costs.sizes) + 1 :]) == {WARM_UP_CONTEXT_TOKENS}
    assert bench.decoder.read_batch(can_be_superseded=True) in READ_BATCHES
    assert not bench.decoder.cache.held


# --- near ties: a larger pass may round otherwise ----------------------------------------------------------


class Tilted:
    """A context whose passes with drafts, but for the first few, prefer the second best token by a little."""

    def __init__(self, context, right_passes=0):
        self._context = context
        self._tokens = 0
        self.right_passes = right_passes
        self.sizes = []

    def __getattr__(self, name):
        return getattr(self._context, name)

    def decode(self, tokens, start, *, logits, sequence=0):
        self._tokens = logits
        self.sizes.append(len(tokens))
        return self._context.decode(tokens, start, logits=logits, sequence=sequence)

    def logits(self):
        rows = self._context.logits().copy()
        if self._tokens > 1 and len(self.sizes) > self.right_passes:
            for row in rows:
                second, best = row.argsort()[-2:]
                row[second] = row[best] + 0.01
        return rows


def test_a_token_that_rounding_could_decide_is_chosen_as_plain_decoding_would(open_bench, tiny_model):
    bench = open_bench(tiny_model, batch_tokens=64, costs=FixedCosts(1.0, 0.0))
    prompt = bench.model.tokenize(PROMPT)
    tokens = plain_tokens(bench, prompt, 12)
    bench.decoder.context = Tilted(bench.context)
    decoded = bench.decoder.decode(request(prompt, budget=12, drafts=[tokens]))

    assert decoded.answer == b"".join(map(bench.model.piece, tokens))
    assert list(bench.decoder.cache.held[: len(prompt) + 11]) == [*prompt, *tokens[:11]]


def test_all_that_was_evaluated_otherwise_is_evaluated_again(open_bench, certain_model):
    """A later pass with a draft is in doubt: the prompt in one pass, then the answer so far token by token."""
    bench = open_bench(certain_model, batch_tokens=64, costs=FixedCosts(1.0, 0.0))
    prompt = bench.model.tokenize(PROMPT)
    tokens = plain_tokens(bench, prompt, 9)
    wrong = [*tokens[:3], 5, *tokens[4:]]
    tilted = bench.decoder.context = Tilted(bench.context, right_passes=1)
    decoded = bench.decoder.decode(request(prompt, budget=9, drafts=[wrong]))

    assert decoded.answer == b"".join(map(bench.model.piece, tokens))
    # Eight drafted tokens, of which three are right; one plain token; a doubtful pass with three; all five again.
    assert tilted.sizes[:9] == [len(prompt) + 8, 1, 1 + 3, len(prompt), 1, 1, 1, 1, 1]
    assert decoded.counters.tokens_evaluated == sum(tilted.sizes)
