"""Where the next edit is looked for: at other uses of a name, the nearest first."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.positions import Position
from capture.inputs import EditEvent, Span
from daemon.next_places import ROWS_BETWEEN_PLACES, nearest_first, nearest_uses, replaced_name


def event(removed: str, added: str) -> EditEvent:
    return EditEvent("a.py", "a.py", f"@@ -1,1 +1,1 @@\n-{removed}\n+{added}\n")


def test_a_name_was_replaced_when_the_newest_event_says_so():
    assert replaced_name([event("def cost(a):", "def price(a):")]) == "cost"
    assert replaced_name([event("def cost(a):", "def price(a):"), event("x = 1", "x = a + 1")]) is None
    assert replaced_name([event("x = 1", "x = 2")]) is None
    assert replaced_name([event("i + 1", "j + 1")]) is None
    assert replaced_name([]) is None


@given(
    rows=st.lists(st.sampled_from(["", "cost", "costs", "f(cost) + cost", "🦊cost = cost", "cost🦊"]), max_size=40),
    row=st.integers(0, 40),
    outside=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_uses_are_whole_words_nearest_first_not_in_rows_that_were_seen_and_apart(rows, row, outside):
    text, seen = Document("\n".join(rows)), Span(min(outside), max(outside))
    row = min(row, text.row_count - 1)
    found = list(nearest_uses("cost", text, row, seen))
    distances = [abs(position.line - row) for position in found]
    assert distances == sorted(distances)
    for position in found:
        before = text.line(position.line).encode("utf-16-le")[: 2 * position.character_utf16].decode("utf-16-le")
        assert re.search(r"\bcost$", before)
        assert not seen.start <= position.line < seen.end
    rows_given = sorted(position.line for position in found)
    assert all(below - above > ROWS_BETWEEN_PLACES for above, below in pairwise(rows_given))
    for index in range(text.row_count):
        if re.search(r"\bcost\b", text.line(index)) and not seen.start <= index < seen.end:
            assert any(abs(index - other) <= ROWS_BETWEEN_PLACES for other in rows_given)


def test_errors_outside_of_what_was_seen_come_nearest_first():
    errors = [Position(1, 0), Position(50, 3), Position(12, 0)]
    assert nearest_first(errors, 10, Span(5, 15)) == [Position(1, 0), Position(50, 3)]
