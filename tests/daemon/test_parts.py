"""A predicted edit is accepted word by word or line by line, and ends as the whole would."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from daemon.parts import Parted, Unit, parted
from daemon.prediction import TextEdit

TEXTS = st.lists(st.sampled_from(["a", "bc", "  ", ".", "(", "é", "🦊", "\n", "\r\n", "x_1"]), max_size=14).map("".join)


def applied(document: Document, edit: TextEdit) -> None:
    document.apply(ContentChange(edit.range, edit.text))


def edit_between(before: str, old: str, new: str) -> TextEdit:
    """The edit behind ``before`` that replaces ``old`` by ``new``."""
    document = Document(before + old)
    start, end = len(before.encode()), len((before + old).encode())
    return TextEdit(Range(document.position_at(start), document.position_at(end)), new)


def split(old: str, new: str, unit: Unit) -> tuple[str, Parted]:
    """What the text becomes with the part alone, and the parts."""
    found = parted(edit_between("", old, new), old, unit)
    document = Document(old)
    applied(document, found.part)
    return document.text, found


@given(before=TEXTS, old=TEXTS, new=TEXTS, after=TEXTS, unit=st.sampled_from(Unit))
def test_part_after_part_does_what_the_whole_does(before, old, new, after, unit):
    assume(old != new)
    assume(not before.endswith("\r") and not (before + old + new).endswith("\r"))
    document = Document(before + old + after)
    edit, replaced = edit_between(before, old, new), old
    for _ in range(len(old) + len(new) + 1):
        found = parted(edit, replaced, unit)
        text = document.text
        applied(document, found.part)
        assert document.text != text
        if found.rest is None:
            break
        assert document.text_in(found.rest.range) == found.replaced_by_rest
        edit, replaced = found.rest, found.replaced_by_rest
    assert found.rest is None
    assert document.text == before + new + after


@pytest.mark.parametrize(
    ("old", "new", "unit", "becomes"),
    [
        ("", "total += price", Unit.WORD, "total"),
        ("total", "total += price", Unit.WORD, "total +="),
        ("old_name", "new_name", Unit.WORD, "new_name"),
        ("f(a, b)", "f(a)", Unit.WORD, "f(a b)"),
        ("", "\n    return total\n", Unit.WORD, "\n    return"),
        ("", "\n    return total\n    pass\n", Unit.LINE, "\n    return total\n"),
        ("", "a + b", Unit.LINE, "a + b"),
        ("x = a\ny = a\n", "x = b\ny = b\n", Unit.LINE, "x = b\ny = a\n"),
        ("f(a, b, a)\n", "g(c, b, c)\n", Unit.LINE, "g(c, b, c)\n"),
        ("one\ntwo\n", "", Unit.LINE, ""),
    ],
)
def test_a_part_is_the_first_word_or_line_that_changes(old, new, unit, becomes):
    assert split(old, new, unit)[0] == becomes


def test_columns_count_in_utf16_units():
    found = parted(edit_between("🦊 ", "", "🦊🦊 x"), "", Unit.WORD)
    assert found.part == TextEdit(Range(Position(0, 3), Position(0, 3)), "🦊🦊")
    assert found.rest == TextEdit(Range(Position(0, 7), Position(0, 7)), " x")
