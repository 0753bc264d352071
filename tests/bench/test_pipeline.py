"""The pipeline's benchmark: what it reads is real work, what it measures is all of it, and it goes on where it stopped."""

from __future__ import annotations

import json
import os
import sys
from itertools import islice

import psutil
import pytest

from bench import pipeline
from bench.pipelining import datasets_map, examples
from bench.pipelining.processes import CommandFailed, measured
from bench.pipelining.stages import STAGES
from bench.pipelining.trivial import added
from capture.inputs import Span
from training_export.example import Example
from training_export.patches import patched_excerpt
from training_export.stage import ours, stage_key
from training_export.stages.score import ScoreStage

COUNT = 60
BLOCK_BYTES = 60 << 20


@pytest.fixture(scope="module", autouse=True)
def few_moments():
    """Which come again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "MOMENTS", 12)
        yield


@pytest.fixture(scope="module")
def made():
    return [Example.from_line(line) for line in examples.lines(COUNT)]


def test_examples_are_whole_moments_whose_predictions_apply(made):
    for example in made:
        inputs = example.prompt_inputs
        region = Span.from_json(ours(example, "region"))
        excerpt = inputs.excerpt_bytes
        wanted = excerpt[: region.start] + ours(example, "settled").encode() + excerpt[region.end :]
        assert patched_excerpt(inputs, example.predictions[0].actual_patch) == wanted.decode()
        assert patched_excerpt(inputs, example.predictions[1].actual_patch)
        assert example.cursor_excerpt.text == inputs.cursor_excerpt


def test_no_two_examples_are_alike_however_often_a_moment_comes_again(made):
    stage = ScoreStage()
    assert len({stage_key(stage, example) for example in made}) == COUNT
    assert len({example.name for example in made}) == COUNT
    # The last of every five is the one before it but for one name.
    pairs = [(made[at - 1], made[at]) for at in range(examples.DUPLICATE_OF - 1, COUNT, examples.DUPLICATE_OF)]
    for one, other in pairs:
        words = zip(one.cursor_excerpt.text.split(), other.cursor_excerpt.text.split(), strict=True)
        assert one.cursor_position != other.cursor_position
        assert sum(a != b for a, b in words) < len(one.cursor_excerpt.text.split()) / 2


def test_a_smaller_file_is_the_beginning_of_a_larger_one(made):
    assert [Example.from_line(line) for line in islice(examples.lines(7), 7)] == made[:7]


def test_what_all_processes_of_a_command_take_is_counted(tmp_path):
    child = f"x = bytearray({BLOCK_BYTES}); import time; time.sleep(1.0)"
    parent = f"import subprocess, sys; x = bytearray({BLOCK_BYTES}); subprocess.run([sys.executable, '-c', {child!r}])"
    usage = measured([sys.executable, "-c", parent], tmp_path, os.environ, 60.0)
    assert 2 * BLOCK_BYTES < usage.peak_rss_bytes < 3 * BLOCK_BYTES + (100 << 20)
    assert usage.seconds > 1.0


def test_a_command_that_fails_or_hangs_is_named_and_leaves_no_process(tmp_path):
    with pytest.raises(CommandFailed, match=r"(?s)ended with 3.*what went wrong"):
        measured(
            [sys.executable, "-c", "import sys; print('what went wrong', file=sys.stderr); sys.exit(3)"],
            tmp_path,
            os.environ,
            60.0,
        )
    hangs = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    with pytest.raises(CommandFailed, match="did not end within 1 s"):
        measured([sys.executable, "-c", hangs], tmp_path, os.environ, 1.0)
    left = [
        process for process in psutil.Process().children(recursive=True) if "time.sleep(600)" in str(process.cmdline())
    ]
    assert not left


@pytest.mark.parametrize(("seconds", "growth"), [((2.0, 11.0, 101.0), 1.0), ((2.0, 11.0, 191.0), 2.0)])
def test_growth_compares_what_a_further_example_takes(seconds, growth):
    cells = [
        pipeline.Cell("score", count, time, 2 * time, 1000 * count)
        for count, time in zip((1_000, 10_000, 100_000), seconds, strict=True)
    ]
    found = pipeline.growth(cells, cells[2])
    assert found["time_per_example_times_that_before"] == growth
    assert found["memory_times_that_before"] == 10
    assert found["examples_per_second"] == pytest.approx(1000 / growth)
    assert pipeline.growth(cells, cells[0]) == {"examples_per_second": 500.0}


def test_a_run_prints_what_it_measured_and_another_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    def run(only):
        options = ["--counts", "4,8", "--only", only, "--out", str(tmp_path / "results.jsonl")]
        monkeypatch.setattr(sys, "argv", ["pipeline", *options])
        pipeline.main()
        return json.loads(capsys.readouterr().out.splitlines()[-1])["cells"]

    first = run("filter")
    assert [(cell["stage"], cell["examples"]) for cell in first] == [("filter", 4), ("filter", 8)]
    assert all(cell["seconds"] > 0 and cell["peak_rss_bytes"] > 10 << 20 for cell in first)
    second = run("filter,trivial map")
    assert [cell for cell in second if cell["stage"] == "filter"] == first
    assert {cell["stage"] for cell in second} == {"filter", "trivial map"}


def test_every_command_that_writes_examples_is_measured():
    measured_names = {stage.name for stage in STAGES}
    assert {
        *("export", "import", "context", "distill", "judge", "repair", "targets", "settle", "score", "format"),
        *("redact", "filter", "sample", "dedup", "split"),
    } <= measured_names


def test_the_yardstick_comes_to_the_same_as_our_stages(made):
    for example in made[:3]:
        row = {**example.value, "qa": None}
        assert datasets_map.add_field(row) == added(example).fields
        assert datasets_map.add_score(row)["score"] == ScoreStage().findings(example).fields["score"]
