"""A document follows its editor exactly, whatever is typed where."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing import rows as rows_module
from capture.editing.document import Bias, Document, SyncState
from capture.editing.history import TextBefore
from capture.editing.positions import ContentChange, Position, Range

ALPHABET = "ab 1\t\n\n\r\f\v\x1c\x1d\x1e\x85\u2028\u2029\u00e9\u0301\u0928\ufb01\ud55c\U0001f600\U0001d4b3"
TEXT = st.lists(st.sampled_from([*ALPHABET, "\r\n", "\r\n"]), max_size=24).map("".join)
PLACE = st.tuples(st.integers(-1, 9), st.integers(-2, 12))
CHANGE = st.tuples(PLACE, PLACE, TEXT) | TEXT
SCRIPT = st.lists(st.lists(CHANGE, max_size=4), max_size=6)


# A plain reference: one str, everything computed by walking its characters.


def reference_rows(text):
    """[start, end of content, end with terminator] of each row, as string indices."""
    found = []
    start = at = 0
    while at < len(text):
        if text[at] in "\r\n":
            end = at + (2 if text[at : at + 2] == "\r\n" else 1)
            found.append((start, at, end))
            start = at = end
        else:
            at += 1
    return [*found, (start, len(text), len(text))]


def reference_index(text, place):
    line, character = place
    rows = reference_rows(text)
    if line >= len(rows):
        return len(text)
    if line < 0:
        return 0
    at, end, _ = rows[line]
    units = 0
    while at < end:
        units += 2 if ord(text[at]) > 0xFFFF else 1
        if units > character:
            break
        at += 1
    return at


def reference_span(text, start, end):
    return sorted((reference_index(text, start), reference_index(text, end)))


def lsp(place):
    return Position(*place)


def change_of(change):
    if isinstance(change, str):
        return ContentChange(None, change)
    start, end, text = change
    return ContentChange(Range(lsp(start), lsp(end)), text)


def check_same(document, text):
    rows = reference_rows(text)
    assert document.text == text
    assert document.rows(0, document.row_count) == [text[start:end] for start, _, end in rows]
    assert [document.line(row) for row in range(document.row_count)] == [text[start:end] for start, end, _ in rows]
    assert document.length_bytes == len(text.encode())


@pytest.mark.parametrize("block_rows", [4, 128])
@given(start=TEXT, script=SCRIPT)
def test_any_edit_script_gives_the_text_the_reference_gives(block_rows, start, script):
    with mock.patch.object(rows_module, "BLOCK_ROWS", block_rows):
        document, text = Document(start), start
        for version, changes in enumerate(script, 1):
            for change in changes:
                if isinstance(change, str):
                    text = change
                else:
                    first, last = reference_span(text, *change[:2])
                    text = text[:first] + change[2] + text[last:]
            document.change(version, map(change_of, changes))
            check_same(document, text)


@given(start=TEXT, changes=st.lists(CHANGE, max_size=8))
def test_every_edit_tells_exactly_which_bytes_and_rows_it_replaced(start, changes):
    document = Document(start)
    for change in changes:
        old, old_rows = document.text.encode(), document.rows(0, document.row_count)
        edit = document.apply(change_of(change))
        new = document.text.encode()
        if edit is None:
            assert new == old
            continue
        first = edit.start_bytes
        assert old[:first] == new[:first]
        assert old[first + edit.old_bytes :] == new[first + edit.new_bytes :]
        assert tuple(old_rows[edit.start_row : edit.old_end_row]) == edit.old_rows
        before = TextBefore(document, edit)
        assert before.row_count == len(old_rows)
        assert before.rows(-3, len(old_rows) + 3) == old_rows


@given(text=TEXT, place=PLACE)
def test_a_position_names_the_same_place_in_every_unit(text, place):
    document = Document(text)
    index = reference_index(text, place)
    offset = len(text[:index].encode())
    assert document.offset_bytes(lsp(place)) == offset
    clamped = document.clamp(lsp(place))
    assert document.position_at(offset) == clamped
    row, column_bytes = document.row_and_column(clamped)
    assert document.position(row, column_bytes) == clamped
    assert document.row_start_bytes(row) + column_bytes == offset


@given(text=TEXT, start=PLACE, end=PLACE)
def test_the_text_in_a_range_is_what_lies_between_its_ends(text, start, end):
    first, last = reference_span(text, start, end)
    assert Document(text).text_in(Range(lsp(start), lsp(end))) == text[first:last]


@given(
    text=TEXT,
    where=st.lists(st.tuples(PLACE, st.sampled_from(Bias)), max_size=5),
    script=st.lists(CHANGE, max_size=8),
)
def test_anchors_move_as_a_naive_model_says(text, where, script):
    document = Document(text)
    anchors = [document.anchor(lsp(place), bias) for place, bias in where]
    naive = [[len(text[: reference_index(text, place)].encode()), bias] for place, bias in where]
    for change in script:
        edit = document.apply(change_of(change))
        if edit is None:
            continue
        start, old_end = edit.start_bytes, edit.start_bytes + edit.old_bytes
        new_end = start + edit.new_bytes
        for entry in naive:
            at, bias = entry
            if at < start or (at == start and old_end > start):
                continue
            if at > old_end or (at == old_end and old_end > start):
                entry[0] = at + new_end - old_end
            else:  # inside what was replaced, or exactly where something was inserted
                entry[0] = start if bias is Bias.LEFT else new_end
    assert [anchor.offset_bytes for anchor in anchors] == [at for at, _ in naive]


def test_ten_thousand_rows_edited_all_over_equal_the_reference():
    text = "".join(f"row {row} \U0001f600\n" for row in range(10_000))
    document = Document(text)
    script = [((row * 37 % 10_000, 3), (row * 37 % 10_000 + row % 3, 2), "x\n" * (row % 4)) for row in range(60)]
    for change in [*script, ((200, 0), (9_000, 0), ""), ((100, 1), (100, 1), "y\n" * 700)]:
        first, last = reference_span(text, *change[:2])
        text = text[:first] + change[2] + text[last:]
        document.apply(change_of(change))
    check_same(document, text)


def test_a_line_feed_typed_after_a_lone_carriage_return_joins_it():
    document = Document("a\rb")
    document.apply(change_of(((1, 0), (1, 0), "\n")))
    assert document.rows(0, 9) == ["a\r\n", "b"]


def test_deleting_what_stands_between_carriage_return_and_line_feed_joins_them():
    document = Document("a\rxyz\nb")
    document.apply(change_of(((1, 0), (1, 3), "")))
    assert document.rows(0, 9) == ["a\r\n", "b"]


def test_a_position_inside_a_surrogate_pair_means_the_place_before_the_character():
    document = Document("a\U0001f600b")
    document.apply(change_of(((0, 2), (0, 2), "x")))
    assert document.text == "ax\U0001f600b"


def test_a_lone_surrogate_becomes_a_replacement_character_and_columns_still_hold():
    document = Document("a\ud83db")
    document.apply(change_of(((0, 2), (0, 3), "\ude00")))
    assert document.text == "a\ufffd\ufffd"


def test_after_a_version_that_does_not_rise_edits_wait_for_a_full_text():
    document = Document("one", version=5)
    document.change(4, [change_of(((0, 0), (0, 0), "x"))])
    assert (document.text, document.sync_state) == ("one", SyncState.UNSYNCED)
    document.change(6, [change_of(((0, 0), (0, 0), "x"))])
    assert (document.text, document.version) == ("one", 6)
    document.change(7, [ContentChange(None, "two"), change_of(((0, 3), (0, 3), "!"))])
    assert (document.text, document.sync_state) == ("two!", SyncState.SYNCED)


def test_skipped_version_numbers_are_no_reason_to_distrust_the_text():
    document = Document("one", version=3)
    document.change(40, [change_of(((0, 3), (0, 3), "!"))])
    assert (document.text, document.sync_state, document.version) == ("one!", SyncState.SYNCED, 40)


def test_a_full_text_counts_as_the_small_edit_it_is():
    text = "".join(f"line {row}\n" for row in range(100))
    document = Document(text)
    anchor = document.anchor(Position(90, 0), Bias.LEFT)
    edit = document.apply(ContentChange(None, text.replace("line 50", "line fifty")))
    assert (edit.start_row, edit.old_rows, edit.old_bytes, edit.new_bytes) == (50, ("line 50\n",), 2, 5)
    assert document.position_at(anchor.offset_bytes) == Position(90, 0)


def test_an_anchor_nobody_holds_is_forgotten():
    document = Document("abc")
    document.anchor(Position(0, 1), Bias.LEFT)
    assert len(document._anchors) == 0


def test_line_ends_of_the_text_are_reported_for_new_text():
    assert [Document(text).line_ending for text in ("", "a\nb", "a\r\nb", "a\rb")] == [
        "\n",
        "\n",
        "\r\n",
        "\r",
    ]
