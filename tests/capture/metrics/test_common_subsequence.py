"""Which longest common subsequence is kept: the textbook's table, walked back item by item, is the judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.metrics.common_subsequence import kept_mask, kept_masks

# Few kinds of items make many equal choices, and 70 of them more bits than a machine word or a digit of Python's has.
FEW_KINDS = st.lists(st.sampled_from("ab"), max_size=70)
MORE_KINDS = st.lists(st.sampled_from("abcdefgh"), max_size=70)
PAIRS = st.tuples(FEW_KINDS, FEW_KINDS) | st.tuples(MORE_KINDS, MORE_KINDS) | st.tuples(FEW_KINDS, MORE_KINDS)


@given(PAIRS)
def test_the_choice_is_that_of_the_textbook_walked_back_from_the_end(pair):
    first, second = pair
    assert kept_mask(first, second) == kept_by_the_textbook(first, second)


@given(PAIRS)
def test_one_table_answers_for_both_sides(pair):
    first, second = pair
    assert kept_masks(first, second) == (kept_by_the_textbook(first, second), kept_by_the_textbook(second, first))


@given(MORE_KINDS, st.data())
def test_what_was_only_taken_out_leaves_all_the_rest_kept(items, data):
    stays = data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
    rest = [item for item, is_kept in zip(items, stays, strict=True) if is_kept]
    of_items, of_rest = kept_masks(items, rest)
    assert (sum(of_items), of_rest) == (len(rest), [True] * len(rest))


@pytest.mark.parametrize(
    ("first", "second", "of_first", "of_second"),
    [
        ("", "ab", [], [False, False]),
        ("abx", "bay", [True, False, False], [True, False, False]),  # one side keeps its a, the other its b
        ("aax", "xa", [False, True, False], [True, False]),
    ],
)
def test_each_side_gives_up_its_own_items_first(first, second, of_first, of_second):
    assert kept_masks(list(first), list(second)) == (of_first, of_second)


def kept_by_the_textbook(items, other):
    start = 0
    while start < min(len(items), len(other)) and items[start] == other[start]:
        start += 1
    end, other_end = len(items), len(other)
    while min(end, other_end) > start and items[end - 1] == other[other_end - 1]:
        end, other_end = end - 1, other_end - 1
    kept = [index < start or index >= end for index in range(len(items))]
    items, other = items[start:end], other[start:other_end]
    longest = [[0] * (len(other) + 1) for _ in range(len(items) + 1)]
    for row, item in enumerate(items, 1):
        for column, opposite in enumerate(other, 1):
            longest[row][column] = (
                longest[row - 1][column - 1] + 1
                if item == opposite
                else max(longest[row - 1][column], longest[row][column - 1])
            )
    row, column = len(items), len(other)
    while row and column:
        if items[row - 1] == other[column - 1]:
            row, column = row - 1, column - 1
            kept[start + row] = True
        elif longest[row - 1][column] == longest[row][column]:
            row -= 1
        else:
            column -= 1
    return kept
