"""A folder with a captured session, recipes in it, and the command that runs them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from training_export.commands.pipeline import application

ROOT = Path(__file__).parents[3]
CAPTURED = ROOT / "docs" / "tutorial" / "captured.jsonl.zst"
DIAGNOSTICS = ROOT / "docs" / "recipes" / "diagnostics.toml"
COMMAND = (
    sys.executable,
    "-c",
    "import sys; from daemon.command_line import run; sys.exit(run(['pipeline', *sys.argv[1:]]))",
)


class Recipes:
    """A folder of recipes; each writes into ``out``."""

    def __init__(self, folder):
        self.folder = folder
        self.out = folder / "out"
        shutil.copy(CAPTURED, folder)

    def write(self, steps, name="recipe.toml"):
        """A recipe with these steps, as TOML."""
        path = self.folder / name
        path.write_text(f'folder = "out"\ninput = ["{CAPTURED.name}"]\n\n{steps}')
        return path

    def run(self, path, *words):
        """Run it in this process; its result."""
        return CliRunner().invoke(application, [str(path), *words])

    def manifest(self):
        """What the folder's manifest says."""
        return json.loads((self.out / "manifest.json").read_text())

    def files(self):
        """What the recipe has written, by name, without the manifest."""
        return {
            path.name: path.read_bytes()
            for path in self.out.iterdir()
            if path.is_file() and path.name not in ("manifest.json", ".pipeline.lock")
        }


@pytest.fixture
def recipes(tmp_path):
    """The test's."""
    return Recipes(tmp_path)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Directories of the test's own for what commands keep."""
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
