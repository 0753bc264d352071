"""Runs a recipe: every step is the command itself, in this process, with the arguments the recipe gives it.

All steps are checked before the first one runs. A step always runs: what an earlier run found is reused by the stages
themselves (`running`), so a second run does only what is new. What the recipe has made it replaces; a file from
elsewhere that stands in the way ends it before it begins. Knows nothing of what commands do.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from capture.file_lock import FileLock
from capture.whole_file import remove_unfinished
from training_export.commands import COMMANDS
from training_export.errors import ExamplesUnreadable, ExamplesUnwritable, RecipeRefused, RunInterrupted
from training_export.recipe.manifest import FileRecord, Manifest, StepRecord
from training_export.recipe.reading import Recipe, Step
from training_export.running.interruption import interruptible
from training_export.running.outputs import rejected_beside
from training_export.running.progress import listening
from training_export.running.sources import opened

if TYPE_CHECKING:
    from training_export.running.runner import Summary

_FORCE: Final = "--force"
_LOCK_NAME: Final = ".pipeline.lock"
# A recipe in a recipe would have a folder and a manifest of its own; `example` has commands of its own.
_NO_STEPS: Final = frozenset({"pipeline", "example"})
# Click's UsageError. Some versions of typer bring a click of their own, so that it cannot be imported from click.
_BAD_USAGE: Final[type[Exception]] = typer.BadParameter.__bases__[0]

Began = Callable[[int, Step], None]


class StepFailed(Exception):
    """A command of the recipe ended with an exit code that is not 0; its own message was printed."""

    def __init__(self, step: Step, exit_code: int) -> None:
        self.step = step
        self.exit_code = exit_code
        super().__init__(f"the step {step.name} ended with exit code {exit_code}")


def check_recipe(recipe: Recipe) -> None:
    """Raises RecipeRefused where a step names no command, or one that does not take what the recipe gives it."""
    _commands(recipe)


def run_recipe(recipe: Recipe, began: Began = lambda _number, _step: None) -> Manifest:
    """Run all steps; ``began`` is told of each, counted from 1.

    Raises RecipeRefused before anything is run, StepFailed, RunInterrupted, and what the commands raise; what was done
    is kept.
    """
    commands = _commands(recipe)
    try:
        with interruptible(), _alone_in(recipe):
            manifest = Manifest(recipe.folder, recipe.text, _base(recipe))
            remove_unfinished(manifest.path)
            _check_files(recipe, manifest)
            for number, command in enumerate(commands, 1):
                began(number, command.step)
                manifest.begin(command.step.files)
                manifest.add(command.run())
            manifest.complete()
            return manifest
    except (KeyboardInterrupt, typer.Abort) as error:
        raise RunInterrupted("interrupted; what was finished is kept: run the same command again to go on") from error


@contextmanager
def _alone_in(recipe: Recipe) -> Iterator[None]:
    try:
        recipe.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(recipe.folder / _LOCK_NAME)
    except OSError as error:
        raise ExamplesUnwritable(f"cannot write into {recipe.folder}: {error.strerror}") from error
    try:
        if not lock.take():
            raise RecipeRefused(f"another run is writing into {recipe.folder}; wait for it")
        yield
    finally:
        lock.close()


def _check_files(recipe: Recipe, manifest: Manifest) -> None:
    for step in recipe.steps:
        for path in step.files:
            if path.exists() and not manifest.is_ours(path):
                raise RecipeRefused(f"{path} exists, and this recipe has not made it; move it away (step {step.name})")


def _commands(recipe: Recipe) -> list[_Command]:
    return [_Command(recipe, step) for step in recipe.steps]


def _base(recipe: Recipe) -> Path:
    return recipe.path.resolve().parent


class _Command:
    """One step and the command that does it."""

    def __init__(self, recipe: Recipe, step: Step) -> None:
        """Raises RecipeRefused where the command does not take what the recipe gives it."""
        self.step = step
        self._base = _base(recipe)
        self._command = _command_named(step, recipe)
        try:
            self._command.make_context(step.run, step.command_line())
        except _BAD_USAGE as error:
            said: Any = error
            raise RecipeRefused(f"{recipe.path}: step {step.name}: {said.format_message()}") from error
        except typer.Exit as error:
            raise RecipeRefused(f"{recipe.path}: step {step.name} would only print help") from error

    def run(self) -> StepRecord:
        """Do it. Files that stand there are the recipe's own, and may be replaced."""
        heard: list[Summary] = []
        takes_force = any(_FORCE in parameter.opts for parameter in self._command.params)
        forced = [_FORCE] if takes_force and any(path.exists() for path in self.step.files) else []
        with listening(heard.append):
            exit_code = self._command.main(
                [*self.step.command_line(), *forced], prog_name=self.step.run, standalone_mode=False
            )
        if isinstance(exit_code, int) and exit_code:
            raise StepFailed(self.step, exit_code)
        summary = heard[-1].to_json() if heard else {}
        summary.pop("output", None)
        return StepRecord(
            name=self.step.name,
            run=self.step.run,
            arguments=tuple(argument.replace(str(self._base), ".") for argument in self.step.arguments),
            inputs=self._records(self._read()),
            outputs=self._records(path for path in self._written() if path.exists()),
            settings=heard[-1].settings if heard else {},
            summary=summary,
        )

    def _read(self) -> list[Path]:
        try:
            names = opened(self.step.sources).names if self.step.sources else []
        except ExamplesUnreadable:
            return []  # sources that are no files of examples: a store, a repository
        return [path for path in map(Path, names) if path.is_file()]

    def _written(self) -> list[Path]:
        return [path for each in self.step.outputs for path in (each, rejected_beside(each))] + [*self.step.further]

    def _records(self, paths: Iterable[Path]) -> tuple[FileRecord, ...]:
        return tuple(FileRecord.of(path, self._base) for path in paths)


def _command_named(step: Step, recipe: Recipe) -> Any:
    """Click's command; raises RecipeRefused where the pipeline has none of this name."""
    entry = COMMANDS.get(step.run)
    if entry is None or step.run in _NO_STEPS:
        known = ", ".join(name for name in COMMANDS if name not in _NO_STEPS)
        raise RecipeRefused(f"{recipe.path}: step {step.name}: {step.run!r} is none of {known}")
    module, _, attribute = entry.target.partition(":")
    application: typer.Typer = getattr(importlib.import_module(module), attribute)
    return typer.main.get_command(application)
