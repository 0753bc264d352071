"""A tiny student from source code to a prediction in an editor window, by the commands a person types.

What it predicts is worth nothing after a minute of training; that every step takes what the one before it made is the
point. `make student-smoke` runs it by itself, with what each step took.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.train

REPOSITORY = Path(__file__).parents[2]
SECONDS = 300.0  # for all of it, on two idle cores
MOMENTS = 1200
TEXT = """\
def total_price(orders):
    total = 0
    for order in orders:
        total += order.price
    return total
"""


@pytest.fixture
def step(world):
    """``step(words)``: one command of foretype, which must succeed; returns what it printed as JSON."""

    def run(*words):
        started = time.monotonic()
        made = world.foretype(*map(str, words), "--json", timeout=2 * SECONDS)
        assert made.returncode == 0, made.stderr
        print(f"foretype {words[0]}: {time.monotonic() - started:.0f} s")
        return json.loads(made.stdout)

    return run


def test_a_student_is_made_from_source_code_and_predicts(world, step, settings, window, machine):
    started = time.monotonic()
    moments, run, model = (world.root / name for name in ("moments.jsonl.zst", "run", "smoke.gguf"))
    sources = [REPOSITORY / room for room in ("daemon", "capture", "training_export")]
    made = step("synthesize", *sources, "--side", "all", "--count", MOMENTS, "-o", moments)
    assert made["examples"] == MOMENTS

    trained = step("train", "--from", moments, "--recipe", "smoke", "--out", run, "--threads", 2)
    losses = [json.loads(line).get("loss") for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [loss for loss in losses if loss is not None]
    assert trained["ending"] == "done"
    assert losses[-1] < 0.7 * losses[0]

    exported = step("model", "export", run / "model", "-o", model, "--type", "q8_0")
    assert exported["quantisation"] == "q8_0"
    assert model.stat().st_size == exported["size_bytes"] < 3_000_000

    settings(model=str(model), deadline_ms=60_000, work_ahead="off")
    editor = window(TEXT)
    editor.replace(1, 4, 9, "amount")
    edits = editor.edits(editor.ask_edit())
    status = machine().status()["predictions"]
    assert status["model"]["model"]["path"] == str(model)
    assert (status["model"]["failure"], status["counts"]["answered_by_model"]) == ("", 1)
    print(f"{len(edits)} edits; {status['counts']}; {time.monotonic() - started:.0f} s in all")

    (world.project / "shop.py").write_text(TEXT)
    predicted = step("predict", "shop.py:2:10")
    assert predicted["model"]["fingerprint"] == status["model"]["model"]["fingerprint"]
    assert predicted["counters"]["answer_tokens"] > 0
