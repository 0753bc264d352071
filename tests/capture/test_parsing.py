"""Parsing that gives up in time: the same trees as without a limit, and no text that holds up the process."""

from __future__ import annotations

import itertools
import sys

import pytest
import tree_sitter_bash
import tree_sitter_cpp
import tree_sitter_python
import tree_sitter_typescript
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Parser

from capture.parsing import MAX_DEPTH, BoundedParser, Patience, TakesTooLong, nodes_at

PYTHON = Language(tree_sitter_python.language())
TYPESCRIPT = Language(tree_sitter_typescript.language_typescript())
# tree-sitter-typescript 0.23.2 does not come to an end with these few bytes.
ENDLESS = 's=[ef"`:/\n&({)"def \n1\'def |<é:é!é&def /))*`"&<i}:{(@b '.encode()
PIECES = [
    "def f(x):\n",
    "    return x\n",
    "class A:\n",
    "(",
    ")",
    "[",
    "x",
    "1",
    " ",
    "\n",
    '"',
    "é",
    "=",
    ":",
    "# no\n",
]
texts = st.lists(st.sampled_from(PIECES), max_size=40).map(lambda pieces: "".join(pieces).encode())
bounded, plain = BoundedParser(PYTHON), Parser(PYTHON)


def shape(node):
    return node.type, node.start_byte, node.end_byte, node.is_missing, [shape(child) for child in node.children]


@given(texts)
def test_the_tree_is_that_of_a_parser_without_a_limit(source):
    assert shape(bounded.parse(source, limit_seconds=60).root_node) == shape(plain.parse(source).root_node)


@given(texts, st.integers(0, 10_000))
def test_the_nodes_at_a_place_are_the_smallest_one_and_its_parents(source, place):
    offset = place % (len(source) + 1)
    root = plain.parse(source).root_node
    parents, node = [], root.descendant_for_byte_range(offset, offset)
    while node is not None:
        parents.append(node)
        node = node.parent
    assert list(nodes_at(root, offset)) == parents


def test_a_long_text_is_read_in_parts_that_fit_together():
    source = "".join(f"def größe_{number}(x):\n    return x + {number}\n" for number in range(5_000)).encode()
    assert len(source) > 3 * 64 * 1024
    assert shape(bounded.parse(source, limit_seconds=60).root_node) == shape(plain.parse(source).root_node)


def test_an_edited_tree_is_parsed_on():
    before, after = b"x = 1\ny = 2\n", b"x = 1\nlong = 2\n"
    tree = bounded.parse(before, limit_seconds=60)
    tree.edit(6, 7, 10, (1, 0), (1, 1), (1, 4))
    assert shape(bounded.parse(after, tree, limit_seconds=60).root_node) == shape(plain.parse(after).root_node)


@pytest.mark.parametrize(
    ("language", "source"),
    [
        (TYPESCRIPT, ENDLESS),
        (Language(tree_sitter_bash.language()), b"a<b(" * 50_000),
    ],
    ids=["endless", "200 kB of brackets that nobody closes"],
)
def test_a_text_that_takes_too_long_is_given_up_and_the_next_one_is_parsed(language, source):
    parser = BoundedParser(language)
    with pytest.raises(TakesTooLong):
        parser.parse(source, limit_seconds=0.05)
    sound = b"x=1\n"
    assert shape(parser.parse(sound, limit_seconds=60).root_node) == shape(Parser(language).parse(sound).root_node)


def test_it_is_the_clock_that_decides():
    source = b"x = f(1)\n" * 1_000
    ticks = itertools.count()
    with pytest.raises(TakesTooLong):
        BoundedParser(PYTHON, lambda: float(next(ticks))).parse(source, limit_seconds=3)
    assert next(ticks) == 5
    assert BoundedParser(PYTHON, lambda: 0.0).parse(source, limit_seconds=3).root_node.child_count == 1_000


def test_what_was_parsed_is_not_kept():
    source = b"def f(x):\n    return x\n" * 1_000
    before = sys.getrefcount(source)
    for _ in range(3):
        bounded.parse(source, limit_seconds=60)
    assert sys.getrefcount(source) == before


def test_a_node_still_gives_its_text():
    assert bounded.parse(b"x = 1\n", limit_seconds=60).root_node.children[0].text == b"x = 1"


@pytest.mark.parametrize("count", [MAX_DEPTH, 32_000])
def test_what_is_nested_too_deeply_has_no_nodes_and_does_not_end_the_process(count):
    # Unlike in Python's, the node at the line break has no bytes in this grammar.
    source = b"(" * count + b"\n" + b")" * count
    for language in (PYTHON, Language(tree_sitter_cpp.language())):
        root = Parser(language).parse(source).root_node
        assert nodes_at(root, count) == ()
        assert nodes_at(root, 0)


def test_a_text_that_stays_slow_is_tried_ever_more_rarely():
    patience = Patience()
    tried = []
    for state in range(400):
        if patience.may_try():
            tried.append(state)
            patience.took_too_long()
    assert tried == [0, 2, 6, 14, 30, 62, 126, 190, 254, 318, 382]


def test_a_text_that_was_mended_is_tried_every_time():
    patience = Patience()
    patience.took_too_long()
    assert [patience.may_try() for _ in range(2)] == [False, True]
    patience.succeeded()
    assert all(patience.may_try() for _ in range(10))
    patience.took_too_long()
    assert [patience.may_try() for _ in range(2)] == [False, True]
