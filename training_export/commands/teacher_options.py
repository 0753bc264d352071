"""The options of commands that ask a teacher, and how such a run goes: estimated, in batches, or one by one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from daemon.errors import BadArgument
from training_export.commands.stage_options import Running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_export.example import Example
    from training_export.teachers.planning import AskingStage, Plan
    from training_export.teachers.settings import TeacherSettings

TeacherName = Annotated[
    str,
    typer.Option(
        "--teacher",
        metavar="NAME",
        help="`sonnet45`, `sonnet46`, `gpt52`, `gpt54`, `gpt55`, `anthropic:MODEL`, `openai:MODEL`,"
        " `compatible:MODEL@URL`, or `gguf:PATH` (where edits are asked for, not opinions).",
    ),
]
BaseUrl = Annotated[str, typer.Option("--base-url", metavar="URL", help="Ask there: a proxy, or a stand-in.")]
CacheFile = Annotated[
    Path | None,
    typer.Option("--cache", metavar="FILE", help="Where answers are kept; else in `teacher-answers` beside OUT."),
]
Budget = Annotated[
    float | None, typer.Option("--budget", min=0.0, metavar="DOLLARS", help="Stop before this could be exceeded.")
]
PriceOption = Annotated[
    str, typer.Option("--price", metavar="in=3,out=15", help="Dollars for a million tokens, not what the table has.")
]
TimeoutSeconds = Annotated[float, typer.Option("--timeout", min=1.0, help="Seconds to wait for one answer.")]
PatienceSeconds = Annotated[
    float, typer.Option("--patience", min=0.0, help="Seconds to try a request for while the service is overloaded.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Ask nobody; print what would be asked, and what it costs.")]
InBatches = Annotated[
    bool, typer.Option("--batch", help="Through the service's batch interface: half the price, hours later.")
]
Wait = Annotated[bool, typer.Option("--wait", help="With --batch: until all answers are there.")]

AStage = TypeVar("AStage", bound="AskingStage")


@dataclass(frozen=True, slots=True)
class Asked:
    """How teachers are asked: the options that all commands share which ask one."""

    dry_run: DryRun = False
    batch: InBatches = False
    wait: Wait = False
    budget: Budget = None
    price: PriceOption = ""
    cache: CacheFile = None
    base_url: BaseUrl = ""
    timeout: TimeoutSeconds = 600.0
    patience: PatienceSeconds = 900.0


def read_options(name: str, output: str, asked: Asked) -> TeacherSettings:
    """The settings that options mean; raises BadArgument and ModelNotFound. Answers are kept beside ``output``."""
    from training_export.teachers.cache import default_path  # noqa: PLC0415 (when it is called)
    from training_export.teachers.money import read_price  # noqa: PLC0415
    from training_export.teachers.settings import read_teacher  # noqa: PLC0415

    settings = read_teacher(name, base_url=asked.base_url)
    return replace(
        settings,
        cache=(asked.cache or default_path(Path(output).parent)).absolute(),
        price=read_price(asked.price) if asked.price else None,
        budget_dollars=asked.budget,
        timeout_seconds=asked.timeout,
        pacing=replace(settings.pacing, patience_seconds=asked.patience),
    )


def prepared(stage: AStage, sources: list[str], asked: Asked, run: Running) -> AStage | None:
    """The stage to run now, its answers fetched where they come in batches; None after a dry run, which is printed.

    Raises BadArgument, what teachers raise, and AnswersUnderway where --batch has to be called again.
    """
    if run.engine != "local" and stage.teacher.budget_dollars is not None:
        raise BadArgument("each process would have the whole --budget: leave out --engine ray, which waits no faster")
    if asked.wait and not asked.batch:
        raise BadArgument("--wait goes with --batch; without it answers are waited for anyway")
    if stage.teacher.service == "gguf" and (asked.dry_run or asked.batch):
        raise BadArgument("a GGUF is asked here and costs nothing: leave out --dry-run and --batch")
    if asked.dry_run:
        _print_plan(stage, _examples(sources, run.limit), batch=asked.batch, as_json=run.as_json)
        return None
    if not asked.batch:
        return stage
    if "-" in sources:
        raise BadArgument("--batch reads the examples twice; give a file, not -")
    _in_batches(stage, _examples(sources, run.limit), wait=asked.wait)
    return replace(stage, teacher=replace(stage.teacher, only_found=True))  # type: ignore[type-var]  # stages are dataclasses


def _print_plan(stage: AskingStage, examples: Iterator[Example], *, batch: bool, as_json: bool) -> None:
    from training_export.teachers.planning import plan  # noqa: PLC0415

    planned = plan(stage, examples, in_batches=batch)
    if as_json:
        typer.echo(json.dumps(planned.to_json()))
        return
    for line in _plan_lines(stage, planned, batch=batch):
        typer.echo(line)


def _plan_lines(stage: AskingStage, planned: Plan, *, batch: bool) -> Iterator[str]:
    from training_export.teachers.money import PRICES_OF  # noqa: PLC0415

    yield f"{planned.examples} examples, {planned.not_askable} of them cannot be asked about"
    way = "in batches" if batch else "one by one"
    yield f"{planned.to_ask} requests to {stage.teacher.name} {way}; {planned.found} answers are found in the cache"
    if planned.in_batches:
        yield f"{planned.in_batches} more are in batches already"
    yield f"about {planned.input_tokens} input tokens and {planned.output_tokens} output tokens"
    if planned.dollars is None:
        yield "no price is known of this model; --price in=3,out=15 (dollars for a million tokens) tells what it costs"
        return
    source = "your --price" if stage.teacher.price is not None else f"prices of {PRICES_OF}"
    yield f"about ${planned.dollars:.2f}, at most ${planned.most_dollars:.2f} ({source})"


def _in_batches(stage: AskingStage, examples: Iterator[Example], *, wait: bool) -> None:
    from training_export.errors import AnswersUnderway  # noqa: PLC0415
    from training_export.teachers.planning import ask_in_batches  # noqa: PLC0415

    done = ask_in_batches(stage, examples, wait=wait, tell=lambda sentence: typer.echo(sentence, err=True))
    if done.answers:
        tokens = f"{done.input_tokens} input tokens, {done.output_tokens} output tokens"
        typer.echo(f"{done.answers} answers fetched: {tokens}, ${done.dollars:.2f}", err=True)
    if done.on_their_way:
        raise AnswersUnderway(
            f"{done.on_their_way} requests are with the service, which may take a day; the same command fetches the"
            " answers and goes on (--wait does so at once)"
        )


def _examples(sources: list[str], limit: int) -> Iterator[Example]:
    """Those that the run will work on: of the first ``limit`` lines, 0 for all."""
    from training_export.example_format.files import Loaded  # noqa: PLC0415
    from training_export.running.sources import opened  # noqa: PLC0415

    for found in islice(opened(sources), limit or None):
        if isinstance(found, Loaded):
            yield found.example
