"""``foretype dedup``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from daemon.errors import BadArgument
from training_export.commands.stage_options import Sources, Strict
from training_export.selecting.grouping import GroupBy

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def dedup(
    sources: Sources,
    output: Annotated[str, typer.Option("--output", "-o", help="Where the examples that are kept go; or `-`.")],
    max_duplicates: Annotated[
        int, typer.Option(min=1, help="How many of a cluster of near-duplicates are kept: the most different.")
    ] = 1,
    by: Annotated[
        GroupBy, typer.Option(help="Only examples of the same one can be duplicates of each other.")
    ] = GroupBy.NONE,
    similarity: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="The part of their shingles that near-duplicates share.")
    ] = 0.5,
    strict: Strict = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the clusters and what was left out as JSON.")] = False,
) -> None:
    """Leave out examples that show almost the same code with the cursor at almost the same place.

    Exact duplicates of the excerpt with its cursor go first. Of near-duplicates (MinHash) clusters are made, of which
    the first example is kept. Lines are passed on as they are, in their order.

    For instance: foretype dedup moments.jsonl -o unique.jsonl
    """
    from training_export.running.progress import report as tell  # noqa: PLC0415 (numpy and more, when it is called)
    from training_export.running.runner import Summary  # noqa: PLC0415
    from training_export.selecting.dedup import DedupOptions  # noqa: PLC0415
    from training_export.selecting.dedup import dedup as run  # noqa: PLC0415

    if as_json and output == "-":
        raise BadArgument("--json and the examples cannot both go to standard output; give -o a file")
    options = DedupOptions(max_duplicates, by, similarity, strict=strict, force=force)
    report = run(sources, output, options)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    tallies = {
        "exact duplicates left out": report.exact_count,
        "near-duplicates left out": report.near_count,
        "clusters": len(report.clusters),
    }
    tell(Summary("dedup", output, report.kept_count, rejected=report.rejected_count, tallies=tallies))
