"""``foretype model list|info|tune|use|pull|try|promote|rollback``; the last three are in ``model_trial.py``."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from daemon import paths, registry
from daemon.commands import model_trial
from daemon.engine.ways import KvType
from daemon.errors import BadArgument, ModelNotFound, TuningFailed
from daemon.settings import Settings
from daemon.settings_store import read_settings, write_setting
from daemon.tuning import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.engine.messages import ModelInfo
    from daemon.tuning.measure import Found

Changed = TypeVar("Changed")

application = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@application.callback()
def _model() -> None:
    """List, inspect, tune, choose, fetch and try models."""


application.command("try")(model_trial.try_candidate)
application.command()(model_trial.promote)
application.command()(model_trial.rollback)


@application.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The models on this machine, the one in use marked, and those that can be pulled by a short name.

    `*` marks the model in use, `+` the candidate of a trial (`foretype model try`).
    """
    settings = read_settings(paths.settings_path())
    models = registry.available()
    known = {model.name for model in models}
    named = [settings.model, *([settings.trial.candidate] if settings.trial.is_running else [])]
    models += [registry.resolve(name, relative_to=Path.cwd()) for name in dict.fromkeys(named) if name not in known]
    rows = [_row(model, settings) for model in models]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        size = f"{row['size_bytes'] / 1e6:8.1f} MB" if row["size_bytes"] else "    missing"
        origin = f"  from {row['repository']}" if row["repository"] else ""
        mark = "*" if row["in_use"] else "+" if row["trial_share"] else " "
        tried = f"  tried in {row['trial_share']:.0%} of the documents" if row["trial_share"] else ""
        typer.echo(f"{mark} {row['name']:<24} {size}{origin}{tried}")
    for name, source in registry.KNOWN_SOURCES.items():
        if name not in known:
            typer.echo(f"  {name:<24}  to pull  from {source.repository} ({source.about})")


def _row(model: registry.KnownModel, settings: Settings) -> dict[str, Any]:
    names = (model.name, str(model.path))
    is_tried = settings.trial.is_running and settings.trial.candidate in names
    return {
        "name": model.name,
        "path": str(model.path),
        "in_use": settings.model in names,
        "trial_share": settings.trial.share if is_tried else None,
        "size_bytes": model.path.stat().st_size if model.path.is_file() else 0,
        "repository": model.manifest.repository if model.manifest else "",
        "sha256": model.manifest.sha256 if model.manifest else "",
    }


@application.command()
def info(
    name: Annotated[str, typer.Argument(help="A name from `foretype model list`, or a path.")] = registry.EMBEDDED,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Load a model in a worker of its own and print what it is, or why it is refused."""
    from daemon.commands.progress import working  # noqa: PLC0415 (rich only where it is used)

    model = registry.resolve(name, relative_to=Path.cwd())
    with working(f"loading {model.path}"):
        found = asyncio.run(_load(model.path))
    row = _row(model, read_settings(paths.settings_path()))
    value = {
        **found.to_json(),
        "manifest": model.manifest.to_json() if model.manifest else None,
        "in_use": row["in_use"],
        "trial_share": row["trial_share"],
    }
    if as_json:
        typer.echo(json.dumps(value, indent=2))
        return
    sources = value.pop("sources")
    for key, shown in value.items():
        typer.echo(f"{key:<18} {shown}" + (f" ({sources[key]})" if key in sources else ""))


async def _load(path: Path) -> ModelInfo:
    from daemon.engine.client import EngineClient  # noqa: PLC0415 (only when a model is really loaded)
    from daemon.engine.messages import ModelSettings  # noqa: PLC0415

    settings = read_settings(paths.settings_path())
    engine = EngineClient(
        ModelSettings(str(path), settings.prompt_format, settings.gpu_layers, settings.threads),
        log=logging.getLogger("daemon.worker"),
        prepare=record.with_tuning,
    )
    try:
        return await engine.ready()
    finally:
        await engine.close()


@application.command()
def tune(
    name: Annotated[
        str, typer.Argument(help="A name from `foretype model list`, or a path; the model in use unless given.")
    ] = "",
    seconds: Annotated[
        float, typer.Option(min=0.1, help="How long to measure at most, once the model is loaded.")
    ] = 60.0,
    kv_type: Annotated[
        KvType | None,
        typer.Option(help="How the cache keeps its numbers, f16 where that fits unless given; q8_0 changes answers."),
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Undo: forget what was measured for this model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every measurement in it.")] = False,
) -> None:
    """Measure how a model runs best on this machine, and use that from then on.

    Measured are keystrokes, each after a pause as when you type, with different numbers of threads and with and without
    flash attention; then passes over 1 to 63 tokens and the batches in which a prompt is read: how fast, and how long
    llama.cpp does not look whether it should stop. Chosen is what makes a typical keystroke shortest, but: another
    thread only where it saves a tenth (your editor wants cores, too), and only batches that a new keystroke can
    interrupt within 12 ms.

    Takes seconds for the embedded model and up to --seconds for a large one. Leave the machine alone meanwhile. The
    result is kept in foretype's cache directory, for this model on this machine; `foretype model info` shows it,
    `--forget` removes it. With `threads` in the settings that number stays, and the rest is measured with it. Running
    windows use it from the next time they load the model; `foretype stop` makes that now.
    """
    from daemon.commands.progress import working  # noqa: PLC0415 (rich only where it is used)
    from daemon.commands.tuning_report import describe  # noqa: PLC0415

    settings = read_settings(paths.settings_path())
    model = registry.resolve(name or settings.model, relative_to=Path.cwd())
    key = _key(model.path, settings.gpu_layers)
    if forget:
        known = _keeping(lambda: record.forget(key))
        typer.echo(f"{'forgotten' if known else 'nothing was measured'}: {model.path}")
        return
    if not record.can_be_written():
        raise TuningFailed(f"{record.directory()} cannot be written; nothing was measured")
    with working(f"loading {model.path}") as step:
        found = asyncio.run(_tune(model.path, settings, key.cores, seconds, kv_type, step))
    kept = record.Record(key, found.tuning, found.measured, found.notes)
    path = _keeping(lambda: record.write(kept))
    if as_json:
        typer.echo(json.dumps({"model": str(model.path), "record": str(path), **kept.to_json()}, indent=2))
        return
    for line in describe(kept, path):
        typer.echo(line)


def _key(path: Path, gpu_layers: int) -> record.Key:
    try:
        return record.key_of(path, gpu_layers)
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read ({error.strerror})") from error


def _keeping(change: Callable[[], Changed]) -> Changed:
    """Do what changes a record; raises TuningFailed, naming the file, when the system refuses."""
    try:
        return change()
    except OSError as error:
        place = error.filename or record.directory()
        raise TuningFailed(f"{place} cannot be written ({error.strerror}); nothing was changed") from error


async def _tune(
    path: Path, settings: Settings, cores: int, seconds: float, kv_type: KvType | None, step: Callable[[str], None]
) -> Found:
    from daemon.engine.messages import ModelSettings  # noqa: PLC0415 (only when a model is really loaded)
    from daemon.tuning.measure import tune as measure_all  # noqa: PLC0415

    wanted = ModelSettings(str(path), settings.prompt_format, settings.gpu_layers, settings.threads)
    log = logging.getLogger("daemon.worker")
    return await measure_all(wanted, cores, seconds=seconds, kv_type=kv_type, log=log, step=step)


@application.command()
def use(name: Annotated[str, typer.Argument(help="A name from `foretype model list`, or a path.")]) -> None:
    """Use a model from now on: writes `model` into the settings file; running windows follow."""
    model = registry.resolve(name, relative_to=Path.cwd())
    if not model.path.is_file():
        raise ModelNotFound(f"{model.path} does not exist; nothing was changed")
    named = name if model.manifest or name == registry.EMBEDDED else str(model.path.resolve())
    path = paths.settings_path()
    write_setting(path, "model", named)
    typer.echo(f"{path} now says model = {named!r}" + (" (the default)" if named == Settings().model else ""))


@application.command()
def pull(
    source: Annotated[str, typer.Argument(help="A short name from `foretype model list`, or OWNER/REPOSITORY.")],
    file: Annotated[str, typer.Option(help="Which GGUF of the repository, where it holds several.")] = "",
    name: Annotated[str, typer.Option(help="What to call it here; its file's name unless given.")] = "",
    revision: Annotated[str, typer.Option(help="A commit, branch or tag of the repository.")] = "",
    sha256: Annotated[str, typer.Option(help="The checksum you expect, 64 hex digits.")] = "",
) -> None:
    """Fetch a model from a Hugging Face hub (HF_ENDPOINT names another one) and check it."""
    from daemon import pull as pulling  # noqa: PLC0415 (brings huggingface_hub)
    from daemon.commands.progress import working  # noqa: PLC0415

    known = registry.KNOWN_SOURCES.get(source)
    if known is None and "/" not in source:
        names = ", ".join(registry.KNOWN_SOURCES)
        raise BadArgument(f"{source!r} is neither a short name ({names}) nor OWNER/REPOSITORY")
    repository = known.repository if known else source
    with working(f"asking for {repository}") as step:
        model = pulling.pull(
            repository,
            file or (known.file if known else ""),
            name=name or (source if known else ""),
            revision=revision,
            sha256=sha256,
            step=step,
        )
    typer.echo(f"pulled {model.name} to {model.path}; use it with: foretype model use {model.name}")
