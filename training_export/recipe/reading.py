"""A recipe: commands of the pipeline in a row, each on what an earlier one wrote. Read from TOML, checked whole.

    folder = "runs/first"            # where everything goes; relative to the recipe
    input = ["examples/*.jsonl"]     # what the first steps read

    [[step]]
    run = "distill"                  # a command of foretype
    options = {teacher = "sonnet45", samples = 4}

    [[step]]
    run = "format"
    name = "with-diagnostics"        # the command's name where not given
    from = "distill"                 # a step, several, or files of the folder; the step before where not given
    options = {format = "V0420Diagnostics"}

A step writes ``NN-NAME.jsonl`` in the folder, NN its number; ``output`` names another file of it, or several
(``{"train.jsonl" = "80%"}``), or none (``false``: a report). Options are those of the command line
without their dashes: true is a flag, a list repeats the option; ``{folder}`` and ``{recipe}`` in a text are the two
folders. Of what commands do it knows which options name a file to be written.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from training_export.errors import RecipeRefused

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TOP_KEYS: Final = frozenset({"folder", "input", "step"})
_STEP_KEYS: Final = frozenset({"run", "name", "from", "output", "options"})
# Options that name a file to be written beside the output, with the ends of the names of all that is then written; and
# options that name a file which is only used.
_ROWS: Final = ("", ".format.json")
WRITING_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "--card": ("",),
    "--html": ("",),
    "--plot": ("",),
    "--summary-json": ("",),
    "--text": _ROWS,
    "--trl-dpo": _ROWS,
    "--trl-sft": _ROWS,
}
OTHER_FILE_OPTIONS: Final = frozenset({"--cache", "--from", "--keystrokes", "--replay", "--tokenizer", "--validation"})


@dataclass(frozen=True, slots=True)
class Step:
    """One command: ``sources`` are files and patterns it reads, ``outputs`` files it writes with their shares.

    ``arguments`` are its options as they stand on a command line, without sources and outputs; ``further`` are files
    that these make it write.
    """

    name: str
    run: str
    sources: tuple[str, ...]
    outputs: Mapping[Path, str]
    arguments: tuple[str, ...]
    further: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All that it writes."""
        return (*self.outputs, *self.further)

    def command_line(self) -> list[str]:
        """Everything behind ``foretype RUN``; paths as short as they can be said from here."""
        written = [
            part
            for path, share in self.outputs.items()
            for part in ("-o", f"{shown(path)}={share}" if share else shown(path))
        ]
        return [*map(shown, self.sources), *written, *map(shown, self.arguments)]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in order; ``folder`` is absolute, ``sha256`` that of the recipe's text."""

    path: Path
    folder: Path
    text: str
    steps: tuple[Step, ...]

    @property
    def sha256(self) -> str:
        """The fingerprint of the recipe's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_recipe(path: Path) -> Recipe:
    """Read and check; raises RecipeRefused, naming the step, for what is no recipe."""
    try:
        text = path.read_text(encoding="utf-8")
        value = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeRefused(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeRefused(f"{path} is no TOML: {error}") from error
    return _Reading(path, text).recipe(value)


class _Reading:
    """One recipe while it is read; knows the steps so far."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._base = path.resolve().parent
        self._folder = self._base
        self._inputs: tuple[str, ...] = ()
        self._steps: dict[str, Step] = {}

    def recipe(self, value: dict[str, Any]) -> Recipe:
        self._only(value, _TOP_KEYS, "the recipe")
        if not isinstance(value.get("folder"), str) or not value["folder"]:
            raise self._refused("folder", "must name the folder for everything that is written")
        self._folder = Path(os.path.normpath(self._base / value["folder"]))
        self._inputs = tuple(str(self._base / source) for source in self._texts(value.get("input", []), "input"))
        steps = value.get("step")
        if not isinstance(steps, list) or not steps:
            raise self._refused("step", "is missing: a recipe needs at least one [[step]]")
        for number, step in enumerate(steps, 1):
            self._take(number, step)
        return Recipe(self._path, self._folder, self._text, tuple(self._steps.values()))

    def _take(self, number: int, value: Any) -> None:
        where = f"step {number}"
        if not isinstance(value, dict):
            raise self._refused(where, "must be a table")
        self._only(value, _STEP_KEYS, where)
        run = value.get("run")
        if not isinstance(run, str) or not run:
            raise self._refused(where, "needs `run`, the name of a command")
        name = value.get("name", run)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise self._refused(where, f"cannot be called {name!r}: lower-case letters, digits, dots and dashes only")
        if name in self._steps:
            raise self._refused(where, f"is a second one called {name!r}; give one of them a `name`")
        arguments = self._arguments(value.get("options", {}), where)
        step = Step(
            name=name,
            run=run,
            sources=self._sources(value.get("from"), where),
            outputs=self._outputs(value.get("output"), f"{number:02}-{name}.jsonl", where),
            arguments=tuple(arguments),
            further=tuple(
                Path(value + end)
                for option, value in pairwise(arguments)
                if value != "-"
                for end in WRITING_OPTIONS.get(option, ())
            ),
        )
        self._claim(step, where)
        self._steps[name] = step

    def _claim(self, step: Step, where: str) -> None:
        """No two steps write one file, nor any elsewhere than in the folder."""
        taken = {path: other.name for other in self._steps.values() for path in other.files}
        for path in step.files:
            if not path.is_absolute() or self._folder not in path.parents or ".." in path.parts:
                raise self._refused(where, f"writes {path}, which is not in the folder; begin it with {{folder}}/")
            if path in taken:
                raise self._refused(where, f"writes {path.name}, and so does {taken[path]}")
            taken[path] = step.name

    def _sources(self, given: Any, where: str) -> tuple[str, ...]:
        if given is None:
            earlier = [step for step in self._steps.values() if step.outputs]
            return tuple(map(str, earlier[-1].outputs)) if earlier else self._inputs
        found: list[str] = []
        for source in self._texts(given, f"{where}: from"):
            step = self._steps.get(source)
            if step is None:
                found.append(str(self._folder / self._filled(source)))
            elif step.outputs:
                found.extend(map(str, step.outputs))
            else:
                raise self._refused(where, f"reads from {source!r}, which writes no examples")
        return tuple(found)

    def _outputs(self, given: Any, usual: str, where: str) -> dict[Path, str]:
        if given is None:
            return {self._folder / usual: ""}
        if given is False:
            return {}
        if isinstance(given, str) and given:
            return {self._folder / given: ""}
        if isinstance(given, dict) and given and all(isinstance(share, str) for share in given.values()):
            return {self._folder / name: share for name, share in given.items()}
        raise self._refused(where, "has an `output` that is no name, no table of names and shares, and not false")

    def _arguments(self, options: Any, where: str) -> list[str]:
        if not isinstance(options, dict):
            raise self._refused(where, "has `options` that are no table")
        arguments: list[str] = []
        for key, value in options.items():
            for part in value if isinstance(value, list) else [value]:
                arguments += self._option(f"--{key.replace('_', '-')}", part, where)
        return arguments

    def _option(self, option: str, value: Any, where: str) -> list[str]:
        if value is True:
            return [option]
        if value is False:
            return []
        if isinstance(value, str):
            return [option, self._filled(value)]
        if isinstance(value, int | float):
            return [option, str(value)]
        raise self._refused(where, f"has the option {option} with a value that no command line can say")

    def _filled(self, text: str) -> str:
        return text.replace("{folder}", str(self._folder)).replace("{recipe}", str(self._base))

    def _texts(self, value: Any, where: str) -> list[str]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise self._refused(where, "must be a text or a list of texts")
        return texts

    def _only(self, value: dict[str, Any], known: frozenset[str], where: str) -> None:
        unknown = sorted(value.keys() - known)
        if unknown:
            raise self._refused(where, f"has the unknown key {unknown[0]!r}; there are {', '.join(sorted(known))}")

    def _refused(self, where: str, problem: str) -> RecipeRefused:
        return RecipeRefused(f"{self._path}: {where} {problem}")


def shown(path: str | Path) -> str:
    """A path below the folder one is in without the way to it; any other text as it is."""
    here = f"{Path.cwd()}{os.sep}"
    return str(path).removeprefix(here)
