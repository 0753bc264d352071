"""``foretype train``."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from daemon.errors import BadArgument

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from training_export.student.training.session import Outcome
    from training_export.student.training.view import View

application = typer.Typer(add_completion=False, rich_markup_mode=None)

LIBRARIES = ("torch", "transformers", "tokenizers")


@application.command()
def train(
    more: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="More files for --from.")] = None,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="FILE", help="Examples to learn from: `.jsonl`, also `.gz`, `.zst`; globs, folders."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN", help="The run's folder; a run in it is gone on with.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="`line_edits`, `zeta2`, `smoke`, `continue` (the usual one with --base), or a `.toml`.")
    ] = "",
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="Go on from `embedded`, a GGUF of ours, a run, or a folder of Hugging Face's."
        ),
    ] = "",
    tokenizer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A tokenizer.json, instead of a new one.")
    ] = None,
    add_tokens: Annotated[
        bool, typer.Option("--add-tokens", help="Give --base the control tokens that its tokenizer has not.")
    ] = False,
    lora: Annotated[int, typer.Option(min=0, metavar="RANK", help="Train adapters of this rank; 0: all weights.")] = 0,
    validation: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Held-out examples; their files are not learnt from.")
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option(min=0.0, max=0.9, help="Else this share of the files is held out; 0.05, with --base 0.2."),
    ] = None,
    replay: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Standard examples to mix in, so that nothing is forgotten."),
    ] = None,
    replay_share: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Of the examples drawn, so many are --replay's.")
    ] = 0.5,
    objective: Annotated[
        Literal["sft", "dpo"], typer.Option(help="Answers alone, or answers against rejected ones.")
    ] = "sft",
    beta: Annotated[
        float, typer.Option(min=0.0, help="dpo: how far it may go from where it began; less is farther.")
    ] = 0.1,
    steps: Annotated[int, typer.Option(min=0, help="Instead of the recipe's.")] = 0,
    minutes: Annotated[float, typer.Option(min=0.0, help="Stop with a checkpoint when they are over; 0: never.")] = 0.0,
    rate: Annotated[float, typer.Option(min=0.0, help="Times the recipe's rates.")] = 1.0,
    patience: Annotated[
        int | None, typer.Option(min=0, help="Stop after so many looks without a better one; 0: never. 6 with --base.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same one gives the same network.")] = 7,
    threads: Annotated[int, typer.Option(min=0, help="Of torch; 0: all cores.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="A GPU where there is one.")] = "auto",
    packing: Annotated[
        bool | None,
        typer.Option("--packing/--no-packing", help="Examples behind each other without padding; on a GPU."),
    ] = None,
    micro_tokens: Annotated[int, typer.Option(min=0, help="Of what is computed at once; a step adds them up.")] = 0,
    compile_: Annotated[bool, typer.Option("--compile", help="On a GPU: compile the network first.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make tokens; 0: all cores.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="RUN", help="Only draw the curves of a run anew.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON on standard output.")] = False,
) -> None:
    """Train a student: from nothing, or on from another one.

    RUN holds the tokens, checkpoints, a log, the curves, and RUN/model in Hugging Face's form. Ctrl-C leaves a
    checkpoint, and the same command goes on with exactly the step that would have come. With --base, the network that
    was best on held-out examples counts in the end, and with --replay only one that has lost at most one point there.

    For instance: foretype train --from moments.jsonl.zst --out runs/student --minutes 150

    Then on from it: foretype train --from settled.jsonl --base embedded --replay moments.jsonl.zst --out runs/mine
    """
    if plot is not None:
        _plot(plot)
        return
    sources = (*(from_ or ()), *(more or ()))
    if not sources or out is None:
        raise BadArgument("give --from FILE and --out RUN; `foretype train --help` has an example")
    if minutes < 0 or rate <= 0:
        raise BadArgument("--rate must be above 0")
    _check_libraries()
    from training_export.student.training import session  # noqa: PLC0415 (torch)

    options = session.Options(
        sources=sources,
        out=out,
        recipe=recipe,
        base=_base_path(base),
        tokenizer=tokenizer,
        adds_tokens=add_tokens,
        lora_rank=lora,
        validation=tuple(validation or ()),
        held_out_share=held_out,
        replay=tuple(replay or ()),
        replay_share=replay_share,
        prefers=objective == "dpo",
        beta=beta,
        steps=steps,
        minutes=minutes,
        rate=rate,
        patience=patience,
        seed=seed,
        threads=threads,
        device=device,
        is_packed=packing,
        micro_tokens=micro_tokens,
        compiles=compile_,
        workers=workers,
    )
    with _view() as view:
        outcome = session.train(options, view)
    if as_json:
        typer.echo(json.dumps(outcome.to_json()))
    else:
        typer.echo(_sentence(outcome), err=True)


def _check_libraries() -> None:
    """Raises ExtraMissing, which says what to install."""
    from training_export.errors import ExtraMissing  # noqa: PLC0415 (when it is called)

    for library in LIBRARIES:
        if find_spec(library) is None:
            raise ExtraMissing("`foretype train`", library, "train")


def _base_path(name: str) -> Path | None:
    """The file or folder that is meant; raises ModelNotFound."""
    if not name:
        return None
    if Path(name).is_dir():
        return Path(name)
    from daemon.registry import resolve  # noqa: PLC0415 (when it is called)

    return resolve(name, relative_to=Path.cwd()).path


def _view() -> AbstractContextManager[View]:
    from contextlib import nullcontext  # noqa: PLC0415 (when it is called)

    from training_export.student.training.view import LiveView, PlainView  # noqa: PLC0415

    return LiveView() if sys.stderr.isatty() else nullcontext(PlainView())


def _plot(run: Path) -> None:
    from training_export.student.training.curves import draw  # noqa: PLC0415 (when it is called)
    from training_export.student.training.log import read_log  # noqa: PLC0415
    from training_export.student.training.run_files import PLOT_NAME  # noqa: PLC0415

    draw(read_log(run), run / PLOT_NAME)
    typer.echo(f"{run / PLOT_NAME}: drawn", err=True)


def _sentence(outcome: Outcome) -> str:
    from training_export.student.training.view import clock  # noqa: PLC0415 (when it is called)

    told = f"foretype: {outcome.model}: {outcome.steps:,} steps, {outcome.tokens:,} tokens in {clock(outcome.seconds)}"
    told += f"; {outcome.ending.value}"
    if outcome.best_step is not None:
        told += f"; the best was at step {outcome.best_step}"
    for name, found in outcome.looks.items():
        told += f"; {name.replace('_', ' ')} {found['exact']:.1%} exact"
    if outcome.ending.name == "TIME":
        told += "; the same command goes on"
    return told
