"""Which examples come next: by shares, each once before any comes again, and the same again after an interruption."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

tokenizers = pytest.importorskip("tokenizers", reason="make test-train installs tokenizers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from training_export.errors import TrainingRefused  # noqa: E402
from training_export.student.tokenizer import train_tokenizer  # noqa: E402
from training_export.student.training.copies import RandomCopies  # noqa: E402
from training_export.student.training.order import Order, Place, Shape, Source  # noqa: E402
from training_export.student.training.recipe import Stage, read_recipe  # noqa: E402

pytestmark = pytest.mark.train

STAGE = Stage(steps=10, batch_tokens=300, max_tokens=100)
PADDED, PACKED = Shape(150, is_packed=False), Shape(150, is_packed=True)


@pytest.fixture(scope="module")
def examples(write_arrays, tmp_path_factory):
    lengths = [10 + number % 80 for number in range(200)]
    return write_arrays(
        tmp_path_factory.mktemp("arrays") / "new", lengths, tasks=("rename", "repeat", "quiet", "quiet")
    )


@pytest.fixture(scope="module")
def standard(write_arrays, tmp_path_factory):
    return write_arrays(tmp_path_factory.mktemp("arrays") / "standard", [30] * 50, tasks=("standard",))


def whole(examples, share=1.0):
    return Source(examples, np.arange(len(examples)), share)


def steps_of(order, count):
    return [[[row.tokens.tolist() for row in batch] for batch in order.next()] for _ in range(count)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), done=st.integers(0, 40), is_packed=st.booleans())
def test_from_any_place_on_the_same_steps_come(examples, seed, done, is_packed):
    shape = PACKED if is_packed else PADDED
    order = Order([whole(examples)], STAGE, shape, seed)
    steps_of(order, done)
    place = Place.from_json(order.place.to_json())
    again = Order([whole(examples)], STAGE, shape, seed, place=place)
    assert steps_of(again, 15) == steps_of(order, 15)


@pytest.mark.parametrize("shape", [PADDED, PACKED])
def test_each_example_comes_once_before_any_comes_again(examples, shape):
    order = Order([whole(examples)], STAGE, shape, seed=3)
    wanted = sorted(examples[index].tokens.tolist() for index in range(len(examples)))
    seen = []
    while len(seen) < len(wanted):
        seen += [row for batch in steps_of(order, 1)[0] for row in batch]
    # What a round draws is in another order than it was drawn in, so look at whole rounds.
    while order.place.step < len(order._steps):
        seen += [row for batch in steps_of(order, 1)[0] for row in batch]
    counts = Counter(map(tuple, seen))
    assert set(counts) == set(map(tuple, wanted))
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("shape", [PADDED, PACKED])
def test_neither_a_step_nor_a_part_of_it_is_larger_than_it_may_be(examples, shape):
    order = Order([whole(examples)], STAGE, shape, seed=3)
    for _ in range(60):
        step = order.next()
        assert sum(len(row.tokens) for batch in step for row in batch) <= STAGE.batch_tokens
        for batch in step:
            padded = len(batch) * max(len(row.tokens) for row in batch)
            taken = sum(len(row.tokens) for row in batch) if shape.is_packed else padded
            assert taken <= shape.micro_tokens


def test_another_seed_gives_another_order(examples):
    assert steps_of(Order([whole(examples)], STAGE, PADDED, 1), 3) != steps_of(
        Order([whole(examples)], STAGE, PADDED, 2), 3
    )


def test_sets_are_mixed_by_their_shares(examples, standard):
    order = Order([whole(examples, 0.3), whole(standard, 0.7)], STAGE, PADDED, seed=5)
    tasks = Counter(row.task for _ in range(300) for batch in order.next() for row in batch)
    assert 0.65 < tasks["standard"] / tasks.total() < 0.75


def test_tasks_are_drawn_as_often_as_the_stage_says(examples):
    stage = replace(STAGE, tasks={"rename": 3.0, "quiet": 1.0, "unheard": 5.0})
    order = Order([whole(examples)], stage, PADDED, seed=5)
    tasks = Counter(row.task for _ in range(300) for batch in order.next() for row in batch)
    assert set(tasks) == {"rename", "quiet"}
    assert 0.7 < tasks["rename"] / tasks.total() < 0.8


def test_a_stage_takes_nothing_longer_than_it_says_and_needs_something(examples):
    short = replace(STAGE, max_tokens=20)
    order = Order([whole(examples)], short, PADDED, seed=5)
    assert max(len(row.tokens) for _ in range(30) for batch in order.next() for row in batch) <= 20
    with pytest.raises(TrainingRefused, match="at most 5 tokens"):
        Order([whole(examples)], replace(STAGE, max_tokens=5), PADDED, seed=5)
    with pytest.raises(TrainingRefused, match="with the tasks unheard"):
        Order([whole(examples)], replace(STAGE, tasks={"unheard": 1.0}), PADDED, seed=5)


def test_random_copies_repeat_their_region_and_nothing_else_is_learnt(write_recipe, tmp_path):
    recipe = read_recipe("zeta2")
    tokenizer = train_tokenizer(["def work(total): return total"], 400, recipe.control_tokens)
    copies = RandomCopies(recipe.prompt_format, tokenizer)
    stage = replace(recipe.stages[0], batch_tokens=1000)
    order = Order([], stage, PADDED, 3, copies)
    rows = [row for _ in range(5) for batch in order.next() for row in batch]
    assert all(1 <= row.gap_tokens <= stage.max_gap_tokens for row in rows)
    middle = tokenizer.encode(recipe.prompt_format.delimiters.answer_start).ids
    for row in rows:
        answer = row.tokens[row.answer_start : -1].tolist()
        prompt = row.tokens[: row.answer_start].tolist()
        assert prompt[len(prompt) - len(middle) - len(answer) : len(prompt) - len(middle)] == answer
        assert np.flatnonzero(row.roles).tolist() == list(range(row.answer_start - 1, len(row.tokens) - 1))
    again = Order([], stage, PADDED, 3, copies)
    assert [row.tokens.tolist() for _ in range(5) for batch in again.next() for row in batch] == [
        row.tokens.tolist() for row in rows
    ]
