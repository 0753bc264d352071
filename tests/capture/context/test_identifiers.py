"""The names somebody who edits here would want to see defined."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.context.identifiers import MAX_IDENTIFIERS, identifiers_near, item_headed_at
from capture.context.syntax_tree import MAX_WHOLE_BYTES, SyntaxTree, visible_rows
from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.state import EditingState
from capture.inputs import Span


@pytest.fixture
def names(at_cursor):
    def near(marked, language_id="python"):
        place = at_cursor(marked, language_id)
        return [identifier.name for identifier in identifiers_near(place.parsed, place.cursor)]

    return near


def test_the_nearest_name_comes_first_and_each_but_once(names):
    assert names("total = price * count\nresult = |total + tax\nresult\n") == [
        "total",
        "result",
        "tax",
        "count",
        "price",
    ]


def test_keywords_strings_and_comments_are_no_names(names):
    assert names('for item in |items:  # not this\n    yield "nor this", None, 12\n') == ["items", "item"]


def test_names_in_a_formatted_string_count(names):
    assert names('|message = f"dear {customer.name}"\n') == ["message", "customer", "name"]


def test_the_word_that_is_being_typed_is_no_name_yet(names):
    assert names("left = right\nleft.appen|\n") == ["left", "right"]
    assert names("left.append(|\n") == ["append", "left"]


def test_rows_further_away_than_three_do_not_count(names):
    text = "far_above\n\nabove\n\n\n|here\n\n\nbelow\nfar_below\n"
    assert sorted(names(text)) == ["above", "below", "here"]


def test_the_headers_of_the_items_around_the_cursor_count_however_far_they_are(names):
    filler = "        pass\n" * 30
    text = (
        "class Basket(Container):\n    limit: Amount\n"
        f"    def add(self, item: Article) -> Receipt:\n{filler}        |\n{filler}    def other(self): far\n"
    )
    assert set(names(text)) == {"Basket", "Container", "add", "self", "item", "Article", "Receipt"}


def test_a_loop_has_no_header(names):
    filler = "    pass\n" * 10
    assert names(f"for each in everything:\n{filler}    |\n") == []


def test_there_are_at_most_the_nearest_32(names):
    text = ", ".join(f"name_{index}" for index in range(60))
    found = names(f"|{text}\n")
    assert found == [f"name_{index}" for index in range(MAX_IDENTIFIERS)]


def test_without_a_grammar_every_word_counts(names):
    assert names("|if price > 12 then größe\nfar\n", "no-such-language") == ["if", "price", "then", "größe", "far"]
    assert names("far\n\n\n\nnear |\n", "no-such-language") == ["near"]


@pytest.mark.parametrize("language_id", ["python", "no-such-language"])
def test_positions_count_utf16_units(at_cursor, language_id):
    place = at_cursor("'😀'; price = 1\n|", language_id)
    [found] = identifiers_near(place.parsed, place.cursor)
    assert (found.name, found.position) == ("price", Position(0, 6))


def test_line_ends_of_any_kind_leave_positions_right(at_cursor):
    place = at_cursor("first\r\nsecond\rthird|+fourth\n")
    found = {each.name: each.position for each in identifiers_near(place.parsed, place.cursor)}
    assert found == {"first": Position(0, 0), "second": Position(1, 0), "fourth": Position(2, 6)}


def test_in_a_large_file_only_what_surrounds_the_cursor_is_parsed(at_cursor):
    filler = "value = compute(1)\n" * 4000
    place = at_cursor(f"{filler}def wanted(argument):\n    |other\n{filler}")
    assert place.document.length_bytes > MAX_WHOLE_BYTES
    assert len(place.parsed.source) < MAX_WHOLE_BYTES
    assert not place.parsed.is_whole
    found = {each.name: each.position for each in identifiers_near(place.parsed, place.cursor)}
    assert found["other"] == Position(4001, 4)
    assert found["wanted"] == Position(4000, 4)


SAMPLES = {
    "javascript": (
        "class Cart extends Base {\n\n\n\n\n add(item) {|\n return this.total } }",
        {"Cart", "Base", "add", "item", "total"},
    ),
    "typescript": (
        "function sum(rows: Row[]): Money {\n\n\n\n\n  return |rows.first }",
        {"sum", "rows", "Row", "Money", "first"},
    ),
    "typescriptreact": ("const View = () => <Panel title={name|  } />", {"View", "Panel", "title"}),
    "go": (
        "func (c *Cache) Get(key Key) Value {\n\n\n\n\n\treturn c.items[|key]\n}",
        {"c", "Cache", "Get", "key", "Key", "Value", "items"},
    ),
    "rust": (
        "impl Shape for Circle {\n\n\n\n\n fn area(&self) -> Area { |radius } }",
        {"Shape", "Circle", "area", "Area", "radius"},
    ),
    "c": (
        "int put(struct ring *ring, item_t item) {\n\n\n\n\n  return |ring->head; }",
        {"put", "ring", "item_t", "item", "head"},
    ),
    "cpp": (
        "namespace shop {\n\n\n\n\nclass Cart { Money total(|Rate rate); }; }",
        {"shop", "Cart", "Money", "total", "Rate", "rate"},
    ),
    "java": (
        "class Cart extends Base {\n\n\n\n\n Money total() { return |sum; } }",
        {"Cart", "Base", "Money", "total", "sum"},
    ),
    "ruby": (
        "class Cart < Base\n\n\n\n\n  def total(rate)\n    |sum\n  end\nend",
        {"Cart", "Base", "total", "rate", "sum"},
    ),
    "shellscript": ('build() {\n  compile "$target" |fast\n}', {"build", "compile", "target"}),
}


@pytest.mark.parametrize("language_id", SAMPLES)
def test_every_grammar_tells_its_names(names, language_id):
    text, expected = SAMPLES[language_id]
    assert set(names(text, language_id)) == expected


LINES = ["a = b", "def f(x): return x", "class C(B): y = 1", "if a: b()", "", "größe = '😀'", "# c", "z = [\n  d,\n]"]
STATEMENTS = st.lists(st.sampled_from(LINES), max_size=6)


@given(STATEMENTS, st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), STATEMENTS), max_size=6))
def test_a_tree_that_followed_edits_is_the_tree_of_the_text(statements, edits):
    """Of sound code: how broken code recovers may depend on what stood there before."""

    def first_row_of(index):
        return "".join(f"{each}\n" for each in statements[:index]).count("\n")

    document, tree = Document("".join(f"{each}\n" for each in statements)), SyntaxTree("python")
    for index, deleted, inserted in edits:
        tree.around(document, 0)
        cursor = Position(first_row_of(index), 0)
        where = Range(cursor, Position(first_row_of(index + deleted), 0))
        document.apply(ContentChange(where, "".join(f"{each}\n" for each in inserted)))
        statements = [*statements[:index], *inserted, *statements[index + deleted :]]
        assert document.text == "".join(f"{each}\n" for each in statements)
        followed, fresh = tree.around(document, cursor.line), SyntaxTree("python").around(document, cursor.line)
        assert str(followed.root) == str(fresh.root)
        cursor = document.clamp(cursor)
        assert identifiers_near(followed, cursor) == identifiers_near(fresh, cursor)


@given(st.lists(st.integers(0, 900), min_size=1, max_size=200), st.integers(0, 250))
def test_the_visible_rows_are_those_of_the_cursor_excerpt(lengths, cursor_row):
    state = EditingState(lambda: 0.0)
    document = state.open("u", "\r\n".join("x" * length for length in lengths), path="a.txt")
    inputs = state.inputs("u", Position(cursor_row, 0))
    rows = visible_rows(document, cursor_row)
    assert rows == Span(inputs.excerpt_start_row, inputs.excerpt_start_row + inputs.cursor_excerpt.count("\n") + 1)


def test_what_is_nested_without_end_still_has_the_names_beside_the_cursor(names):
    depth = 30_000
    assert names("near = far\n|value = " + "(" * depth + ")" * depth + "\n", "python") == ["value", "far", "near"]
    words = " ".join(f"word_{number}" for number in range(3_000))
    assert names(f"|run {words}\n", "shellscript") == ["run"]


@pytest.mark.parametrize(
    ("marked", "language_id", "name"),
    [
        ("def co|st(a):\n    return a\n", "python", "cost"),
        ("def cost(a, é='🦊'|):\n    return a\n", "python", "cost"),
        ("def cost(a):\n    return |a\n", "python", ""),
        ("class Basket:\n    def cost(self|):\n        return 1\n", "python", "cost"),
        ("fn cost(a|: i32) -> i32 {\n    a\n}\n", "rust", "cost"),
        ("x = |1\n", "python", ""),
        ("def cost(a, (b|):\n    return a\n", "python", ""),
        ("def co|st(a):\n", "no such language", ""),
    ],
)
def test_an_item_is_headed_where_its_signature_is(at_cursor, marked, language_id, name):
    place = at_cursor(marked, language_id)
    assert item_headed_at(place.parsed, place.cursor) == name
