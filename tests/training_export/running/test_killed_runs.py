"""A run that is killed (-9) again and again: the output is that of an undisturbed one, and nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from training_export.example_format.files import read_examples
from training_export.running.runner import run_stage
from training_export.stage import Concurrency, stage_key

KINDS = [kind.value for kind in Concurrency]
WORKERS = 3
KILLS = int(os.environ.get("KILLS", "3"))
NAMES = [f"moment-{number}{'-fails' * (number % 7 == 3)}" for number in range(60)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_goes_on_and_does_nothing_twice(
    kind, stage_kills, shout, shout_command, examples_file, calls, tmp_path
):
    names = [*NAMES, *(f"more-{number}" for number in range(30 * KILLS))]
    source = examples_file(names)
    stage = shout(kind=Concurrency(kind))
    undisturbed = tmp_path / "undisturbed.jsonl"
    run_stage(stage, [str(source)], str(undisturbed))
    (tmp_path / "calls").unlink()
    output = tmp_path / "out.jsonl"

    seconds = "0.03" if kind == "alone" else "0.1"
    seen = stage_kills(shout_command(kind, source, output, "--seconds", seconds), output, watched=tmp_path / "calls")

    assert output.read_bytes() == undisturbed.read_bytes()
    assert seen.kills == KILLS, "the run had ended before"
    assert set(calls()) == set(names)
    by_key = {stage_key(stage, example): example.name for example in _examples(source)}
    for kept, bytes_then in zip(seen.kept, seen.watched_bytes, strict=True):
        later = set((tmp_path / "calls").read_bytes()[bytes_then:].decode().split())
        assert not later & {by_key[key] for key in kept}, "what was kept was worked on again"
    again = len(calls()) - len(names)
    # At each kill: what was under way, and what was done at that moment and not yet on the disk.
    assert again <= KILLS * (WORKERS + 2), f"{again} examples were worked on twice at {KILLS} kills"
    assert [path.name for path in tmp_path.glob("out*")] == ["out.jsonl"], "something was left behind"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("request_to_end", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_who_asks_a_run_to_end_is_told_how_to_go_on(
    kind, request_to_end, interruptible, shout_command, examples_file, calls, tmp_path
):
    source, output = examples_file(NAMES), tmp_path / "out.jsonl"
    command = shout_command(kind, source, output, "--seconds", "0.2")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    _wait_for_calls(process, calls, 4)
    process.send_signal(request_to_end)
    _, stderr = process.communicate(timeout=20)

    assert process.returncode == 130, stderr
    assert stderr.decode().splitlines() == [
        f"foretype: interrupted; what was finished is kept beside {output}: run the same command again to go on"
    ]
    assert not output.exists()
    if kind != "threads":  # a thread that waits for a service is not waited for
        assert (tmp_path / "calls").read_text().count("closed") == (tmp_path / "calls").read_text().count("opened")
    before = len(calls())
    again = subprocess.run(shout_command(kind, source, output, "--as-json"), capture_output=True, check=True)
    summary = json.loads(again.stdout)
    assert summary["examples"] == len(NAMES)
    assert summary["reused"] >= before - WORKERS - 1
    assert len(calls()) == before + len(NAMES) - summary["reused"]


def test_a_worker_that_is_killed_ends_the_run_and_loses_nothing(shout_command, examples_file, calls, tmp_path):
    names = [*NAMES[:20], "dies", *NAMES[20:]]
    source, output = examples_file(names), tmp_path / "out.jsonl"
    done = subprocess.run(shout_command("processes", source, output), capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "a worker process was killed" in done.stderr.decode()
    assert "run the same command again" in done.stderr.decode()
    assert not output.exists()
    kept = set(calls())
    source = examples_file(NAMES)
    again = subprocess.run(
        shout_command("processes", source, output, "--as-json"), capture_output=True, check=True, timeout=60
    )
    assert json.loads(again.stdout)["reused"] >= len(kept) - WORKERS * 2


def _wait_for_calls(process, calls, count):
    for _ in range(3000):
        if len(calls()) >= count:
            return
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
    pytest.fail("the stage was never called")


def _examples(path):
    return [found.example for found in read_examples(str(path))]
