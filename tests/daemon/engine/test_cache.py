"""Several prompts in one cache: going back costs nothing, and no answer depends on what was asked before."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from daemon.engine.abort import AbortCause
from daemon.engine.cache import common_prefix
from daemon.engine.decoder import DecodeRequest
from daemon.engine.messages import StopReason
from daemon.engine.pace import FixedCosts

HERE = list(range(60, 120))
THERE = list(range(120, 60, -1))
# Below this lead rounding may decide: prompts are read in other splits here than by the plain loop, which moved the lead
# of an F32 model by up to 0.0055.
TIE = 0.006


def ask(bench, prompt, budget=3, drafts=()):
    return bench.decoder.decode(DecodeRequest(prompt, (), budget, drafts))


def test_going_back_to_a_prompt_evaluates_one_token(open_bench, tiny_model):
    bench = open_bench(tiny_model, sequences=3, cells=2048)
    first = ask(bench, HERE)
    ask(bench, THERE)
    again = ask(bench, HERE, budget=1)

    assert first.counters.tokens_reused == 0
    assert again.counters.tokens_reused == len(HERE) - 1
    assert again.counters.tokens_evaluated == 1


def test_a_prompt_that_is_typed_on_stays_in_its_sequence(open_bench, tiny_model):
    bench = open_bench(tiny_model, sequences=3, cells=2048)
    for length in range(30, 60):
        ask(bench, [*HERE[:length], 50, 51])

    assert len(bench.decoder.cache.prompts) == 1


def test_what_two_prompts_begin_with_lies_in_the_cache_once(open_bench, tiny_model):
    bench = open_bench(tiny_model, sequences=3, cells=2048)
    ask(bench, HERE, budget=1)
    shared = ask(bench, [*HERE[:20], *THERE], budget=1)

    assert shared.counters.tokens_reused == 20
    assert sorted(map(len, bench.decoder.cache.prompts)) == [len(HERE), 20 + len(THERE)]
    assert bench.decoder.cache.cells_used == len(HERE) + len(THERE)
    assert ask(bench, HERE, budget=1).counters.tokens_reused == len(HERE) - 1


def test_one_sequence_keeps_what_the_next_prompt_shares_with_it(open_bench, tiny_model):
    bench = open_bench(tiny_model, sequences=1)
    ask(bench, HERE)

    assert ask(bench, [*HERE[:5], *THERE]).counters.tokens_reused == 5
    assert len(bench.decoder.cache.prompts) == 1


def test_the_prompt_used_longest_ago_gives_way_when_sequences_run_out(open_bench, tiny_model):
    bench = open_bench(tiny_model, sequences=2, cells=2048)
    elsewhere = [55] * 30
    ask(bench, HERE)
    ask(bench, THERE)
    ask(bench, HERE)
    ask(bench, elsewhere)

    assert ask(bench, HERE, budget=1).counters.tokens_reused == len(HERE) - 1
    assert ask(bench, THERE, budget=1).counters.tokens_reused == 0


def test_a_prompt_gives_way_when_cells_run_out(open_bench, tiny_model):
    """Three prompts of 400 tokens in 1,024 cells: the oldest goes, and the context stays usable to its end."""
    bench = open_bench(tiny_model, batch_tokens=64, sequences=4, cells=1024)
    for start in (60, 61, 62):
        decoded = ask(bench, [start] * 400)
        assert decoded.stop is StopReason.ANSWER_BUDGET
    assert sorted(held[0] for held in bench.decoder.cache.prompts) == [61, 62]
    assert bench.decoder.cache.cells_used <= bench.context.cells == 1024

    assert ask(bench, [63] * 1020, budget=100).stop is StopReason.CONTEXT_FULL
    assert len(bench.decoder.cache.prompts) == 1


def test_an_error_empties_every_sequence(open_bench, tiny_model):
    bench = open_bench(tiny_model, sequences=2, cells=2048)
    ask(bench, HERE)
    ask(bench, THERE)
    bench.decoder.cache.clear()

    assert bench.decoder.cache.prompts == []
    assert bench.decoder.cache.cells_used == 0
    assert bench.context.held_tokens(0) == bench.context.held_tokens(1) == 0


@pytest.fixture(scope="module")
def prompts_of():
    """Prompts as editing makes them: a file's start, typed on, another window, the first one again."""
    starts = [HERE, THERE, HERE[:25] + THERE, [97] * 90]
    return st.builds(
        lambda start, cut, tail: [*starts[start][: 1 + cut], *tail],
        st.integers(0, len(starts) - 1),
        st.integers(0, 89),
        st.lists(st.integers(60, 70), max_size=6),
    )


def test_any_order_of_prompts_gives_fresh_answers_and_evaluates_nothing_that_is_held(
    open_bench, tiny_model, plain_loop, prompts_of
):
    bench = open_bench(tiny_model, batch_tokens=32, sequences=3, cells=1024, costs=FixedCosts(1.0, 0.1))
    # So small that prompts push one another out: what the cache believes to have is what the test gives it.
    bench.context.cells = 170

    class Editing(RuleBasedStateMachine):
        @initialize()
        def start(self):
            bench.flag.set(AbortCause.NONE)
            bench.decoder.cache.clear()

        @rule(prompt=prompts_of, budget=st.integers(1, 5), draft=st.lists(st.integers(60, 120), max_size=8))
        def asked(self, prompt, budget, draft):
            before = bench.decoder.cache.prompts
            decoded = ask(bench, prompt, budget, [draft])

            best = max((common_prefix(held, prompt[:-1]) for held in before), default=0)
            assert decoded.counters.tokens_reused == best
            answer, _, lead = plain_loop.answer(prompt, budget)
            if lead > TIE:
                assert decoded.answer == b"".join(map(bench.model.piece, answer))
                assert list(bench.decoder.cache.held[: len(prompt)]) == prompt

        @rule(prompt=prompts_of)
        def aborted(self, prompt):
            bench.flag.set(AbortCause.CANCELLED)
            decoded = ask(bench, prompt)
            bench.flag.set(AbortCause.NONE)
            assert decoded.stop is StopReason.ABORTED
            assert decoded.counters.tokens_evaluated == 0

        @invariant()
        def the_cache_is_what_it_is_believed_to_be(self):
            cache = bench.decoder.cache
            lengths = sorted(filter(None, (bench.context.held_tokens(number) for number in range(3))))
            assert lengths == sorted(map(len, cache.prompts))
            assert cache.cells_used <= bench.context.cells

    run_state_machine_as_test(
        Editing,
        settings=settings(
            max_examples=15,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture],
        ),
    )
