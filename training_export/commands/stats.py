"""``foretype stats``: what became of predictions, by model, and how a candidate on trial does."""

from __future__ import annotations

import json
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.commands.snapshot_options import seconds
from daemon.errors import BadArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training_export.example_format.files import Rejected
    from training_export.exporting.sources import Found
    from training_export.exporting.wanted import Wanted
    from training_export.outcomes.comparison import Comparison
    from training_export.outcomes.counting import Sample
    from training_export.outcomes.pairing import Pair
    from training_export.outcomes.reading import Read

application = typer.Typer(add_completion=False, rich_markup_mode=None)

INTERRUPTED_EXIT_CODE = 130
NARROW_COLUMNS, PIPED_COLUMNS = 80, 140
HOW_TO_BEGIN = "`foretype consent grant` asks, for one folder, and says what is then kept on this machine"


class Grouping(Enum):
    """What predictions are grouped by; the values are members of an `Observation`."""

    MODEL = "model"
    LANGUAGE = "language"
    ORIGIN = "origin"


@application.command()
def stats(
    files: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Only those settled since then: 12h, 7d, 2w ago, or 2026-11-23T09:00.")
    ] = "",
    by: Annotated[
        list[Grouping] | None, typer.Option(help="What to group by; repeat for more. Default: model.")
    ] = None,
    places: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PLACE",
            help="A collector's folder or URL (its --data), or a file of snapshots, instead of this machine's; repeat.",
        ),
    ] = None,
    candidate: Annotated[
        str, typer.Option(metavar="MODEL", help="Compare this model, by its name or the end of it, --against another.")
    ] = "",
    against: Annotated[str, typer.Option(metavar="MODEL", help="The model that --candidate is compared with.")] = "",
    smallest: Annotated[
        float, typer.Option(min=0.1, max=50.0, help="The smallest difference of acceptance that matters, in points.")
    ] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what became of predictions: accepted, kept, taken back, how fast; and how a candidate on trial does.

    Counted are the snapshots of this machine, or with --from those of a team. Intervals take it into account that
    predictions in one document resemble each other. While `foretype model try` runs, the candidate is compared with
    the model in use, and it is said whether that is enough to decide, and about how much is missing; looking often
    does no harm to that.

    For instance: foretype stats --since 7d --by model --by origin
    """
    if files:
        raise BadArgument(f"stats is about predictions; to count the examples in files: foretype census {files[0]}")
    if bool(candidate) != bool(against):
        raise BadArgument("--candidate and --against go together: name both models, as `foretype stats` lists them")
    grouping = list(dict.fromkeys(found.value for found in by or [Grouping.MODEL]))
    try:
        read = _read(places or [], seconds(since, "--since"))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
    from training_export.outcomes.counting import grouped  # noqa: PLC0415 (numpy, when it is called)
    from training_export.outcomes.pairing import named_pair, pair_on_trial  # noqa: PLC0415

    names = {one.model for one in read.observations}
    pair = named_pair(names, candidate, against) if candidate else pair_on_trial(names, is_team=bool(places))
    comparison = None if pair is None or pair.nothing_yet else _compared(read, pair, smallest / 100)
    samples = grouped(read.observations, grouping)
    why_nothing = "" if read.observations else _why_nothing(is_team=bool(places), since=since)
    if as_json:
        value = _to_json(read, grouping, samples, comparison, why_nothing)
        typer.echo(json.dumps({**value, "trial_note": pair.nothing_yet if pair else ""}, indent=2, ensure_ascii=False))
        return
    _print(read, grouping, samples, pair, comparison, why_nothing)


def _read(places: Sequence[str], since: float | None) -> Read:
    from training_export.commands.late_progress import late_progress  # noqa: PLC0415 (rich, when it is called)
    from training_export.exporting.wanted import Wanted  # noqa: PLC0415
    from training_export.outcomes.reading import read_observations  # noqa: PLC0415

    wanted = Wanted(since=since)
    with late_progress("reading", "snapshots") as done:
        return read_observations(_snapshots(places, wanted), wanted, done)


def _snapshots(places: Sequence[str], wanted: Wanted) -> Iterator[Found | Rejected]:
    from daemon import paths  # noqa: PLC0415 (when it is called)
    from training_export.exporting.sources import from_place, from_store  # noqa: PLC0415

    return chain.from_iterable(map(from_place, places)) if places else from_store(paths.snapshots_path(), wanted)


def _compared(read: Read, pair: Pair, smallest_difference: float) -> Comparison:
    from training_export.outcomes.comparison import compare  # noqa: PLC0415 (numpy, when it is called)

    return compare(
        read.observations, pair.candidate, pair.in_use, smallest_difference=smallest_difference, since=pair.since
    )


def _why_nothing(*, is_team: bool, since: str) -> str:
    """Why there are no snapshots, and how there will be some."""
    from daemon import paths  # noqa: PLC0415 (when it is called)
    from daemon.consents import consent_book  # noqa: PLC0415

    if is_team:
        return "there are no snapshots in these places" + (f" since {since}" if since else "")
    if since and paths.snapshots_path().exists():
        return f"nothing is remembered since {since}; leave out --since to see what was before"
    if not consent_book().all():
        return f"nothing is remembered of predictions, because nobody has agreed to it; {HOW_TO_BEGIN}"
    return "nothing is remembered yet; `foretype consent show` says where predictions are, `foretype status` how many"


def _to_json(
    read: Read,
    grouping: Sequence[str],
    samples: dict[tuple[str, ...], Sample],
    comparison: Comparison | None,
    why_nothing: str,
) -> dict[str, Any]:
    return {
        "predictions": len(read.observations),
        "unreadable": read.unreadable,
        "why_nothing": why_nothing,
        "groups": [
            {"by": dict(zip(grouping, key, strict=True)), **sample.to_json()} for key, sample in samples.items()
        ],
        "trial": None if comparison is None else comparison.to_json(),
    }


def _print(
    read: Read,
    grouping: Sequence[str],
    samples: dict[tuple[str, ...], Sample],
    pair: Pair | None,
    comparison: Comparison | None,
    why_nothing: str,
) -> None:
    from rich.console import Console  # noqa: PLC0415 (rich, when it is called)

    from training_export.outcomes import report  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal and console.width <= NARROW_COLUMNS:
        console.width = PIPED_COLUMNS  # what is written into a file need not be folded
    if read.unreadable:
        typer.echo(f"{read.unreadable:,} snapshots cannot be read; the first: {read.first_reason}", err=True)
    if why_nothing:
        console.print(why_nothing, soft_wrap=True)
    else:
        for table in report.groups_tables(grouping, samples, console.width):
            console.print(table)
        console.print(report.EXPLAINED, soft_wrap=not console.is_terminal)
    if pair is not None and pair.nothing_yet:
        console.print()
        console.print(pair.nothing_yet, soft_wrap=True)
    if comparison is not None:
        console.print()
        console.print(f"candidate  {comparison.candidate_name}", soft_wrap=True)
        console.print(f"in use     {comparison.in_use_name}", soft_wrap=True)
        console.print(report.comparison_table(comparison))
        for sentence in report.conclusion(comparison):
            console.print(sentence, soft_wrap=True)
