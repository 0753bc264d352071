"""``foretype validate``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import cache
from typing import Annotated

import typer

from training_export.commands.stage_options import Sources

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def validate(
    sources: Sources,
    pedantic: Annotated[bool, typer.Option("--pedantic", help="Warnings count as bad.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not list warnings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is wrong with examples before a model learns from them. The exit code is 1 where anything is bad.

    Bad are lines that are no examples, targets that do not apply or add a sentinel or a control token, and prompts
    whose answer says none of the targets. Warnings are for examples without a target, names that come twice, and what
    `foretype example check` doubts.

    For instance: foretype validate train.jsonl valid.jsonl
    """
    from training_export.running.progress import ProgressLine  # noqa: PLC0415 (when it is called)
    from training_export.running.sources import opened  # noqa: PLC0415
    from training_export.stages.formatting import counting_by_default  # noqa: PLC0415
    from training_export.validation import Validation  # noqa: PLC0415

    inputs = opened(sources)
    listed = []
    with ExitStack() as vocabularies, ProgressLine("validate", inputs.total_bytes) as progress:
        validation = Validation(cache(lambda name: vocabularies.enter_context(counting_by_default(name))))
        for problem in validation.problems(inputs):
            if as_json:
                listed.append(problem.to_json())
            elif problem.is_bad or not quiet:
                typer.echo(str(problem))
            counts = {"examples": validation.example_count, "reused": 0, "failed": 0, "rejected": 0}
            progress.update(inputs.read_bytes, counts, {"bad": validation.bad_count})
    bad, warnings = validation.bad_count, validation.warning_count
    if as_json:
        counted = {"example_count": validation.example_count, "bad_count": bad, "warning_count": warnings}
        typer.echo(json.dumps({**counted, "problems": listed}, ensure_ascii=False))
    else:
        counted_warnings = f"{warnings:,} warning{'' if warnings == 1 else 's'}"
        typer.echo(f"{validation.example_count:,} examples, {bad:,} bad, {counted_warnings}", err=True)
    if bad or (pedantic and warnings):
        raise typer.Exit(1)
