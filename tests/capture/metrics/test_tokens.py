"""Code falls into the tokens Zed counts, and nothing of it is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.metrics.common_subsequence import common_ends, common_length, kept_mask
from capture.metrics.tokens import tokens, units

ITEMS = st.lists(st.sampled_from("abcd"), max_size=16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("myHTTPServer", ["my", "HTTP", "Server"]),
        ("Version2Update", ["Version2", "Update"]),
        ("__private_value", ["__", "private", "_", "value"]),
        ("größeΔWert", ["größe", "Δ", "Wert"]),
        ("नमस्ते", ["नमस", "्", "ते"]),  # a vowel sign is a letter, the virama is not
        ("Ⓐb ⅷC", ["Ⓐb", " ", "ⅷ", "C"]),
        ("a>>>=b?.c..=d", ["a", ">>>=", "b", "?.", "c", "..=", "d"]),
        ("x:=y<-z", ["x", ":=", "y", "<-", "z"]),
        ("a \t b\r\n\nc", ["a", " \t ", "b", "\r\n\n", "c"]),
        ("a\x1fb\x85c", ["a", "\x1f", "b", "\x85", "c"]),
    ],
)
def test_identifiers_break_at_humps_and_operators_stay_whole(text, expected):
    assert tokens(text) == expected


def test_a_separator_of_records_is_no_white_space_but_a_line_separator_is():
    assert tokens(" \x1f ") == [" ", "\x1f", " "]
    assert tokens(" \u2028 ") == [" \u2028 "]


@given(st.text())
def test_nothing_is_lost(text):
    assert "".join(tokens(text)) == text


@given(st.text(alphabet="aBc1_é़Ⅷ .=\n"))
def test_tokens_are_parts_of_units(text):
    assert [token for unit in units(text) for token in tokens(unit)] == tokens(text)


@given(st.text(alphabet="aB_1 .=\n-", max_size=20))
def test_ascii_reads_the_same_beside_other_letters(text):
    assert tokens(f"{text}\né") == [*tokens(f"{text}\n"), "é"]


@given(ITEMS, ITEMS)
def test_the_kept_items_are_a_longest_common_subsequence(items, other):
    kept = [item for item, is_kept in zip(items, kept_mask(items, other), strict=True) if is_kept]
    rest = iter(other)
    assert all(item in rest for item in kept)
    assert len(kept) == common_length(items, other)


def test_of_equal_choices_an_item_is_given_up_from_the_end():
    assert kept_mask(["b", "a", "c"], ["a", "b"]) == [True, False, False]
    assert kept_mask(["a", "b"], ["b", "a", "c"]) == [True, False]


@given(ITEMS, ITEMS)
def test_common_ends_are_as_long_as_they_can_be_and_do_not_overlap(first, second):
    prefix, suffix = common_ends(first, second)
    assert first[:prefix] == second[:prefix]
    assert first[len(first) - suffix :] == second[len(second) - suffix :]
    inner_first, inner_second = first[prefix : len(first) - suffix], second[prefix : len(second) - suffix]
    assert len(inner_first) + prefix + suffix == len(first)
    if inner_first and inner_second:
        assert inner_first[0] != inner_second[0]
        assert inner_first[-1] != inner_second[-1]
