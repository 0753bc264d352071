"""Twenty kills of the engine worker and twenty of an editor's bridge, each in the middle of a prediction.

Two windows, one hub, one worker, all real. A stopped worker makes "in the middle" certain: it has the request and
cannot answer it.
"""

from __future__ import annotations

import pytest

from tests.daemon.process.conftest import wait_until_gone

pytestmark = pytest.mark.system

KILLS = 20
# In the second row a person has just begun to rename `total`.
TEXT = """\
def total_price(orders):
    total = 0
    for order in orders:
        total += order.price
    return total
"""


@pytest.fixture
def renaming(window):
    """``renaming()``: a new window in which a rename has begun; its next edit is the rest of it."""

    def open_and_rename():
        opened = window(TEXT)
        opened.replace(1, 4, 9, "amount")
        return opened

    return open_and_rename


def test_a_killed_worker_costs_one_prediction_and_the_other_window_is_served(renaming, settings, machine):
    settings(threads=1, deadline_ms=60_000, work_ahead="off")
    first, second = renaming(), renaming()
    assert first.edits(first.ask_edit())
    running = machine()
    for kill in range(KILLS):
        if kill and kill % 2 == 0:
            # A third death within a minute would switch predictions off until the model's settings change, as
            # status says then; so they change, and a new worker takes over.
            retired = running.worker()
            settings(threads=1 + kill // 2 % 2, deadline_ms=60_000, work_ahead="off")
            assert wait_until_gone(retired)
            assert second.edits(second.ask_edit())
        worker = running.worker()
        running.wait_for_engine(busy=False)
        worker.suspend()
        lost = first.ask_edit((2, kill))
        running.wait_for_engine(busy=True)
        kept = second.ask_edit()
        worker.kill()
        assert first.edits(lost) == []
        assert second.edits(kept)
        assert running.status()["predictions"]["counts"]["worker_deaths"] == kill + 1
        assert wait_until_gone(worker)
    assert first.edits(first.ask_edit())
    assert len(running.status()["windows"]) == 2
    assert first.leave() == second.leave() == 0


def test_three_deaths_in_a_minute_end_predictions_until_the_model_settings_change(
    renaming, settings, machine, world, changed
):
    settings(threads=1, deadline_ms=60_000, work_ahead="off")
    window = renaming()
    running = None
    for death in range(3):
        assert window.edits(window.ask_edit())  # by a worker that was started again, after a pause
        running = running or machine()
        worker = running.worker()
        running.wait_for_engine(busy=False)
        worker.suspend()
        lost = window.ask_edit((2, death))
        running.wait_for_engine(busy=True)
        worker.kill()
        assert window.edits(lost) == []
    assert window.edits(window.ask_edit()) == []
    model = running.status()["predictions"]["model"]
    assert model["state"] == "failed"
    assert "predictions are off until the model settings change" in model["failure"]
    settings(threads=2, deadline_ms=60_000, work_ahead="off")
    changed(world.status, lambda status: status["predictions"]["model"]["state"] != "failed")
    assert window.edits(window.ask_edit())
    assert window.leave() == 0


def test_a_killed_bridge_costs_the_other_window_nothing(renaming, settings, machine, world):
    settings(deadline_ms=60_000, work_ahead="off")
    other = renaming()
    assert other.edits(other.ask_edit())
    running = machine()
    worker = running.worker()
    for _ in range(KILLS):
        killed = renaming()
        running.wait_for_engine(busy=False)
        worker.suspend()
        killed.ask_edit()
        running.wait_for_engine(busy=True)
        killed.process.kill()
        kept = other.ask_edit()
        worker.resume()
        assert other.edits(kept)
        killed.wait()
    status = running.status()
    assert len(status["windows"]) == 1
    assert status["predictions"]["counts"]["worker_deaths"] == 0
    assert running.worker() == worker
    assert {process.pid for process in world.processes()} == {running.hub.pid, worker.pid, other.process.pid}
    assert other.leave() == 0
