"""What a grammar cannot make sense of, where nobody else reports anything."""

import pytest

from capture.context.syntax_errors import MAX_PROBLEMS, syntax_problems
from capture.context.syntax_tree import SyntaxTree
from capture.editing.document import Document
from capture.editing.positions import Position


@pytest.fixture
def problems(at_cursor):
    def found(marked, language_id="python"):
        place = at_cursor(marked, language_id)
        return syntax_problems(place.parsed, place.cursor)

    return found


def test_sound_code_has_none(problems):
    assert problems("def f(x):\n    return |x\n") == ()


def test_what_does_not_belong_there_is_named_where_it_stands(problems):
    [problem] = problems("a = 1\nb = = 2\nc = 3\n|\n")
    assert problem.range.start.line == problem.range.end.line == 1
    assert problem.message == "syntax error: unexpected ="


def test_what_is_missing_is_named(problems):
    [problem] = problems("int f(void) { return 1 }\n\n|\n", "c")
    assert problem.message == "syntax error: missing ;"
    assert problem.range.start == problem.range.end


def test_the_row_that_is_being_typed_is_no_error(problems):
    assert problems("a = 1\nb = = |\nc = 3\n") == ()


def test_an_error_over_several_rows_is_drawn_to_its_first(problems):
    text = "x = 1\n" + "} else {\n  ) )\n" + "\n\n|x = 1\n"
    for problem in problems(text):
        assert problem.range.start.line == problem.range.end.line


def test_the_nearest_twenty_are_told_nearest_first(problems):
    broken = "a = = 1\nb = 2\n" * 40
    found = problems(f"{broken}|\n{broken}")
    assert len(found) == MAX_PROBLEMS
    distances = [abs(problem.range.start.line - 80) for problem in found]
    assert distances == sorted(distances)


def test_positions_count_utf16_units(problems):
    [problem] = problems("'😀' = = 2\n\n|\n")
    assert problem.range.start.line == 0
    assert problem.range.end.character_utf16 <= len("'😀' = = 2") + 1


def test_a_text_without_a_grammar_has_none(problems):
    assert problems("}}} ((\n|\n", "no-such-language") == ()


def test_a_text_too_large_to_parse_whole_has_none(problems):
    assert problems("value = 12345678\n" * 5000 + "b = = 2\n\n|\n") == ()


def test_a_text_that_takes_too_long_to_parse_has_none_until_it_is_mended():
    tree = SyntaxTree("shellscript")
    document = Document("a<b(" * 12_000)
    assert tree.around(document, 0).root is None
    for number in (1, 2):  # the first state after one that was too long is left out
        document = Document(f"echo ) {number}\n\n\n")
        parsed = tree.around(document, 2)
    assert syntax_problems(parsed, Position(2, 0))
    assert tree.around(document, 2).root == parsed.root
