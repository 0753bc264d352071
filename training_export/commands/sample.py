"""``foretype sample``."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.errors import BadArgument
from training_export.commands.stage_options import AsJson, Sources, Strict
from training_export.selecting.sampling import Per

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def sample(
    sources: Sources,
    output: Annotated[str, typer.Option("--output", "-o", metavar="OUT", help="Where the sample goes; or `-`.")],
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="So many (of each, with --per).")] = 0,
    fraction: Annotated[float, typer.Option(min=0.0, max=1.0, help="Instead: about this part of all.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Another seed is another sample.")] = 0,
    per: Annotated[Per, typer.Option(help="Draw --count of each of these.")] = Per.ALL,
    strict: Strict = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a random sample, the same for the same seed. Lines are passed on as they are, in their order.

    Whether an example is taken depends on the seed and its moment, not on where it stands or what stages have added: a
    sample of the scored examples is that of the unscored ones, and a larger count takes the same and more.

    For instance: foretype sample examples.jsonl --count 200 --per language -o few.jsonl
    """
    from training_export.commands.selection_run import passing  # noqa: PLC0415 (when it is called)
    from training_export.example_format.files import Loaded  # noqa: PLC0415
    from training_export.running.sources import opened, rereadable  # noqa: PLC0415
    from training_export.selecting.sampling import Smallest, is_in_fraction  # noqa: PLC0415

    if bool(count) == bool(fraction):
        raise BadArgument("say how many: either --count or --fraction, more than 0")
    if fraction and per is not Per.ALL:
        raise BadArgument("--per goes with --count: a fraction of all is about the same fraction of each")
    if fraction:
        passing(
            "sample",
            opened(sources),
            output,
            lambda _, example: is_in_fraction(example, seed, fraction),
            strict=strict,
            force=force,
            as_json=as_json,
        )
        return
    with rereadable(sources) as inputs:
        smallest = Smallest(count, seed, per)
        for place, found in enumerate(found for found in inputs if isinstance(found, Loaded)):
            smallest.add(place, found.example)
        places = smallest.places
        passing(
            "sample",
            inputs,
            output,
            lambda place, _: place in places,
            strict=strict,
            force=force,
            as_json=as_json,
        )
