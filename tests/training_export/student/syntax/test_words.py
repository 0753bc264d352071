"""The words of a file: nothing of a line is lost, nothing is said twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.student.syntax.parsed import ParsedFile, Word, WordKind, parse_text

STATEMENTS = st.sampled_from(
    [
        "x = {}", "print({})", "def f(a, b={}): return a", "x = [y for y in {} if y]", "# {}", "if x: pass",
        "y = f'{{x}} and {{x!r:>{{x}}}}'", "x = '''a\n  b {{}}\n'''", "class A:\n    b = {}",
    ]
)  # fmt: skip
VALUES = st.sampled_from(['"é"', "'a b'", "3", "0x_f", "None", "x.y", "ñ", '"\\n"', 'r"\\d"', "(1,\n  2)", "lambda: 1"])


def assert_words_rebuild(file: ParsedFile) -> None:
    for row, line in enumerate(file.lines):
        rebuilt = [" "] * len(line)
        for word in file.words.get(row, ()):
            assert line[word.start : word.end] == word.text
            assert rebuilt[word.start : word.end] == [" "] * len(word.text), "words overlap"
            rebuilt[word.start : word.end] = word.text
        assert "".join(rebuilt).split() == line.split(), "a part of the line is in no word"


def test_words_rebuild_each_line_at_their_columns(some_file: ParsedFile) -> None:
    assert_words_rebuild(some_file)


@given(st.lists(st.tuples(STATEMENTS, VALUES), min_size=1, max_size=12))
def test_words_rebuild_any_text_that_parses(parts: list[tuple[str, str]]) -> None:
    text = "\n".join(statement.format(value) for statement, value in parts)
    file = parse_text("python", "p", "a.py", text)
    if file is not None:
        assert_words_rebuild(file)


def test_each_word_knows_the_words_beside_it(some_file: ParsedFile) -> None:
    words = [word for row in sorted(some_file.words) for word in some_file.words[row]]
    assert [word.previous for word in words] == ["", *(word.text for word in words[:-1])]
    assert [word.following for word in words] == [*(word.text for word in words[1:]), ""]


def kinds_of(file: ParsedFile, row: int) -> list[tuple[str, str]]:
    return [(word.text, word.kind.value) for word in file.words[row]]


def test_words_have_the_kinds_that_a_reader_sees(parsed: Callable[[str, str], ParsedFile]) -> None:
    assert kinds_of(parsed("python", "if n > 3: s = 'a b'  # why"), 0) == [
        ("if", "keyword"), ("n", "name"), (">", "operator"), ("3", "number"), (":", "operator"), ("s", "name"),
        ("=", "operator"), ("'a b'", "string"), ("# why", "comment"),
    ]  # fmt: skip
    assert kinds_of(parsed("rust", "fn f(n: u8) -> Row { n.into() }"), 0)[4:7] == [
        (":", "operator"), ("u8", "type"), (")", "operator")
    ]  # fmt: skip


def test_names_inside_of_strings_are_names(parsed: Callable[[str, str], ParsedFile]) -> None:
    file = parsed("python", "s = f'a {total:>{width}} b'")
    names = [word.text for word in file.words[0] if word.kind is WordKind.NAME]
    assert names == ["s", "total", "width"]
    file = parsed("rust", 'fn f() { println!("{total:?} {{no}} {}", n); }')
    assert [word.text for word in file.words[0] if word.kind is WordKind.NAME] == ["f", "println", "total", "n"]


@pytest.mark.parametrize(
    ("language", "path", "text"),
    [
        ("python", "a.py", "def f(:\n"),
        ("go", "a.go", "func {"),
        ("cobol", "a.cob", "DISPLAY 'A'."),
        ("python", "a.py", "a = 1\r\nb = 2\r\n"),
    ],
)
def test_what_cannot_be_read_is_no_file(language: str, path: str, text: str) -> None:
    assert parse_text(language, "p", path, text) is None


def test_tsx_is_read_by_the_grammar_with_elements() -> None:
    text = "const a = <B>text</B>;\n"
    assert parse_text("typescript", "p", "a.tsx", text) is not None
    assert parse_text("typescript", "p", "a.ts", text) is None


def test_blocks_are_the_rows_under_their_header(parsed: Callable[[str, str], ParsedFile]) -> None:
    file = parsed("python", "def f():\n    if a:\n        b\n        c\n    d\n")
    assert [(block.header, block.first_row, block.end_row) for block in file.blocks] == [(0, 1, 5), (1, 2, 4)]
    file = parsed("go", "package a\n\nfunc f() {\n\tif a {\n\t\tb()\n\t}\n}\n")
    assert [(block.header, block.first_row, block.end_row) for block in file.blocks] == [(2, 3, 6), (3, 4, 5)]


def test_a_name_stands_in_a_scope_that_holds_its_row(some_file: ParsedFile) -> None:
    for row, words in some_file.words.items():
        for word in words:
            scope = some_file.scopes[word.scope]
            assert scope.first_row <= row < scope.end_row


def test_what_is_bound_in_a_scope_is_named_within_it(some_file: ParsedFile) -> None:
    def encloses(outer: int, word: Word) -> bool:
        scope = word.scope
        while scope not in (outer, -1):
            scope = some_file.scopes[scope].parent
        return scope == outer

    local = [binding for binding in some_file.bindings if binding.kind in ("local", "parameter")]
    assert local
    for binding in local:
        assert binding.name in some_file.scopes[binding.scope].names
        assert all(encloses(binding.scope, word) for word in binding.words)
        assert any(word.is_definition for word in binding.words)
