"""What tests of the runner share: the artificial stages, and how often they were called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from training_export.example import Example
from training_export.example_format.files import Loaded, read_examples

ARTIFICIAL = Path(__file__).parent / "artificial"


@pytest.fixture
def artificial(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of artificial stages, importable by worker processes too."""
    monkeypatch.syspath_prepend(ARTIFICIAL)
    return importlib.import_module("artificial_stages")


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[str]]:
    """The names the stage was called with so far, in that order; its file is ``tmp_path / "calls"``."""

    def read() -> list[str]:
        path = tmp_path / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line not in {"opened", "closed"}]

    return read


@pytest.fixture
def shout(artificial: ModuleType, tmp_path: Path) -> Callable[..., Any]:
    """Makes the artificial stage, its calls counted in ``tmp_path / "calls"``."""
    return lambda **settings: artificial.Shout(str(tmp_path / "calls"), **settings)


@pytest.fixture
def shout_command(tmp_path: Path) -> Callable[..., list[str]]:
    """The command line that runs the artificial stage in a process of its own."""

    def command(kind: str, source: Path | str, output: Path | str, *options: str) -> list[str]:
        program = str(ARTIFICIAL / "run_shout.py")
        return [sys.executable, program, kind, str(tmp_path / "calls"), str(source), str(output), *options]

    return command


@pytest.fixture
def examples_in() -> Callable[[Path], list[Example]]:
    """The examples of a file, all of which must be good."""

    def read(path: Path) -> list[Example]:
        found = list(read_examples(str(path)))
        assert all(isinstance(one, Loaded) for one in found), [str(one) for one in found]
        return [one.example for one in found if isinstance(one, Loaded)]

    return read
