"""The same stage on Ray Data: its output is the local engine's, line for line."""

from __future__ import annotations

import importlib
import os
import warnings
from pathlib import Path

import pytest

from training_export.errors import StageBroken
from training_export.running.runner import RunOptions, run_stage
from training_export.stage import Concurrency

ARTIFICIAL = Path(__file__).parent / "artificial"
ON_RAY = RunOptions(workers=2, engine="ray")
NAMES = [f"moment-{number}{'-fails' * (number % 5 == 3)}" for number in range(40)]


@pytest.fixture(scope="module")
def ray_session():
    """Ray, started once for this module; its workers can import the artificial stages."""
    pytest.importorskip("ray.data")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, while it starts
        ray = importlib.import_module("ray")
        ray.init(
            address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error",
            runtime_env={"env_vars": {"PYTHONPATH": str(ARTIFICIAL)}},
        )  # fmt: skip
        yield
        ray.shutdown()


@pytest.fixture(autouse=True)
def _quiet(ray_session):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("kind", list(Concurrency))
def test_ray_comes_to_what_the_local_engine_comes_to(kind, shout, examples_file, calls, tmp_path):
    first, second = examples_file(NAMES[:25], "one.jsonl"), examples_file(NAMES[25:], "two.jsonl")
    second.write_text(second.read_text() + "nonsense\n")
    local, on_ray = tmp_path / "local.jsonl", tmp_path / "ray.jsonl"
    stage = shout(kind=kind)
    wanted = run_stage(stage, [str(first), str(second)], str(local))
    (tmp_path / "calls").unlink()
    found = run_stage(stage, [str(first), str(second)], str(on_ray), ON_RAY)
    assert sorted(on_ray.read_bytes().splitlines()) == sorted(local.read_bytes().splitlines())
    assert on_ray.read_bytes() == local.read_bytes(), "the order is kept, too"
    assert {**found.to_json(), "output": ""} == {**wanted.to_json(), "output": ""}
    assert sorted(calls()) == sorted(NAMES)
    rejected = tmp_path / "ray.jsonl.rejected.jsonl"
    assert rejected.read_bytes() == (tmp_path / "local.jsonl.rejected.jsonl").read_bytes()


def test_a_broken_run_goes_on_with_either_engine(shout, examples_file, calls, tmp_path):
    output = tmp_path / "out.jsonl"
    with pytest.raises(StageBroken, match="cannot shout breaks"):
        run_stage(shout(), [str(examples_file([*NAMES, "breaks"]))], str(output), ON_RAY)
    kept = len(calls())
    source = str(examples_file([*NAMES, "new"]))
    summary = run_stage(shout(), [source], str(output), ON_RAY)
    assert summary.reused > 0
    assert len(calls()) == kept + len(NAMES) + 1 - summary.reused
    assert run_stage(shout(), [source], str(output)).reused == len(NAMES) + 1


def test_a_limit_takes_the_first_lines_and_asks_for_no_more(shout, examples_file, calls, tmp_path):
    files = [str(examples_file(NAMES[:3], "one.jsonl")), str(examples_file(NAMES[3:], "two.jsonl"))]
    output = tmp_path / "out.jsonl"
    summary = run_stage(shout(), files, str(output), RunOptions(workers=2, engine="ray", limit=5))
    assert summary.examples == 5
    assert sorted(calls()) == sorted(NAMES[:5])


def test_a_url_is_read_by_both_engines(shout, examples_file, tmp_path):
    examples_file(NAMES, "one.jsonl")
    url = f"file://{tmp_path}/*.jsonl"
    local, on_ray = tmp_path / "local.out.jsonl.gz", tmp_path / "ray.out.jsonl.gz"
    assert run_stage(shout(), [url], str(local)).examples == len(NAMES)
    assert run_stage(shout(), [url], str(on_ray), ON_RAY).examples == len(NAMES)
    assert local.read_bytes() == on_ray.read_bytes()


def test_a_line_that_kills_every_worker_ends_the_run(shout, examples_file, tmp_path):
    source, output = str(examples_file([*NAMES[:8], "dies"])), tmp_path / "out.jsonl"
    with pytest.raises(StageBroken, match="Ray ended the run"):
        run_stage(shout(kind=Concurrency.PROCESSES), [source], str(output), ON_RAY)
    assert not output.exists()
