"""``foretype example show|convert|check``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.command_line import fail
from training_export.errors import ExamplesUnreadable

if TYPE_CHECKING:
    from training_export.commands.example_check import Report

application = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Sources = Annotated[
    list[str], typer.Argument(metavar="FILE", help="`.jsonl`, `.json` or `.md`; `-` is JSONL on standard input.")
]


@application.callback()
def _example() -> None:
    """Show, convert and check training examples, as Zed's tools write them too.

    For instance: foretype example check examples.jsonl
    """


@application.command()
def show(
    source: Annotated[str, typer.Argument(metavar="FILE", help="`.jsonl`, `.json`, `.md`, or `-`.")],
    name: Annotated[str, typer.Option(help="Only examples whose name contains this.")] = "",
    line: Annotated[int, typer.Option(min=0, help="Only the example on this line, counted from 1.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the examples as JSON, one a line.")] = False,
) -> None:
    """Print a page for each example.

    It shows where the example is from, the excerpt with the cursor, the history and the expected patches.

    For instance: foretype example show examples.jsonl --line 3
    """
    from rich.console import Console  # noqa: PLC0415 (rich only where it is used)

    from training_export.commands.example_page import page  # noqa: PLC0415
    from training_export.example_format.files import Rejected, read_examples  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    shown = bad = 0
    for found in read_examples(source):
        if line and found.line != line:
            continue
        if isinstance(found, Rejected):
            bad += 1
            typer.echo(str(found), err=True)
            continue
        if name not in found.example.name:
            continue
        shown += 1
        if as_json:
            typer.echo(found.example.to_line())
            continue
        for text in page(found.example, f"{found.source}:{found.line}"):
            console.print(text, soft_wrap=True)
    if bad:
        raise typer.Exit(1)
    if not shown and (name or line):
        wanted = " and ".join([f"line {line}"] * bool(line) + [f"a name with {name!r}"] * bool(name))
        fail(f"{source} has no example with {wanted}")


@application.command()
def convert(
    sources: Sources,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="A `.jsonl`, `.json` or `.md` file, a folder for `.md` files, or `-`."),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    drop_fields: Annotated[
        bool, typer.Option("--drop-fields", help="Leave out, and list, what Markdown has no place for.")
    ] = False,
    add_newlines: Annotated[
        bool, typer.Option("--add-newlines", help="End texts with a newline where Markdown would, and list them.")
    ] = False,
) -> None:
    """Turn Markdown examples into JSONL and back. A bad line is named and left out, and the exit code is then 1.

    For instance: foretype example convert moments/*.md -o examples.jsonl
    """
    from training_export.commands.example_convert import Conversion, Options  # noqa: PLC0415 (when it is called)

    conversion = Conversion(Options(output, force=force, drop_fields=drop_fields, add_newlines=add_newlines))
    conversion.run(sources)
    if conversion.bad_count:
        raise typer.Exit(1)


@application.command()
def check(
    sources: Sources,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Name every bad line and its reason, and what looks wrong, apart.

    The exit code is 0 where no line is bad, 1 where one is, 2 where a file cannot be read.
    For instance: foretype example check examples.jsonl --json
    """
    from training_export.commands.example_check import check_examples  # noqa: PLC0415 (when it is called)

    names: dict[str, str] = {}
    reports: list[Report] = []
    unreadable: list[str] = []
    for source in sources:
        try:
            report = check_examples(source, names)
        except ExamplesUnreadable as error:
            unreadable.append(str(error))
            typer.echo(f"foretype: {error}", err=True)
            continue
        reports.append(report)
        if not as_json:
            _print_report(report)
    bad_count = sum(len(report.bad) for report in reports)
    if as_json:
        typer.echo(json.dumps(_to_json(reports, unreadable), indent=2, ensure_ascii=False))
    elif len(sources) > 1:
        typer.echo(_summary("all", reports))
    if unreadable or bad_count:
        raise typer.Exit(2 if unreadable else 1)


def _print_report(report: Report) -> None:
    for finding in report.bad:
        typer.echo(f"{finding.source}:{finding.line}: bad: {finding.text}")
    for finding in report.warnings:
        typer.echo(f"{finding.source}:{finding.line}: warning: {finding.text}")
    typer.echo(_summary(report.source, [report]))


def _summary(what: str, reports: list[Report]) -> str:
    examples = sum(report.example_count for report in reports)
    bad = sum(len(report.bad) for report in reports)
    warnings = sum(len(report.warnings) for report in reports)
    return f"{what}: {_count(examples, 'example')}, {_count(bad, 'bad line')}, {_count(warnings, 'warning')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _to_json(reports: list[Report], unreadable: list[str]) -> dict[str, Any]:
    return {
        "files": [report.to_json() for report in reports],
        "unreadable": unreadable,
        "example_count": sum(report.example_count for report in reports),
        "bad_count": sum(len(report.bad) for report in reports),
        "warning_count": sum(len(report.warnings) for report in reports),
    }
