"""``foretype redact``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from daemon.errors import BadArgument
from training_export.commands.stage_options import AsJson, Output, Sources, Strict, Workers

application = typer.Typer(add_completion=False, rich_markup_mode=None)


class Scanner(Enum):
    """Another scanner, asked besides our own rules."""

    KINGFISHER = "kingfisher"


@application.command()
def redact(
    sources: Sources,
    output: Output,
    drop: Annotated[
        bool, typer.Option("--drop", help="Leave examples with secrets out, into OUT.rejected.jsonl, without the text.")
    ] = False,
    scanner: Annotated[
        Scanner | None, typer.Option(help="Another scanner to ask as well (extra `scan`); it stays on this machine.")
    ] = None,
    workers: Workers = 0,
    strict: Strict = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search every text of each example for keys and passwords once more, and mask them with asterisks.

    A mask is as long as the secret, so positions stay right. Where a text changed, prompts, scores and verdicts made of
    it are taken out. What cannot be masked is left out, and counted.

    For instance: foretype redact moments.jsonl -o clean.jsonl
    """
    from training_export.running.progress import report  # noqa: PLC0415 (when it is called)
    from training_export.selecting.redaction import RedactOptions  # noqa: PLC0415
    from training_export.selecting.redaction import redact as run  # noqa: PLC0415

    if as_json and output == "-":
        raise BadArgument("--json and -o - both write to standard output; give -o a file")
    options = RedactOptions(drop, scanner is Scanner.KINGFISHER, workers, strict=strict, force=force)
    report(run(sources, output, options), as_json=as_json)
