"""What came of a recipe: enough to run it again and to see whether it came to the same.

``manifest.json`` in its folder: the recipe, the versions of what took part, and of each step the command, the stage's
settings, and size and SHA-256 of everything it read and wrote. Paths are relative to the recipe. Two runs of one recipe
on the same inputs have equal manifests but for the summaries, which tell what was done rather than reused.

``made`` lists the files that are the recipe's own and may be replaced by it; a step's are in it before the step begins,
so that a killed run knows its own. Knows nothing of how commands are run.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import orjson

from capture.whole_file import write_whole
from training_export.errors import ExamplesUnwritable, RecipeRefused

NAME: Final = "manifest.json"
SCHEMA_VERSION: Final = 1
PACKAGES: Final = (
    "foretype", "llama-cpp-python", "rapidfuzz", "tree-sitter", "datasketch", "anthropic", "openai", "ray", "numpy"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file as it was: path relative to the recipe's folder, bytes, SHA-256."""

    path: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path, base: Path) -> FileRecord:
        """Read the file; raises OSError."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(os.path.relpath(path, base), path.stat().st_size, digest)

    def to_json(self) -> dict[str, Any]:
        """The written form."""
        return {"path": self.path, "size_bytes": self.size_bytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step: what was typed, read and written; ``summary`` is what the command said of itself."""

    name: str
    run: str
    arguments: tuple[str, ...]
    inputs: tuple[FileRecord, ...]
    outputs: tuple[FileRecord, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The written form."""
        return {
            "name": self.name,
            "run": self.run,
            "arguments": list(self.arguments),
            "settings": dict(self.settings),
            "inputs": [record.to_json() for record in self.inputs],
            "outputs": [record.to_json() for record in self.outputs],
            "summary": dict(self.summary),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> StepRecord:
        """Raises KeyError or TypeError for what is none."""
        return cls(
            name=value["name"],
            run=value["run"],
            arguments=tuple(value["arguments"]),
            inputs=tuple(FileRecord(**record) for record in value["inputs"]),
            outputs=tuple(FileRecord(**record) for record in value["outputs"]),
            settings=value["settings"],
            summary=value["summary"],
        )


class Manifest:
    """The manifest of one recipe's folder, written anew whenever a step begins and ends.

    ``earlier`` are the steps of the last run; as long as this one is under way, they stand for those it has not done.
    """

    def __init__(self, folder: Path, recipe_text: str, base: Path) -> None:
        """Read what an earlier run left; raises RecipeRefused where that is no manifest."""
        self.path = folder / NAME
        self.steps: dict[str, StepRecord] = {}
        self.earlier, self._made = _read(self.path)
        self._recipe_text = recipe_text
        self._base = base
        self._is_complete = False

    def is_ours(self, path: Path) -> bool:
        """Whether the recipe has made this file."""
        return os.path.relpath(path, self._base) in self._made

    def begin(self, paths: Iterable[Path]) -> None:
        """A step is about to write these. Raises ExamplesUnwritable."""
        self._made |= {os.path.relpath(path, self._base) for path in paths}
        self._write()

    def add(self, record: StepRecord) -> None:
        """A step is done. Raises ExamplesUnwritable."""
        self.steps[record.name] = record
        self._write()

    def complete(self) -> None:
        """All are done: what an earlier recipe did in this folder is no longer told. Raises ExamplesUnwritable."""
        self._is_complete = True
        self._write()

    def to_json(self) -> dict[str, Any]:
        """The written form."""
        steps = self.steps if self._is_complete else {**self.steps, **_without(self.earlier, self.steps)}
        return {
            "schema_version": SCHEMA_VERSION,
            "is_complete": self._is_complete,
            "recipe": {"sha256": hashlib.sha256(self._recipe_text.encode()).hexdigest(), "text": self._recipe_text},
            "python": platform.python_version(),
            "packages": versions(PACKAGES),
            "made": sorted(self._made),
            "steps": [record.to_json() for record in steps.values()],
        }

    def _write(self) -> None:
        content = orjson.dumps(self.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        try:
            write_whole(self.path, content.decode(), durably=True)
        except OSError as error:
            raise ExamplesUnwritable(f"cannot write {self.path}: {error.strerror}") from error


def differences(earlier: Mapping[str, StepRecord], now: Mapping[str, StepRecord]) -> list[str]:
    """Sentences about steps that did not come to the same files; none where all did."""
    found = [f"{name} is missing" for name in _without(earlier, now)]
    for name, record in now.items():
        before = earlier.get(name)
        if before is None:
            found.append(f"{name} is new")
            continue
        if before.arguments != record.arguments:
            found.append(f"{name} was asked for something else")
        for what, files, files_before in (
            ("reads", record.inputs, before.inputs), ("writes", record.outputs, before.outputs)
        ):  # fmt: skip
            known = {file.path: file.sha256 for file in files_before}
            found += [f"{name} {what} another {file.path}" for file in files if known.pop(file.path, "") != file.sha256]
            found += [f"{name} no longer {what} {path}" for path in known]
    return found


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of each package that is installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _read(path: Path) -> tuple[dict[str, StepRecord], set[str]]:
    """The steps of an earlier run and what it made, nothing where there was none; raises RecipeRefused."""
    try:
        value = orjson.loads(path.read_bytes())
        if value["schema_version"] != SCHEMA_VERSION:
            raise RecipeRefused(f"{path} is of version {value['schema_version']}; this foretype reads {SCHEMA_VERSION}")
        return {step["name"]: StepRecord.from_json(step) for step in value["steps"]}, set(value["made"])
    except FileNotFoundError:
        return {}, set()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeRefused(f"{path} is no manifest of a recipe; move it away, or name another folder") from error


def _without(steps: Mapping[str, StepRecord], others: Mapping[str, StepRecord]) -> dict[str, StepRecord]:
    return {name: record for name, record in steps.items() if name not in others}
