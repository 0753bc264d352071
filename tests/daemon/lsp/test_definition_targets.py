"""Places that a language server names become whole rows of text, or nothing where they cannot be trusted."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.positions import Position, Range
from daemon.lsp.definition_targets import (
    MAX_DEFINITION_BYTES,
    MAX_DEFINITION_ROWS,
    MAX_FILE_BYTES,
    Target,
    definitions_of,
    targets_of,
    text_of_file,
)

PATH = "/home/ada/lib.py"
URI = "file:///home/ada/lib.py"


def span(start, end):
    return {"start": {"line": start[0], "character": start[1]}, "end": {"line": end[0], "character": end[1]}}


def target(row, start, end, item=None):
    whole = None if item is None else Range(Position(item[0], 0), Position(item[1], 0))
    return Target(PATH, Range(Position(row, start), Position(row, end)), whole)


def found(text, *targets):
    """The rows and texts of the definitions."""
    definitions = definitions_of({"name": targets}, {PATH: text})
    return [(definition.start_row, definition.text) for definition in definitions["name"]]


LOCATION = {"uri": URI, "range": span((2, 4), (2, 8))}
LINK = {"targetUri": URI, "targetRange": span((2, 0), (5, 0)), "targetSelectionRange": span((2, 4), (2, 8))}


def test_every_form_of_an_answer_is_read():
    place, link = target(2, 4, 8), target(2, 4, 8, item=(2, 5))
    assert targets_of(None) == []
    assert targets_of([]) == []
    assert targets_of(LOCATION) == [place]
    assert targets_of([LOCATION, LINK]) == [place, link]


@pytest.mark.parametrize(
    "malformed",
    [
        3,
        [[]],
        {"uri": URI},
        {"uri": 3, "range": span((0, 0), (0, 1))},
        {"uri": URI, "range": span((0, -1), (0, 1))},
        {"uri": "jdt://contents/x.class", "range": span((0, 0), (0, 1))},
        {"uri": "file:///a%00b", "range": span((0, 0), (0, 1))},
        {"uri": "file:relative", "range": span((0, 0), (0, 1))},
        {"targetUri": URI, "targetRange": span((0, 0), (1, 0))},
    ],
)
def test_what_is_malformed_or_no_file_is_left_out(malformed):
    assert targets_of(malformed) == []
    assert targets_of([malformed, LOCATION]) == [target(2, 4, 8)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(LINK),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["uri", "range", "targetUri", "targetRange", "start", "line"]), inner, max_size=3
            )
        ),
        max_leaves=10,
    )
)
def test_no_answer_does_harm(answer):
    assert isinstance(targets_of(answer), list)


def test_the_rows_of_the_item_are_taken_whole_and_with_plain_line_ends():
    text = "a\r\ndef name():\r\n    pass\r\nb"
    assert found(text, target(1, 4, 8)) == [(1, "def name():\n    pass\n")]
    assert found(text, target(1, 4, 8, item=(1, 3))) == [(1, "def name():\n    pass\n")]
    assert found("def name(): pass", target(0, 4, 8)) == [(0, "def name(): pass\n")]


def test_an_item_that_does_not_hold_the_name_is_not_believed():
    assert found("a\nname\nb\n", target(1, 0, 4, item=(2, 3))) == [(1, "name\n")]


def test_columns_count_utf16_units():
    text = '"\U0001f389\U0001f389"; name = 1\n'
    assert found(text, target(0, 8, 12)) == [(0, text)]
    assert found(text, target(0, 8, 17)) == []  # one beyond the end of the row


def test_the_same_place_counts_once():
    assert found("name\n", target(0, 0, 4), target(0, 0, 4), target(0, 0, 4, item=(0, 1))) == [(0, "name\n")]


def test_a_range_too_long_for_a_name_is_a_module():
    rows = "x" * 50 + "\n"
    module = Target(PATH, Range(Position(0, 0), Position(3, 0)))
    assert found(rows * 4, module) == []
    assert len(found(rows * 4, Target(PATH, Range(Position(0, 0), Position(2, 0))))) == 1


def test_a_long_item_is_cut_behind_its_head():
    text = "def name():\n" + "    x\n" * 100
    [(row, kept)] = found(text, target(0, 4, 8, item=(0, 101)))
    assert (row, kept.count("\n")) == (0, MAX_DEFINITION_ROWS)
    wide = "def name():\n" + "y" * 1000 + "\n" * 2 + "y" * 1000 + "\n" + "y" * 3000 + "\n"
    [(row, kept)] = found(wide, target(0, 4, 8, item=(0, 5)))
    assert row == 0
    assert len(kept) < MAX_DEFINITION_BYTES
    assert found("name = " + "y" * MAX_DEFINITION_BYTES, target(0, 0, 4)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("def name(a):\n    return a\n\n\nlast = 1\n", "def name(a):\n    return a\n"),
        ("def name(\n    a,\n) -> int:\n    return a\nlast = 1\n", "def name(\n    a,\n) -> int:\n    return a\n"),
        ("int name(void)\n{\n\treturn 1;\n}\n\nint last;\n", "int name(void)\n{\n\treturn 1;\n}\n"),
        ("fn name() {\n    one();\n\n    two();\n}\nfn last() {}\n", "fn name() {\n    one();\n\n    two();\n}\n"),
        ("  name: 1,\n  other: 2,\n", "  name: 1,\n"),
        ("    name = 1\nlast = 2\n", "    name = 1\n"),
    ],
)
def test_a_name_alone_brings_what_is_indented_below_it(text, shown):
    start = text.split("name")[0].rpartition("\n")[2]
    assert found(text, target(0, len(start), len(start) + 4)) == [(0, shown)]


@given(st.integers(0, 99), st.lists(st.integers(0, 3), min_size=100, max_size=100), st.integers(0, 200))
def test_however_far_an_item_goes_its_rows_hold_the_name_and_exist(name_row, indentations, width):
    rows = [f"{' ' * depth}{row}{'x' * width}\n" for row, depth in enumerate(indentations)]
    [(row, text)] = found("".join(rows), target(name_row, 0, 1))
    lines = text.splitlines(keepends=True)
    assert lines == rows[row : row + len(lines)]
    assert row <= name_row < row + len(lines)
    assert len(lines) <= MAX_DEFINITION_ROWS
    assert len(text) <= MAX_DEFINITION_BYTES
    assert all(indentations[name_row] < depth for depth in indentations[row + 1 : row + len(lines)])


def test_only_text_files_of_a_bearable_size_are_read(tmp_path):
    def written(name, data):
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    assert text_of_file(written("a", b"\xef\xbb\xbfx = 1\r\n")) == "x = 1\r\n"
    assert text_of_file(written("b", "é".encode("latin-1"))) is None
    assert text_of_file(written("c", b"x" * (MAX_FILE_BYTES + 1))) is None
    assert text_of_file(str(tmp_path)) is None
    assert text_of_file(str(tmp_path / "missing")) is None
    os.mkfifo(tmp_path / "pipe")
    assert text_of_file(str(tmp_path / "pipe")) is None
    missing = Target(str(tmp_path / "missing"), target(0, 0, 1).name)
    assert definitions_of({"name": [missing]}, {}) == {"name": []}
