"""``foretype train`` as a person uses it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")
transformers = pytest.importorskip("transformers", reason="make test-train installs transformers")

from typer.testing import CliRunner  # noqa: E402

from daemon.registry import EMBEDDED_PATH  # noqa: E402
from training_export.commands import model_export, train  # noqa: E402
from training_export.errors import ExtraMissing, TrainingRefused  # noqa: E402
from training_export.student.training.gguf_base import from_gguf  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

USUAL = ["--workers", "1", "--threads", "1", "--device", "cpu"]


def foretype_train(*arguments):
    return CliRunner().invoke(train.application, [*map(str, arguments), *USUAL], catch_exceptions=False)


@pytest.fixture
def moments(tmp_path, write_examples):
    return write_examples(tmp_path / "moments.jsonl", range(40), with_rejected=True)


@pytest.fixture
def recipe(tmp_path, write_recipe):
    return write_recipe(tmp_path, steps=6)


def test_a_student_is_trained_and_another_goes_on_from_it(tmp_path, moments, recipe, write_examples):
    run, later = tmp_path / "run", tmp_path / "later"
    made = foretype_train("--from", moments, "--recipe", recipe, "--out", run, "--held-out", 0.3, "--json")
    assert made.exit_code == 0
    outcome = json.loads(made.stdout)
    assert (outcome["ending"], outcome["steps"], outcome["model"]) == ("done", 6, str(run / "model"))
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in (run / "model").iterdir()}
    assert re.search(r"new: 40 examples, [\d,]+ tokens", made.stderr)
    assert re.search(r"step 6: loss [\d.]+, rate .* tokens/s .*; held out [\d.]+% exact \(quiet", made.stderr)
    settled = write_examples(tmp_path / "settled.jsonl", range(100, 130))
    on = foretype_train(
        settled, "--from", settled, "--base", run, "--replay", moments, "--out", later, "--steps", 4, "--patience", 1
    )
    assert on.exit_code == 0
    assert re.search(
        r"later/model: \d steps, .*; the best was at step \d+; held out .* exact; replay .* exact", on.stderr
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of gguf and numpy
def test_the_shipped_student_is_gone_on_with_and_can_be_exported_again(tmp_path, moments):
    run, model = tmp_path / "run", tmp_path / "mine.gguf"
    made = foretype_train("--from", moments, "--base", "embedded", "--out", run, "--steps", 2, "--patience", 0)
    assert made.exit_code == 0
    written = CliRunner().invoke(
        model_export.application, [str(run), "-o", str(model), "--type", "q8_0", "--json"], catch_exceptions=False
    )
    assert json.loads(written.stdout)["quantisation"] == "q8_0"
    assert from_gguf(model).model.num_parameters() == from_gguf(EMBEDDED_PATH).model.num_parameters()


def test_a_student_learns_not_to_answer_what_was_rejected(tmp_path, moments, recipe):
    run, later = tmp_path / "run", tmp_path / "later"
    foretype_train("--from", moments, "--recipe", recipe, "--out", run)
    options = ["--base", run, "--objective", "dpo", "--steps", 4, "--patience", 0]
    on = foretype_train("--from", moments, *options, "--rate", 5, "--out", later, "--json")
    lines = [json.loads(line) for line in (later / "log.jsonl").read_text().splitlines()]
    assert json.loads(on.stdout)["steps"] == 4
    assert lines[-1]["step"] == 4
    plain = tmp_path / "plain.jsonl"
    plain.write_text(re.sub(r'"rejected_patch":"(?:[^"\\]|\\.)*",', "", (tmp_path / "moments.jsonl").read_text()))
    with pytest.raises(TrainingRefused, match="no example with a rejected answer is left to learn from"):
        foretype_train("--from", plain, *options, "--out", tmp_path / "without")


def test_the_curves_are_drawn_anew_from_the_log(tmp_path, moments, recipe):
    run = tmp_path / "run"
    foretype_train("--from", moments, "--recipe", recipe, "--out", run, "--held-out", 0.3)
    first = (run / "curves.svg").read_bytes()
    (run / "curves.svg").unlink()
    assert foretype_train("--plot", run).exit_code == 0
    assert (run / "curves.svg").read_bytes() == first
    with pytest.raises(TrainingRefused, match=r"holds no log.jsonl"):
        foretype_train("--plot", tmp_path)


def test_without_torch_it_says_what_to_install(monkeypatch, tmp_path, moments):
    monkeypatch.setattr(train, "LIBRARIES", ("torch", "no_such_library"))
    with pytest.raises(ExtraMissing, match=r"needs no_such_library.*pip install 'foretype\[train\]'"):
        foretype_train("--from", moments, "--out", tmp_path / "run")


def test_adapters_need_a_network(tmp_path, moments):
    with pytest.raises(TrainingRefused, match="name it with --base"):
        foretype_train("--from", moments, "--out", tmp_path / "run", "--lora", 4)


INTERRUPTED = (
    "from training_export.commands.train import application; from daemon.errors import ForetypeError\n"
    "import sys\ntry:\n    application()\nexcept ForetypeError as error:\n    sys.stderr.write(str(error)); sys.exit(error.exit_code)"
)


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path, moments, write_recipe):
    run = tmp_path / "run"
    command = ["--from", moments, "--recipe", write_recipe(tmp_path, steps=100_000), "--out", str(run), *USUAL]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *command], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    for line in process.stderr:
        if "step 4:" in line:
            break
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(60) == 130
    assert re.search(r"interrupted at step \d+ of 100000; a checkpoint is in .*run: run the same command again", said)
    assert len(list((run / "checkpoints").glob("step-*.pt"))) == 1
    process.stderr.close()
