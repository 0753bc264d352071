"""Changes that go through a file: what follows, and what stays because it only looks the same."""

from __future__ import annotations

import re

import pytest

from capture.editing.substitution import substitution_of
from tests.training_export.student.tasks.conftest import LANGUAGES, Bench
from training_export.student.synthesis.asked import asked_at, expected_excerpt
from training_export.student.synthesis.formatting import formatting
from training_export.student.synthesis.leftovers import leftovers
from training_export.student.synthesis.moment import Moment
from training_export.student.synthesis.parameter import parameter
from training_export.student.synthesis.repeat import repeat

each_language = pytest.mark.parametrize("language", LANGUAGES)


def started_with(moment: Moment) -> str:
    return moment.texts[moment.path]


@each_language
def test_a_call_changed_on_one_line_changes_on_those_like_it_alone(bench: Bench, language: str) -> None:
    file = bench.file(language)
    found = 0
    for moment in bench.moments(repeat, file, tries=300):
        changed = bench.changed(file.text, moment.expected)
        pairs = list(zip(changed.deleted, changed.inserted, strict=False))
        made = {substitution_of(old, new) for old, new in pairs if len(pairs) > 1}
        only = made.pop() if len(made) == 1 else None
        if moment.kind != "call" or only is None or only.removed != "write":
            continue
        found += 1
        assert len(pairs) == 3, "the three lines of one shape"
        assert all(re.match(r'\s*out\.\w+\("\w', old) for old in changed.deleted)
        assert "out.write is called once" in moment.expected, "a comment is no call"
        assert 'out.flush("do not write twice")' in moment.expected, "nor is a string"
    assert found


@each_language
def test_an_argument_goes_to_every_call_of_one_thing(bench: Bench, language: str) -> None:
    file = bench.file(language)
    kinds = set()
    for moment in bench.moments(repeat, file, tries=300):
        if moment.kind not in ("argument", "argument_removed", "wrapped_argument"):
            continue
        changed = bench.changed(file.text, moment.expected)
        called = {re.split(r"\(", old.strip())[0] for old in changed.deleted}
        if called != {"out.write"}:
            continue
        kinds.add(moment.kind)
        assert len(changed.deleted) == len(changed.inserted) == 3
        commas = {old.count(",") - new.count(",") for old, new in zip(changed.deleted, changed.inserted, strict=True)}
        assert commas == {{"argument": -1, "argument_removed": 1, "wrapped_argument": 0}[moment.kind]}
    assert len(kinds) > 1


def test_a_third_of_the_repeated_changes_and_more_is_beyond_a_substitution_yet_not_all(bench: Bench) -> None:
    right = []
    for language in LANGUAGES:
        for moment in bench.moments(repeat, bench.file(language), tries=60):
            inputs = moment.inputs()
            asked = asked_at(inputs, expected_excerpt(moment, inputs))
            if asked is not None and asked.changes:
                right.append(asked.rule_is_right)
    assert 0.3 < right.count(False) / len(right) < 0.9


@each_language
def test_what_is_left_to_do_stands_near_the_cursor(bench: Bench, language: str) -> None:
    for make in (repeat, formatting, leftovers, parameter):
        for moment in bench.moments(make, bench.file(language)):
            current, expected = moment.current.split("\n"), moment.expected.split("\n")
            first = next(row for row, pair in enumerate(zip(current, expected, strict=False)) if pair[0] != pair[1])
            last = len(current) - next(
                row
                for row, pair in enumerate(zip(reversed(current), reversed(expected), strict=False))
                if pair[0] != pair[1]
            )
            assert first - 8 <= moment.cursor.row <= last + 8


CALLS = {
    "python": r"\bprice_of\(((?:[^()]|\(\))*)\)",
    "javascript": r"\bpriceOf\(((?:[^()]|\(\))*)\)",
    "typescript": r"\bpriceOf\(((?:[^()]|\(\))*)\)",
    "go": r"\bpriceOf\(((?:[^()]|\(\))*)\)",
    "rust": r"\bprice_of\(((?:[^()]|\(\))*)\)",
}


@each_language
def test_a_parameter_comes_or_goes_in_the_definition_and_in_every_call(bench: Bench, language: str) -> None:
    file = bench.file(language)
    kinds = set()
    for moment in bench.moments(parameter, file, tries=200):
        if moment.kind == "field" or "price" not in "".join(
            bench.changed(started_with(moment), moment.expected).deleted
        ):
            continue
        kinds.add(moment.kind)
        quoted, others = [], []
        for line in moment.expected.split("\n"):
            for found in re.finditer(CALLS[language], line):
                (quoted if "was asked" in line else others).append(found[1].split(", "))
        assert len({len(passed) for passed in others}) == 1, "the definition and its calls agree"
        assert len(others) == 3
        assert [len(passed) for passed in quoted] == [2], "what a string says stays"
        if moment.kind == "reordered":
            assert all(re.match(r"quantity|\d", passed[0]) for passed in others)
    assert kinds == {"added", "removed", "reordered"}


@each_language
def test_the_line_that_keeps_a_new_parameter_is_like_its_neighbour(bench: Bench, language: str) -> None:
    file = bench.file(language)
    found = [moment for moment in bench.moments(parameter, file, tries=200) if moment.kind == "field"]
    if language == "rust":  # `lines,` for `currency,`: a shorthand
        assert {line.strip() for moment in found for line in bench.changed(moment.current, file.text).inserted} <= {
            "currency,",
            "lines,",
        }
    assert found
    for moment in found:
        assert moment.expected == file.text
        (inserted,) = bench.changed(moment.current, moment.expected).inserted
        name = re.findall(r"\w+", inserted)[-1]
        assert re.search(rf"\b{name}\b", "".join(bench.changed(started_with(moment), moment.current).inserted))


@each_language
def test_only_lines_go_and_what_is_gone_is_named_nowhere(bench: Bench, language: str) -> None:
    file = bench.file(language)
    for moment in bench.moments(leftovers, file):
        gone = bench.changed(file.text, moment.expected)
        assert len(gone.deleted) > len(gone.inserted)
        names = set(re.findall(r"\w+", "\n".join(gone.deleted))) - set(re.findall(r"\w+", moment.expected))
        assert names, "the name itself stands nowhere any more"
        for line in gone.inserted:  # of a list, an element may have gone
            assert set(re.findall(r"\w+", line)) <= set(re.findall(r"\w+", "\n".join(gone.deleted)))


def test_the_note_goes_with_the_line_that_printed_it(bench: Bench) -> None:
    file = bench.file("python")
    expected = file.text.replace('    note = "kept"\n    print(note)\n', "")
    assert expected in {moment.expected for moment in bench.moments(leftovers, file)}


QUOTED = {
    "python": 'def f(a):\n    a("one", 1)\n    a("it\'s", 2)\n    a("three", 3)\n    b(4)  # a "remark"\n',
    "javascript": 'function f(a) {\n  a("one", 1);\n  a("it\'s", 2);\n  a("three", 3);\n  b(4); // a "remark"\n}\n',
    "go": 'package p\n\nfunc f() {\n\ta("one", 1)\n\ta("back`tick", 2)\n\ta("three", 3)\n\tb(4) // a "remark"\n}\n',
}


@pytest.mark.parametrize("language", QUOTED)
def test_quotes_change_where_they_can_and_nowhere_else(bench: Bench, language: str) -> None:
    file = bench.file(language, QUOTED[language])
    found = [moment for moment in bench.moments(formatting, file) if moment.kind == "quotes"]
    assert found
    for moment in found:
        changed = bench.changed(file.text, moment.expected)
        assert len(changed.deleted) == 2, "one and three, not the string that holds the other quote"
        assert [re.sub("['`]", '"', line) for line in changed.inserted] == list(changed.deleted)
        assert 'a "remark"' in moment.expected


@pytest.mark.parametrize("language", ["python", "javascript", "typescript", "go"])
def test_keys_of_several_words_change_their_style(bench: Bench, language: str) -> None:
    file = bench.file(language)
    texts = {moment.expected for moment in bench.moments(formatting, file, tries=200) if moment.kind == "names"}
    wanted = file.text
    for old, new in (("order_id", "orderId"), ("unit_price", "unitPrice"), ("tax_rate", "taxRate")):
        wanted = wanted.replace(f'"{old}"', f'"{new}"')
    assert wanted in texts
    assert all('"plain"' in text for text in texts), "one word has no style"


@pytest.mark.parametrize(
    ("language", "old", "new"),
    [
        (
            "python",
            ('f"loaded {answer}"', 'f"found {where}"'),
            ('"loaded {}".format(answer)', '"found {}".format(where)'),
        ),
        ("javascript", ("`loaded ${answer}`", "`found ${where}`"), ('"loaded " + answer', '"found " + where')),
        ("typescript", ("`loaded ${answer}`", "`found ${where}`"), ('"loaded " + answer', '"found " + where')),
        (
            "go",
            ('fmt.Errorf("nothing there")', 'fmt.Errorf("empty")'),
            ('errors.New("nothing there")', 'errors.New("empty")'),
        ),
        ("rust", ('"loaded {}", answer)', '"found {}", place)'), ('"loaded {answer}")', '"found {place}")')),
    ],
)
def test_an_idiom_is_rewritten_with_each_lines_own_words(
    bench: Bench, language: str, old: tuple[str, str], new: tuple[str, str]
) -> None:
    file = bench.file(language)
    wanted = file.text
    for before, after in zip(old, new, strict=True):
        assert before in wanted
        wanted = wanted.replace(before, after)
    assert wanted in {moment.expected for moment in bench.moments(formatting, file, tries=250)}


@pytest.mark.parametrize("language", ["javascript", "typescript"])
def test_semicolons_go_from_statements_and_not_from_elsewhere(bench: Bench, language: str) -> None:
    file = bench.file(language)
    found = [moment for moment in bench.moments(formatting, file) if moment.kind == "semicolons"]
    assert found
    for moment in found:
        changed = bench.changed(file.text, moment.expected)
        assert [f"{line};" for line in changed.inserted] == list(changed.deleted)
