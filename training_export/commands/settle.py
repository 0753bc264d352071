"""``foretype settle``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.errors import BadArgument
from training_export.commands import stage_options as options
from training_export.commands import teacher_options as teachers
from training_export.commands.bundles import flattened

if TYPE_CHECKING:
    from training_export.settling.bands import Bands, BandsWanted
    from training_export.settling.samples import Drawing
    from training_export.settling.sources import StudentSource
    from training_export.stages.settle import SettleByTeacher

application = typer.Typer(add_completion=False, rich_markup_mode=None)

STUDENT_SAMPLES, TEACHER_SAMPLES = 50, 10
SMALL_MODEL_BYTES = 200_000_000  # such a one is as fast on one core, and several of it run side by side


@application.command()
@flattened
def settle(
    sources: options.Sources,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="`.jsonl`, `.jsonl.gz`, `.jsonl.zst`, or `-`.")
    ] = "",
    model: Annotated[
        str, typer.Option(help="The student: `embedded`, a name from `foretype model list`, or a GGUF's path.")
    ] = "embedded",
    prompt_format: Annotated[str, typer.Option(help="Instead of the one the model asks for.")] = "",
    teacher: Annotated[
        str, typer.Option("--teacher", metavar="NAME", help="Ask this teacher instead; names as in `foretype distill`.")
    ] = "",
    samples: Annotated[
        int, typer.Option(min=0, max=1000, help="Of each example; 0: 50 of a student, 10 of a teacher.")
    ] = 0,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="How freely samples are drawn; a student's is 1.")
    ] = None,
    top_p: Annotated[float, typer.Option(min=0.001, max=1.0, help="Only from the most probable tokens.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws other samples.")] = 0,
    bands: Annotated[
        str, typer.Option(metavar="LOW:HIGH", help="The edges; with --reband or without -o also shares: `30%:80%`.")
    ] = "",
    reband: Annotated[bool, typer.Option("--reband", help="Judge again by --bands; nothing is sampled.")] = False,
    plot: Annotated[
        str, typer.Option(metavar="FILE", help="Draw the histograms with the edges: `.png`, `.svg` or `.html`.")
    ] = "",
    report: Annotated[bool, typer.Option("--report", help="Print counts and the examples near each edge.")] = False,
    validate: Annotated[
        int, typer.Option(min=0, metavar="N", help="Compare --model's classes with --teacher's, on N examples.")
    ] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Of each student; 0: as many as fit it.")] = 0,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds for the samples of one example.")] = 300.0,
    *,
    asked: teachers.Asked,
    run: options.Running,
) -> None:
    """Sample a model many times for each settled example, and see how near it comes to what the user made of it.

    Obvious: most samples are right. Noise: hardly any is nearer than no edit. Learnable: between; then the sample
    nearest to the settled text becomes the expected patch. Distances are kept in the example, so that --reband tries
    other edges at once; without -o, --plot and --report show what was settled before.

    For instance: foretype settle exported.jsonl -o settled.jsonl --plot settled.html --report
    """
    from training_export.settling.bands import read_bands  # noqa: PLC0415 (when it is called)
    from training_export.settling.samples import Drawing  # noqa: PLC0415
    from training_export.stages.settle import Reband, Settle  # noqa: PLC0415

    wanted = read_bands(bands) if bands else None
    _check(output, plot=plot, report=report, as_json=run.as_json, reband=reband, validate=validate)
    if not output and not validate:
        _show(sources, _edges(wanted, sources), plot, report=report, as_json=run.as_json)
        return
    if reband:
        if wanted is None:
            raise BadArgument("--reband needs --bands LOW:HIGH")
        stage: Reband | Settle | SettleByTeacher = Reband(_edges(wanted, sources))
    else:
        edges = _fixed_edges(wanted)
        drawing = Drawing(1.0 if temperature is None else temperature, top_p, deadline)
        student_samples = STUDENT_SAMPLES if teacher or not samples else samples
        stage = Settle(_student(model, prompt_format, threads, drawing, student_samples, seed), edges)
        if teacher:
            settings = teachers.read_options(teacher, output, asked)
            by_teacher = _by_teacher(settings, samples or TEACHER_SAMPLES, temperature, edges)
            ready = teachers.prepared(by_teacher, sources, asked, run)
            if ready is None:
                return
            if validate:
                _compare(stage, ready, sources, validate, seed, as_json=run.as_json)
                return
            stage = ready
        elif validate:
            raise BadArgument("--validate compares with a teacher; name one with --teacher")
    options.run_and_report(stage, sources, output, run)
    if plot or report:
        _show([output], stage.bands, plot, report=report, as_json=False)


def _check(output: str, *, plot: str, report: bool, as_json: bool, reband: bool, validate: int) -> None:
    """Before any work is done; raises BadArgument and ExtraMissing."""
    if plot:
        from training_export.settling.plot import check_plot_name  # noqa: PLC0415

        check_plot_name(plot)
    if output == "-" and (plot or report):
        raise BadArgument("--plot and --report read the output; give -o a file")
    if as_json and report:
        raise BadArgument("--json and --report both write to standard output; leave one out")
    if validate:
        if output or reband or plot or report:
            raise BadArgument("--validate writes no examples: leave out -o, --reband, --plot and --report")
    elif not output and (reband or not (plot or report or as_json)):
        raise BadArgument("-o OUT is missing; without it, --plot, --report and --json show what was settled before")


def _fixed_edges(wanted: BandsWanted | None) -> Bands:
    from training_export.settling.bands import DEFAULT_BANDS  # noqa: PLC0415

    if wanted is None:
        return DEFAULT_BANDS
    if wanted.needs_examples:
        raise BadArgument("--bands takes percentages of examples that were settled before: settle, then --reband")
    return wanted.bands()


def _edges(wanted: BandsWanted | None, sources: list[str]) -> Bands:
    """The edges, which may depend on examples that were settled before."""
    if wanted is None or not wanted.needs_examples:
        return _fixed_edges(wanted)
    from training_export.running.sources import opened  # noqa: PLC0415
    from training_export.settling.bands import DEFAULT_BANDS  # noqa: PLC0415
    from training_export.settling.distribution import distribution_of  # noqa: PLC0415

    if "-" in sources:
        raise BadArgument("--bands with percentages reads the examples twice; give a file, not -")
    found = distribution_of(opened(sources), DEFAULT_BANDS)
    return wanted.bands(found.medians, found.scores)


def _student(name: str, prompt_format: str, threads: int, drawing: Drawing, samples: int, seed: int) -> StudentSource:
    from daemon import paths, registry  # noqa: PLC0415
    from daemon.engine.messages import ModelSettings  # noqa: PLC0415
    from daemon.engine.ways import default_threads  # noqa: PLC0415
    from daemon.errors import ModelNotFound  # noqa: PLC0415
    from daemon.settings_store import read_settings  # noqa: PLC0415
    from training_export.settling.sources import StudentSource  # noqa: PLC0415

    known = registry.resolve(name, relative_to=Path.cwd())
    gpu_layers = read_settings(paths.settings_path()).gpu_layers
    try:
        is_small = known.path.stat().st_size <= SMALL_MODEL_BYTES
        checksum = registry.checksum(known.path)
    except OSError as error:
        raise ModelNotFound(f"{known.path} cannot be read: {error.strerror}") from error
    threads = threads or (1 if is_small and not gpu_layers else default_threads())
    settings = ModelSettings(str(known.path), prompt_format, gpu_layers, threads)
    return StudentSource(known.name, checksum, settings, drawing, samples, seed)


def _by_teacher(settings: Any, samples: int, temperature: float | None, edges: Bands) -> SettleByTeacher:
    from training_export.stages.settle import SettleByTeacher  # noqa: PLC0415
    from training_export.teachers.predicting import Asking  # noqa: PLC0415

    return SettleByTeacher(settings, Asking(samples=samples, temperature=temperature), edges)


def _compare(
    student: Any, teacher: SettleByTeacher, sources: list[str], count: int, seed: int, *, as_json: bool
) -> None:
    from training_export.running.runner import RunOptions  # noqa: PLC0415
    from training_export.running.sources import opened  # noqa: PLC0415
    from training_export.settling.comparing import compare  # noqa: PLC0415

    names = (
        f"{teacher.teacher.name} ({teacher.asking.samples} samples)",
        f"{student.source.name} ({student.source.samples} samples)",
    )
    stages = ((names[0], teacher), (names[1], student))
    found = compare(stages, opened(sources), count, seed, RunOptions())
    typer.echo(json.dumps(found.to_json()) if as_json else str(found))


def _show(sources: list[str], edges: Bands, plot: str, *, report: bool, as_json: bool) -> None:
    """What was settled: drawn, told, or as JSON."""
    from training_export.running.sources import opened  # noqa: PLC0415
    from training_export.settling import report as reports  # noqa: PLC0415
    from training_export.settling.distribution import distribution_of  # noqa: PLC0415

    found = distribution_of(opened(sources), edges)
    told = reports.report(found)
    if plot:
        from training_export.settling.plot import draw  # noqa: PLC0415

        draw(found, Path(plot), told)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    elif report:
        typer.echo(told, nl=False)
