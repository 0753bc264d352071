"""What holds for every task in every language."""

from __future__ import annotations

from random import Random

import pytest

from tests.training_export.student.tasks.conftest import LANGUAGES, Bench
from tests.training_export.student.tasks.conftest import Task as Maker
from training_export.student.synthesis.asked import asked_at, expected_excerpt
from training_export.student.synthesis.branch import branch
from training_export.student.synthesis.diagnostic import diagnosed_fixed, diagnostic
from training_export.student.synthesis.finish import finish_block, finish_line
from training_export.student.synthesis.formatting import formatted, formatting
from training_export.student.synthesis.imports import imports
from training_export.student.synthesis.leftovers import leftovers
from training_export.student.synthesis.moment import Surroundings, Task
from training_export.student.synthesis.parameter import parameter
from training_export.student.synthesis.repeat import repeat, repeated
from training_export.student.synthesis.wrap import wrap

TASKS = {
    repeat: Task.REPEAT,
    finish_line: Task.FINISH_LINE,
    finish_block: Task.FINISH_BLOCK,
    parameter: Task.PARAMETER,
    branch: Task.BRANCH,
    diagnostic: Task.DIAGNOSTIC,
    wrap: Task.WRAP,
    formatting: Task.FORMATTING,
    imports: Task.IMPORT,
    leftovers: Task.LEFTOVERS,
    repeated: Task.QUIET,
    formatted: Task.QUIET,
    diagnosed_fixed: Task.QUIET,
}
each_task_and_language = pytest.mark.parametrize(
    ("make", "language"),
    [pytest.param(make, language, id=f"{make.__name__}-{language}") for make in TASKS for language in LANGUAGES],
)


@each_task_and_language
def test_something_comes_next_unless_the_moment_is_quiet(bench: Bench, make: Maker, language: str) -> None:
    for moment in bench.moments(make, bench.file(language)):
        assert moment.task is TASKS[make]
        assert (moment.current == moment.expected) is moment.is_quiet is (moment.task is Task.QUIET)
        assert moment.texts[moment.path] != moment.current, "somebody has just done something"


@each_task_and_language
def test_the_text_parses_once_everything_is_done(bench: Bench, make: Maker, language: str) -> None:
    file = bench.file(language)
    for expected in {moment.expected for moment in bench.moments(make, file)}:
        assert bench.parses(file, expected)


@each_task_and_language
def test_a_session_with_these_edits_can_be_asked_about_the_region(bench: Bench, make: Maker, language: str) -> None:
    asked = 0
    for moment in bench.moments(make, bench.file(language), tries=25):
        inputs = moment.inputs()
        assert inputs.events, "the daemon recorded what was done"
        found = asked_at(inputs, expected_excerpt(moment, inputs))
        if found is not None:
            assert not (found.changes and moment.is_quiet)
            asked += found.changes is not moment.is_quiet
    assert asked, "at least one moment asks for something that the region holds"


@each_task_and_language
def test_the_same_chance_makes_the_same_moment(bench: Bench, make: Maker, language: str) -> None:
    file, again = bench.file(language), bench.file(language)
    surroundings = Surroundings()
    for seed in range(10):
        assert make(file, Random(seed), surroundings) == make(again, Random(seed), surroundings)


@pytest.mark.parametrize("text", ["", "\n", "# a note\n", "x = 1\n"])
def test_a_file_with_nothing_in_it_offers_nothing_or_something_whole(bench: Bench, text: str) -> None:
    file = bench.file("python", text)
    for make in TASKS:
        for seed in range(5):
            moment = make(file, Random(seed), Surroundings())
            assert moment is None or bench.parses(file, moment.expected)


@pytest.mark.parametrize("language", LANGUAGES)
def test_umlauts_and_emoji_leave_everything_in_its_place(bench: Bench, language: str) -> None:
    plain = bench.file(language)
    coloured = bench.file(language, plain.text.replace("customer", "größe").replace("do not write", "nicht 😀"))
    for make in TASKS:
        for moment in bench.moments(make, coloured, tries=40):
            assert bench.parses(coloured, moment.expected)
            moment.inputs()
