"""What texts share at both ends is left out without any effect on a score."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.metrics import chr_f
from capture.metrics.chr_f import delta_chr_f
from capture.metrics.common_subsequence import kept_mask
from capture.metrics.kept_rate import kept_rate
from capture.metrics.shared_text import shared_ends
from capture.metrics.tokens import tokens, units

PIECES = st.lists(
    st.sampled_from(
        ["a", "b_c", "é", "\u0939\u093f", " ", "\t", "\n", "\r\n", "\x1c", "==", "x = 1\n", "\n\n   \n", "}\n"]
    ),
    max_size=12,
)
TEXTS = st.builds("".join, PIECES)


@given(head=TEXTS, tail=TEXTS, middles=st.tuples(TEXTS, TEXTS, TEXTS), margin=st.integers(0, 6))
def test_what_is_left_out_is_the_same_in_all_texts_and_cuts_no_token(head, tail, middles, margin):
    base, *others = (head + middle + tail for middle in middles)
    start, tail_length = shared_ends(base, others, margin)
    for text in (base, *others):
        end = len(text) - tail_length
        assert start <= end
        assert text[:start] == base[:start]
        assert text[end:] == base[len(base) - tail_length :]
        for split in (tokens, units):
            assert split(text[:start]) + split(text[start:end]) + split(text[end:]) == split(text)


@given(head=TEXTS, tail=TEXTS, middles=st.tuples(TEXTS, TEXTS, TEXTS))
def test_the_kept_rate_of_long_texts_is_that_of_all_their_units(head, tail, middles):
    base, candidate, reference = (head + middle + tail for middle in middles)
    scored = kept_rate(base, candidate, reference)
    base_units, candidate_units = units(base), units(candidate)
    in_base = kept_mask(candidate_units, base_units)
    assert "".join(token for token, _ in scored.candidate_tokens()) == candidate
    context = [token for token, fate in scored.candidate_tokens() if fate == "context"]
    assert "".join(context) == "".join(unit for unit, kept in zip(candidate_units, in_base, strict=True) if kept)
    deleted = [unit for unit, kept in zip(base_units, kept_mask(base_units, candidate_units), strict=True) if not kept]
    assert scored.candidate_deleted == len("".join(deleted).encode())


@given(head=TEXTS, tail=TEXTS, middles=st.tuples(TEXTS, TEXTS, TEXTS))
def test_delta_chr_f_of_long_texts_is_that_of_all_their_n_grams(head, tail, middles):
    original, expected, actual = (head + middle + tail for middle in middles)
    scored = delta_chr_f(original, expected, actual)
    counts = Counter()
    if not original == expected == actual:
        for order in chr_f.ORDERS:
            before, wanted, given_ = (grams(text, order) for text in (original, expected, actual))
            for gram in before | wanted | given_:
                delta, other = wanted[gram] - before[gram], given_[gram] - before[gram]
                common = min(abs(delta), abs(other)) if delta * other > 0 else 0
                counts.update(tp=common, fp=abs(other) - common, fn=abs(delta) - common)
    assert (scored.counts.tp, scored.counts.fp, scored.counts.fn) == (counts["tp"], counts["fp"], counts["fn"])


def grams(text, order):
    collapsed = chr_f._collapsed(text)
    return Counter(collapsed[at : at + order] for at in range(len(collapsed) - order + 1))


@pytest.mark.parametrize("gap", ["\n" * 300, " " * 300 + "\n", "x\n" * 300])
def test_long_runs_of_white_space_beside_a_change_are_looked_through(gap):
    original = f"alpha = 1\n{gap}value = 2\n{gap}omega = 3\n"
    shorter = delta_chr_f(original, original.replace("2", "3"), original.replace("2", "4"))
    collapsed = original.replace(gap, "\n" if gap.startswith("\n") else gap)
    assert shorter == delta_chr_f(collapsed, collapsed.replace("2", "3"), collapsed.replace("2", "4"))
