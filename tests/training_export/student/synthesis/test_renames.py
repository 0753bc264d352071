"""Renames that were begun, and moments in which nothing should follow."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import pytest

from training_export.student.sources.source_file import SourceFile
from training_export.student.syntax.parsed import ParsedFile, parse, parse_text
from training_export.student.synthesis.asked import asked_at
from training_export.student.synthesis.moment import Moment, Place, Step, Surroundings, Task
from training_export.student.synthesis.quiet import WEIGHTS, undo
from training_export.student.synthesis.rename import IN_OTHER_FILE, rename, renamed
from training_export.student.synthesis.trajectory import jittered, with_past

Moments = Callable[..., list[Moment]]


def words_of(moment: Moment, text: str) -> list[list[str]]:
    """Every word of a text, row by row."""
    file = parse_text(moment.language, moment.project, moment.path, text)
    assert file is not None
    return [[word.text for word in file.words.get(row, ())] for row in range(len(file.lines))]


def test_a_rename_changes_one_name_into_one_other_and_nothing_else(moments: Moments, language: str) -> None:
    for moment in moments(rename, language):
        before, after = moment.texts[moment.path], moment.expected
        pairs = set()
        for old, new in zip(words_of(moment, before), words_of(moment, after), strict=True):
            if len(old) == len(new):  # not where a shorthand is written out
                pairs |= {pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]}
        changed = {(a, b) for a, b in pairs if not a.startswith(("/", "#"))}
        assert len(changed) == 1, changed
        old_name, new_name = changed.pop()
        assert re.fullmatch(r"#?\w+", old_name)
        assert re.fullmatch(r"#?\w+", new_name)


def test_some_of_the_rename_is_done_and_some_is_near_the_cursor(moments: Moments, language: str) -> None:
    for moment in moments(rename, language):
        assert moment.task is Task.RENAME
        asked = asked_at(moment.inputs(), moment.expected)
        assert asked is not None
        assert moment.inputs().events, "the history shows what the name becomes"


def test_many_renames_defeat_the_plain_rule_and_many_do_not(moments: Moments, language: str) -> None:
    asked = [asked_at(moment.inputs(), moment.expected) for moment in moments(rename, language, count=40)]
    right = [one.rule_is_right for one in asked if one is not None]
    assert 0.3 < right.count(False) / len(right) < 1


def test_kinds_of_renames(moments: Moments) -> None:
    kinds = {moment.kind for moment in moments(rename, "python", count=120)}
    assert kinds >= {"local", "parameter", "function", "field"}


def test_a_finished_rename_has_nothing_left_to_do(moments: Moments, language: str) -> None:
    for moment in moments(renamed, language):
        assert moment.kind == "renamed"
        assert moment.expected == moment.current != moment.texts[moment.path]


def test_a_rename_in_another_file_is_in_the_history_and_its_use_is_asked_for_here(
    sources: tuple[SourceFile, ...],
) -> None:
    prices, report = (parse(source) for source in sources[:2])
    assert prices is not None
    assert report is not None
    surroundings = Surroundings(("amount_due", "order_book"), ("Order",), (prices,))
    found = []
    for seed in range(80):
        moment = rename(report, Random(seed), surroundings)
        if moment is not None and moment.kind == IN_OTHER_FILE:
            found.append(moment)
    assert found
    for moment in found:
        inputs = moment.inputs()
        assert moment.path == "shop/report.py"
        assert inputs.events[0].path == "shop/prices.py"
        asked = re.search(r"^-.*?\b(Basket|gross_price|net_price)\b", inputs.events[0].diff, re.MULTILINE)
        assert asked is not None
        assert re.search(rf"\b{asked[1]}\b", moment.expected) is None, "import and uses follow"
        for related in moment.related:
            definition = related.excerpts[0].text.split("\n")[0]
            assert re.search(rf"\b{asked[1]}\b", definition) is None, "the definition as it is by now"
    assert any(moment.related for moment in found)


@pytest.mark.parametrize("make", [make for make, _ in WEIGHTS], ids=lambda make: make.__name__)
def test_nothing_follows_a_quiet_moment(make: Callable[..., Moment], moments: Moments, language: str) -> None:
    for moment in moments(make, language, count=8):
        assert moment.task is Task.QUIET
        assert moment.is_quiet
        moment.inputs()


def test_what_was_taken_back_is_shown_both_ways_after_a_pause(moments: Moments) -> None:
    diffs = [[event.diff for event in moment.inputs().events] for moment in moments(undo, count=30)]
    assert any(len(found) == 2 for found in diffs)
    for moment in moments(undo, count=30):
        assert moment.current == moment.texts[moment.path]


def test_earlier_edits_lengthen_the_past_and_leave_the_moment_as_it_is(
    moments: Moments, surroundings: Surroundings, language: str
) -> None:
    for number, moment in enumerate(moments(rename, language, count=10)):
        longer = with_past(moment, Random(number), surroundings, 5)
        added = len(longer.steps) - len(moment.steps)
        assert 0 <= added <= 5
        assert longer.steps[added:] == moment.steps
        assert (longer.current, longer.cursor, longer.expected) == (moment.current, moment.cursor, moment.expected)
        assert len(longer.inputs().events) >= len(moment.inputs().events)
        own = [step.text for step in longer.steps[:added] if step.path == moment.path]
        assert not own or own[-1] == moment.texts[moment.path], "the past ends where the moment begins"


def test_a_file_that_was_edited_before_is_not_just_opened(files: dict[str, ParsedFile]) -> None:
    file = files["go"]
    opened = Moment(Task.QUIET, "opened", "go", "p", file.path, {file.path: file.text}, (), file.text, Place(3, 0))
    longer = with_past(opened, Random(1), Surroundings(), 3)
    assert longer.cursor == Place(3, 0)
    assert longer.inputs().events


def test_the_cursor_is_off_now_and_then_but_never_outside_of_its_row() -> None:
    moment = Moment(
        Task.RENAME, "local", "python", "p", "a.py", {"a.py": "ab"}, (Step("a.py", "abc", Place(0, 3)),), "x"
    )
    cursors = {jittered(moment, Random(seed)).cursor for seed in range(200)}
    assert cursors == {Place(0, column) for column in range(4)}
    finishing = Moment(
        Task.FINISH_LINE, "long", "python", "p", "a.py", {"a.py": "ab"}, (Step("a.py", "abc", Place(0, 3)),), "x"
    )
    assert {jittered(finishing, Random(seed)).cursor for seed in range(50)} == {Place(0, 3)}
