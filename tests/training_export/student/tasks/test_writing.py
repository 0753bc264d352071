"""Text being written: the rest of lines, blocks, siblings and imports, blocks put around lines, and mistakes put right."""

from __future__ import annotations

import re
from random import Random

import pytest

from tests.training_export.student.tasks.conftest import LANGUAGES, Bench
from training_export.student.synthesis.branch import branch
from training_export.student.synthesis.diagnostic import FAR_ROWS, diagnosed_far, diagnosed_fixed, diagnostic
from training_export.student.synthesis.finish import finish_block, finish_line
from training_export.student.synthesis.imports import imports
from training_export.student.synthesis.moment import Moment, Surroundings, Task
from training_export.student.synthesis.wrap import wrap

each_language = pytest.mark.parametrize("language", LANGUAGES)
CLOSERS = set(")]}")


def at_cursor(moment: Moment) -> tuple[str, str]:
    """The current text before and behind the cursor."""
    lines = moment.current.split("\n")
    row, column = moment.cursor.row, moment.cursor.column
    before = "\n".join([*lines[:row], lines[row][:column]])
    return before, moment.current[len(before) :]


def typed(moment: Moment) -> str:
    """What is inserted at the cursor, where nothing else happens."""
    before, behind = at_cursor(moment)
    assert moment.expected.startswith(before), "what was typed stays"
    assert moment.expected.endswith(behind)
    return moment.expected[len(before) : len(moment.expected) - len(behind)]


@each_language
def test_the_rest_of_a_line_is_as_long_as_its_kind_says(bench: Bench, language: str) -> None:
    kinds = set()
    for moment in bench.moments(finish_line, bench.file(language)):
        before, behind = at_cursor(moment)
        row = before.count("\n")
        rest = moment.expected.split("\n")[row][moment.cursor.column :]
        closed = behind.split("\n")[0]
        assert moment.expected == before + rest + behind[len(closed) :]
        assert set(closed) <= CLOSERS, "only brackets may stand behind the cursor"
        assert rest
        is_long = len(rest) >= 8 and len(re.findall(r"\w+|[^\w\s]", rest)) >= 2
        assert moment.kind == ("long" if is_long else "short")
        kinds.add(moment.kind)
    assert kinds == {"long", "short"}


@each_language
def test_people_pause_behind_words_and_brackets(bench: Bench, language: str) -> None:
    inside = 0
    moments = bench.moments(finish_line, bench.file(language), tries=200)
    for moment in moments:
        before, _ = at_cursor(moment)
        rest = moment.expected[len(before) :]
        inside += re.match(r"\w\w", before[-1] + rest[0]) is not None
    assert inside < 0.4 * len(moments), "most letters are inside of words, and yet most pauses are not"


@each_language
def test_what_stands_below_a_line_may_be_there_or_not(bench: Bench, language: str) -> None:
    file = bench.file(language)
    whole = [moment.expected == file.text for moment in bench.moments(finish_line, file)]
    assert True in whole
    assert False in whole
    for moment in bench.moments(finish_line, file):
        assert not bench.changed(file.text, moment.expected).inserted, "a file with rows of it missing"


@each_language
def test_a_block_gets_its_body_its_next_statement_or_its_end(bench: Bench, language: str) -> None:
    kinds = {}
    for moment in bench.moments(finish_block, bench.file(language), tries=120):
        text = typed(moment).strip()
        kinds.setdefault(moment.kind, set()).add(text)
        assert 1 <= len(text.split("\n")) <= 3
    assert {"body", "statement", "closing"} == set(kinds)
    assert all(text[0] in CLOSERS for text in kinds["closing"])
    assert not any(text[0] in CLOSERS for text in kinds["body"] | kinds["statement"])


ARMS = {
    "python": 'elif state == "paid":\n        return "is paid"',
    "javascript": '} else if (state === "paid") {\n    return "is paid";\n  }',
    "typescript": 'case "paid":\n      return "is paid";',
    "go": 'case "paid":\n\t\treturn "is paid"',
    "rust": 'State::Paid => Some("Paid"),',
}


@each_language
def test_the_next_arm_is_like_the_one_before(bench: Bench, language: str) -> None:
    moments = [moment for moment in bench.moments(branch, bench.file(language), tries=150) if moment.kind == "arm"]
    written = set()
    for moment in moments:
        typed(moment)
        row = moment.cursor.row
        written.add("\n".join(moment.expected.split("\n")[row : row + ARMS[language].count("\n") + 1]).strip())
    assert any(arm.startswith(ARMS[language]) for arm in written)


@each_language
def test_siblings_that_are_nothing_like_each_other_are_left_alone(bench: Bench, language: str) -> None:
    for moment in bench.moments(branch, bench.file(language), tries=150):
        before, _ = at_cursor(moment)
        lines = moment.expected.split("\n")
        begun = lines[moment.cursor.row].strip() or before
        assert "def tidy" not in begun
        assert "func tidy" not in begun


@each_language
def test_an_import_follows_the_first_use_of_a_name(bench: Bench, language: str) -> None:
    file = bench.file(language)
    names = set()
    for moment in bench.moments(imports, file):
        assert moment.expected == file.text
        inserted = bench.changed(moment.current, moment.expected).inserted
        assert len(inserted) == 1
        gone = set(re.findall(r"\w+", inserted[0])) - set(
            re.findall(r"\w+", "".join(bench.changed(moment.current, moment.expected).deleted))
        )
        used = re.findall(r"\w+", "\n".join(moment.current.split("\n")[9:]))
        names |= {name for name in gone if name in used}
        assert gone & set(used), "it is used below"
        for reported in moment.diagnostics:
            line = moment.current.split("\n")[reported.row]
            assert line[reported.start_column : reported.end_column] in gone
            assert line[reported.start_column : reported.end_column] in reported.message
    assert names >= {"filepath", "math"} if language == "go" else names >= {"Path", "ceil", "floor"}


def without_indentation(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


@each_language
def test_a_block_around_lines_moves_them_and_changes_nothing_in_them(bench: Bench, language: str) -> None:
    file = bench.file(language)
    moments = [moment for moment in bench.moments(wrap, file) if moment.kind == "put_in"]
    assert moments
    for moment in moments:
        expected = without_indentation(moment.expected)
        header = bench.changed(file.text, moment.steps[0].text).inserted[0].strip()
        first = expected.index(header)
        rows = moment.expected.split("\n")
        indent = len(rows[first]) - len(rows[first].lstrip())
        below = [row if row.strip() else " " * (indent + 1) + "." for row in rows[first + 1 :]]
        ends = [index for index, row in enumerate(below) if len(row) - len(row.lstrip()) <= indent]
        end = ends[0] if ends else len(below)
        assert end > 0, "something stands in the block"
        del expected[first]
        if language != "python":
            assert expected.pop(first + end) == "}"
        assert expected == without_indentation(file.text)


@each_language
def test_a_block_taken_away_leaves_its_lines(bench: Bench, language: str) -> None:
    file = bench.file(language)
    moments = [moment for moment in bench.moments(wrap, file) if moment.kind == "taken_out"]
    assert moments
    for moment in moments:
        gone = list(without_indentation(file.text))
        for line in without_indentation(moment.expected):
            while gone and gone[0] != line:
                gone.pop(0)
            assert gone, "every line stood in the file, in this order"
            gone.pop(0)
        lost = file.text.count("\n") - moment.expected.count("\n")
        assert lost == (1 if language == "python" else 2)


@pytest.mark.parametrize("language", ["javascript", "go", "rust"])
def test_what_a_function_returns_is_wrapped_in_each_of_its_returns(bench: Bench, language: str) -> None:
    file = bench.file(language)
    moments = [moment for moment in bench.moments(wrap, file) if moment.kind == "returns"]
    assert moments
    for moment in moments:
        changed = bench.changed(file.text, moment.expected)
        assert len(changed.deleted) == len(changed.inserted) >= 2
        assert all("return" in line for line in changed.deleted)


@each_language
def test_a_mistake_is_reported_where_it_stands_and_its_fix_is_the_file(bench: Bench, language: str) -> None:
    file = bench.file(language)
    kinds = set()
    for moment in bench.moments(diagnostic, file, tries=250):
        kinds.add(moment.kind)
        (reported,) = moment.diagnostics
        said = moment.current.split("\n")[reported.row][reported.start_column : reported.end_column]
        if moment.kind.startswith("unused"):
            assert said in reported.message
            continue
        assert moment.expected == file.text
        if moment.kind == "misspelt":
            assert said in reported.message
            assert said not in file.names
        if moment.kind in ("unclosed", "missing", "misspelt"):
            assert reported.row == next(
                row
                for row, pair in enumerate(zip(moment.current.split("\n"), file.lines, strict=False))
                if pair[0] != pair[1]
            )
    assert {"misspelt", "unclosed", "missing", "too_many"} <= kinds
    assert ("constant" in kinds) is (language in ("javascript", "typescript", "rust"))
    assert ("await" in kinds) is (language != "go")


@each_language
def test_a_mistake_far_away_or_put_right_is_no_reason_to_change_anything(bench: Bench, language: str) -> None:
    file = bench.file(language)
    for moment in bench.moments(diagnosed_far, file):
        assert moment.task is Task.QUIET
        (reported,) = moment.diagnostics
        assert abs(reported.row - moment.cursor.row) > FAR_ROWS
    stale = [bool(moment.diagnostics) for moment in bench.moments(diagnosed_fixed, file)]
    assert True in stale
    assert False in stale
    for moment in bench.moments(diagnosed_fixed, file):
        assert moment.current == file.text


@each_language
def test_another_file_that_imports_the_same_is_shown(bench: Bench, language: str) -> None:
    file = bench.file(language)
    surroundings = Surroundings(siblings=(bench.file(language, file.text),))
    for seed in range(40):
        moment = imports(file, Random(seed), surroundings)
        if moment is None or moment.kind != "line":
            continue
        (inserted,) = bench.changed(moment.current, moment.expected).inserted
        (related,) = moment.related
        assert inserted.strip() in related.excerpts[0].text
        assert related.excerpts[0].text in file.text
        return
    assert language == "javascript", "every other file imports one name in a line of its own"
