"""``foretype model compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training_export.student.gguf.comparing import Wanted
    from training_export.student.gguf.comparison import Comparison
    from training_export.student.gguf.quantisation import Quantisation
    from training_export.student.gguf.texts import HeldOut

application = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_QUANTISATIONS = "f16,q8_0,q6_k,q5_k_m,q4_k_m,q4_0"
DEFAULT_CASES = 300


@application.command()
def compare(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The GGUF to quantise, f32, f16 or bf16: its path, or its name.")
    ],
    on: Annotated[
        list[str], typer.Option("--on", metavar="CASES", help="Examples it never learnt from; may be given again.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the quantised files and the report go.")
    ],
    quantisations: Annotated[
        str, typer.Option(metavar="NAMES", help="With commas; all is told against the first.")
    ] = DEFAULT_QUANTISATIONS,
    cases: Annotated[
        int, typer.Option(min=0, help="So many, spread evenly over the examples; 0: all.")
    ] = DEFAULT_CASES,
    speed_cases: Annotated[int, typer.Option(min=1, help="So many of them are timed.")] = 40,
    rounds: Annotated[int, typer.Option(min=1, help="Each of these so many times, in turns.")] = 3,
    max_mb: Annotated[
        float, typer.Option("--max-mb", min=0.0, help="Choose nothing larger, in millions of bytes; 0: any size.")
    ] = 0.0,
    prompt_format: Annotated[str, typer.Option(help="Instead of the one the model asks for.")] = "",
    threads: Annotated[int, typer.Option(min=0, help="For computing; 0: as many as the daemon takes.")] = 0,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Draw nothing (else matplotlib is needed).")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files of the same names in FOLDER.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON instead of a table.")] = False,
) -> None:
    """Quantise a model in several ways, measure each on this machine, and say which one to use.

    Measured are the size of the file; perplexity, of the right answers and of prompts with their answers; how many
    cases come out exactly right, asked as the daemon asks; and milliseconds for a token of a prompt and of an answer,
    all models in turns, so that what else the machine does falls on all alike.

    Chosen is, of those as good as the first (perplexity of the answers at most 2 % higher, at most one percentage
    point fewer cases right) and not larger than --max-mb, whatever is within a tenth of the fastest and smallest.

    FOLDER then holds the quantised files, compare.json and compare.png; it gets all of them or none.

    For instance: foretype model compare student-f32.gguf --on held-out.jsonl --out quantised --max-mb 24
    """
    from daemon.commands.progress import working  # noqa: PLC0415 (when it is called)
    from daemon.errors import ModelNotFound  # noqa: PLC0415
    from daemon.registry import resolve  # noqa: PLC0415
    from training_export.commands.train_extra import check_gguf_is_there  # noqa: PLC0415
    from training_export.errors import RunInterrupted  # noqa: PLC0415
    from training_export.running.interruption import interruptible  # noqa: PLC0415

    check_gguf_is_there("foretype model compare")
    from training_export.student.gguf import comparing, plot  # noqa: PLC0415
    from training_export.student.gguf.quantisation import read_names  # noqa: PLC0415

    if not no_plot:
        plot.check_can_draw()
    path = resolve(model, relative_to=Path.cwd()).path
    if not path.is_file():
        raise ModelNotFound(f"{path} does not exist; give the path of a GGUF file")
    wanted = _wanted(read_names(quantisations), threads, prompt_format, speed_cases, rounds, max_mb)
    folder = out.resolve()
    names = [comparing.file_name(path, quantisation) for quantisation in wanted.quantisations]
    names += [comparing.REPORT] if no_plot else [comparing.REPORT, comparing.PLOT]
    try:
        with (
            interruptible(),
            comparing.collected(folder, names, force=force) as made,
            working("reading cases") as step,
        ):
            held_out = _held_out(on, cases)
            comparison = comparing.compare(path, held_out, made, wanted, step)
            comparing.write_report(comparison, made / comparing.REPORT)
            if not no_plot:
                plot.draw(comparison, made / comparing.PLOT)
    except KeyboardInterrupt as error:
        raise RunInterrupted("interrupted; nothing was written") from error
    _tell(comparison, folder, as_json=as_json)


def _wanted(
    quantisations: tuple[Quantisation, ...],
    threads: int,
    prompt_format: str,
    speed_cases: int,
    rounds: int,
    max_mb: float,
) -> Wanted:
    from daemon import paths  # noqa: PLC0415 (when it is called)
    from daemon.engine.ways import default_threads  # noqa: PLC0415
    from daemon.settings_store import read_settings  # noqa: PLC0415
    from training_export.student.gguf.comparing import Wanted  # noqa: PLC0415
    from training_export.student.gguf.measuring import Computing  # noqa: PLC0415

    gpu_layers = read_settings(paths.settings_path()).gpu_layers
    return Wanted(
        quantisations,
        Computing(threads or default_threads(), gpu_layers),
        prompt_format,
        speed_cases,
        rounds,
        int(1e6 * max_mb),
    )


def _held_out(sources: list[str], count: int) -> list[HeldOut]:
    """The cases, spread over all examples; raises NothingToEvaluate where there are none."""
    from training_export.errors import NothingToEvaluate  # noqa: PLC0415 (when it is called)
    from training_export.example_format.files import Rejected  # noqa: PLC0415
    from training_export.running.sources import opened  # noqa: PLC0415
    from training_export.student.evaluation.cases import Case, NoCase  # noqa: PLC0415
    from training_export.student.gguf.texts import HeldOut, spread  # noqa: PLC0415

    found: list[HeldOut] = []
    last_fault = "there is no line in them"
    for loaded in opened(sources):
        if isinstance(loaded, Rejected):
            last_fault = str(loaded)
            continue
        try:
            found.append(HeldOut(loaded.example, Case.of(loaded.example)))
        except NoCase as fault:
            last_fault = f"{loaded.example.name}: {fault}"
    if not found:
        raise NothingToEvaluate(f"{', '.join(sources)}: nothing to measure on ({last_fault})")
    return spread(found, count)


def _tell(comparison: Comparison, folder: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(comparison.to_json(), indent=2))
        return
    from rich.console import Console  # noqa: PLC0415 (when it is called)

    Console(highlight=False, markup=False, emoji=False).print(*comparison.tables())
    for line in (*comparison.notes(), f"everything is in {folder}"):
        typer.echo(line)
