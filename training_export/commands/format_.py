"""``foretype format``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.errors import BadArgument
from training_export.commands.bundles import flattened
from training_export.commands.stage_options import Output, Running, Sources, run_and_report
from training_export.stages.formatting import EMBEDDED_FORMAT, RejectedFrom

if TYPE_CHECKING:
    from daemon.prompts.base import PromptFormat
    from training_export.stages.formatting import Vocabulary

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command("format")
@flattened
def format_(
    sources: Sources,
    output: Output,
    format_name: Annotated[
        str, typer.Option("--format", metavar="NAME", help="A prompt format; else the one that --model speaks.")
    ] = "",
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|GGUF",
            help="Whose tokens prompts are measured in. Nothing: the embedded model for its own format, and else the"
            " estimate of three bytes a token, which is what Zed's formats are defined by.",
        ),
    ] = "",
    rejected_from: Annotated[
        RejectedFrom,
        typer.Option(
            help="The worse answer of a pair: `patch`: rejected_patch; `worst`: the prediction that scored worst;"
            " `repaired`: the one that a repair took the place of."
        ),
    ] = RejectedFrom.PATCH,
    sft: Annotated[
        Path | None,
        typer.Option("--trl-sft", metavar="FILE", help="Also rows for trl's SFTTrainer: prompt, completion."),
    ] = None,
    dpo: Annotated[
        Path | None,
        typer.Option("--trl-dpo", metavar="FILE", help="Also rows for trl's DPOTrainer: prompt, chosen, rejected."),
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", metavar="FILE", help="Also rows with prompt and answer as one text.")
    ] = None,
    *,
    run: Running,
) -> None:
    """Write the prompt of each example and the answer to be learnt, in the format of one model.

    The answer is that of the first expected patch which the format can say. Beside each file of rows stands
    FILE.format.json with what a trainer must know: the delimiters, and which texts are tokens of their own.

    For instance: foretype format train.jsonl -o prompts.jsonl --format zeta2_1 --trl-sft sft.jsonl
    """
    from training_export.commands.format_rows import RowKind, check_rows_path, write_rows  # noqa: PLC0415 (when it is called)
    from training_export.stages.formatting import FormatStage  # noqa: PLC0415

    wanted = {RowKind.SFT: sft, RowKind.DPO: dpo, RowKind.TEXT: text}
    if output == "-" and any(wanted.values()):
        raise BadArgument("rows are made from the formatted examples; give -o a file")
    for path in filter(None, wanted.values()):
        check_rows_path(path, force=run.force)
    prompt_format, vocabulary = _chosen(format_name, model)
    run_and_report(FormatStage(prompt_format.name, vocabulary, rejected_from), sources, output, run)
    for kind, rows_path in wanted.items():
        if rows_path is not None:
            count = write_rows(output, kind, rows_path, prompt_format)
            typer.echo(f"{rows_path}: {count:,} rows ({kind.value})", err=True)


def _chosen(format_name: str, model: str) -> tuple[PromptFormat, Vocabulary | None]:
    """The format, and what its budgets are counted with; raises BadArgument, ModelNotFound, ModelUnusable."""
    from daemon.prompts.registry import UnknownModel, choose_format  # noqa: PLC0415 (when it is called)
    from daemon.registry import EMBEDDED, checksum, resolve  # noqa: PLC0415
    from training_export.stages.formatting import Vocabulary, metadata_of  # noqa: PLC0415

    try:
        if format_name and not model:
            named = choose_format(format_name, {}, "")
            if named.name != EMBEDDED_FORMAT:
                return named, None
        known = resolve(model or EMBEDDED, relative_to=Path.cwd())
        chosen = choose_format(format_name, metadata_of(known.path), known.path.name)
    except UnknownModel as error:
        raise BadArgument(str(error)) from error
    return chosen, Vocabulary(known.path, checksum(known.path))
