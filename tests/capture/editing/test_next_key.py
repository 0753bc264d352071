"""The next key as the text foretells it: what repeats goes on, an erasure goes on, a line ends as editors end it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.next_key import next_change
from capture.editing.positions import ContentChange, Position, Range


def typed(text, *, erased=False):
    """What is guessed where ``|`` stands in ``text``."""
    before, after = text.split("|")
    row, column = before.count("\n"), len(before.rsplit("\n", 1)[-1])
    change = next_change(Document(before + after), Position(row, column), erased=erased)
    return None if change is None else change.text


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("basket = Basket()\nprint(bas|", "k"),
        ("print(bas|)\nbasket = Basket()\n", "k"),  # also what stands below
        ("total = price\nsum = total|", " "),
        ("a = compute(1)\nb = compute|", "("),
    ],
)
def test_a_known_word_goes_on_as_it_did_before(text, key):
    assert typed(text) == key


@pytest.mark.parametrize("text", ["|", "x|", "ab cd ef gh|"])
def test_nothing_is_guessed_where_nothing_repeats(text):
    assert typed(text) is None


@pytest.mark.parametrize(
    ("text", "new_line"),
    [
        ("def first():\n    pass\n\n\ndef second():|\n", "\n    "),
        ("if a:\n\tif b:\n\t\treturn\n\tif c:|\n", "\n\t\t"),
        ("go();\ngo();|\n", "\n"),
        ("    go()\n    go()\n    go()|\n", "\n    "),
    ],
)
def test_a_new_line_comes_with_the_indentation_an_editor_gives_it(text, new_line):
    assert typed(text) == new_line


def test_who_erased_a_character_erases_the_one_before_it():
    document = Document("x = \U0001f600\n")
    where = Range(Position(0, 4), Position(0, 6))
    assert next_change(document, Position(0, 6), erased=True) == ContentChange(where, "")
    assert next_change(document, Position(0, 0), erased=True) is None


@given(st.text("ab =(:\n\r\t\u00e9\U0001f600", max_size=60), st.integers(0, 8), st.integers(0, 20), st.booleans())
def test_whatever_is_guessed_can_be_typed_at_the_cursor(text, row, column, erased):
    document = Document(text)
    cursor = document.clamp(Position(row, column))
    change = next_change(document, cursor, erased=erased)
    if change is None:
        return
    assert change.range.end == cursor
    edit = document.apply(change)
    assert (edit.old_bytes == 0) != erased
    if not erased:
        assert change.text[:1].isprintable() or change.text[:1] in "\t\n"
        assert document.position_at(edit.start_bytes + edit.new_bytes) > cursor
