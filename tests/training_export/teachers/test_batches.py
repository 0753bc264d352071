"""Questions that go out in batches: everything comes back, nothing is sent twice, whatever breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from capture.file_lock import FileLock
from daemon.errors import BadArgument
from training_export.commands.distill import application
from training_export.errors import AnswersUnderway, AnswersUnusable, BudgetReached, TeacherRefused
from training_export.stages.distill import Distill
from training_export.teachers import batch_rows
from training_export.teachers.batches import Limits
from training_export.teachers.money import Price
from training_export.teachers.planning import ask_in_batches, plan

BOTH = pytest.mark.parametrize("teacher", ["sonnet46", "gpt54"])
LIMITS = Limits(poll_seconds=0.0)


@pytest.fixture
def ask(settings_for, moment):
    """Asks in batches about so many moments; gives what was fetched, and what people are told."""

    def run(count=6, teacher="sonnet46", *, wait=True, limits=LIMITS, **settings):
        told = []
        stage = Distill(settings_for(teacher, **settings))
        fetched = ask_in_batches(stage, map(moment, range(count)), wait=wait, tell=told.append, limits=limits)
        return fetched, told

    return run


@pytest.fixture
def left_to_ask(settings_for, moment):
    def count(examples=6, teacher="sonnet46"):
        return plan(Distill(settings_for(teacher)), map(moment, range(examples)), in_batches=True).to_ask

    return count


def sent(stand_in):
    """Ids of all requests that were sent in batches, in order."""
    return [request["custom_id"] for batch in stand_in.batches.values() for request in batch.requests]


@BOTH
def test_all_answers_come_back_at_half_the_price(teacher, ask, stand_in, left_to_ask):
    fetched, told = ask(teacher=teacher, price=Price(0, 1e6))
    assert (fetched.answers, fetched.sent, fetched.on_their_way) == (6, 6, 0)
    assert fetched.dollars == fetched.output_tokens / 2 > 0
    assert len(set(sent(stand_in))) == 6
    assert all(custom_id.startswith("req_hash_") for custom_id in sent(stand_in))
    assert left_to_ask(teacher=teacher) == 0
    assert told == ["batch_0: 6 requests sent", "batch_0: 6 answers fetched"]


@BOTH
def test_without_waiting_a_later_call_fetches(teacher, ask, stand_in):
    stand_in.conduct.looks = 2
    for expected in (0, 0, 6):
        fetched, _ = ask(teacher=teacher, wait=False)
        assert fetched.answers == expected
        assert fetched.on_their_way == 6 - expected
    assert len(stand_in.batches) == 1


@BOTH
def test_batches_are_as_large_as_they_may_be(teacher, ask, stand_in):
    ask(7, teacher, limits=replace(LIMITS, requests=3))
    assert [len(batch.requests) for batch in stand_in.batches.values()] == [3, 3, 1]


@BOTH
def test_bytes_bound_a_batch_too_and_one_request_always_fits(teacher, ask, stand_in):
    ask(3, teacher, limits=replace(LIMITS, bytes=10))
    assert [len(batch.requests) for batch in stand_in.batches.values()] == [1, 1, 1]


@BOTH
def test_what_came_back_without_an_answer_is_sent_again(teacher, ask, stand_in):
    stand_in.conduct.outcomes.extend(["errored", None, "expired", None, None, None])
    fetched, told = ask(teacher=teacher)
    assert fetched.answers == 6
    assert [len(batch.requests) for batch in stand_in.batches.values()] == [6, 2]
    assert any("2 without one" in sentence for sentence in told)


@BOTH
def test_it_is_not_sent_for_ever(teacher, ask, stand_in, left_to_ask):
    stand_in.conduct.outcomes.extend(["expired"] * 99)
    fetched, _ = ask(2, teacher)
    assert fetched.on_their_way == 0
    assert len(stand_in.batches) == batch_rows.TRIES
    assert left_to_ask(2, teacher) == 2
    stand_in.conduct.outcomes.clear()
    fetched, _ = ask(2, teacher)
    assert fetched.answers == 2, "who asks again is asked again"


@BOTH
def test_a_request_that_is_not_taken_is_an_answer_that_says_so(teacher, ask, stand_in, left_to_ask):
    stand_in.conduct.outcomes.append("invalid")
    fetched, _ = ask(teacher=teacher)
    assert fetched.answers == 6
    assert left_to_ask(teacher=teacher) == 0


@BOTH
def test_a_batch_whose_sending_broke_off_is_found_and_not_sent_twice(teacher, ask, stand_in):
    stand_in.conduct.loses_batch_replies = True
    with pytest.raises(AnswersUnderway, match="the same command goes on later"):
        ask(teacher=teacher, wait=False)
    assert len(stand_in.batches) == 1
    stand_in.conduct.loses_batch_replies = False
    fetched, _ = ask(teacher=teacher)
    assert fetched.answers == 6
    assert len(stand_in.batches) == 1


@BOTH
def test_a_batch_that_never_arrived_is_sent_anew(teacher, ask, stand_in):
    stand_in.conduct.drops_batches = True
    with pytest.raises(AnswersUnderway):
        ask(teacher=teacher)
    assert not stand_in.batches
    stand_in.conduct.drops_batches = False
    fetched, _ = ask(teacher=teacher)
    assert fetched.answers == 6


@BOTH
def test_a_batch_that_the_service_has_forgotten_is_sent_anew(teacher, ask, stand_in):
    stand_in.conduct.looks = 9
    ask(teacher=teacher, wait=False)
    stand_in.batches.clear()
    stand_in.conduct.looks = 1
    fetched, _ = ask(teacher=teacher)
    assert fetched.answers == 6


def test_a_batch_that_openai_does_not_take_ends_the_run_with_its_reason(ask, stand_in):
    stand_in.conduct.fails_batches = True
    with pytest.raises(TeacherRefused, match="too much at once"):
        ask(teacher="gpt54")
    stand_in.conduct.fails_batches = False
    assert ask(teacher="gpt54")[0].answers == 6


def test_what_an_earlier_run_left_behind_is_not_paid_for(ask, stand_in):
    with pytest.raises(BudgetReached):
        ask(9, price=Price(0, 1e6), budget_dollars=1.0)
    ask(2)
    assert len(sent(stand_in)) == 2


def test_the_budget_bounds_what_is_on_its_way(ask, stand_in):
    # An answer may cost 8192 dollars in a batch.
    price = {"price": Price(0, 1e6), "budget_dollars": 20_000.0}
    fetched, _ = ask(**price)
    assert fetched.answers == 6
    assert fetched.dollars <= 20_000
    assert [len(batch.requests) for batch in stand_in.batches.values()] == [2, 2, 2]
    with pytest.raises(BudgetReached, match="higher budget"):
        ask(9, price=Price(0, 1e6), budget_dollars=8000.0)
    assert len(sent(stand_in)) == 6


def test_one_process_at_a_time_carries_batches(ask, tmp_path):
    lock = FileLock(tmp_path / "answers.batches.lock")
    assert lock.take()
    try:
        with pytest.raises(AnswersUnusable, match="another process"):
            ask()
    finally:
        lock.close()


def test_other_servers_have_no_batches(ask, settings_for):
    with pytest.raises(BadArgument, match="no batch interface"):
        ask(teacher="gpt54", service="compatible")


def arguments(stand_in, folder, source, teacher):
    url = stand_in.url if teacher == "sonnet46" else f"{stand_in.url}/v1"
    cache = ["--cache", str(folder / "answers.sqlite3"), "--json"]
    return [str(source), "-o", str(folder / "out.jsonl"), "--teacher", teacher, "--base-url", url, *cache]


@BOTH
def test_the_command_sends_then_fetches_and_writes_what_asking_one_by_one_writes(
    teacher, stand_in, write_moments, tmp_path
):
    options = [*arguments(stand_in, tmp_path, write_moments(5), teacher), "--batch"]
    stand_in.conduct.looks = 2
    for _ in range(2):
        first = CliRunner().invoke(application, options)
        assert isinstance(first.exception, AnswersUnderway)
        assert "5 requests are with the service" in str(first.exception)
        assert not (tmp_path / "out.jsonl").exists()
    done = CliRunner().invoke(application, options)
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout.splitlines()[-1])["tallies"]["answers found"] == 5
    in_batches = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "answers.sqlite3").unlink()
    (tmp_path / "out.jsonl").unlink()
    assert CliRunner().invoke(application, options[:-1]).exit_code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == in_batches


@BOTH
def test_killed_while_it_carries_batches_it_sends_nothing_twice(teacher, stand_in, write_moments, tmp_path):
    stand_in.conduct.looks = 3
    options = [*arguments(stand_in, tmp_path, write_moments(8), teacher), "--batch"]
    command = [sys.executable, "-c", "from training_export.commands.distill import application; application()"]
    process = subprocess.Popen([*command, *options, "--wait"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert b"8 requests sent" in process.stderr.readline()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    for _ in range(3):
        done = CliRunner().invoke(application, options)
    assert done.exit_code == 0, done.exception
    assert len(sent(stand_in)) == len(set(sent(stand_in))) == 8
