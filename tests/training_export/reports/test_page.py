"""The page: one file, nothing from elsewhere, and nothing that text in examples could break out of."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training_export.errors import InputsChanged
from training_export.example_format.files import write_examples
from training_export.reports.diff_view import MAX_LINE, MAX_ROWS, Panel, side_by_side
from training_export.reports.evaluation import Evaluation, EvaluationOptions
from training_export.reports.exhibits import read_again
from training_export.reports.markup import Markup, join, style_sheet, tag
from training_export.running.sources import opened

VOID = {"meta", "br", "col"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "b", "span", "div", "table", "thead",
    "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "rect", "line", "circle", "text", "details", "summary",
    "pre", "mark", "dl", "dt", "dd", "ul", "li",
}  # fmt: skip
HOSTILE = (
    "</script></style></title></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp; \u202eesrever\u2066"
)


class Page(HTMLParser):
    """Elements, attributes and text; fails where elements are not closed in order."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.open, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return "".join(self.texts)


@pytest.fixture
def write_page(make_example, tmp_path):
    """The page that ``foretype eval`` writes of some examples, and of others to compare with."""

    def write(examples, others=(), name="run.jsonl", **options):
        runs = []
        for file_name, found in ((name, examples), ("other.jsonl", others)):
            if found:
                write_examples(tmp_path / file_name, found)
                runs.append((str(file_name), opened([str(tmp_path / file_name)])))
        known = {"by": "tag", "related_bytes": 12_000, "resamples": 200, "seed": 7, "examples": 5} | options
        evaluation = Evaluation(runs[0], runs[1] if len(runs) > 1 else None, EvaluationOptions(**known), lambda _: None)
        evaluation.write_page(str(tmp_path / "page.html"))
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return write


def assert_harmless(html):
    page = Page(html)
    assert set(page.elements) <= ALLOWED
    for element, name, value in page.attributes:
        assert not name.startswith("on"), (element, name)
        assert name not in {"src", "href", "srcset", "action", "style"}, (element, name)
        assert "\u202e" not in (value or "")
    for character in "\u202e\u2066\u2028\x00\x1b":
        assert character not in html
    return page


def test_a_hostile_example_cannot_break_out_of_the_page(write_page, make_example, text, wanted_text):
    hostile = make_example(
        HOSTILE,
        wanted_text.replace("first", HOSTILE),
        wanted=(wanted_text + HOSTILE + "\n",),
        provider=HOSTILE,
        tags=[HOSTILE],
        edit_history=HOSTILE,
        cursor_path=f"{HOSTILE}.py",
    )
    unreadable = make_example("b", None, tags=["x"]).with_fields(
        predictions=[{"actual_output": HOSTILE, "provider": "t", "error": HOSTILE}]
    )
    without = make_example(f"c{HOSTILE}")
    html = write_page(
        [hostile, unreadable, without], [hostile, make_example("d", text, text="other\n", wanted=("\n",))]
    )
    page = assert_harmless(html)
    assert "alert(1)" in page.text  # shown as text
    assert "U+202E" in page.text


def test_an_ordinary_page_shows_both_runs_and_the_diffs(write_page, make_example, text, wanted_text):
    first = [
        make_example("improved", wanted_text),
        make_example("same", wanted_text, text="x\n" + text, wanted=("x\n" + wanted_text,)),
    ]
    second = [make_example("improved", text), first[1]]
    html = write_page(first, second)
    page = assert_harmless(html)
    for expected in ("run.jsonl", "other.jsonl", "Most improved", "delta chrF", "exact match", "no edit", "2 examples"):
        assert expected in page.text
    assert "Most worsened" not in page.text
    assert page.elements.count("svg") > 5
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_the_same_runs_give_the_same_page(write_page, make_example, text, wanted_text):
    examples = [make_example("a", wanted_text), make_example("b", text, text="b\n" + text, wanted=("b\n",))]
    assert write_page(examples, examples[:1]) == write_page(examples, examples[:1])


def test_what_is_left_out_is_named_on_the_page(write_page, make_example, wanted_text):
    page = Page(
        write_page([make_example("fine", wanted_text), make_example("silent")], [make_example("fine", wanted_text)])
    )
    assert "silent: there are no predictions to score" in page.text
    assert "1 example could not be scored and 0 lines could not be read" in page.text


def test_endless_names_and_labels_do_not_make_an_endless_page(write_page, make_example, text):
    long = "x" * 1_000_000
    html = write_page(
        [
            make_example(long, text, tags=[long], provider=long, cursor_path=long, edit_history=long),
            make_example(f"{long}2", tags=[long]),
        ]
    )
    assert len(html) < 60_000


def test_a_file_of_one_example_is_enough(write_page, make_example, wanted_text):
    assert "1 example, 1 prediction" in Page(write_page([make_example("only", wanted_text)])).text


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("not an example\n")
    with pytest.raises(InputsChanged):
        read_again(opened([str(path)]).raw(), {(str(path), 1)})


# Side by side.


def panels(before, after, cursor=0):
    patch = f"--- a/x\n+++ b/x\n@@ -1,{before.count(chr(10))} +1,{after.count(chr(10))} @@\n"
    patch += "".join(f"-{line}\n" for line in before.splitlines()) + "".join(
        f"+{line}\n" for line in after.splitlines()
    )
    return Page(side_by_side(before, cursor, [Panel("predicted", patch)]))


def classes(page, name):
    return sum(value == name for _, key, value in page.attributes if key == "class")


def test_a_changed_line_is_shown_twice_with_the_difference_marked():
    page = panels("a = 1\nlonger = name\nb = 2\n", "a = 1\nlonger = other\nb = 2\n")
    assert (classes(page, "line deleted"), classes(page, "line added"), page.elements.count("mark")) == (1, 1, 2)
    assert "longer = name" in page.text
    assert "longer = other" in page.text


def test_lines_that_have_little_in_common_are_not_marked():
    assert panels("value = compute(1)\n", "import sys\n").elements.count("mark") == 0


def test_a_large_text_is_cut():
    before = "".join(f"row {row}\n" for row in range(5000))
    page = panels(before, before.replace("row", "line"))
    assert len(page.text) < 20_000
    assert f"{5000 - MAX_ROWS} more rows" in page.text


def test_a_long_line_is_cut():
    page = panels("x\n", "y" * 1_000_000 + "\n")
    assert f"{1_000_000 - MAX_LINE} more characters" in page.text
    assert len(page.text) < 2000


def test_a_patch_that_does_not_apply_is_shown_as_it_is():
    page = Page(side_by_side("a\n", 0, [Panel("predicted", "--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-b\n+c\n")]))
    assert "does not apply" in page.text
    assert "+c" in page.text


def test_the_cursor_stands_where_it_is():
    html = side_by_side("ä = 1\nb = 2\n", len("ä = 1\nb".encode()), [Panel("expected", "")])
    assert 'b<span class="cursor" title="the cursor"></span> = 2' in html


texts = st.text(alphabet=st.sampled_from("ab\n\t <>&\"'\u202eé\U0001f600\x00]"), max_size=60)


@given(texts, texts, st.integers(0, 80))
@settings(deadline=None, max_examples=200)
def test_any_two_texts_stand_side_by_side(before, after, cursor):
    patch = f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{before}\n+{after}\n"
    assert_harmless(side_by_side(before, cursor, [Panel(before, patch, after), Panel("", None)]))


# Markup.


@given(st.text())
@settings(max_examples=300)
def test_text_is_never_markup(written):
    page = Page(tag("p", written, title=written))
    assert page.elements == ["p"] + ["span"] * (len(page.elements) - 1)
    assert_harmless(tag("p", written, title=written))


def test_markup_stays_and_lists_are_flattened():
    assert join(["a<", [tag("b", "x"), None, ["&"]]]) == "a&lt;<b>x</b>&amp;"
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("td", 'a"b', class_='x"y') == '<td class="x&quot;y">a&quot;b</td>'


def test_a_name_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no name of an element"):
        tag("p onclick=x", "text")
    with pytest.raises(ValueError, match="no name of an element"):
        tag("p", **{"x=1 onclick": "y"})


def test_a_style_sheet_cannot_end_early():
    with pytest.raises(ValueError, match="end tag"):
        style_sheet("p { content: '</style>' }")


def test_markup_is_not_made_by_putting_texts_together():
    assert not isinstance(Markup("<b>") + "x", Markup)
