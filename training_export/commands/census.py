"""``foretype census``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from training_export.commands.stage_options import Sources

if TYPE_CHECKING:
    from rich.table import Table

    from training_export.selecting.census import Census

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def census(
    sources: Sources,
    top: Annotated[int, typer.Option(min=1, help="So many values of each kind in the table; --json has all.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count what is in files of examples: languages, outcomes, classes, stages and their failures, targets, lengths.

    For instance: foretype census train.jsonl
    """
    from rich.console import Console  # noqa: PLC0415 (rich and numpy, when it is called)

    from training_export.commands.late_progress import late_progress  # noqa: PLC0415
    from training_export.running.sources import opened  # noqa: PLC0415
    from training_export.selecting.census import Census  # noqa: PLC0415

    census = Census()
    with late_progress("counting") as done:
        for found in opened(sources):
            census.add_all([found])
            done(census.example_count)
    if as_json:
        typer.echo(json.dumps(census.to_json(), indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    rejected = f", {census.rejected_count:,} bad lines" if census.rejected_count else ""
    console.print(f"{census.example_count:,} examples{rejected}")
    for table in _tables(census, top):
        console.print()
        console.print(table)


def _tables(census: Census, top: int) -> list[Table]:
    from rich.text import Text  # noqa: PLC0415 (when it is called)

    from training_export.selecting.census import Lengths  # noqa: PLC0415

    counts = _table("examples by", "", "number", "part")
    for what, counter in census.groups.items():
        for index, (value, count) in enumerate(counter.most_common(top)):
            counts.add_row("" if index else what, Text(value), f"{count:,}", _part(count, census))
        if len(counter) > top:
            counts.add_row("", f"{len(counter) - top:,} others", "", "")
    facts = _table("examples", "number", "part")
    for what, count in census.facts.items():
        if count:
            facts.add_row(what, f"{count:,}", _part(count, census))
    lengths = _table("lengths", "examples", "median", "95 %", "max")
    for what, values in census.lengths.items():
        found = Lengths.of(values)
        lengths.add_row(what, *(f"{number:,}" for number in (found.count, found.median, found.p95, found.largest)))
    return [table for table in (counts, facts, lengths) if table.row_count]


def _table(*columns: str) -> Table:
    """Numbers stand to the right, as do all columns from the one called so."""
    from rich import box  # noqa: PLC0415 (when it is called)
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = {"number", "part", "examples", "median", "95 %", "max"}
    for index, column in enumerate(columns):
        is_number = index > 0 and column in numbers
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table


def _part(count: int, census: Census) -> str:
    return f"{count / census.example_count:.1%}"
