"""What the rule proposes: the last substitution at all its places, or at those that are likeliest to be meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.substitution import substitute
from capture.editing.unified_diff import write_hunks
from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from daemon.engine.proposals import MAX_PROPOSALS, proposals


def proposed(inputs):
    return proposals(inputs, Span(0, len(inputs.excerpt_bytes)))


def test_the_widest_reading_comes_first_and_takes_every_place_on_word_boundaries(renamed):
    inputs = renamed("amount")
    widest = proposed(inputs)[0]
    assert widest == substitute(inputs.cursor_excerpt, "count", "amount")


def test_names_of_other_things_are_spared_in_a_narrower_reading(renamed):
    """An attribute, a string, and a parameter of another function."""
    _, same_kind, same_function = proposed(renamed("amount"))
    assert 'amount = amount + item.count\n    log("count", amount)' in same_kind
    assert "def other(amount):\n    return amount * 2" in same_kind
    assert 'amount = amount + item.count\n    log("count", amount)\n    return amount' in same_function
    assert "def other(count):\n    return count * 2" in same_function


def test_of_an_attribute_only_attributes_are_the_same_kind(renamed):
    text = "class Shop:\n    def grow(self, size):\n        self.size = self.size + size\n        return size\n"
    widest, of_the_name = proposed(renamed("width", text, "size", row=1))
    assert "self.width = self.width + width\n        return width" in widest
    assert "self.size = self.size + width\n        return width" in of_the_name
    of_the_attribute = proposed(renamed("width", text, "size", row=2))[1]
    assert "grow(self, size):\n        self.width = self.width + size\n        return size" in of_the_attribute


def test_lines_like_the_changed_one_are_a_reading_where_no_other_is_narrower(renamed):
    text = 'show(1, "left")\nshow(1, "right")\nwait(until=[1, 2, 3], every=60)\n'
    widest, alike = proposed(renamed("4", text, "1", row=0))
    assert widest == 'show(4, "left")\nshow(4, "right")\nwait(until=[4, 2, 3], every=60)\n'
    assert alike == 'show(4, "left")\nshow(4, "right")\nwait(until=[1, 2, 3], every=60)\n'


@pytest.mark.parametrize(
    ("header", "end"),
    [
        ("fn first(a: u8) {", "}"),
        ("func first(a int) {", "}"),
        ("function first(a) {", "}"),
        ("const first = (a) => {", "}"),
    ],
)
def test_functions_are_seen_in_languages_with_braces(renamed, header, end):
    text = f"{header}\n    let size = a;\n    if (size) {{\n        use(size);\n    }}\n{end}\nuse(size);\n"
    narrow = proposed(renamed("width", text, "size"))[-1]
    assert narrow.count("width") == 3
    assert narrow.endswith("\nuse(size);\n")


def test_nothing_is_proposed_where_nothing_was_replaced_or_nothing_is_left_to_replace(renamed):
    assert proposed(renamed("amount", "count = 1\nprint(2)\n", row=0)) == ()
    text = "count = 1\nprint(count)\n"
    silent = PredictionInputs("a.py", text, 3, ExcerptRanges({}))
    assert proposed(silent) == ()


WORDS = st.sampled_from(["count", "item.count", "discount", '"count"', "# count", "rows", "if x:", "(", ") {", "ä𝄞"])
LINES = st.builds(
    lambda indent, words: "    " * indent + " ".join(words), st.integers(0, 2), st.lists(WORDS, max_size=4)
)


@given(st.lists(LINES, min_size=1, max_size=8), st.integers(0, 7), st.sampled_from(["amount", "n", "total_count"]))
def test_every_proposal_is_the_same_change_at_some_of_its_places(lines, row, new):
    lines[row % len(lines)] += " count"
    row %= len(lines)
    at = lines[row].rindex("count")
    edited = [*lines[:row], lines[row][:at] + new, *lines[row + 1 :]]
    before, text = "\n".join(lines), "\n".join(edited)
    cursor = len("\n".join([*edited[:row], edited[row]]).encode())
    event = EditEvent("a.py", "a.py", write_hunks(before, text))
    found = proposed(PredictionInputs("a.py", text, cursor, ExcerptRanges({}), events=(event,)))
    assert len(found) == len(set(found)) <= MAX_PROPOSALS
    for proposal in found:
        assert proposal != text
        assert proposal.count("\n") == text.count("\n")
        assert substitute(proposal, "count", new) == substitute(text, "count", new)
