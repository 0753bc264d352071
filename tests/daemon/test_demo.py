"""`foretype demo`, as `make demo` runs it: the real daemon, the shipped model, computed now."""

from __future__ import annotations

import re
import subprocess
import sys


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daemon.main", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_demo_shows_every_keystroke_and_propagates_the_rename() -> None:
    result = demo()
    assert result.returncode == 0, result.stderr
    assert len(re.findall(r"^ +\S+ +[\d.]+ ms", result.stdout, re.MULTILINE)) >= 11, "a line for each key"
    assert re.search(r"^-.*\bqty\b", result.stdout, re.MULTILINE)
    assert re.search(r"^\+.*\bquantity\b", result.stdout, re.MULTILINE)
    summary = re.search(r"(\d+) keystrokes, (\d+) predictions accepted", result.stdout)
    assert summary is not None
    assert int(summary[2]) >= 1


def test_a_model_that_is_none_is_named_with_the_cure(tmp_path) -> None:
    bad = tmp_path / "notes.gguf"
    bad.write_text("not a model")
    result = demo("--model", str(bad))
    assert result.returncode == 1
    assert "notes.gguf" in result.stderr
    assert "Traceback" not in result.stderr
