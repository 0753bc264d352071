"""Answers scored side by side have the probability that a plain loop finds, and leave nothing behind."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.engine.abort import AbortCause
from daemon.engine.decoder import NEAR_TIE_LOGITS, DecodeRequest
from daemon.engine.llama import LlamaError
from daemon.engine.messages import StopReason
from daemon.engine.proposals import MAX_PROPOSALS
from daemon.engine.scoring import Scorer
from daemon.prompts.line_region import AGAIN, ANSWER, DEL, END, HISTORY, NO_EDIT, REGION

EVERYTHING = -math.inf
PROMPT = f"{REGION}\ncount = 1<|mark_1|>print(count)<|line_1|>{HISTORY}\n<|here|>amount = 1<|cursor|>{ANSWER}"
ANSWERS = (
    NO_EDIT,
    f"<|mark_1|>{AGAIN}{END}",
    f"<|mark_1|>{AGAIN}<|mark_2|>{AGAIN}{END}",
    f"<|mark_1|>{AGAIN}<|line_1|>{AGAIN}{END}",
    f"<|line_1|>{DEL}count<|add|>the number of rows{END}",
    END,
    f"<|here|>{'amount = amount + 1 ' * 12}{END}",
)
functions_as_fixtures = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def tolerance(answer):
    """As much as the repository allows each token's logits to differ by rounding."""
    return NEAR_TIE_LOGITS * len(answer)


def decode(bench, student, text=PROMPT, **options):
    prompt = student.tokenize(text)
    request = DecodeRequest(prompt, (END.encode(), NO_EDIT.encode()), 24, keeps_first=True, **options)
    return prompt, bench.decoder.decode(request)


def score(bench, prompt, decoded, answers, above=EVERYTHING, **options):
    return Scorer(bench.decoder).score(prompt, decoded, answers, above=above, **options)


@functions_as_fixtures
@given(
    texts=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=MAX_PROPOSALS, unique=True),
    tail=st.sampled_from(["", "x", "(), count", "\n"]),
    batch_tokens=st.sampled_from([8, 32, 64]),
    liked=st.integers(0, 400),
)
def test_the_score_is_that_of_reading_the_answer_alone(
    open_bench, student, plain_scores, bias, texts, tail, batch_tokens, liked
):
    bias.of[:] = 0
    bias.of[liked] = 4.0  # so that decoding goes other ways, too
    bench = open_bench(batch_tokens=batch_tokens)
    prompt, decoded = decode(bench, student, PROMPT.replace(ANSWER, tail + ANSWER))
    own = list(decoded.tokens)
    answers = [*map(student.tokenize, texts[1:]), own]
    found = score(bench, prompt, decoded, answers)
    assert found.stop is None
    assert math.isclose(found.of_each[-1].log_probability, decoded.log_probability, abs_tol=1e-6)
    for answer, one in zip(answers, found.of_each, strict=True):
        assert one.is_exact
        assert abs(one.log_probability - plain_scores.of(prompt, answer)) <= tolerance(answer)
    different = {tuple(answer): one.log_probability for answer, one in zip(answers, found.of_each, strict=True)}
    assert sum(map(math.exp, different.values())) <= 1 + 1e-6
    assert bench.spare_tokens() == [0] * MAX_PROPOSALS


def test_one_token_answers_and_beginnings_of_the_decoded_one_cost_nothing(open_bench, student):
    bench = open_bench()
    prompt, decoded = decode(bench, student)
    found = score(bench, prompt, decoded, [student.tokenize(NO_EDIT), list(decoded.tokens)])
    assert (found.tokens_evaluated, found.forward_passes) == (0, 0)
    assert all(one.is_exact for one in found.of_each)


def test_several_answers_are_read_in_one_pass(open_bench, student):
    bench = open_bench()
    prompt, decoded = decode(bench, student)
    answers = [student.tokenize(f"<|line_{row}|>{AGAIN}{END}") for row in (3, 5, 7)]
    found = score(bench, prompt, decoded, answers)
    assert found.forward_passes == 1
    assert found.tokens_evaluated == sum(len(answer) - 1 for answer in answers)


def test_an_answer_that_cannot_be_likely_enough_is_not_read(open_bench, student, bias):
    bench = open_bench()
    prompt, decoded = decode(bench, student)
    answer = student.tokenize(f"<|line_7|>{AGAIN}{END}")
    begun = decoded.first.logarithm(answer[0])
    found = score(bench, prompt, decoded, [answer], above=begun)
    assert (found.tokens_evaluated, found.of_each[0].is_exact) == (0, False)
    assert found.of_each[0].log_probability == begun
    assert score(bench, prompt, decoded, [answer], above=begun - 1e-6).tokens_evaluated == len(answer) - 1


def test_what_was_cached_is_there_as_before_and_the_next_answer_is_a_fresh_engines(open_bench, student):
    bench, fresh = open_bench(), open_bench()
    for text in (PROMPT, PROMPT.replace("amount", "amounts"), PROMPT.replace("print", "show"), PROMPT):
        prompt, decoded = decode(bench, student, text)
        held = bench.decoder.cache.prompts
        score(bench, prompt, decoded, [student.tokenize(answer) for answer in ANSWERS[1:4]])
        assert bench.decoder.cache.prompts == held
        assert decoded.tokens == decode(fresh, student, text)[1].tokens
    again = decode(bench, student)[1]
    assert again.counters.tokens_reused == len(student.tokenize(PROMPT)) - 1


class AbortingContext:
    """Aborts the pass of the given number, from 1, as the flag would: llama.cpp computes nothing of it."""

    def __init__(self, bench, monkeypatch, number, cause):
        plain, self.passes = bench.context.decode_side_by_side, 0

        def decode(*arguments):
            self.passes += 1
            if self.passes == number:
                bench.flag.set(cause)
            return plain(*arguments)

        monkeypatch.setattr(bench.context, "decode_side_by_side", decode)


@pytest.mark.parametrize("cause", [AbortCause.CANCELLED, AbortCause.DEADLINE])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_abort_at_any_pass_leaves_a_usable_engine(open_bench, student, monkeypatch, number, cause):
    bench, fresh = open_bench(batch_tokens=8), open_bench(batch_tokens=8)
    prompt, decoded = decode(bench, student)
    held = bench.decoder.cache.prompts
    aborting = AbortingContext(bench, monkeypatch, number, cause)
    found = score(bench, prompt, decoded, [student.tokenize(answer) for answer in (ANSWERS[3], ANSWERS[4], ANSWERS[6])])
    expected = StopReason.DEADLINE if cause is AbortCause.DEADLINE else StopReason.ABORTED
    assert (found.stop, found.forward_passes, aborting.passes) == (expected, number, number)
    assert not any(one.is_exact for one in found.of_each)
    assert bench.spare_tokens() == [0] * MAX_PROPOSALS
    assert bench.decoder.cache.prompts == held
    bench.flag.set(AbortCause.NONE)
    text = PROMPT.replace("amount", "amounts")
    assert decode(bench, student, text)[1].tokens == decode(fresh, student, text)[1].tokens


def test_before_the_first_pass_the_flag_is_looked_at(open_bench, student):
    bench = open_bench()
    prompt, decoded = decode(bench, student)
    bench.flag.set(AbortCause.CANCELLED)
    found = score(bench, prompt, decoded, [student.tokenize(ANSWERS[3])])
    assert (found.stop, found.forward_passes) == (StopReason.ABORTED, 0)


def test_past_the_deadline_nothing_is_read(open_bench, student):
    bench = open_bench()
    prompt, decoded = decode(bench, student)
    assert score(bench, prompt, decoded, [student.tokenize(ANSWERS[3])], deadline=-1.0).stop is StopReason.DEADLINE


def test_answers_are_left_unread_where_the_cache_has_no_room_for_them(open_bench, student):
    """Each would fit behind the prompt, together they do not."""
    bench = open_bench(cells=1024)
    prompt, decoded = decode(bench, student, PROMPT.replace(REGION, REGION + " x = 1\n" * 150))
    answer = student.tokenize(f"<|line_1|>{' x = 1' * 9}{END}")
    room = bench.context.cells - len(bench.decoder.cache.held)
    assert len(answer) < room < 3 * (len(answer) - 1)
    found = score(bench, prompt, decoded, [answer, answer, answer])
    assert (found.tokens_evaluated, [one.is_exact for one in found.of_each]) == (0, [False] * 3)
    assert score(bench, prompt, decoded, [answer]).of_each[0].is_exact


def test_an_answer_longer_than_the_context_is_left_unread(open_bench, student):
    bench = open_bench()
    prompt, decoded = decode(bench, student)
    found = score(bench, prompt, decoded, [student.tokenize(f"<|line_1|>{' x = 1' * 300}{END}")])
    assert (found.tokens_evaluated, found.of_each[0].is_exact) == (0, False)


def test_more_answers_than_there_are_sequences_are_refused(open_bench, student):
    bench = open_bench()
    prompt, decoded = decode(bench, student)
    with pytest.raises(ValueError, match="4 answers cannot be scored at a time, 3 can"):
        score(bench, prompt, decoded, [[1]] * (MAX_PROPOSALS + 1))


def test_output_that_is_no_number_is_an_error_and_empties_the_cache(open_bench, student, bias):
    bench = open_bench()
    prompt, decoded = decode(bench, student)
    bias.of[:] = math.nan
    with pytest.raises(LlamaError, match="not a number"):
        score(bench, prompt, decoded, [student.tokenize(ANSWERS[3])])
    assert bench.decoder.cache.prompts == []
    assert bench.spare_tokens() == [0] * MAX_PROPOSALS
