"""Files in, moments out: quotas, no moment twice, and the same again."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from training_export.example import Example
from training_export.student.sources.source_file import Side, SourceFile, side_of
from training_export.student.synthesis.mixture import LANGUAGE_WEIGHTS, TASK_WEIGHTS
from training_export.student.synthesis.moment import Task
from training_export.student.synthesis.synthesiser import Settings, Tally, quotas_of, synthesised

COUNT = 120


@pytest.fixture(scope="module")
def made(sources: tuple[SourceFile, ...]) -> tuple[list[bytes], Tally]:
    """The lines of one run, and its tally."""
    tally = Tally()
    return list(synthesised(sources, Settings(COUNT), tally)), tally


def about(lines: list[bytes]) -> list[dict[str, object]]:
    return [json.loads(line)["foretype"]["synthesis"] for line in lines]


def test_the_same_seed_gives_the_same_lines_however_many_work(
    sources: tuple[SourceFile, ...], made: tuple[list[bytes], Tally]
) -> None:
    again = Tally()
    assert list(synthesised(tuple(reversed(sources)), Settings(COUNT, workers=2), again)) == made[0]
    assert again == made[1]


def test_another_seed_gives_others(sources: tuple[SourceFile, ...], made: tuple[list[bytes], Tally]) -> None:
    other = list(synthesised(sources, Settings(20, seed=8), Tally()))
    assert not set(other) & set(made[0])


def test_every_line_is_an_example_and_none_is_there_twice(made: tuple[list[bytes], Tally]) -> None:
    examples = [Example.from_line(line.decode()) for line in made[0]]
    shown = [(json.dumps(one.value["prompt_inputs"]), one.expected_patches) for one in examples]
    assert len(set(map(str, shown))) == len(shown) == made[1].total
    assert len({one.name for one in examples}) == len(examples)


def test_quotas_hold_for_languages_and_tasks(made: tuple[list[bytes], Tally], sources: tuple[SourceFile, ...]) -> None:
    quotas = quotas_of(sources, Settings(COUNT))
    counted = Counter((str(one["language"]), str(one["task"])) for one in about(made[0]))
    assert counted == made[1].made
    assert all(count <= quotas[language, Task(task)] for (language, task), count in counted.items())
    by_language: Counter[str] = Counter()
    for (language, _), count in counted.items():
        by_language[language] += count
    assert len(by_language) == len(LANGUAGE_WEIGHTS)


def test_quotas_add_up_to_the_count_and_are_in_proportion(sources: tuple[SourceFile, ...]) -> None:
    quotas = quotas_of(sources, Settings(1000, languages={"go": 3.0, "rust": 1.0, "python": 0.0}))
    assert sum(quotas.values()) == 1000
    by_language = {name: sum(count for (of, _), count in quotas.items() if of == name) for name in ("go", "rust")}
    assert by_language == {"go": 750, "rust": 250}
    assert {language for language, _ in quotas} == {"go", "rust"}


def test_a_quarter_and_more_is_quiet_and_many_renames_defeat_the_rule(made: tuple[list[bytes], Tally]) -> None:
    found = about(made[0])
    assert sum(bool(one["is_quiet"]) for one in found) / len(found) >= 0.25
    for task in ("rename", "repeat"):
        right = [one["rule_is_right"] for one in found if one["task"] == task]
        assert right.count(False) / len(right) >= 0.3


def test_the_moments_of_a_file_stay_on_its_side(sources: tuple[SourceFile, ...]) -> None:
    copies = [
        replace(source, path=f"copy_{number}/{source.path}", side=side_of("shop", f"copy_{number}/{source.path}"))
        for source in sources
        for number in range(40)
    ]
    sides: defaultdict[tuple[object, object], set[Side]] = defaultdict(set)
    for side in Side:
        files = [file for file in copies if file.side is side]
        assert files
        for one in about(list(synthesised(files, Settings(30, tasks={Task.RENAME: 1.0}), Tally()))):
            sides[one["project"], one["path"]].add(side)
            assert side_of("shop", str(one["path"])) is side
    assert all(len(found) == 1 for found in sides.values())


def test_a_file_that_cannot_be_parsed_is_counted_and_left_out(sources: tuple[SourceFile, ...]) -> None:
    broken = SourceFile("python", "shop", "shop/broken.py", "def f(:\n" * 30)
    tally = Tally()
    lines = list(synthesised([sources[0], broken], Settings(20), tally))
    assert (tally.files, tally.unparsed) == (2, 1)
    assert {one["path"] for one in about(lines)} == {"shop/prices.py"}


def test_where_files_offer_too_little_there_are_fewer(sources: tuple[SourceFile, ...]) -> None:
    tally = Tally()
    poor = SourceFile("python", "p", "a.py", "x = 1\n")
    lines = list(synthesised([poor], Settings(50, tasks={Task.RENAME: 1.0}), tally))
    assert (lines, tally.wanted, tally.total) == ([], 50, 0)


def test_the_weights_of_all_tasks_are_there() -> None:
    assert set(TASK_WEIGHTS) == set(Task)
    assert TASK_WEIGHTS[Task.QUIET] > 0.25 * sum(TASK_WEIGHTS.values())
