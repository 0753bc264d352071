"""Prices as people type them, and a budget that holds whatever happens at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import BadArgument
from training_export.errors import BudgetReached
from training_export.teachers.api import Message, Reply, Request
from training_export.teachers.money import BYTES_PER_TOKEN, Ledger, Price, dearest, likely_input_tokens, read_price

A_DOLLAR_A_TOKEN = Price(0.0, 1e6)


def request(tokens, text=""):
    return Request((Message("user", text),), tokens)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_price_is_read_as_it_is_typed(read, written):
    assert read_price(f"in={read!r},out={written!r}") == Price(read, written)
    assert read_price(f"out={written!r}, in={read!r}") == Price(read, written)


@pytest.mark.parametrize(
    "text", ["", "3", "in=3", "in=3,out=x", "in=-1,out=1", "in=3,out=nan", "in=3,out=inf", "in=1,out=1,x=1"]
)
def test_what_is_no_price_is_refused_with_an_example(text):
    with pytest.raises(BadArgument, match=r"in=3,out=15"):
        read_price(text)


def test_a_million_tokens_cost_the_price():
    assert Price(3.0, 15.0).of(1e6, 0) == 3.0
    assert Price(3.0, 15.0).of(0, 1e6) == 15.0
    assert Price(3.0, 15.0).in_batches().of(1e6, 1e6) == 9.0


@given(st.text(max_size=200))
def test_tokens_are_estimated_by_bytes_and_the_dearest_case_is_dearer(text):
    asked = request(10, text)
    estimate = likely_input_tokens(asked)
    assert estimate * BYTES_PER_TOKEN >= len(text.encode()) > (estimate - 1) * BYTES_PER_TOKEN or not text
    assert dearest(asked, Price(1e6, 0.0)) >= estimate - 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=30), st.integers(0, 200))
def test_many_threads_together_stay_within_the_budget(questions, budget):
    """(longest answer, real answer) of each question: a real one is never longer than it may be."""
    ledger = Ledger(A_DOLLAR_A_TOKEN, float(budget))
    lock = threading.Lock()
    on_their_way = most_possible = 0

    def ask(question):
        nonlocal on_their_way, most_possible
        longest, real = question[0], min(question)
        try:
            with ledger.reserved(request(longest)):
                with lock:
                    on_their_way += longest
                    most_possible = max(most_possible, on_their_way + ledger.spent_dollars)
                with lock:
                    on_their_way -= longest
                    ledger.pay(Reply("", output_tokens=real))
        except BudgetReached:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        answered = list(threads.map(ask, questions))
    assert ledger.spent_dollars == sum(
        min(question) for question, done in zip(questions, answered, strict=True) if done
    )
    assert most_possible <= budget, "even if all that was on its way had been as dear as it could be"


def test_without_a_budget_nothing_waits():
    ledger = Ledger(None, None)
    with ledger.reserved(request(10**9)), ledger.reserved(request(10**9)):
        assert ledger.pay(Reply("", output_tokens=5)) == 0.0


def test_what_is_on_its_way_counts_as_spent_until_it_is_known():
    """Two answers of at most 60 dollars and a budget of 100: the second is asked when the first is there."""
    ledger = Ledger(A_DOLLAR_A_TOKEN, 100.0)
    together = threading.Barrier(2, timeout=0.2)

    def ask(_):
        with ledger.reserved(request(60)):
            ledger.pay(Reply("", output_tokens=1))
            try:
                together.wait()
            except threading.BrokenBarrierError:
                return "alone"
            return "together"

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(ask, range(2))) == ["alone", "alone"]
    assert ledger.spent_dollars == 2
