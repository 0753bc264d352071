"""Emacs with our package: the ERT tests beside this file, in batch, against the real hub and the shipped model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.shop import Stored

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "editors" / "emacs"
FILES = ["foretype-text.el", "foretype-server.el", "foretype.el"]
PRICES = """\
def total_price(orders):
    total = 0
    for order in orders:
        total += order.price
    print("orders:", len(orders))
    print("first 😀:", orders[0])
    return total
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("emacs") is None, reason="no emacs (apt-get install emacs-nox)"),
]


def emacs(*arguments, **options):
    command = ["emacs", "-Q", "--batch", "-L", str(PACKAGE), "-L", str(HERE), *arguments]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False, **options
    )


def test_positions_and_changes_are_those_of_lsp():
    done = emacs("-l", "foretype-text-tests", "-f", "ert-run-tests-batch-and-exit")
    assert done.returncode == 0, done.stdout


def test_a_person_renames_a_variable_and_what_became_of_it_is_remembered(world, changed):
    foretype = Path(sys.executable).parent / "foretype"
    world.write_settings("deadline_ms = 20000\nsettle_seconds = 1\n")
    (world.project / "prices.py").write_text(PRICES)
    assert world.foretype("consent", "grant", "--yes").returncode == 0
    program = f'(setq foretype-command \'("{foretype}" "lsp" "--stdio"))'
    tests = ("-l", "foretype-session-tests", "--eval", program, "-f", "ert-run-tests-batch-and-exit")
    done = emacs(*tests, cwd=world.project, env=world.env)
    assert done.returncode == 0, done.stdout
    counts = world.status()["predictions"]["counts"]
    assert (counts["accepted"], counts["rejected"]) == (3, 2), counts  # dismissed, and typed over
    stored = Stored(world)
    snapshots = [stored.show(snapshot_id) for snapshot_id in changed(stored.ids, bool)]
    assert {snapshot["client"]["name"] for snapshot in snapshots} == {"Emacs"}
    assert "accepted" in {snapshot["outcome"] for snapshot in snapshots}
    found = [problem for snapshot in snapshots for problem in snapshot["inputs"].get("active_buffer_diagnostics") or ()]
    assert {problem["message"] for problem in found} == {"may be empty"}


@pytest.mark.parametrize("file", FILES)
def test_each_file_is_compiled_and_its_documentation_checked_without_a_warning(file, tmp_path):
    for each in FILES:
        shutil.copy(PACKAGE / each, tmp_path)
    compiling = ["--eval", "(setq byte-compile-error-on-warn t)", "-f", "batch-byte-compile", file]
    done = subprocess.run(
        ["emacs", "-Q", "--batch", "-L", ".", *compiling], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    checked = emacs("--eval", f'(checkdoc-file "{PACKAGE / file}")')
    assert (checked.returncode, checked.stdout) == (0, "")
