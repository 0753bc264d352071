"""``foretype model export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A run of `foretype train`, or a model that transformers saved.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="GGUF", help="The file to write.")],
    type_: Annotated[
        str, typer.Option("--type", metavar="NAME", help="f32, f16, or a quantisation such as q8_0 or q4_k_m.")
    ] = "f16",
    prompt_format: Annotated[
        str, typer.Option(metavar="NAME", help="The format it was taught, where the folder does not say.")
    ] = "",
    name: Annotated[str, typer.Option(help="What it is called; the folder's name unless given.")] = "",
    version: Annotated[str, typer.Option(help="Its version.")] = "",
    licence: Annotated[str, typer.Option(help="Its licence, as SPDX writes it.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a trained model (Llama or Qwen2 architecture) as a GGUF that foretype and llama.cpp run.

    What llama.cpp would compute or tokenise otherwise than the model was trained is refused. The file appears when it
    is complete and its tokens were compared with the tokenizer's own.

    For instance: foretype model export runs/tuned -o tuned.gguf --type q8_0 --prompt-format zeta2
    """
    from daemon.commands.progress import working  # noqa: PLC0415 (when it is called)
    from daemon.errors import BadArgument  # noqa: PLC0415
    from daemon.prompts.registry import UnknownModel, choose_format  # noqa: PLC0415
    from training_export.commands.train_extra import check_gguf_is_there  # noqa: PLC0415
    from training_export.errors import OutputRefused, RunInterrupted  # noqa: PLC0415
    from training_export.running.interruption import interruptible  # noqa: PLC0415

    check_gguf_is_there("foretype model export")
    from training_export.student.gguf.exporting import export as export_as  # noqa: PLC0415
    from training_export.student.gguf.folder import read_folder  # noqa: PLC0415
    from training_export.student.gguf.quantisation import read_names  # noqa: PLC0415
    from training_export.student.gguf.writing import About  # noqa: PLC0415

    quantisations = read_names(type_)
    if len(quantisations) > 1:
        raise BadArgument("--type takes one name; `foretype model compare` makes several")
    if prompt_format:
        try:
            prompt_format = choose_format(prompt_format, {}, "").name
        except UnknownModel as error:
            raise BadArgument(str(error)) from error
    if output.exists() and not force:
        raise OutputRefused(f"{output} exists; --force replaces it")
    try:
        with interruptible(), working(f"reading {folder}") as step:
            found = read_folder(folder)
            about = About(name or folder.resolve().name, version, prompt_format or found.prompt_format, licence)
            made = export_as(found.trained, output, about, quantisations[0], step)
    except KeyboardInterrupt as error:
        raise RunInterrupted("interrupted; nothing was written") from error
    if as_json:
        typer.echo(json.dumps(made.to_json()))
        return
    typer.echo(f"{output}: {made.size_bytes / 1e6:,.1f} MB, {made.quantisation}")
    if made.fell_back:
        typer.echo(made.fell_back)
