"""A training goes on exactly where it stopped, keeps the last good checkpoint, and knows when it is no longer better."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")
transformers = pytest.importorskip("transformers", reason="make test-train installs transformers")

from capture.file_lock import FileLock  # noqa: E402
from training_export.errors import OutputRefused, RunUnwritable, TrainingDiverged, TrainingRefused  # noqa: E402
from training_export.student.training import held_out, run  # noqa: E402
from training_export.student.training.checkpoints import newest_checkpoint, read_state, write_checkpoint  # noqa: E402
from training_export.student.training.log import read_log  # noqa: E402
from training_export.student.training.network import from_folder  # noqa: E402
from training_export.student.training.run import Ending  # noqa: E402
from training_export.student.training.session import Options, train  # noqa: E402
from training_export.student.training.view import SilentView  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

MOMENT = 1e-9  # minutes: over before the first step is done


@pytest.fixture
def options(tmp_path, write_examples, write_recipe):
    source = write_examples(tmp_path / "moments.jsonl", range(60))
    return Options(
        sources=(source,), out=tmp_path / "run", recipe=write_recipe(tmp_path), held_out_share=0.3, device="cpu",
        workers=1, threads=1,
    )  # fmt: skip


def weights(outcome):
    return from_folder(outcome.model).model.state_dict()


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_run_stopped_after_every_step_comes_to_the_very_weights_of_one_that_was_not(options, tmp_path, is_packed):
    options = replace(options, is_packed=is_packed, steps=5)
    whole = train(options, SilentView())
    pieces = replace(options, out=tmp_path / "pieces")
    stops = 0
    while (outcome := train(replace(pieces, minutes=MOMENT), SilentView())).ending is Ending.TIME:
        stops += 1
    assert stops == 4
    assert (whole.steps, whole.tokens) == (outcome.steps, outcome.tokens)
    assert same(weights(whole), weights(outcome))
    looks = [
        [(line["step"], line["held_out"]) for line in read_log(out) if "held_out" in line]
        for out in (options.out, pieces.out)
    ]
    assert looks[0] == looks[1]
    assert [step for step, _ in looks[0]] == [4, 5]
    assert [line["step"] for line in read_log(pieces.out)] == list(range(1, 6))
    assert not same(weights(whole), weights(train(replace(options, out=tmp_path / "other", seed=8), SilentView())))


def test_training_learns(options):
    outcome = train(replace(options, steps=40), SilentView())
    lines = read_log(options.out)
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert lines[-1]["held_out"]["loss"] < 0.7 * lines[0]["held_out"]["loss"]
    assert outcome.looks["held_out"]["cases"] == 14
    assert set(outcome.looks["held_out"]["by_task"]) == {"quiet", "rename"}
    assert (options.out / "curves.svg").read_text().lstrip().startswith("<?xml")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 8}, "seed was another"),
        ({"steps": 9}, "recipe was another"),
        ({"held_out_share": 0.5}, "held_out_share was another"),
    ],
)
def test_a_folder_with_a_run_that_began_otherwise_is_refused(options, change, told):
    train(replace(options, minutes=MOMENT), SilentView())
    with pytest.raises(TrainingRefused, match=told):
        train(replace(options, **change), SilentView())


def test_examples_that_changed_since_are_noticed(options, tmp_path, write_examples):
    train(replace(options, minutes=MOMENT), SilentView())
    write_examples(tmp_path / "moments.jsonl", range(50))
    with pytest.raises(TrainingRefused, match="the files of examples have changed since"):
        train(options, SilentView())


def test_a_checkpoint_of_another_shape_is_refused(options, tmp_path):
    train(replace(options, minutes=MOMENT), SilentView())
    path = next((options.out / "checkpoints").glob("step-*.pt"))
    state = read_state(path)
    name = next(name for name in state["weights"] if name.endswith("q_proj.weight"))
    state["weights"][name] = state["weights"][name][:16]
    torch.save(state, path)
    with pytest.raises(TrainingRefused, match=r"another shape .*q_proj.weight is \(16, 32\) there and \(32, 32\) here"):
        train(options, SilentView())


def test_a_damaged_checkpoint_is_said_to_be(options):
    train(replace(options, minutes=MOMENT), SilentView())
    path = next((options.out / "checkpoints").glob("step-*.pt"))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TrainingRefused, match=r"step-.*\.pt is damaged"):
        train(options, SilentView())


def test_two_trainings_do_not_write_one_folder(options):
    options.out.mkdir()
    lock = FileLock(options.out / "lock")
    assert lock.take()
    with pytest.raises(OutputRefused, match="another training writes"):
        train(options, SilentView())
    lock.close()


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_checkpoint_as_it_was(options):
    wild = replace(options, rate=1e30)
    train(replace(wild, minutes=MOMENT), SilentView())
    kept = newest_checkpoint(options.out / "checkpoints")
    with pytest.raises(TrainingDiverged, match=r"is no number at step \d+; the last good checkpoint"):
        train(wild, SilentView())
    again = newest_checkpoint(options.out / "checkpoints")
    assert again["progress"] == kept["progress"]
    assert all(torch.isfinite(value).all() for value in again["weights"].values())


def test_a_full_disk_while_saving_is_said_and_leaves_the_last_good_checkpoint(tmp_path):
    state = {"weights": torch.arange(100_000.0), "step": 1}
    write_checkpoint(tmp_path, 1, state)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 300, 150_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(RunUnwritable, match=r"cannot write .*step-00000002.pt.*checkpoint is kept: make room"):
                write_checkpoint(tmp_path, 2, state | {"step": 2})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.pt"]
    assert torch.equal(newest_checkpoint(tmp_path)["weights"], state["weights"])


SAVING = """
import sys, itertools, pathlib, torch
from training_export.student.training.checkpoints import write_checkpoint
folder = pathlib.Path(sys.argv[1])
for step in itertools.count(1):
    write_checkpoint(folder, step, {"step": step, "weights": torch.full((3_000_000,), float(step))})
    print(step, flush=True)
"""


def test_killed_while_it_saves_the_last_good_checkpoint_is_there_and_whole(tmp_path):
    with subprocess.Popen([sys.executable, "-c", SAVING, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        written = [int(process.stdout.readline()) for _ in range(2)][-1]
        until = time.monotonic() + 30
        while not list(tmp_path.glob("*.part")):
            assert time.monotonic() < until
        process.kill()
    state = newest_checkpoint(tmp_path)
    assert state["step"] >= written
    assert (state["weights"] == float(state["step"])).all()
    assert len(list(tmp_path.glob("step-*.pt"))) <= 3
    write_checkpoint(tmp_path, state["step"] + 1, {"step": state["step"] + 1})
    assert newest_checkpoint(tmp_path)["step"] == state["step"] + 1


def looks_in_order(monkeypatch, looks):
    """Held-out examples are as good as these say, one look after the other: (exact of the new, exact of the standard)."""
    pairs = iter(looks)
    current = {}

    def look(model, examples, indices, device):
        del model, indices, device
        if "new" not in current:
            current["new"], current["standard"] = next(pairs)
            return held_out.Look(current["new"], 1.0, 8)
        standard = current["standard"]
        current.clear()
        return held_out.Look(standard, 1.0, 8)

    monkeypatch.setattr(run, "look", look)


def test_it_stops_once_it_is_no_longer_better_and_the_best_counts(options, tmp_path, write_examples, monkeypatch):
    train(options, SilentView())
    standard = write_examples(tmp_path / "standard.jsonl", range(100, 160))
    later = replace(
        options, base=options.out, out=tmp_path / "later", replay=(standard,), patience=2, steps=40, rate=1.0
    )
    # At the start, then every four steps: better, much better but the standard set has lost two points, worse, ...
    looks_in_order(monkeypatch, [(0.5, 0.80), (0.6, 0.80), (0.9, 0.78), (0.55, 0.8), (0.5, 0.8)])
    outcome = train(later, SilentView())
    assert (outcome.ending, outcome.best_step, outcome.steps) == (Ending.EARLY, 4, 12)
    best = read_state(later.out / "checkpoints" / "best.pt")
    exported = weights(outcome)
    assert all(torch.equal(exported[name], value) for name, value in best.items())
    last = newest_checkpoint(later.out / "checkpoints")["weights"]
    assert not all(torch.equal(last[name], value) for name, value in best.items())


def test_one_that_never_becomes_better_is_left_as_it_was(options, tmp_path, write_examples, monkeypatch):
    first = train(options, SilentView())
    standard = write_examples(tmp_path / "standard.jsonl", range(100, 160))
    looks_in_order(monkeypatch, [(0.5, 0.8)] * 10)
    later = replace(options, base=options.out, out=tmp_path / "later", replay=(standard,), patience=3, steps=40)
    outcome = train(later, SilentView())
    assert (outcome.ending, outcome.best_step) == (Ending.EARLY, 0)
    assert same(weights(outcome), weights(first))


def test_files_of_the_validation_set_are_not_learnt_from(options, tmp_path, write_examples, monkeypatch):
    shown = []
    step = run.Run._step

    def watched(self, order):
        shown.extend(int(row) for pool in order._pools for row in pool._examples.rows["file"][pool._rows])
        step(self, order)

    monkeypatch.setattr(run.Run, "_step", watched)
    validation = write_examples(tmp_path / "validation.jsonl", range(40, 90))
    outcome = train(replace(options, validation=(validation,), steps=2), SilentView())
    assert len(set(shown)) == 40, "of sixty files twenty are held out"
    assert outcome.looks["held_out"]["cases"] == 16


def test_the_log_is_lines_of_json_with_the_share_of_the_matrix_rate(options):
    train(replace(options, steps=4), SilentView())
    line = json.loads((options.out / "log.jsonl").read_text().splitlines()[-1])
    assert {"step", "loss", "rate", "tokens", "seconds", "tokens_per_second", "matrix_share", "held_out"} <= set(line)
    assert 0 < line["matrix_share"] < 1


def test_a_file_is_on_one_side_alone():
    files = np.random.default_rng(1).integers(0, 2**63, 4000).astype(np.uint64)
    held = held_out.is_held_out(files, 0.2)
    assert 0.17 < held.mean() < 0.23
    assert (held == held_out.is_held_out(files, 0.2)).all()
    assert (held_out.is_held_out(files, 0.1) <= held).all(), "a smaller share holds back a part of the same files"
