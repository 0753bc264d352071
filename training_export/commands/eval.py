"""``foretype eval``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from training_export.commands import stage_options

if TYPE_CHECKING:
    from training_export.running.sources import Sources

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command(name="eval")
def evaluate(
    sources: stage_options.Sources,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="OTHER", help="Compare with another run on the same examples; may be given again."),
    ] = None,
    by: Annotated[
        Literal["", "language", "provider", "tag", "outcome", "class"],
        typer.Option(help="Also a table by language, provider, tag, outcome or class of settled text."),
    ] = "",
    html: Annotated[str, typer.Option(metavar="FILE", help="Write a page with plots and side-by-side diffs.")] = "",
    examples: Annotated[int, typer.Option(min=0, help="How many examples of each kind are shown.")] = 10,
    summary_json: Annotated[
        str, typer.Option(metavar="FILE", help="Write the summary under the keys of Zed's `ep eval`; `-` prints it.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead of tables.")] = False,
    related_bytes: Annotated[
        int, typer.Option(min=0, help="Where examples are scored here: how much of the related files is compared.")
    ] = 12_000,
    resamples: Annotated[int, typer.Option(min=100, help="How often the bootstrap draws.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same intervals.")] = 7,
) -> None:
    """Sum up scores: each measure with its 95 % interval, or two runs on the same examples compared.

    What has no `score` yet is scored on the way. With --against, the difference is IN less OTHER: examples are
    matched by what they show, then by name, and those without a counterpart are counted and named.

    For instance: foretype eval student.jsonl --against before.jsonl --html report.html
    """
    from daemon.errors import BadArgument  # noqa: PLC0415 (all of this: when it is called)
    from training_export.commands.late_progress import late_progress  # noqa: PLC0415
    from training_export.reports.evaluation import Evaluation, EvaluationOptions  # noqa: PLC0415
    from training_export.running.sources import rereadable  # noqa: PLC0415

    if as_json and summary_json == "-":
        raise BadArgument("--json and --summary-json - both write to standard output; give --summary-json a file")
    if against and "-" in sources and "-" in against:
        raise BadArgument("standard input (-) can be only one of the two runs")
    options = EvaluationOptions(by, related_bytes, resamples, seed, examples)
    with ExitStack() as stack:
        first: Sources = stack.enter_context(rereadable(sources))
        second = stack.enter_context(rereadable(against)) if against else None
        with late_progress("reading") as seen:
            other = None if second is None else (label(against or []), second)
            evaluation = Evaluation((label(sources), first), other, options, seen)
        if html:
            evaluation.write_page(html)
        if summary_json:
            evaluation.write_summary(summary_json)
    if as_json:
        typer.echo(evaluation.json_text())
    elif summary_json != "-":
        for line in evaluation.lines():
            typer.echo(line)


def label(sources: list[str]) -> str:
    """What a run is called: its file, or the first of them and how many more."""
    return sources[0] if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1} more"
