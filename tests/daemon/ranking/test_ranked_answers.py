"""What is answered is what the model finds likeliest, whoever wrote it; it costs nothing where nothing is to choose."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.inputs import Span
from daemon.engine.abort import AbortCause, AbortFlag
from daemon.engine.client import EngineClient
from daemon.engine.decoder import NEAR_TIE_LOGITS
from daemon.engine.expected import answer_for
from daemon.engine.llama import Context
from daemon.engine.messages import Candidate, EngineAnswer, ModelSettings, Origin, StopReason
from daemon.engine.proposals import proposals
from daemon.prompts.line_edits import LineEdits
from daemon.prompts.line_region import AGAIN, LINE_NAMES, NO_EDIT
from tests.daemon.ranking.conftest import STUDENT

LONG_SECONDS = 60.0
functions_as_fixtures = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = ("a", "am", "amount", "total_count", "rows")


class Opinions:
    """What the biased student thinks of inputs, found plainly: prompt, answers and log-probabilities of its own."""

    def __init__(self, student, plain_scores):
        self._student, self._plain = student, plain_scores
        self._format = LineEdits()

    def of(self, inputs, own):
        """Log-probability of each text the region may become, None for no edit: the rule's, ``own``, no edit."""
        prompt = self._format.render(inputs, lambda text: len(self._student.tokenize(text)))
        tokens = self._student.tokenize(prompt.text)
        texts = [prompt.region_text, *proposals(inputs, prompt.region)]
        answers = {text: answer_for(self._format, inputs, prompt, text) for text in texts if text != own}
        scores = {
            text: self._plain.of(tokens, self._student.tokenize(answer))
            for text, answer in answers.items()
            if answer is not None
        }
        return {None if text == prompt.region_text else text: score for text, score in scores.items()}


@pytest.fixture(scope="module")
def opinions(student, plain_scores):
    return Opinions(student, plain_scores)


def tolerance(log_probability):
    """Rounding in each of a few tokens; more in those that are all but impossible, where nothing is decided."""
    return 20 * NEAR_TIE_LOGITS if log_probability > -20 else math.inf


@functions_as_fixtures
@given(
    new=st.sampled_from(NAMES),
    row=st.sampled_from([0, 1, 4]),
    heat=st.sampled_from([1.0, 1.5, 2.0]),
    quiet=st.floats(-12, 6, width=16),
    again=st.floats(-2, 2, width=16),
    lines=st.dictionaries(st.sampled_from(LINE_NAMES[:12]), st.floats(-4, 4, width=16), max_size=4),
    asked=st.sampled_from([0.0, 0.02, 0.25]),
)
def test_what_is_shown_is_what_the_model_finds_likeliest(
    loaded, bias, student, renamed, opinions, new, row, heat, quiet, again, lines, asked
):
    bias.heat, bias.of[:] = heat, 0.0
    for text, preference in {NO_EDIT: quiet, AGAIN: again, **lines}.items():
        bias.of[student.tokenize(text)] = preference
    inputs = renamed(new, old="items" if row == 0 else "count", row=row)
    ranking, alone = loaded
    shown = ranking.predict(1, inputs, LONG_SECONDS, least_confidence=asked)
    plain = alone.predict(1, inputs, LONG_SECONDS, least_confidence=asked)
    assert shown.text_without_ranking == plain.new_region_text
    known = opinions.of(inputs, plain.new_region_text)
    if plain.new_region_text is not None:
        known[plain.new_region_text] = math.log(plain.confidence)
    chosen = shown.new_region_text
    if chosen is None:
        others = max((score for text, score in known.items() if text is not None), default=-math.inf)
        lowest = max(known[None], math.log(asked) if asked else -math.inf)
        assert others <= lowest + tolerance(others)
        return
    assert shown.confidence >= asked
    assert abs(math.log(shown.confidence) - known[chosen]) <= tolerance(known[chosen])
    assert all(known[chosen] >= other - tolerance(known[chosen]) for other in known.values())
    assert (shown.origin is Origin.MODEL) == (chosen == plain.new_region_text)
    assert shown.stop.finished


@pytest.fixture
def loaded(load):
    return load(ranking=True), load(ranking=False)


def lean(bias, student, **preferences):
    """Another model: of the student's opinion, with a liking for some tokens."""
    bias.of[:] = 0.0
    for text, preference in preferences.items():
        bias.of[student.tokenize(f"<|{text}|>")] = preference


@pytest.fixture
def judge_of_the_rule(bias, student, renamed):
    """``judge_of_the_rule(loaded)``: leads the student astray as author until the rule's text is the likeliest."""

    def lead(loaded):
        for heat, line, liking in itertools.product((1.0, 1.5, 2.0), ("line_8", "line_5"), (0.0, 2.0, 4.0, 6.0)):
            bias.heat = heat
            lean(bias, student, no_edit=-20.0, **{line: liking})
            answer = loaded.predict(1, renamed(), LONG_SECONDS)
            if answer.origin is Origin.RULE:
                return answer
        raise AssertionError("no bias made the rule's text the likeliest")

    return lead


def test_the_rules_text_is_shown_where_it_is_the_likeliest_and_says_whose_it_is(load, judge_of_the_rule, renamed):
    ranking = load(ranking=True)
    answer = judge_of_the_rule(ranking)
    inputs = renamed()
    assert answer.new_region_text in proposals(inputs, Span(0, len(inputs.excerpt_bytes)))
    assert answer.candidates[0] == Candidate(Origin.RULE, answer.new_region_text, answer.confidence)
    assert answer.stop is StopReason.STOP_MARKER
    assert EngineAnswer.from_json(answer.to_json()) == answer


def test_a_proposal_less_likely_than_no_edit_is_never_shown(load, judge_of_the_rule, bias, student, renamed):
    ranking = load(ranking=True)
    judge_of_the_rule(ranking)
    quiet = 0.0
    while quiet < 60.0:  # from where the rule is likelier to where nothing but "no edit" is likely
        quiet += 2.0
        bias.of[student.tokenize(NO_EDIT)] = quiet - 30.0
        answer = ranking.predict(1, renamed(), LONG_SECONDS)
        nothing = next(one.probability for one in answer.candidates if one.new_region_text is None)
        assert answer.new_region_text is None or answer.confidence > nothing
    assert answer.new_region_text is None
    assert answer.reason == "the model predicts no edit"
    assert len(answer.candidates) == 1  # the rule was not even asked


def test_a_proposal_obeys_the_limit_of_confidence_and_says_that_a_lower_one_might_do(load, judge_of_the_rule, renamed):
    ranking = load(ranking=True)
    shown = judge_of_the_rule(ranking)
    above, below = min(1.0, shown.confidence * 1.01), shown.confidence * 0.99
    given_up = ranking.predict(1, renamed(), LONG_SECONDS, least_confidence=above)
    assert (given_up.new_region_text, given_up.given_up_below) == (None, above)
    assert "the model is less sure" in given_up.reason
    assert ranking.predict(1, renamed(), LONG_SECONDS, least_confidence=below).new_region_text == shown.new_region_text


def test_without_ranking_nothing_is_scored_and_the_answer_is_the_models_own(load, judge_of_the_rule, renamed):
    ranking, alone = load(ranking=True), load(ranking=False)
    ranked = judge_of_the_rule(ranking)
    plain = alone.predict(1, renamed(), LONG_SECONDS)
    assert (plain.origin, plain.candidates) == (Origin.MODEL, ())
    assert plain.new_region_text == ranked.text_without_ranking
    assert ranked.counters.answer_tokens == plain.counters.answer_tokens


def test_where_nothing_was_replaced_nothing_is_read_beside_the_answer(load, renamed, bias, student, monkeypatch):
    lean(bias, student, no_edit=-20.0)
    monkeypatch.setattr(Context, "decode_side_by_side", lambda *_: pytest.fail("something was read"))
    answer = load(ranking=True).predict(1, replace(renamed(), events=()), LONG_SECONDS)
    assert all(one.origin is Origin.MODEL for one in answer.candidates)


def test_where_the_model_says_no_edit_the_rule_is_not_asked(load, renamed, bias, student, monkeypatch):
    lean(bias, student, no_edit=40.0)
    monkeypatch.setattr("daemon.engine.ranking.proposals", lambda *_: pytest.fail("it was asked"))
    answer = load(ranking=True).predict(1, renamed(), LONG_SECONDS)
    assert (answer.new_region_text, answer.reason) == (None, "the model predicts no edit")
    assert [one.new_region_text for one in answer.candidates] == [None]


def test_typing_on_gets_the_answers_of_an_engine_that_never_ranked(load, renamed):
    """Keystroke by keystroke, so that each answer builds on a cache that scoring has used."""
    ranking, alone = load(ranking=True), load(ranking=False)
    for end in range(1, len("amount_of") + 1):
        inputs = renamed("amount_of"[:end])
        ranked, plain = ranking.predict(end, inputs, LONG_SECONDS), alone.predict(end, inputs, LONG_SECONDS)
        assert ranked.text_without_ranking == plain.new_region_text
        assert ranked.counters.tokens_reused == plain.counters.tokens_reused


def test_an_abort_while_judging_is_an_abort_and_the_next_answer_is_as_before(
    load, judge_of_the_rule, renamed, monkeypatch
):
    flag = AbortFlag.create()
    ranking = load(ranking=True, flag=flag)
    shown = judge_of_the_rule(ranking)
    plain, causes = Context.decode_side_by_side, [AbortCause.CANCELLED]

    def abort(*arguments):
        flag.set(causes[-1])
        return plain(*arguments)

    monkeypatch.setattr(Context, "decode_side_by_side", abort)
    aborted = ranking.predict(1, renamed(), LONG_SECONDS)
    assert (aborted.stop, aborted.counters.aborted, aborted.new_region_text) == (StopReason.ABORTED, 1, None)
    causes.append(AbortCause.NONE)
    flag.set(AbortCause.NONE)
    again = ranking.predict(1, renamed(), LONG_SECONDS)
    assert (again.origin, again.new_region_text) == (Origin.RULE, shown.new_region_text)
    assert math.isclose(again.confidence, shown.confidence, rel_tol=20 * NEAR_TIE_LOGITS)
    assert again.counters.tokens_reused == again.counters.prompt_tokens - 1


def test_the_client_hears_whose_the_answer_is_and_what_else_was_considered(renamed):
    async def ask(*, ranking):
        engine = EngineClient(ModelSettings(str(STUDENT), threads=1, ranking=ranking), log=logging.getLogger("tests"))
        try:
            return await engine.ready(), await engine.predict(renamed(), deadline_seconds=LONG_SECONDS)
        finally:
            await engine.close()

    model, ranked = asyncio.run(ask(ranking=True))
    other_model, plain = asyncio.run(ask(ranking=False))
    assert (model.ranking, other_model.ranking) == (True, False)
    assert ranked.text_without_ranking == plain.new_region_text
    assert sum(one.new_region_text is None for one in ranked.candidates) == 1
    assert sum(one.probability for one in ranked.candidates if one.is_exact) <= 1
    assert plain.candidates == ()
