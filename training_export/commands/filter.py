"""``foretype filter``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daemon.errors import BadArgument
from training_export.commands.stage_options import AsJson, Sources, Strict

if TYPE_CHECKING:
    from training_export.selecting.filtering import Wanted

application = typer.Typer(add_completion=False, rich_markup_mode=None)

Values = list[str] | None


@application.command("filter")
def filter_(
    sources: Sources,
    output: Annotated[str, typer.Option("--output", "-o", metavar="OUT", help="Where those go that are kept; or `-`.")],
    language: Annotated[Values, typer.Option(metavar="ID", help="The language, as editors name it.")] = None,
    path: Annotated[
        Values, typer.Option(metavar="PATTERN", help="A pattern for the file's path, as in a .gitignore.")
    ] = None,
    settle_class: Annotated[
        Values, typer.Option("--class", metavar="CLASS", help="What `settle` found: obvious, learnable, noise.")
    ] = None,
    outcome: Annotated[
        Values, typer.Option(metavar="NAME", help="What became of the prediction: accepted, ...")
    ] = None,
    rating: Annotated[Values, typer.Option(metavar="RATING", help="good, bad or none.")] = None,
    tag: Annotated[Values, typer.Option(metavar="TAG", help="A tag.")] = None,
    name: Annotated[Values, typer.Option(metavar="PART", help="The name contains this.")] = None,
    has: Annotated[
        Values, typer.Option(metavar="FIELD", help="The field is there and not empty: prompt, foretype.settled.")
    ] = None,
    lacks: Annotated[Values, typer.Option(metavar="FIELD", help="The field is not there, or empty.")] = None,
    min_score: Annotated[
        Values, typer.Option(metavar="METRIC=VALUE", help="A prediction scored at least that.")
    ] = None,
    max_score: Annotated[Values, typer.Option(metavar="METRIC=VALUE", help="A prediction scored at most that.")] = None,
    failed: Annotated[Values, typer.Option(metavar="STAGE", help="The stage failed on it.")] = None,
    not_failed: Annotated[Values, typer.Option(metavar="STAGE", help="The stage did not fail on it.")] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Keep the others.")] = False,
    strict: Strict = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep the examples for which all that is said holds. Lines are passed on as they are, in their order.

    An option may be repeated: one of its values must hold (of --has, --lacks, --min-score, --max-score: each).

    For instance: foretype filter settled.jsonl --class learnable --language python -o learnable.jsonl
    """
    from training_export.commands.selection_run import passing  # noqa: PLC0415 (when it is called)
    from training_export.running.sources import opened  # noqa: PLC0415
    from training_export.selecting.filtering import Wanted  # noqa: PLC0415

    wanted: Wanted = Wanted(
        languages=frozenset(language or ()),
        paths=tuple(path or ()),
        classes=frozenset(settle_class or ()),
        outcomes=frozenset(outcome or ()),
        ratings=_ratings(rating or ()),
        tags=frozenset(tag or ()),
        names=tuple(name or ()),
        has=tuple(has or ()),
        lacks=tuple(lacks or ()),
        least=_bounds(min_score or (), "--min-score"),
        most=_bounds(max_score or (), "--max-score"),
        failed=frozenset(failed or ()),
        not_failed=frozenset(not_failed or ()),
    )
    if wanted == Wanted():
        raise BadArgument("say which examples to keep: see `foretype filter --help`")
    passing(
        "filter",
        opened(sources),
        output,
        lambda _, example: wanted.holds(example) != invert,
        strict=strict,
        force=force,
        as_json=as_json,
    )


def _bounds(said: list[str] | tuple[str, ...], option: str) -> dict[str, float]:
    from dataclasses import fields  # noqa: PLC0415 (when it is called)

    from capture.metrics.prediction_score import PredictionScore  # noqa: PLC0415

    metrics = [field.name for field in fields(PredictionScore)]
    bounds: dict[str, float] = {}
    for text in said:
        metric, _, number = text.partition("=")
        if metric not in metrics:
            raise BadArgument(f"{option} {text}: there is no metric {metric!r}; there are {', '.join(metrics)}")
        try:
            bounds[metric] = float(number)
        except ValueError as error:
            raise BadArgument(f"{option} {text}: write METRIC=VALUE, for instance delta_chr_f=80") from error
    return bounds


def _ratings(said: list[str] | tuple[str, ...]) -> frozenset[str]:
    unknown = sorted(set(said) - {"good", "bad", "none"})
    if unknown:
        raise BadArgument(f"--rating {unknown[0]}: a rating is good, bad or none")
    return frozenset(said)
