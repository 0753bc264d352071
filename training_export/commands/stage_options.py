"""The options that commands of the pipeline share, and how a stage's run ends for the person who started it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from training_export.running.runner import Summary
    from training_export.stage import Stage

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="IN...",
        help="`.jsonl`, `.json` or `.md` files, also with `.gz` or `.zst` behind; globs, folders, `-`.",
    ),
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="OUT", help="`.jsonl`, `.jsonl.gz`, `.jsonl.zst`, or `-`.")
]
Workers = Annotated[int, typer.Option(min=0, help="So many side by side; 0: as many as fit the stage.")]
EngineName = Annotated[
    Literal["local", "ray"], typer.Option("--engine", help="Where it runs: here, or on Ray (extra `cluster`).")
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first line that is no example.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Do all again, whatever an earlier run has left.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that this command has not made.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Do again what failed before.")]
Limit = Annotated[int, typer.Option(min=0, help="Only the first so many lines; 0: all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")]


@dataclass(frozen=True, slots=True)
class Running:
    """How a stage is run: the options that all stages share."""

    workers: Workers = 0
    engine: EngineName = "local"
    strict: Strict = False
    fresh: Fresh = False
    force: Force = False
    retry_failed: RetryFailed = False
    limit: Limit = 0
    as_json: AsJson = False


def run_and_report(stage: Stage, sources: list[str], output: str, run: Running) -> Summary:
    """Run a stage as the options say and print one line about it on standard error, or JSON on standard output.

    Raises what `run_stage` raises, and BadArgument for --json where the examples themselves go to standard output.
    """
    from daemon.errors import BadArgument  # noqa: PLC0415 (when it is called)
    from training_export.running.progress import report  # noqa: PLC0415
    from training_export.running.runner import RunOptions, run_stage  # noqa: PLC0415

    if run.as_json and output == "-":
        raise BadArgument("--json and -o - both write to standard output; give -o a file")
    options = RunOptions(
        workers=run.workers,
        engine=run.engine,
        strict=run.strict,
        fresh=run.fresh,
        force=run.force,
        retry_failed=run.retry_failed,
        limit=run.limit,
    )
    summary = run_stage(stage, sources, output, options)
    report(summary, as_json=run.as_json)
    return summary
