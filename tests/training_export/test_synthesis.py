"""Synthetic editing moments: what they promise a model that learns from them. Needs no torch."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from daemon.prompts.base import NewRegion, NoEdit, Prompt
from daemon.prompts.line_edits import LineEdits
from daemon.prompts.line_region import END, NO_EDIT
from training_export.student.corpus import SourceFile, read_corpus
from training_export.student.earlier_edits import with_earlier_edits
from training_export.student.moments import Case, parse_file
from training_export.student.synthesis import TASKS, Synthesiser, defeats_plain_rule, rule_baseline

SOURCE = '''
import logging

RATE = 0.19


def net_price(item, quantity):
    """The price of an item before tax."""
    if quantity <= 0:
        return 0.0
    price = item.price * quantity
    if item.fragile:
        price = price + 2 * quantity
    return round(price, 2)


def gross_price(item, quantity):
    price = net_price(item, quantity)
    price = price * (1 + RATE)
    return round(price, 2)


def report(basket, log):
    log.info("customer", basket.customer)
    log.info("shipping", basket.shipping)
    log.info("discount", basket.discount)
    for item, count in basket.items:
        log.info(item.name, net_price(item, count))
        log.debug(item.name, gross_price(item, count))
    return basket.total
'''
FILE = SourceFile("shop", "shop/prices.py", SOURCE)
NAMES = ("amount", "basket_size", "entry", "logger", "value")
FORMAT = LineEdits()


def cases(task: str, count: int = 40, seed: int = 1) -> list[Case]:
    parsed = parse_file(FILE)
    assert parsed is not None
    synthesiser = Synthesiser(Random(seed), NAMES)
    found: list[Case] = []
    for _ in range(60 * count):
        case = synthesiser.case(parsed, task)
        if case is not None:
            found.append(case)
        if len(found) == count:
            break
    assert found, f"the source gives no case of {task}"
    return found


@pytest.mark.parametrize("task", TASKS)
def test_a_quiet_moment_expects_the_text_as_it_is_and_the_others_do_not(task: str) -> None:
    for case in cases(task):
        assert (case.current == case.expected) is task.startswith("quiet")


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_moments(task: str) -> None:
    assert cases(task, seed=3) == cases(task, seed=3)


@pytest.mark.parametrize("task", TASKS)
def test_the_format_can_say_what_comes_next(task: str) -> None:
    for case in cases(task):
        inputs = case.inputs()
        prompt = FORMAT.render(inputs, lambda text: len(text) // 3 + 1)
        assert isinstance(prompt, Prompt)
        assert prompt.region_text == case.current, "these windows fit whole"
        target = FORMAT.training_target(inputs, prompt, NewRegion(case.expected))
        parsed = FORMAT.parse(inputs, prompt, target.removesuffix(END).removesuffix(NO_EDIT), finished=True)
        assert case.expected == (case.current if isinstance(parsed, NoEdit) else parsed.text)


def test_the_cursor_stands_behind_the_newest_change() -> None:
    for case in cases("finish_line"):
        row, column = case.cursor
        line = case.current.split("\n")[row]
        assert line[:column] == line
        assert case.expected.split("\n")[row].startswith(line)


def test_a_rename_leaves_strings_other_functions_and_attributes_alone() -> None:
    kept = [case for case in cases("rename", 80) if defeats_plain_rule(case)]
    assert kept, "some renames must defeat the plain rule"
    for case in kept:
        assert rule_baseline(case) != case.expected


@pytest.mark.parametrize("count", [0, 1, 6])
def test_earlier_edits_lengthen_the_past_and_leave_the_moment_as_it_was(count: int) -> None:
    for case in cases("rename"):
        longer = with_earlier_edits(case, Random(2), NAMES, count)
        added = len(longer.steps) - len(case.steps)
        assert 0 <= added <= count
        assert longer.steps[added:] == case.steps
        assert (longer.cursor, longer.expected) == (case.cursor, case.expected)
        assert all(earlier != later for earlier, later in itertools.pairwise(longer.steps))
        assert len(longer.inputs().events) == len(case.inputs().events) + added


def test_every_file_is_on_one_side_of_the_split() -> None:
    files, sources = read_corpus()
    names = [(file.origin, file.path) for file in files]
    assert len(set(names)) == len(names)
    assert len({file.text for file in files}) == len(files), "no text twice, so none on two sides"
    assert {"train", "validation", "test"} == {file.split for file in files}
    assert all(source.licence for source in sources)
