"""Delta chrF compares two edits of a text by the n-grams they bring and take away."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.metrics.chr_f import delta_chr_f

CODE = st.lists(st.sampled_from(["foo", "bar(", "x", ")", " ", "    ", "\n", "\n\n", "é", "¬"]), max_size=30).map(
    "".join
)
LINES = st.lists(st.sampled_from(["a = 1\n", "b = long_name(2)\n", "}\n", "\n", "    return a\n"]), max_size=12).map(
    "".join
)


def test_the_wanted_edit_scores_100_and_a_wrong_one_less():
    original, wanted = "let x = 42;", "let x = 100;"
    assert delta_chr_f(original, wanted, wanted).score == 100.0
    half_right = delta_chr_f(original, wanted, "let x = 99;").score
    nothing = delta_chr_f(original, wanted, original).score
    assert 0.0 == nothing < half_right < 100.0


def test_what_is_deleted_counts_as_much_as_what_is_added():
    result = delta_chr_f("abcdefgh", "abcefgh", "abcdefgh")
    # "d" alone, then for each n the grams that held it, and the new ones across the gap.
    assert result.counts.fn == 1 + (2 + 1) + (3 + 2) + (4 + 3) + (4 + 3) + (3 + 2)
    assert result.counts.tp == result.counts.fp == 0


def test_precision_weighs_more_than_recall():
    original = "0123456789\n"
    wanted = original + "first line\nsecond line\n"
    cautious = delta_chr_f(original, wanted, original + "first line\n")
    bold = delta_chr_f(original, wanted, wanted + "third line\nfourth one\n")
    assert cautious.precision > cautious.recall
    assert bold.recall > bold.precision
    assert cautious.score > bold.score


def test_the_width_of_white_space_does_not_matter_but_a_line_end_does():
    assert delta_chr_f("a b", "a  b", "a \t\u2003b").score == 100.0
    assert delta_chr_f("a b", "a\n\nb", "a\nb").score == 100.0
    assert delta_chr_f("a b", "a\nb", "a b").score < 100.0
    assert delta_chr_f("a b", "a\x1fb", "a b").score < 100.0


def test_orders_longer_than_the_texts_count_as_right():
    assert delta_chr_f("a", "b", "c").precision == pytest.approx((0.5 + 5) / 6)


@given(CODE, CODE, CODE)
def test_the_counts_are_those_of_whole_texts_counted_naively(original, wanted, given_text):
    result = delta_chr_f(original, wanted, given_text)
    tp = wanted_total = given_total = 0
    for order in range(1, 7):
        wanted_delta, given_delta = gram_delta(original, wanted, order), gram_delta(original, given_text, order)
        tp += (wanted_delta & given_delta).total()
        wanted_total += wanted_delta.total()
        given_total += given_delta.total()
    assert (result.counts.tp, result.counts.fp, result.counts.fn) == (tp, given_total - tp, wanted_total - tp)


@given(st.tuples(CODE, CODE, CODE) | st.tuples(LINES, LINES, LINES))
def test_the_rates_are_averages_of_those_of_each_order(texts):
    original, wanted, given_text = texts
    precision = recall = 0.0
    for order in range(1, 7):
        tp = wanted_total = given_total = 0
        is_counted = max(changed_length(original, wanted), changed_length(original, given_text)) >= order
        if is_counted:
            wanted_delta, given_delta = gram_delta(original, wanted, order), gram_delta(original, given_text, order)
            tp = (wanted_delta & given_delta).total()
            wanted_total, given_total = wanted_delta.total(), given_delta.total()
        precision += rate(tp, given_total) if is_counted else 1.0
        recall += rate(tp, wanted_total) if is_counted else 1.0
    result = delta_chr_f(original, wanted, given_text)
    assert (result.precision, result.recall) == (precision / 6, recall / 6)


@given(st.tuples(*[st.integers(0, 40)] * 3))
def test_one_character_over_and_over_is_counted_as_often_as_it_comes(lengths):
    original, wanted, given_text = lengths
    tp = wanted_total = given_total = 0
    for order in range(1, 7):
        before, after, other = (max(0, length - order + 1) for length in lengths)
        wanted_total, given_total = wanted_total + abs(after - before), given_total + abs(other - before)
        if (after - before) * (other - before) > 0:
            tp += min(abs(after - before), abs(other - before))
    counts = delta_chr_f("a" * original, "a" * wanted, "a" * given_text).counts
    assert (counts.tp, counts.fp, counts.fn) == (tp, given_total - tp, wanted_total - tp)


@given(LINES, LINES, LINES, LINES)
def test_lines_that_stay_between_two_edits_change_nothing(between, old, new, other):
    original, wanted = f"{old}{between}{old}", f"{new}{between}{other}"
    result = delta_chr_f(original, wanted, original)
    expected = sum(gram_delta(original, wanted, order).total() for order in range(1, 7))
    assert result.counts.fn == expected


@given(CODE, CODE)
def test_the_wanted_edit_itself_scores_100(original, wanted):
    result = delta_chr_f(original, wanted, wanted)
    assert (result.counts.fp, result.counts.fn) == (0, 0)
    if collapsed(original) == collapsed(wanted):
        assert result.score == 100.0


@given(CODE, CODE, CODE)
def test_what_one_side_misses_the_other_has_too_much(original, first, second):
    there, back = delta_chr_f(original, first, second), delta_chr_f(original, second, first)
    assert (there.counts.tp, there.counts.fp, there.counts.fn) == (back.counts.tp, back.counts.fn, back.counts.fp)
    assert there.precision == pytest.approx(back.recall)


@given(st.text(), st.text(), st.text())
def test_any_text_can_be_scored(original, wanted, given_text):
    assert 0.0 <= delta_chr_f(original, wanted, given_text).score <= 100.0 + 1e-9


def gram_delta(before, after, order):
    before, after = (
        Counter(text[at : at + order] for at in range(len(text) - order + 1))
        for text in map(collapsed, (before, after))
    )
    return after - before + Counter({("gone", gram): count for gram, count in (before - after).items()})


def collapsed(text):
    return re.sub(r"\n+", "\n", re.sub(r" +", " ", text))


def changed_length(before, after):
    """Characters between the common ends and up to five beside them, of the longer text."""
    before, after = collapsed(before), collapsed(after)
    if before == after:
        return 0
    shorter = min(len(before), len(after))
    prefix = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    left = shorter - prefix
    suffix = next((at for at in range(left) if before[-1 - at] != after[-1 - at]), left)
    return max(len(before), len(after)) - max(0, prefix - 5) - max(0, suffix - 5)


def rate(part, whole):
    return part / whole if whole else 0.0
