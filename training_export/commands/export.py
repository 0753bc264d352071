"""``foretype export``: snapshots become training examples."""

from __future__ import annotations

import json
import tempfile
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.commands.snapshot_options import Workspace, seconds, workspace_id
from daemon.errors import BadArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_export.example_format.files import Rejected
    from training_export.exporting.exporter import Counted
    from training_export.exporting.sources import Found
    from training_export.exporting.wanted import Wanted

application = typer.Typer(add_completion=False, rich_markup_mode=None)


class OutcomeName(Enum):
    """What the person did with a prediction."""

    ACCEPTED = "accepted"
    PARTIALLY_ACCEPTED = "partially_accepted"
    REJECTED = "rejected"
    IGNORED = "ignored"
    NOT_SHOWN = "not_shown"


class RatingChoice(Enum):
    """What the person said of it afterwards."""

    GOOD = "good"
    BAD = "bad"
    NONE = "none"


@application.command()
def export(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="A collector's folder or URL (its --data), or files of snapshots (`.jsonl`, `.jsonl.zst`, `.jsonl.gz`)"
            " as `foretype snapshots export` writes them. Nothing: the snapshots of this machine.",
        ),
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="The examples: `.jsonl`, `.jsonl.zst`, or `-`.")] = "-",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Only those settled since then: 12h, 7d, 2w ago, or 2026-11-23T09:00.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Only those settled before then.")] = "",
    workspace: Workspace = "",
    language: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this language, as editors name it. Repeat for more.")
    ] = None,
    outcome: Annotated[list[OutcomeName] | None, typer.Option(help="Only this outcome. Repeat for more.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only what this model predicted. Repeat for more.")
    ] = None,
    rating: Annotated[list[RatingChoice] | None, typer.Option(help="Only this rating. Repeat for more.")] = None,
    settled: Annotated[
        bool | None, typer.Option("--settled/--unsettled", help="Only those that came to rest, or only the others.")
    ] = None,
    for_eval: Annotated[
        bool,
        typer.Option(
            "--for-eval",
            help="To score the model that predicted: the settled text becomes the expected patch, its answer the"
            " prediction. Never train on these.",
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many, the oldest; 0 for all.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first snapshot that cannot be read.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Turn snapshots into examples, each once, in the order in which they were predicted.

    How the text settled goes to `foretype.settled`; `distill` and `settle` make targets of it. What cannot be read is
    counted, and named in OUTPUT.rejected.jsonl.

    For instance: foretype export --since 7d --language python -o examples.jsonl
    """
    from training_export.commands.late_progress import late_progress  # noqa: PLC0415 (rich only where it is used)
    from training_export.errors import OutputRefused  # noqa: PLC0415
    from training_export.example_format.files import Rejected  # noqa: PLC0415
    from training_export.exporting.exporter import Exporter  # noqa: PLC0415
    from training_export.exporting.wanted import Wanted  # noqa: PLC0415
    from training_export.running.outputs import STANDARD_OUTPUT, working_on, writing  # noqa: PLC0415

    if as_json and output == STANDARD_OUTPUT:
        raise BadArgument("--json prints the counts where the examples would go; give --output a file")
    if output != STANDARD_OUTPUT and Path(output).exists() and not force:
        raise OutputRefused(f"{output} exists; --force replaces it")
    wanted = Wanted(
        since=seconds(since, "--since"),
        until=seconds(until, "--until"),
        workspace_id=workspace_id(workspace),
        state=None if settled is None else "settled" if settled else "unsettled",
        languages=frozenset(language or ()),
        outcomes=frozenset(found.value for found in outcome or ()),
        models=frozenset(model or ()),
        ratings=frozenset(found.value for found in rating or ()),
    )
    exporter = Exporter(wanted, for_eval=for_eval, limit=limit)
    with (
        working_on(output) as work,
        writing(output, work, strict=strict) as (lines, rejections),
        late_progress("reading snapshots") as done,
    ):
        folder = Path(tempfile.gettempdir()) if work is None else work.path
        for found in exporter.lines(_snapshots(sources or [], wanted), folder, on_read=done):
            if isinstance(found, Rejected):
                rejections.add(found)
            else:
                lines.write(found)
    if as_json:
        typer.echo(json.dumps(exporter.counted.to_json()))
    else:
        typer.echo(_summary(exporter.counted, output), err=True)


def _snapshots(sources: list[str], wanted: Wanted) -> Iterator[Found | Rejected]:
    from daemon import paths  # noqa: PLC0415 (when it is called)
    from training_export.exporting.sources import from_place, from_store  # noqa: PLC0415

    if sources:
        return chain.from_iterable(map(from_place, sources))
    return from_store(paths.snapshots_path(), wanted)


def _summary(counted: Counted, output: str) -> str:
    where = "" if output == "-" else f" to {output}"
    parts = [f"{counted.examples} example{'' if counted.examples == 1 else 's'} written{where}"]
    for count, what in (
        (counted.not_wanted, "not chosen"),
        (counted.not_for_evaluation, "left out: nobody knows what would have been right"),
        (counted.twice, "there twice"),
        (counted.rejected, "rejected"),
    ):
        if count:
            parts.append(f"{count} {what}")
    if not counted.read:
        parts.append("no snapshots were found; see `foretype consent --help`")
    return ", ".join(parts)
