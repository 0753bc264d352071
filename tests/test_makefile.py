"""The Makefile can be read, and every target that it lists leads to commands."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*words: str) -> str:
    """What a make of its own prints: one that finds another's variables, as under `make test`, adds where it goes."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    return subprocess.run(
        ["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_every_target_that_help_lists_leads_to_commands() -> None:
    targets = [line.split()[0] for line in make("help").splitlines()]
    assert {"demo", "test", "check", "bench", "student"} <= set(targets)
    for target in targets:
        assert make("--dry-run", "--always-make", target).strip(), target
