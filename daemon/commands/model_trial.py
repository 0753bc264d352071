"""``foretype model try|promote|rollback``: a candidate beside the model in use."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon import paths, registry
from daemon.engine.errors import EngineError
from daemon.errors import BadArgument, ModelNotFound, TrialRefused
from daemon.settings_store import read_settings
from daemon.trying import changes

if TYPE_CHECKING:
    from daemon.engine.messages import ModelInfo
    from daemon.settings import Settings

DEFAULT_SHARE = 0.15
QUESTION_SECONDS = 120.0  # for a large model on a slow machine to answer once
_QUESTION = "def area(width, height):\n    return width * hei\n"


def try_candidate(
    name: Annotated[str, typer.Argument(help="A name from `foretype model list`, or a path.")] = "",
    share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the documents, more than 0 and less than 1.")
    ] = DEFAULT_SHARE,
    stop: Annotated[bool, typer.Option("--stop", help="End the trial; the model in use serves everything.")] = False,
) -> None:
    """Serve another model to a share of your documents, and let `foretype stats` compare what becomes of predictions.

    A document keeps its side as long as the trial lasts, whatever is restarted; a larger --share only adds documents.
    Running windows follow. Both models are in memory meanwhile. Where the candidate fails, the model in use answers,
    and `foretype status` says how often. The candidate is loaded and asked once before anything is changed.

    For instance: foretype model try ./candidate.gguf --share 0.15
    """
    path = paths.settings_path()
    if stop:
        if name:
            raise BadArgument(f"--stop takes no name: {name!r} would be tried, or the trial ended, not both")
        ended = changes.stop(path)
        typer.echo(f"the trial of {ended.candidate} has ended; {read_settings(path).model} serves every document")
        return
    if not name:
        raise BadArgument("which model? give a name from `foretype model list` or a path, or --stop")
    if not 0 < share < 1:
        raise BadArgument(f"--share is {share:g}; to be compared both models need documents: more than 0, less than 1")
    settings = read_settings(path)
    candidate = registry.resolve(name, relative_to=Path.cwd())
    used = registry.resolve(settings.model, relative_to=Path.cwd())
    named = _named(candidate, name)
    _refuse_what_cannot_be_compared(candidate, used)
    info = _examined(candidate, settings)
    trial = changes.begin(path, named, share)
    typer.echo(f"{named} ({info.identity}, {info.prompt_format}) now serves {trial.share:.0%} of your documents")
    both = f"{info.size_bytes / 1e6:.0f} MB beside the {used.path.stat().st_size / 1e6:.0f} MB of {used.name}"
    typer.echo(f"both models are in memory while the trial lasts: {both}")
    typer.echo(
        "compare them with `foretype stats`; end it with `foretype model promote` or `foretype model try --stop`"
    )


def promote() -> None:
    """Make the candidate of the trial the model in use, and end the trial; `rollback` takes it back.

    For instance: foretype model promote
    """
    path = paths.settings_path()
    candidate = read_settings(path).trial.candidate
    if candidate:
        _existing(registry.resolve(candidate))
    promoted = changes.promote(path)
    former = read_settings(path).trial.former
    typer.echo(f"{promoted.candidate} is the model in use; `foretype model rollback` goes back to {former}")


def rollback() -> None:
    """Go back to the model that was in use before `promote`; a trial that runs is ended as well.

    For instance: foretype model rollback
    """
    path = paths.settings_path()
    trial = read_settings(path).trial
    if trial.former:
        _existing(registry.resolve(trial.former))
    model = changes.rollback(path)
    if trial.is_running:
        typer.echo(f"the trial of {trial.candidate} has ended")
    typer.echo(f"{model} is the model in use")


def _named(model: registry.KnownModel, name: str) -> str:
    """As the settings name it: the hub has no folder that a path could start from."""
    return name if model.manifest or name == registry.EMBEDDED else str(model.path.resolve())


def _existing(model: registry.KnownModel) -> Path:
    if not model.path.is_file():
        raise ModelNotFound(f"{model.path} does not exist; nothing was changed")
    return model.path


def _refuse_what_cannot_be_compared(candidate: registry.KnownModel, used: registry.KnownModel) -> None:
    if registry.fingerprint(_existing(candidate)) == registry.fingerprint(_existing(used)):
        raise TrialRefused(
            f"{candidate.path} is the model in use ({used.path}), byte for byte: there is nothing to compare"
        )


def _examined(candidate: registry.KnownModel, settings: Settings) -> ModelInfo:
    """What the candidate is, once it has answered a question; raises TrialRefused with the reason why it cannot."""
    from daemon.commands.progress import working  # noqa: PLC0415 (rich only where it is used)

    with working(f"loading {candidate.path}"):
        try:
            return asyncio.run(_ask(candidate.path, settings))
        except EngineError as error:
            raise TrialRefused(f"{candidate.name} cannot be tried, and nothing was changed: {error}") from error


async def _ask(path: Path, settings: Settings) -> ModelInfo:
    from capture.editing.positions import Position  # noqa: PLC0415 (only when a model is really loaded)
    from capture.editing.state import EditingState  # noqa: PLC0415
    from daemon.engine.client import EngineClient  # noqa: PLC0415
    from daemon.engine.messages import ModelSettings, StopReason  # noqa: PLC0415
    from daemon.tuning import record  # noqa: PLC0415

    editing = EditingState(lambda: 0.0)
    editing.open("file:///area.py", _QUESTION, path="area.py", language_id="python")
    inputs = editing.inputs("file:///area.py", Position(1, len(_QUESTION.splitlines()[1])))
    engine = EngineClient(
        ModelSettings(str(path), settings.prompt_format, settings.gpu_layers, settings.threads),
        log=logging.getLogger("daemon.worker"),
        prepare=record.with_tuning,
    )
    try:
        info = await engine.ready()
        answer = await engine.predict(inputs, deadline_seconds=QUESTION_SECONDS)
        stop = answer.stop
        if stop is StopReason.UNSURE:  # a limit of the file's own: without it, does it come to an end?
            drawn = await engine.sample(inputs, count=1, temperature=0, seed=0, deadline_seconds=QUESTION_SECONDS)
            stop = drawn.samples[0].stop
    finally:
        await engine.close()
    if not stop.finished:
        raise TrialRefused(
            f"{path} cannot be tried, and nothing was changed: it came to no end when it answered a simple question,"
            f" like a model that was not trained for the prompt format {info.prompt_format}; name another format with"
            " the setting prompt_format, or choose another model"
        )
    return info
