"""Killed at any moment and run again, a selection comes to what it would have come to."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest

KILLS = int(os.environ.get("KILLS", "3"))
COMMANDS = {
    "dedup": ["-o", "out.jsonl"],
    "split": ["-o", "out.jsonl=80%", "-o", "rest.jsonl=rest"],
    "redact": ["-o", "out.jsonl"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_run_leaves_nothing_that_a_second_one_minds(name, new_example, as_file, tmp_path):
    as_file([new_example(seed % 40, variant=seed // 40) for seed in range(100)])
    call = f"from training_export.commands.{name} import application; application()"
    command = [sys.executable, "-c", call, "in.jsonl", *COMMANDS[name], "--force"]
    started = time.monotonic()
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    took_seconds = time.monotonic() - started
    undisturbed = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    chance = random.Random(name)
    for _ in range(KILLS):
        for path in tmp_path.glob("*.jsonl"):
            if path.name != "in.jsonl":
                path.unlink()
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        try:
            process.wait(chance.uniform(0.3, 1.0) * took_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for path in tmp_path.glob("*.jsonl"):
            assert path.read_bytes() == undisturbed[path.name]  # whole, or not there
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == undisturbed
