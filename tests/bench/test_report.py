"""What the records of keystrokes come to: waits, percentiles, shares, how systems compare, and the table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import report
from bench.client import Record


def record(sent_ms, answered_ms=None, outcome="none", **others):
    return Record("s", "type", sent_ms, sent_ms, answered_ms, outcome, **others)


def test_a_missed_key_waits_for_the_first_answer_that_was_still_wanted():
    records = [
        record(0, 150, "superseded"),
        record(100, 250, "superseded"),
        record(200, 240),
        record(300, 310, "edit"),
        record(400),
    ]
    assert report.waits_ms(replace(r, outcome="superseded") if r.answered_ms is None else r for r in records) == [
        240,
        140,
        40,
        10,
        float("inf"),
    ]
    assert report.answer_times_ms(records) == [40, 10]


def test_a_key_of_one_session_never_waits_for_an_answer_of_the_next():
    records = [record(0, outcome="superseded"), replace(record(5, 6), session="t")]
    assert report.waits_ms(records) == [float("inf"), 1]


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, percent):
    found = report.percentile(values, percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def test_shares_are_of_all_keys_and_reused_answers_are_no_answers_of_the_model():
    counters = {"tokens_evaluated": 20}
    records = [
        record(0, 50, "edit", counters=counters),
        record(100, 450, counters={"tokens_evaluated": 40}),
        record(500, 501, "edit", reused=True),
        record(600, 700, "superseded"),
    ]
    figures = report.summarise(records)
    assert (figures["within_100_ms"], figures["within_300_ms"]) == (0.5, 0.5)
    assert (figures["missed"], figures["reused"]) == (0.25, 0.25)
    assert figures["answered_by_model_ms"]["p95"] == 350
    assert figures["tokens_evaluated_median"] == 20
    assert figures["counters"] == {"tokens_evaluated": 60}


# --- how systems compare ---


def verdict(cells, what):
    """The one verdict on ``what``, as (found, verdict)."""
    [found] = [each for each in report.verdicts(cells) if each.what == what]
    return found.found, found.verdict


@pytest.mark.parametrize(
    ("theirs", "found", "judged"),
    [
        ([35], "3.50 times ours", "met"),
        ([30], "3.00 times ours", "met"),
        ([24], "2.40 times ours", "missed by 20%"),
        ([None], "theirs never ends", "met"),
    ],
)
def test_llama_cpp_python_must_wait_three_times_as_long(cell, theirs, found, judged):
    cells = [cell("foretype", [10]), cell("llama-cpp-python", theirs)]
    assert verdict(cells, "wait of llama-cpp-python, p50") == (found, judged)
    assert verdict(cells, "wait of llama-cpp-python, p95") == (found, judged)


@pytest.mark.parametrize(
    ("theirs", "found", "judged"),
    [
        ([10.2], "1.02 times ours", "met"),
        ([10], "1.00 times ours", "missed by 0%"),
        ([8], "0.80 times ours", "missed by 20%"),
    ],
)
def test_llama_server_must_wait_longer_than_we_do(cell, theirs, found, judged):
    assert verdict([cell("foretype", [10]), cell("llama-server", theirs)], "wait of llama-server, p50") == (
        found,
        judged,
    )


def test_waits_without_an_end_are_compared_in_words(cell):
    never, once = [None, None], [None, 10]
    ours_never = [cell("foretype", never), cell("llama-server", [5])]
    assert verdict(ours_never, "wait of llama-server, p50") == ("ours never ends", "missed")
    neither = [cell("foretype", never), cell("llama-server", never)]
    assert verdict(neither, "wait of llama-server, p50") == ("no answer came in time to either", "not decided")
    # Behind a key without an answer one comes that still serves: its wait ends, late.
    late = [cell("foretype", once), cell("llama-server", never)]
    assert verdict(late, "wait of llama-server, p95") == ("theirs never ends", "met")


def test_a_percentile_may_have_an_end_where_a_larger_one_has_none(cell):
    cells = [cell("foretype", [10] * 10), cell("llama-server", [20] * 9 + [None])]
    assert verdict(cells, "wait of llama-server, p50") == ("2.00 times ours", "met")
    assert verdict(cells, "wait of llama-server, p95") == ("theirs never ends", "met")


def test_a_system_without_a_goal_is_compared_and_not_judged(cell):
    assert verdict([cell("foretype", [10]), cell("another", [35])], "wait of another, p50") == ("3.50 times ours", "")


def test_the_student_must_answer_nearly_every_key_within_300_ms_and_only_it(cell):
    assert verdict([cell("foretype", [10] * 99 + [301])], "keys answered within 300 ms") == ("99.0%", "met")
    slower = [cell("foretype", [10] * 9 + [301])]
    assert verdict(slower, "keys answered within 300 ms") == ("90.0%", "missed by 9.0 points")
    other = report.verdicts([cell("foretype", [10] * 9 + [301], model="student@0.5b-q8_0")])
    assert not any("300 ms" in each.what for each in other)


def test_the_median_answer_must_evaluate_25_tokens_at_most(cell):
    what = "tokens evaluated for an answer, median"
    assert verdict([cell("foretype", [10], tokens=25)], what) == ("25", "met")
    assert verdict([cell("foretype", [10], tokens=40)], what) == ("40", "missed by 15")


def test_nothing_is_compared_with_a_cell_that_is_not_there(cell):
    assert report.verdicts([cell("llama-server", [10])]) == []


# --- the table ---


def shown(table, system, title):
    """What the table says of a system under a title."""
    lines = table.splitlines()
    titles = next(line for line in lines if title in line)
    row = next(line for line in lines if line.split() and line.split()[0] == system)
    return row[: titles.index(title) + len(title)].split()[-1]


def test_the_table_says_what_was_done_in_vain_and_nothing_where_that_is_not_known(cell):
    ours = {"aborted": 3, "tokens_in_vain": 451, "ahead": {"tokens_in_vain": 77}}
    theirs = {"aborted": 5, "tokens_in_vain": None}
    table = report.table([cell("foretype", [10], totals=ours), cell("other", [35], totals=theirs)])
    columns = ("aborted", "in vain", "ahead")
    assert [shown(table, "foretype", title) for title in columns] == ["3", "451", "77"]
    assert [shown(table, "other", title) for title in columns] == ["5", "-", "-"]


def test_the_table_says_never_of_a_wait_without_an_end(cell):
    table = report.table([cell("foretype", [10]), cell("other", [None])])
    assert shown(table, "other", "wait p50") == "never"
    assert shown(table, "foretype", "wait p50") == "10.0"


def test_the_table_names_settings_goals_and_doubts_below_the_model(cell):
    cells = [
        cell("foretype", [10], setting={"flash attention": "off"}),
        cell("llama-server", [8], setting={"drafting": "none", "prompt cache": "prefix"}),
    ]
    cells[1]["summary"] |= {"refused": 0.5, "refusals": {"the engine is broken": 1}, "failed": 2}
    lines = [line.strip() for line in report.table(cells).splitlines()]
    assert "student" in lines
    assert "foretype ran with flash attention off" in lines
    assert "llama-server ran with drafting none, prompt cache prefix" in lines
    assert "wait of llama-server, p95: 0.80 times ours (goal: more than ours; missed by 20%)" in lines
    assert "llama-server gave 50.0% of the keys no answer of a model: the engine is broken" in lines
    assert "llama-server answered 2 keys with an error" in lines


def test_models_stand_apart_in_the_order_of_the_cells(cell):
    cells = [cell("foretype", [10], model=model) for model in ("b", "a")] + [cell("other", [10], model="a")]
    assert [(model, len(group)) for model, group in report.by_model_name(cells)] == [("b", 1), ("a", 2)]
