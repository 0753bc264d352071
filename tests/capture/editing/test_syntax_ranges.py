"""The syntax around the cursor is found where a grammar is installed, and nothing is guessed elsewhere."""

from itertools import pairwise

import pytest

from capture.context.index.languages import LANGUAGES
from capture.editing.excerpt import editable_and_context_ranges
from capture.editing.syntax import error_count, syntax_ranges
from capture.inputs import Span

SOURCE = b"""import os

class A:
    def f(self):
        return 1

    def g(self):
        return os.name
"""


def test_nodes_around_the_cursor_come_innermost_first():
    cursor = SOURCE.index(b"name")
    ranges = syntax_ranges("python", SOURCE, cursor)
    texts = [SOURCE[span.start : span.end] for span in ranges]
    assert texts[0] == b"name"
    assert b"def g(self):\n        return os.name" in texts
    assert texts[-1].startswith(b"import os")
    assert all(outer.start <= inner.start and inner.end <= outer.end for inner, outer in pairwise(ranges))


def test_an_unknown_language_has_no_syntax():
    assert syntax_ranges("no-such-language", SOURCE, 3) is None


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_language_that_is_indexed_has_syntax_around_the_cursor_too(language):
    assert syntax_ranges(language.name, b"x", 0)


def test_broken_code_still_has_syntax_around_the_cursor():
    excerpt = b"    return value\n\ndef h(:\n    x = (1\n"
    ranges = syntax_ranges("python", excerpt, excerpt.index(b"x"))
    assert ranges
    assert Span(0, 0) not in ranges


def test_the_editable_range_takes_in_the_function_rather_than_the_lines_below_it():
    body = "".join(f"    step_{row} = {row}\n" for row in range(12))
    below = "".join(f"value_{row} = {row}\n" for row in range(20))
    text = f"x = 1\n\n\ndef f():\n{body}\n\n{below}"
    cursor = text.index("step_9")
    plain, _ = editable_and_context_ranges(text, cursor, (), 64, 0)
    aware, _ = editable_and_context_ranges(text, cursor, syntax_ranges("python", text.encode(), cursor), 64, 0)
    assert "def f" not in text[plain.start : plain.end]
    assert "def f" in text[aware.start : aware.end]


@pytest.mark.parametrize(
    ("language_id", "text"),
    [
        # The grammar (tree-sitter-typescript 0.23.2) does not come to an end with this.
        ("typescript", 's=[ef"`:/\n&({)"def \n1\'def |<é:é!é&def /))*`"&<i}:{(@b '),
        ("shellscript", "a<b(" * 6_000),
        ("python", "(" * 12_000 + "\n" + ")" * 12_000),
    ],
    ids=["endless", "slow", "deep"],
)
def test_what_takes_too_long_or_is_too_deep_has_no_syntax_and_the_next_key_has(language_id, text):
    source = text.encode()
    assert syntax_ranges(language_id, source, len(source) // 2) is None
    assert syntax_ranges(language_id, b"x=1\n", 0)


def test_errors_are_not_counted_where_that_takes_too_long():
    assert error_count("shellscript", b"a<b(" * 6_000, limit_seconds=0.01) is None
    assert error_count("python", b"a = = 1\n") == 1
