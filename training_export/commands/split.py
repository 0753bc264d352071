"""``foretype split``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.errors import BadArgument
from training_export.commands.stage_options import Strict
from training_export.selecting.grouping import GroupBy
from training_export.selecting.shares import is_share, read_shares

if TYPE_CHECKING:
    from training_export.selecting.split import SplitReport

application = typer.Typer(add_completion=False, rich_markup_mode=None)

MAX_LEAKS_SHOWN = 5


@application.command()
def split(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="IN... [FILE=SHARE...]", help="Inputs; shares may stand here or behind -o."),
    ],
    shares: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", metavar="FILE=SHARE", help="Once for each file: `80%`, `500` examples, `rest`."),
    ] = None,
    by: Annotated[GroupBy, typer.Option(help="What is never divided.")] = GroupBy.PATH,
    seed: Annotated[int, typer.Option(help="Another one gives another split.")] = 0,
    similarity: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="The part of their shingles that near-duplicates share.")
    ] = 0.5,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Let near-duplicates stand on both sides of a border, and say where.")
    ] = False,
    strict: Strict = False,
    force: Annotated[bool, typer.Option("--force", help="Replace outputs that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what went where as JSON.")] = False,
) -> None:
    """Divide examples into files for training and testing, without near-duplicates on both sides.

    What has the same path (or what --by says) stays together, and so do clusters of near-duplicates. The same seed
    gives the same split, and more examples move few of the others. Lines are passed on as they are, in their order.

    For instance: foretype split unique.jsonl -o train.jsonl=80% -o valid.jsonl=10% -o test.jsonl=rest
    """
    from training_export.running.progress import report as tell  # noqa: PLC0415 (numpy and more, when it is called)
    from training_export.running.runner import Summary  # noqa: PLC0415
    from training_export.selecting.split import SplitOptions  # noqa: PLC0415
    from training_export.selecting.split import split as run  # noqa: PLC0415

    sources = [argument for argument in arguments if not is_share(argument)]
    if not sources:
        raise BadArgument("no input is given; for instance: foretype split in.jsonl train.jsonl=80% test.jsonl=rest")
    wanted = read_shares([*(argument for argument in arguments if is_share(argument)), *(shares or [])])
    options = SplitOptions(by, seed, similarity, allow_leaks=allow_leaks, strict=strict, force=force)
    report = run(sources, wanted, options)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    partition = report.partition
    tallies = {
        "groups": partition.group_count,
        "groups joined by near-duplicates": partition.joined_groups,
        "leaks": len(report.leaks),
    }
    paths = ", ".join(share.path for share in report.shares)
    tell(Summary("split", paths, sum(partition.sizes), rejected=report.rejected_count, tallies=tallies))
    for line in _sentences(report):
        typer.echo(line, err=True)


def _sentences(report: SplitReport) -> list[str]:
    partition = report.partition
    total = sum(partition.sizes)
    lines = [
        f"  {share.path}: {size:,} ({size / total if total else 0:.1%}), {wanted:,.0f} wanted"
        for share, size, wanted in zip(report.shares, partition.sizes, partition.wanted, strict=True)
    ]
    lines.append(f"  the largest group: {partition.largest_group:,}")
    empty = [
        share.path
        for share, size, wanted in zip(report.shares, partition.sizes, partition.wanted, strict=True)
        if wanted >= 1 and not size
    ]
    if empty:
        lines.append(f"warning: {', '.join(empty)} got nothing: the groups are too large; choose a finer --by")
    if report.leaks:
        lines.append(f"warning: {len(report.leaks):,} clusters of near-duplicates stand on both sides of a border:")
        lines += [f"  {', '.join(leak[:MAX_LEAKS_SHOWN])}" for leak in report.leaks[:MAX_LEAKS_SHOWN]]
    return lines
