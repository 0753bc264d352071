"""The status board, as ``foretype status --json`` shows it."""

from __future__ import annotations

import json
from dataclasses import astuple

from hypothesis import given
from hypothesis import strategies as st

from daemon.status import StatusBoard, Work


def test_a_fresh_board_is_ready_for_json():
    snapshot = json.loads(json.dumps(StatusBoard().snapshot()))
    assert snapshot["sessions"] == {}
    assert snapshot["latency_ms"] is None
    assert set(snapshot["counts"].values()) == {0}
    assert set(snapshot["work"].pop("ahead").values()) == set(snapshot["work"].values()) == {0}


def test_counts_are_kept_for_the_hub_and_for_each_session():
    board = StatusBoard()
    board.open_session("1", "Neovim")
    board.open_session("2")
    for session in ("1", "1", "2"):
        board.count("shown", session)
    board.count("worker_deaths")
    board.close_session("2")
    snapshot = board.snapshot()
    assert snapshot["counts"]["shown"] == 3
    assert snapshot["counts"]["worker_deaths"] == 1
    assert list(snapshot["sessions"]) == ["1"]
    assert snapshot["sessions"]["1"]["editor"] == "Neovim"
    assert snapshot["sessions"]["1"]["counts"]["shown"] == 2


def test_the_last_reason_stands_until_a_prediction_is_found():
    board = StatusBoard()
    board.open_session("1")
    board.reason("1", "the file is binary", "file:///a.bin")
    assert board.last_reason("1") == "the file is binary"
    assert board.snapshot()["sessions"]["1"]["file"] == "file:///a.bin"
    board.reason("1", "")
    assert board.last_reason("1") == ""
    board.reason("gone", "a session that left is no error")
    assert board.last_reason("gone") == ""


def test_latency_percentiles_are_of_the_latest_predictions():
    board = StatusBoard()
    board.latency(0.5)
    assert board.snapshot()["latency_ms"] == {"p50": 500, "p90": 500, "p99": 500}
    for milliseconds in range(1, 1001):
        board.latency(milliseconds / 1000)
    assert board.snapshot()["latency_ms"] == {"p50": 900.5, "p90": 980.1, "p99": 998.01}


works = st.builds(Work, *[st.integers(0, 1000)] * 5)


@given(st.lists(st.tuples(st.sampled_from(["1", "2", "gone"]), works, st.booleans())))
def test_work_is_summed_up_for_the_hub_and_for_each_session_and_ahead_apart(done):
    board = StatusBoard()
    board.open_session("1")
    board.open_session("2")
    for session, work, ahead in done:
        board.worked(session, work, ahead=ahead)

    def summed(ahead, *sessions):
        tuples = [astuple(work) for session, work, is_ahead in done if session in sessions and is_ahead is ahead]
        return tuple(map(sum, zip(*tuples, strict=True))) or (0,) * 5

    for found, sessions in ((board.work.to_json(), ("1", "2", "gone")), (board.totals("1"), ("1",))):
        for of, ahead in ((found, False), (found["ahead"], True)):
            predictions, aborted, taken, evaluated, of_taken = summed(ahead, *sessions)
            assert (of["predictions"], of["aborted"], of["taken"]) == (predictions, aborted, taken)
            assert (of["tokens_evaluated"], of["tokens_in_vain"]) == (evaluated, evaluated - of_taken)
    snapshot = board.snapshot()
    assert snapshot["work"] == board.work.to_json()
    assert snapshot["sessions"]["2"]["work"]["taken"] == board.totals("2")["taken"]


def test_a_session_that_left_has_no_totals():
    board = StatusBoard()
    board.count("requests", "gone")
    assert board.totals("gone")["asked"] == 0
