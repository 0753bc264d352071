"""Memory of a run does not grow with its input, nor while everything waits for one slow line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from training_export.example import Example

RUN = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from artificial_stages import SlowFirst
from training_export.running.runner import run_stage, RunOptions
from training_export.stage import Concurrency
if __name__ == "__main__":
    stage = SlowFirst(Concurrency(sys.argv[2]), int(sys.argv[5]))
    summary = run_stage(stage, [sys.argv[3]], sys.argv[4], RunOptions(workers=2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak_bytes": peak, "examples": summary.examples}))
"""
LINE_BYTES = 4_000


def measured(tmp_path: Path, kind: str, count: int, before_first: int) -> int:
    """The peak of the process that reads and writes ``count`` examples; the first ends after ``before_first`` others."""
    source, output, script = (tmp_path / f"{kind}-{count}{ending}" for ending in (".jsonl", "-out.jsonl", ".py"))
    with source.open("w") as file:
        for number in range(count):
            text = f"{number}<|user_cursor|>" + "x" * LINE_BYTES
            file.write(Example.new(name=f"m{number}", cursor_path="a.py", cursor_position=text).to_line() + "\n")
    script.write_text(RUN)
    folder = str(Path(__file__).parent / "artificial")
    done = subprocess.run(
        [sys.executable, str(script), folder, kind, str(source), str(output), str(before_first)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["examples"] == count
    return int(found["peak_bytes"])


@pytest.mark.parametrize("kind", ["threads", "processes", "alone"])
def test_twenty_thousand_lines_take_no_more_memory_than_two_thousand(kind, tmp_path):
    few, many = measured(tmp_path, kind, 2_000, 0), measured(tmp_path, kind, 20_000, 0)
    # The 18,000 further lines are 72 MB.
    assert many - few < 24 << 20


def test_what_waits_for_a_slow_first_line_is_bounded(tmp_path):
    few, many = measured(tmp_path, "threads", 2_000, 1_000), measured(tmp_path, "threads", 20_000, 5_000)
    # What may be in flight is 64 MiB of lines, and as much again of what came of them.
    assert many - few < 100 << 20
