"""Two runs compared: which examples are the same, and what is said of them."""

from __future__ import annotations

import math

import pytest

from training_export.reports.comparison import compare, match
from training_export.reports.measures import MEASURES


@pytest.fixture
def moments(make_example, text):
    """Examples that show different code, each with one prediction: always the same kind, or by index."""

    def make(predicted_of, count=40, **more):
        found = []
        for index in range(count):
            own = text + f"own_{index} = {index}\n"
            wanted = own.replace("= 2", "= 22")
            predicted = {"right": wanted, "quiet": own, "wrong": own.replace("= 3", "= 33")}[
                predicted_of if isinstance(predicted_of, str) else predicted_of(index)
            ]
            found.append(make_example(f"moment {index}", predicted, wanted=(wanted,), text=own, **more))
        return found

    return make


def by_key(comparison):
    return {one.measure.key: one for one in comparison.measures}


def test_a_run_compared_with_itself_differs_in_nothing(moments, make_run):
    examples = moments(lambda index: ("right", "quiet", "wrong")[index % 3])
    comparison = compare(make_run(*examples), make_run(*examples, label="again.jsonl"))
    assert comparison.changes == []
    assert comparison.measures
    for one in comparison.measures:
        assert one.difference == 0.0
        assert tuple(one.interval) == (0.0, 0.0)
        assert (one.improved, one.worse, one.verdict) == (0, 0, "")
    assert (comparison.matching.only_first, comparison.matching.only_second) == ([], [])


def test_a_better_run_is_called_better_and_the_examples_are_counted(moments, make_run):
    worse = make_run(*moments(lambda index: "right" if index < 10 else "quiet"), label="worse")
    better = make_run(*moments(lambda index: "right" if index < 29 else "quiet" if index else "wrong"), label="better")
    comparison = compare(better, worse)
    exact = by_key(comparison)["exact_match"]
    assert (exact.first, exact.second, exact.difference) == (72.5, 25.0, pytest.approx(47.5))
    assert (exact.improved, exact.worse, exact.equal, exact.verdict) == (19, 0, 21, "better")
    assert exact.interval.low < 47.5 < exact.interval.high
    back = by_key(compare(worse, better))["exact_match"]
    assert (back.improved, back.worse, back.verdict) == (0, 19, "worse")


def test_where_lower_is_better_less_is_an_improvement(moments, make_run):
    quiet = make_run(*moments("quiet"))
    active = make_run(*moments("right"))
    missed = by_key(compare(active, quiet))["missed"]
    assert (missed.first, missed.second, missed.improved, missed.verdict) == (0.0, 100.0, 40, "better")
    assert by_key(compare(active, quiet))["quiet"].verdict == ""  # neither is better


def test_the_examples_that_changed_most_come_first(moments, make_run, text):
    before = make_run(*moments("right"))
    after = make_run(*moments(lambda index: {3: "quiet", 5: "wrong"}.get(index, "right")))
    changes = compare(after, before).changes
    assert [after.examples[change.first].name for change in changes] == ["moment 3", "moment 5"]
    assert changes[0].difference == -100.0
    assert abs(changes[1].difference) <= 100.0


def test_examples_without_a_counterpart_are_counted_and_named(moments, make_run):
    examples = moments("right", count=5)
    comparison = compare(make_run(*examples[:4]), make_run(*examples[1:]))
    assert len(comparison.matching.pairs) == 3
    assert (comparison.matching.only_first, comparison.matching.only_second) == (["moment 0"], ["moment 4"])


def test_the_order_of_lines_and_the_name_do_not_matter(moments, make_run):
    examples = moments("right", count=4)
    renamed = [example.with_fields(name=f"other {index}") for index, example in enumerate(reversed(examples))]
    matching = match(make_run(*examples), make_run(*renamed))
    assert (matching.pairs, matching.by_name) == ([(0, 3), (1, 2), (2, 1), (3, 0)], 0)


def test_of_equal_moments_those_of_the_same_name_are_paired(make_example, make_run, wanted_text):
    first = make_run(*(make_example(name, wanted_text) for name in ("a", "b", "c")))
    second = make_run(*(make_example(name, wanted_text) for name in ("c", "a", "d")))
    assert match(first, second).pairs == [(0, 1), (1, 2), (2, 0)]


def test_the_name_pairs_what_shows_other_code_only_if_there_is_one_such(make_example, make_run):
    first = make_run(
        *(make_example(name, "x\n", text=f"{index}\n", wanted=("y\n",)) for index, name in enumerate("aab"))
    )
    second = make_run(
        *(make_example(name, "x\n", text=f"{index}!\n", wanted=("y\n",)) for index, name in enumerate("ab"))
    )
    matching = match(first, second)
    assert (matching.pairs, matching.by_name, matching.only_second) == ([(2, 1)], 1, ["a"])


def test_other_expected_patches_are_noticed(make_example, make_run, text, wanted_text):
    first = make_run(make_example("a", wanted_text))
    second = make_run(make_example("a", wanted_text, wanted=(text.replace("3", "4"),)))
    assert match(first, second).other_expected == 1
    assert match(first, first).other_expected == 0


def test_samples_of_one_example_are_one_pair(make_example, make_run, text, wanted_text):
    first = make_run(
        make_example("a", wanted_text, wanted_text), make_example("b", text, text, text, text="b\n" + text)
    )
    second = make_run(make_example("a", text, wanted_text), make_example("b", text, text="b\n" + text))
    exact = by_key(compare(first, second))["exact_match"]
    assert (exact.first, exact.second) == (pytest.approx(40.0), pytest.approx(100 / 3))
    assert (exact.improved, exact.worse, exact.equal) == (1, 0, 1)


def test_the_same_seed_gives_the_same_comparison(moments, make_run):
    one = make_run(*moments(lambda index: "right" if index % 3 else "quiet"))
    two = make_run(*moments(lambda index: "right" if index % 2 else "wrong"))
    assert compare(one, two).measures == compare(one, two).measures
    assert [one.interval for one in compare(one, two, seed=1).measures] != [
        one.interval for one in compare(one, two, seed=2).measures
    ]


def test_only_measures_of_which_both_runs_say_something_are_compared(moments, make_run):
    run = make_run(*moments("right"))
    keys = by_key(compare(run, run))
    assert {"delta_chr_f", "kept_rate"} <= set(keys)
    assert "judge_confidence" not in keys
    assert len(keys) < len(MEASURES)
    assert not any(math.isnan(one.difference) for one in keys.values())
