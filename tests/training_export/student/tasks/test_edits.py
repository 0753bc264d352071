"""Edits, names and slips of the fingers, whatever the text."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.student.synthesis.branch import is_modelled
from training_export.student.synthesis.diagnostic import misspelt
from training_export.student.synthesis.edits import (
    Edit,
    EditsOverlap,
    Rows,
    apply_edits,
    offset_after,
    place_at,
    without_rows,
)
from training_export.student.synthesis.finish import pause_column
from training_export.student.synthesis.names import Style, another_name, joined, parts_of, style_of

TEXTS = st.text(st.sampled_from("ab (é😀\n"), max_size=40)
WORDS = st.lists(st.text(st.sampled_from("abcxyz"), min_size=1, max_size=5), min_size=1, max_size=4)


@st.composite
def texts_and_edits(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return text, [Edit(start, end, draw(st.text("XY\n", max_size=4))) for start, end in pairs]


@given(texts_and_edits(), st.randoms(use_true_random=False))
def test_edits_in_any_order_come_to_the_same_as_one_after_the_other(
    made: tuple[str, list[Edit]], order: Random
) -> None:
    text, edits = made
    shuffled = order.sample(edits, len(edits))
    one_by_one = text
    for edit in sorted(edits, reverse=True):
        one_by_one = one_by_one[: edit.start] + edit.text + one_by_one[edit.end :]
    assert apply_edits(text, shuffled) == one_by_one


@given(texts_and_edits())
def test_a_place_outside_of_edits_keeps_the_character_behind_it(made: tuple[str, list[Edit]]) -> None:
    text, edits = made
    new = apply_edits(text, edits)
    for offset, character in enumerate(text):
        if all(offset < edit.start or offset >= edit.end for edit in edits):
            assert new[offset_after(offset, edits)] == character


@given(TEXTS)
def test_rows_and_columns_lead_back_to_the_offset(text: str) -> None:
    rows = Rows(text)
    for offset in range(len(text) + 1):
        place = rows.place(offset)
        assert rows.offset(place.row, place.column) == offset
        assert place == place_at(text, offset)
        assert rows.row_of(rows.end_of(place.row)) == place.row


@given(TEXTS, st.data())
def test_whole_rows_go_and_the_others_stay(text: str, data: st.DataObject) -> None:
    rows = Rows(text)
    first = data.draw(st.integers(0, len(rows.lines) - 1))
    end = data.draw(st.integers(first + 1, len(rows.lines)))
    left = apply_edits(text, [without_rows(rows, first, end)]).split("\n")
    assert left == ([*rows.lines[:first], *rows.lines[end:]] or [""])


def test_two_edits_of_the_same_characters_are_refused_and_two_deletions_are_not() -> None:
    with pytest.raises(EditsOverlap, match="character 1"):
        apply_edits("abc", [Edit(0, 2, "x"), Edit(1, 3, "y")])
    assert apply_edits("abc", [Edit(0, 2, ""), Edit(1, 3, "")]) == ""


@pytest.mark.parametrize("edit", [Edit(9, 9, "x"), Edit(1, 4, ""), Edit(-1, 2, ""), Edit(2, 1, "")])
def test_an_edit_that_leaves_the_text_is_a_mistake_and_no_overlap(edit: Edit) -> None:
    with pytest.raises(ValueError, match="leaves the text") as raised:
        apply_edits("abc", [edit])
    assert not isinstance(raised.value, EditsOverlap)


@given(WORDS, st.sampled_from([Style.SNAKE, Style.CAMEL, Style.PASCAL]))
def test_a_name_taken_apart_and_joined_is_the_name(parts: list[str], style: Style) -> None:
    name = joined(parts, style)
    if not any(len(part) == 1 for part in parts):  # aBC may be three words, or two
        assert joined(parts_of(name), style) == name
    if len(parts) > 1 and all(len(part) > 1 for part in parts):
        assert style_of(name) is style


@given(WORDS, st.sampled_from(Style), st.randoms(use_true_random=False))
def test_another_name_is_one_and_not_the_same(parts: list[str], style: Style, random: Random) -> None:
    old = joined(parts, style)
    new = another_name(random, old, ("price_range", "basketSize", "Window"), Style.CAMEL)
    assert new is None or (new.isidentifier() and new != old)


@given(st.text(st.sampled_from("abcd_"), min_size=4, max_size=12), st.randoms(use_true_random=False))
def test_a_slip_of_the_fingers_leaves_the_first_letter_and_makes_another_word(name: str, random: Random) -> None:
    wrong = misspelt(random, name)
    assert wrong != name
    assert wrong[0] == name[0]
    assert abs(len(wrong) - len(name)) <= 1


@given(st.text(st.sampled_from("ab(). "), min_size=3).filter(lambda line: len(line.strip()) > 1), st.randoms())
def test_a_pause_is_inside_of_a_line(line: str, random: Random) -> None:
    column = pause_column(random, line)
    assert line[:column].strip()
    assert line[column:].strip()


@pytest.mark.parametrize(
    ("model", "newer", "expected"),
    [
        ("self.a = a", "self.b = b", True),
        ("self.a = a", "self.b = c", False),
        ("self.a = a", "self.a = a", False),
        ("case 1: f(1)", "case 2: f(2)", True),
        ("case 1: f(1)", "case 2: g(3, 4)", False),
    ],
)
def test_a_line_is_modelled_on_another_where_one_word_stands_for_one(model: str, newer: str, expected: bool) -> None:
    assert is_modelled(model, newer) is expected
