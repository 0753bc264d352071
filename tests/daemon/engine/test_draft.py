"""Drafts follow the text an answer repeats, through every kind of change; and drafting never loses to not drafting."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.excerpt import excerpt_ranges
from capture.inputs import EditEvent, PredictionInputs, Span
from daemon.engine.draft import LONGEST_MATCH_TOKENS, Drafts, Follower
from daemon.engine.expected import expected_answers
from daemon.engine.pace import (
    FIRST_DRAFT_PASSES,
    FORGETTING_PASSES,
    KEPT_SAMPLES,
    REFIT_PASSES,
    START,
    SURE_START,
    FixedCosts,
    MeasuredCosts,
    Pace,
    batch_for,
)
from daemon.prompts.base import NoEdit, NoEditReason
from daemon.prompts.registry import FORMATS

NEWLINE = 10
tokens = st.lists(st.integers(5, 15), max_size=40)


def ends_line(token):
    return token == NEWLINE


def as_tokens(text):
    return [ord(character) for character in text]


def follow(source, answer):
    """A follower of ``source`` that has seen ``answer``, and how many of its tokens it expected."""
    follower = Follower(as_tokens(source), ends_line)
    right = 0
    for count in range(1, len(answer) + 1):
        right += follower.expected == ord(answer[count - 1])
        follower.advance(as_tokens(answer[:count]))
    return follower, right


def rest(follower):
    return "".join(map(chr, follower.proposal(1000)))


REGION = "first = 1\nsecond = total + 1\nthird = 3\nfourth = 4\n"


@pytest.mark.parametrize(
    ("written", "expected_rest"),
    [
        ("", REGION),
        ("first = 1\nsec", "ond = total + 1\nthird = 3\nfourth = 4\n"),
        ("first = 1\nsecond = number +", " 1\nthird = 3\nfourth = 4\n"),
        ("first = 1\nthir", "d = 3\nfourth = 4\n"),
        ("first = 1\nadded = 0\nseco", "nd = total + 1\nthird = 3\nfourth = 4\n"),
        ("first = 1\n(((({{{{\n", "third = 3\nfourth = 4\n"),
    ],
    ids=["at the start", "copying", "behind a replaced name", "behind a removed line", "behind an added line",
         "behind a rewritten line"],
)  # fmt: skip
def test_the_pointer_finds_back_to_the_region(written, expected_rest):
    assert rest(follow(REGION, written)[0]) == expected_rest


def test_a_copy_is_expected_token_by_token():
    assert follow(REGION, REGION)[1] == len(REGION)


def test_a_guess_that_was_wrong_does_not_move_the_place_from_where_the_search_goes_on():
    """The new text looks like something further down for a moment."""
    follower, _ = follow("xx\nfoo(a)\nbar z\nend\n", "xx\nz?(")

    assert rest(follower) == "a)\nbar z\nend\n"


def test_one_equal_token_far_away_says_nothing():
    assert rest(follow(REGION, "first = 1\n4")[0]) == ""
    assert rest(follow(REGION, "first = 1\n= 4")[0]) == "\n"


@given(source=tokens, answer=tokens)
def test_the_run_is_how_many_tokens_up_to_the_pointer_agree(source, answer):
    follower = Follower(source, ends_line)
    for count in range(1, len(answer) + 1):
        written = answer[:count]
        follower.advance(written)
        proposal = list(follower.proposal(len(source)))
        if follower.run:
            position = len(source) - len(proposal)
            compared = min(follower.run, count)
            assert follower.run <= position
            assert source[position - compared : position] == written[-compared:]
        assert proposal == source[len(source) - len(proposal) :]


@given(sources=st.lists(tokens, max_size=3), answer=tokens, count=st.integers(0, 12))
def test_a_draft_comes_from_the_source_that_has_agreed_the_longest(sources, answer, count):
    drafts = Drafts(sources, ends_line)
    followers = [Follower(source, ends_line) for source in sources]
    for index, token in enumerate(answer):
        drafts.advance(token)
        for follower in followers:
            follower.advance(answer[: index + 1])
    draft = drafts.propose(count)

    useful = [follower for follower in followers if follower.expected is not None]
    assert len(draft.tokens) <= count
    if useful:
        chosen = followers[draft.source]
        assert list(draft.tokens) == list(chosen.proposal(count))
        assert chosen.run == max(follower.run for follower in useful)
        assert draft.run == (chosen.run if answer else START)
    else:
        assert not draft.tokens


def test_a_rename_is_drafted_from_the_renamed_region_and_a_copy_from_the_region():
    """Both agree up to the name; which of them goes on is decided by what the model writes there."""
    region, renamed = "x = old\ny = old\nz = old\n", "x = new\ny = new\nz = new\n"
    drafts = Drafts([as_tokens(renamed), as_tokens(region)], ends_line)
    for token in as_tokens("x = "):
        drafts.advance(token)
    assert drafts.propose(3).tokens == as_tokens("new")

    for token in as_tokens("old\ny = "):
        drafts.advance(token)
    assert drafts.propose(3).tokens == as_tokens("old")


def test_a_match_is_compared_no_further_back_than_needed():
    source = [1, 2, 3] * 500
    follower = Follower(source, ends_line)
    follower.advance([9])
    follower.advance([9, 3])
    assert follower.run <= LONGEST_MATCH_TOKENS


# --- how many tokens to draft ------------------------------------------------------------------------------


def decode_time(pace, drafts, answer, most=32):
    """What it costs to write ``answer`` with drafts, and what it costs plainly; verification as the engine does it."""
    spent, written = 0.0, 0
    while written < len(answer):
        draft = drafts.propose(most)
        length = pace.draft_tokens(1, len(draft.tokens), draft.source, draft.run) if draft.tokens else 0
        spent += pace.costs.cost(1 + length)
        for drafted in [*draft.tokens[:length], None]:
            if written == len(answer):
                break
            token = answer[written]
            written += 1
            guess, right = drafts.advance(token)
            if guess.tokens:
                pace.learn(guess.source, guess.run, right=right)
            if drafted != token:
                break
    return spent, len(answer) * pace.costs.cost(1)


def answers(seed, share_changed):
    """Regions and answers that change some of their tokens at random."""
    random = Random(seed)
    for _ in range(60):
        region = [random.randrange(100) for _ in range(40)]
        yield region, [random.randrange(100) if random.random() < share_changed else token for token in region]


@pytest.mark.parametrize("each", [0.02, 0.33, 0.6, 0.95, 1.2])
@pytest.mark.parametrize("share_changed", [0.0, 0.05, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("sources", ["region", "wrong", "none"])
def test_drafting_costs_no_more_than_plain_decoding_whatever_is_drafted(each, share_changed, sources):
    pace = Pace(FixedCosts(1.0, each))
    spent = plain = 0.0
    for region, answer in answers(7, share_changed):
        source = {"region": [region], "wrong": [region[::-1]], "none": []}[sources]
        one_spent, one_plain = decode_time(pace, Drafts(source, ends_line), answer)
        spent, plain = spent + one_spent, plain + one_plain

    assert spent <= 1.01 * plain  # a hundredth is what it takes to learn that drafts are wrong


def test_a_copy_takes_few_passes_where_drafted_tokens_are_cheap():
    pace = Pace(FixedCosts(1.0, 0.05))
    spent = sum(decode_time(pace, Drafts([region], ends_line), answer)[0] for region, answer in answers(7, 0.0))
    assert spent < 60 * 40 / 8


def test_nothing_is_drafted_where_a_drafted_token_costs_a_pass():
    assert Pace(FixedCosts(1.0, 1.0)).draft_tokens(1, 32, 0, 8) == 0


def test_tokens_that_are_evaluated_anyway_are_no_reason_to_draft_or_not_to():
    pace = Pace(FixedCosts(1.0, 0.3))
    assert pace.draft_tokens(12, 32, 0, 8) == pace.draft_tokens(1, 32, 0, 8) > 0


def test_drafts_that_have_to_be_done_again_are_made_no_more_and_one_day_tried_again():
    pace = Pace(FixedCosts(1.0, 0.3))
    assert pace.draft_tokens(1, 32, 0, 8) > 0
    for _ in range(40):
        pace.settle(extra_passes=50)
    assert pace.draft_tokens(1, 32, 0, 8) == 0
    for _ in range(2000):
        pace.learn(0, 8, right=True)
    assert pace.draft_tokens(1, 32, 0, 8) > 0


@given(
    samples=st.lists(st.tuples(st.integers(1, 64), st.floats(1e-4, 1.0)), max_size=30),
    sizes=st.tuples(st.integers(1, 128), st.integers(1, 128)),
)
def test_a_larger_pass_is_never_believed_to_be_cheaper(samples, sizes):
    costs = MeasuredCosts()
    for size, seconds in samples:
        costs.record(size, seconds)
    small, large = sorted(sizes)
    assert 0 < costs.cost(small) <= costs.cost(large) * (1 + 1e-9)


def test_one_busy_moment_does_not_change_what_a_pass_is_believed_to_cost():
    costs = MeasuredCosts()
    for seconds in (0.010, 0.011, 0.500, 0.010, 0.012):
        costs.record(1, seconds)
        costs.record(4, 2 * seconds)
        costs.record(16, 6 * seconds)
    assert costs.cost(1) == pytest.approx(0.010, abs=0.002)
    assert costs.cost(8) == pytest.approx(0.033, abs=0.005)


def test_what_passes_cost_is_learned_anew_while_they_are_measured():
    """The line through all samples is not drawn again for each of them."""
    costs = MeasuredCosts()
    for seconds in (0.001, 0.002):
        for _ in range(REFIT_PASSES + KEPT_SAMPLES):
            for size in (1, 4, 16):
                costs.record(size, seconds * (0.5 + 0.5 * size))
        assert costs.cost(8) == pytest.approx(4.5 * seconds)


def test_long_passes_that_were_dearer_once_do_not_make_short_drafts_look_best():
    """They were measured behind a longer prompt; only by drafting far is it found out that they are cheaper now."""
    costs = MeasuredCosts()
    for _ in range(KEPT_SAMPLES):
        for size, seconds in ((1, 0.5), (2, 0.6), (4, 1.0), (32, 11.0), (63, 22.0)):
            costs.record(size, seconds)
    each = [costs.cost(size) / size for size in range(1, 64)]

    assert each == sorted(each, reverse=True)
    pace = Pace(costs)
    for _ in range(1000):
        pace.learn(0, 16, right=True)
    assert pace.draft_tokens(1, 10, 0, 16) == 10


def test_what_made_drafting_look_dear_is_forgotten_while_nothing_is_drafted():
    costs = MeasuredCosts()
    costs.record(1, 0.001)
    costs.record(4, 0.500)
    assert costs.cost(4) == pytest.approx(0.004)  # no more than four plain passes
    for _ in range(FORGETTING_PASSES):
        costs.record(1, 0.001)
    assert costs.cost(4) < 0.002


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        ({8: 3, 16: 5, 32: 10, 64: 13, 128: 28}, 64),  # in tiles 64 tokens cost little more than 32 one by one
        ({8: 2, 16: 4, 32: 8, 64: 16, 128: 32}, 8),  # where larger ones save nothing they only lose more
        ({8: 18, 16: 26, 32: 60}, 16),
        ({8: 76, 16: 142, 32: 276}, 8),  # a larger one would be begun anew with every key
        ({8: 400, 16: 500}, 8),
        ({8: 400}, 8),
    ],
)
def test_a_prompt_is_read_in_batches_that_typing_leaves_time_for(milliseconds, expected):
    assert batch_for({size: taken / 1000 for size, taken in milliseconds.items()}) == expected


# --- what a format would answer ----------------------------------------------------------------------------


TEXT = "total = 0\nfor item in items:\n    count = count + item\nprint(count)\n"
WHOLE_REGION_FORMATS = [
    *("zeta1", "V0112MiddleAtEnd", "V0113Ordered", "V0114180EditableRegion", "V0120GitMergeMarkers"),
    *("V0131GitMergeMarkersPrefix", "V0211Prefill", "zeta2", "V0331SeedCoderModelPy"),
    *("sweep", "sweep_v2", "instinct", "next_edit_qwen"),
]
RENAME = EditEvent("a.py", "a.py", "@@ -1,1 +1,1 @@\n-count = 0\n+total = 0\n")


def moment(cursor=9, events=()):
    nodes = (Span(0, len(TEXT)),)
    return PredictionInputs(
        "a.py", TEXT, cursor, excerpt_ranges(TEXT, cursor, nodes), events=events, syntax_ranges=nodes
    )


def expected(name, events=()):
    """The prompt of a format for ``TEXT``, and what its answer is expected to be, in characters."""
    inputs = moment(events=events)
    prompt = FORMATS[name].render(inputs, len)
    found = expected_answers(FORMATS[name], inputs, prompt, as_tokens)
    return prompt, ["".join(map(chr, draft)) for draft in found.drafts], found.unchanged


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "V0615HashRegions"])  # wants another moment
def test_only_an_answer_that_changes_nothing_is_called_unchanged(name):
    """Where a format has other words for it, or marks, there is no copy to come back to."""
    inputs = moment(events=[RENAME])
    prompt = FORMATS[name].render(inputs, len)
    unchanged = expected_answers(FORMATS[name], inputs, prompt, as_tokens).unchanged
    if unchanged is None:
        assert name not in WHOLE_REGION_FORMATS
    else:
        assert name in WHOLE_REGION_FORMATS
        text = unchanged.text.decode()
        assert FORMATS[name].parse(inputs, prompt, text, finished=True) == NoEdit(NoEditReason.UNCHANGED)


@pytest.mark.parametrize("name", ["sweep", "instinct"])
def test_where_the_answer_is_the_region_it_is_drafted_to_its_end_marker(name):
    prompt, drafts, unchanged = expected(name)

    assert drafts == [f"{TEXT}\n{prompt.stop[0]}"]
    assert unchanged.text == f"{TEXT}\n".encode()
    assert list(unchanged.tokens) == as_tokens(drafts[0])


def test_after_a_rename_the_renamed_region_is_the_first_draft():
    prompt, drafts, unchanged = expected("sweep", [RENAME])

    assert drafts == [f"{TEXT.replace('count', 'total')}\n{prompt.stop[0]}", f"{TEXT}\n{prompt.stop[0]}"]
    assert unchanged.text == f"{TEXT}\n".encode()


def test_a_format_that_names_lines_is_drafted_in_its_own_words_and_never_stops_early():
    prompt, drafts, unchanged = expected("line_edits", [RENAME])

    assert drafts == ["<|mark_1|><|again|><|mark_2|><|again|><|end|>", "<|no_edit|>"]
    assert unchanged is None
    assert not prompt.answer_copies_region


def test_a_prompt_that_begins_the_answer_is_followed_by_the_rest_of_it():
    inputs = moment(cursor=len(TEXT) - 2)
    prompt = FORMATS["sweep_v2"].render(inputs, len)
    found = expected_answers(FORMATS["sweep_v2"], inputs, prompt, as_tokens)

    assert prompt.prefill
    assert (prompt.prefill.encode() + found.unchanged.text).startswith(prompt.region_text.encode())
    assert "".join(map(chr, found.drafts[0])).startswith(prompt.region_text.removeprefix(prompt.prefill))


@given(each=st.floats(0.0, 1.0), pending=st.integers(1, 20), right=st.lists(st.booleans(), max_size=60))
def test_the_first_draft_of_an_answer_risks_little_unless_answers_begin_as_expected(each, pending, right):
    costs = FixedCosts(1.0, each)
    pace = Pace(costs)
    for outcome in right:
        pace.learn(0, START, right=outcome)
    drafted = pace.draft_tokens(pending, 50, 0, START)
    extra = costs.cost(pending + drafted) - costs.cost(pending)
    assert extra <= FIRST_DRAFT_PASSES + 1e-9 or pace.share(0, START) >= SURE_START
    if each == 0:
        assert drafted == 50
