"""A line half typed is on the way from the old line to the new one, cut where people pause."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.importing.partial_line import partial_line

TEXTS = st.text(st.sampled_from("ab_1 (),.=ä𝕏\t"), max_size=20)


@given(old=TEXTS, new=TEXTS, seed=st.integers(0, 9))
def test_what_is_typed_begins_the_new_line_and_what_is_left_ends_the_old(old, new, seed):
    found = partial_line(old, new, Random(seed))
    if found is None:
        assert len(new) <= 1 or not new.strip() or old
        return
    assert new.startswith(found.typed)
    assert old.endswith(found.rest)
    assert found.text not in {old, new}


class Watched(Random):
    """Remembers with what weights was drawn."""

    def choices(self, population, weights, **_):
        self.weights = {place.new_at: weight for place, weight in zip(population, weights, strict=True)}
        return [population[0]]


@pytest.mark.parametrize(
    ("before", "after", "weight"),
    [
        ("call(one,", " two)", 10),
        ("call(", "one)", 10),
        ("if x:", " y()", 10),
        ("call(one)", ".two", 8),
        ("total", " = 1", 8),
        ("total ", "= 1", 6),
        ("total +", " 1", 5),
        ("total.", "name", 5),
        ("tot", "al = 1", 1),
        ('name = "', 'x"', 3),
    ],
)
def test_people_pause_behind_commas_more_often_than_inside_names(before, after, weight):
    random = Watched()
    partial_line("", before + after, random)
    assert random.weights[len(before)] == weight


def test_the_indentation_is_put_in_by_the_editor():
    random = Watched()
    partial_line("", "        return", random)
    assert min(random.weights) == len("        ")


def test_deleting_happens_character_by_character_before_anything_is_typed():
    states = {partial_line("total = cents", "total = euros", Random(seed)).text for seed in range(300)}
    assert {"total = ents", "total = e", "total = eur"} <= states


def test_the_rest_of_the_old_line_stays_only_where_it_is_like_what_comes():
    like = {partial_line("f(one, two, three)", "f(zero, two, three)", Random(seed)).rest for seed in range(99)}
    assert ", two, three)" in like
    unlike = {partial_line("x = 1", "y_total(prices)", Random(seed)).rest for seed in range(99)}
    assert unlike <= {"", " = 1", "= 1", " 1", "1"}
    assert "" in unlike
