"""The early stop: where an answer is known to have come back to the region, and where it must not be believed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.engine.answer import GrowingAnswer, Unchanged
from daemon.engine.decoder import DecodeRequest
from daemon.engine.messages import StopReason
from daemon.engine.rejoin import Rejoin

PROMPT = "def total(self):\n    ret = 1\n    return self.or"
REGION = "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\nf = 6\n"


def answered(unchanged, answer, step=1):
    """The answer that comes out when ``answer`` is written ``step`` bytes at a time, and how much of it was read."""
    rejoin = Rejoin(unchanged.encode())
    data = answer.encode()
    for end in range(step, len(data) + step, step):
        joined = rejoin.rest(data[:end])
        if joined is not None:
            kept, rest = joined
            return (data[:kept] + rest).decode(), min(end, len(data))
    return None, len(data)


@pytest.mark.parametrize(
    "answer",
    [
        "a = 1\nB = 2\nc = 3\nd = 4\n",
        "a = 1\nnew\nb = 2\nc = 3\n",
        "a = 1\nc = 3\nd = 4\ne = 5\n",
        "x\ny\nc = 3\nd = 4\n",
    ],
    ids=["a replaced line", "an added line", "a removed line", "two replaced lines"],
)
def test_two_lines_behind_the_change_end_the_answer(answer):
    rest = REGION[REGION.index(answer[-6:]) + 6 :]
    assert answered(REGION, answer + rest) == (answer + rest, len(answer))


@pytest.mark.parametrize(
    "answer",
    [
        REGION,
        "a = 1\nB = 2\nc = 3\n",
        "a = 1\nB = 2\nc = 3\nD = 4\ne = 5\n",
        "B = 2\nA = 1\nb = 2\n",
    ],
    ids=["no difference", "one line", "a line, another change, a line", "lines that stand above"],
)
def test_the_answer_goes_on_while_it_is_not_certain(answer):
    assert answered(REGION, answer)[0] is None


def test_two_blank_lines_or_two_brackets_say_nothing():
    region = "a = (\n    1\n)\n}\n\n\nz = 1\n"
    assert answered(region, "b = (\n    2\n)\n}\n\n\n")[0] is None
    assert answered(region, "b = (\n    2\n)\n}\n\n\nz = 1\n")[0] == "b = (\n    2\n)\n}\n\n\nz = 1\n"


def test_lines_that_occur_twice_decide_nothing():
    """The same two lines stand in both functions; which of them the answer is at shows only behind them."""
    region = "def a():\n    x = 1\n    return x\n\ndef b():\n    x = 1\n    return x\n\ndef c():\n    pass\n"
    answer = "def A():\n    x = 1\n    return x\n"
    assert answered(region, answer)[0] is None
    assert answered(region, answer + "\ndef b():\n")[0] == region.replace("def a", "def A")


def test_where_more_lines_were_removed_than_written_more_must_agree():
    lines = [f"line {number}\n" for number in range(12)]
    answer = [*lines[:1], *lines[4:]]  # three are gone
    assert answered("".join(lines), "".join(answer[:5]))[0] is None
    assert answered("".join(lines), "".join(answer)) == ("".join(answer), len("".join(answer[:6])))


def test_the_line_that_was_begun_must_agree_too():
    """A token may hold the line's end and the start of the next line."""
    assert answered(REGION, "A = 1\nb = 2\nc = 3\nD", step=19)[0] is None
    assert answered(REGION, "A = 1\nb = 2\nc = 3\nd", step=19)[0] == REGION.replace("a", "A")


def test_inserted_lines_that_repeat_lines_from_further_down_read_as_a_replacement():
    """Known and accepted: until the answer is longer, an insertion cannot be told from this."""
    region = "def a():\n    pass\ndef b():\n    x = load()\n    return x\n"
    inserted = "def a():\n    pass\ndef c():\n    x = load()\n    return x\n"
    assert answered(region, inserted + region.split("\n", 2)[2])[0] == inserted


lines = st.lists(st.sampled_from(["a", "b", "c", "", "}", "    a"]), max_size=14)
new_lines = st.lists(st.sampled_from(["X", "Y", "", "Z", "é"]), max_size=4)


@given(region=lines, new=new_lines, place=st.tuples(st.integers(0, 14), st.integers(0, 4)), step=st.integers(1, 9))
def test_one_change_is_spliced_exactly_however_many_lines_of_the_region_are_equal(region, new, place, step):
    """As long as what is written anew does not repeat the region: blank lines aside, none of it stands there."""
    start, removed = min(place[0], len(region)), place[1]
    changed = [*region[:start], *new, *region[start + removed :]]
    unchanged, answer = ("".join(f"{line}\n" for line in some) for some in (region, changed))
    assume("" not in new or "" not in region)
    spliced, _ = answered(unchanged, answer, step)
    assert spliced in (None, answer)


@given(region=lines, tail=st.sampled_from(["", "tail"]), step=st.integers(1, 5))
def test_a_copy_never_ends_early(region, tail, step):
    text = "".join(f"{line}\n" for line in region) + tail
    assert answered(text, text, step)[0] is None


# --- in an answer: stop reason and confidence --------------------------------------------------------------


class LetterModel:
    """Tokens are characters; 0 ends a sequence."""

    def piece(self, token):
        return chr(token).encode() if token else b""

    def ends_generation(self, token):
        return token == 0


def grow(answer, unchanged, probability=0.5):
    """An answer written character by character, each with this probability; the end token follows."""
    growing = GrowingAnswer(
        LetterModel(), (b"<end>",), unchanged and Unchanged(unchanged.encode(), [*map(ord, unchanged), 0])
    )
    for token in [*map(ord, answer), 0]:
        logits = np.full(300, -1e9, np.float32)
        logits[token] = math.log(probability)
        logits[299] = math.log(1 - probability)
        growing.take(token, logits)
        if growing.stop is not None:
            break
    return growing, round(growing.log_probability / math.log(probability))


def test_an_answer_that_comes_back_stops_with_the_whole_new_region():
    growing, _ = grow(REGION.replace("b = 2", "b = 7"), REGION)

    assert growing.stop is StopReason.REJOINED
    assert growing.stop.finished
    assert growing.text.decode() == REGION.replace("b = 2", "b = 7")
    assert len(growing.tokens) == len("a = 1\nb = 7\nc = 3\nd = 4\n")


def test_without_a_text_to_copy_an_answer_goes_on_to_its_end():
    growing, _ = grow(REGION.replace("b = 2", "b = 7"), None)
    assert growing.stop is StopReason.END_OF_SEQUENCE


def test_a_line_that_was_rewritten_ends_with_the_first_token_of_the_next():
    region = f"a = 1\n{'b' * 20} = 2\nc = 3\nd = 4\n"
    assert grow("a = 1\n(\nc = 3\nd = 4\n", region)[1] == len("(\nc")


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (REGION, 0),  # nothing differs
        (REGION.replace("b = 2", "b = 7"), 2),  # the 7, and the newline that agrees again
        (REGION.replace("b = 2", "b = 777"), 4),
        (REGION.replace("b = 2\n", ""), 1),  # the c that stands too early, and agrees from there
        ("a = 1\n", 1),  # the end, where more was expected
    ],
    ids=["a copy", "one character", "three characters", "a removed line", "a missing rest"],
)
def test_the_confidence_is_that_of_the_change(answer, counted):
    assert grow(answer, REGION)[1] == counted


def test_without_a_text_to_copy_every_token_counts():
    assert grow("abc", None)[1] == 4


# --- in the decoder ----------------------------------------------------------------------------------------


@pytest.fixture
def lines_bench(open_bench, build_model):
    """A model that writes lines, its prompt and its plain answer."""
    bench = open_bench(build_model(newline_instead_of=65, certainty=30.0), batch_tokens=64)
    prompt = bench.model.tokenize(PROMPT)
    answer = bench.decoder.decode(DecodeRequest(prompt, (), 60)).answer
    bench.decoder.cache.clear()
    assert answer.count(b"\n") >= 4  # else another token must become the newline
    return bench, prompt, answer


@pytest.mark.parametrize("is_drafted", [True, False])
def test_an_answer_stops_where_it_has_come_back_and_the_rest_is_the_regions(lines_bench, is_drafted):
    bench, prompt, answer = lines_bench
    first, *lines = answer.split(b"\n")
    text = b"\n".join([b"was " + first, *lines[:2], b"the rest", b"that is never read", b""])
    unchanged = Unchanged(text, bench.model.tokenize(text.decode()))
    drafts = [unchanged.tokens] if is_drafted else []
    decoded = bench.decoder.decode(DecodeRequest(prompt, (), 60, drafts, unchanged))

    assert decoded.stop is StopReason.REJOINED
    assert decoded.stop.finished
    assert decoded.answer == b"\n".join([first, *lines[:2], b"the rest", b"that is never read", b""])
    assert decoded.counters.answer_tokens < 60
    assert decoded.counters.tokens_evaluated < len(prompt) + 60 + decoded.counters.drafted


def test_an_answer_that_copies_counts_only_its_change(lines_bench):
    bench, prompt, _ = lines_bench
    every = bench.decoder.decode(DecodeRequest(prompt, (), 41))
    tokens = list(bench.decoder.cache.held[len(prompt) :])  # all but the last, which was not evaluated
    text = b"".join(map(bench.model.piece, tokens))
    copied = bench.decoder.decode(DecodeRequest(prompt, (), 40, (), Unchanged(text, tokens)))
    other = [*tokens[:20], 5, *tokens[21:]]
    differing = bench.decoder.decode(DecodeRequest(prompt, (), 40, (), Unchanged(text, other)))

    assert copied.log_probability == 0
    assert every.log_probability < differing.log_probability < 0
