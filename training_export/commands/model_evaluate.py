"""``foretype model evaluate``."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from training_export.student.evaluation.card import CardFacts
    from training_export.student.evaluation.evaluation import Evaluation
    from training_export.student.evaluation.overlap import Overlap
    from training_export.student.evaluation.scoring import Row

application = typer.Typer(add_completion=False, rich_markup_mode=None)

SCORES_NAME = "scores.json"
QUOTED_NAME = "quoted"


@application.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The GGUF: its path, its name, or `embedded`.")],
    cases: Annotated[
        list[str],
        typer.Option("--cases", metavar="CASES", help="Examples it never learnt from; may be given again."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="For answers and scores. [runs/evaluation-MODEL]"),
    ] = None,
    set_gate: Annotated[
        bool, typer.Option("--set-gate", help="Choose the confidence limit on half of the files; write it into MODEL.")
    ] = False,
    wanted: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="With --set-gate: so often what is shown must be right.")
    ] = 0.8,
    certain: Annotated[
        bool, typer.Option("--certain", help="With --set-gate: with 95 % confidence, not only in these cases.")
    ] = False,
    check_against: Annotated[
        list[str] | None,
        typer.Option(metavar="TRAIN", help="Say how many cases stand in these training examples; may be given again."),
    ] = None,
    quote: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CASES", help="Show failures on these cases, whose text you may publish; may be given again."
        ),
    ] = None,
    keystrokes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What `bench/keystrokes` measured with this model, or its folder."),
    ] = None,
    card: Annotated[Path | None, typer.Option("--card", metavar="FILE", help="Write the model card.")] = None,
    run: Annotated[Path | None, typer.Option("--run", metavar="RUN", help="For the card: the training run.")] = None,
    corpus: Annotated[bool, typer.Option("--corpus", help="For the card: it learnt from the pinned archives.")] = False,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Where the archives are. [foretype's cache]")
    ] = None,
    made_by: Annotated[
        list[str] | None, typer.Option(metavar="COMMAND", help="For the card: what made it; may be given again.")
    ] = None,
    hardware: Annotated[str, typer.Option(help="For the card: what it was trained on.")] = "",
    prompt_format: Annotated[str, typer.Option(help="Instead of the one the model asks for.")] = "",
    no_ranking: Annotated[
        bool, typer.Option("--no-ranking", help="The student alone, the rule not judged by it.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="So many engines side by side; 0: one a core.")] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many cases; 0: all.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace a card that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead of tables.")] = False,
) -> None:
    """Ask a model about held-out cases as the daemon does, and say how often it is right: by task, language and kind.

    Beside it stand what costs nothing: the rule (the last substitution done everywhere in the region) and never to
    predict. Answers are kept in FOLDER: a run that was cut goes on, and what was answered is not asked again. The card
    is written from these scores alone.

    For instance: foretype model evaluate student.gguf --cases test.jsonl.zst --run runs/student --card MODEL_CARD.md
    """
    from training_export.commands.late_progress import late_progress  # noqa: PLC0415 (when it is called)
    from training_export.commands.train_extra import check_gguf_is_there  # noqa: PLC0415
    from training_export.errors import OutputRefused, RunInterrupted  # noqa: PLC0415
    from training_export.running.interruption import interruptible  # noqa: PLC0415
    from training_export.running.runner import RunOptions  # noqa: PLC0415

    check_gguf_is_there("foretype model evaluate")
    from training_export.student.evaluation.evaluation import evaluate as run_evaluation  # noqa: PLC0415
    from training_export.student.evaluation.keystrokes import read_keystrokes  # noqa: PLC0415

    if card is not None and card.exists() and not force:
        raise OutputRefused(f"{card} is there already; --force replaces it")
    times = None if keystrokes is None else read_keystrokes(keystrokes)
    settings = _settings(model, prompt_format, ranking=not no_ranking)
    folder = out or Path("runs") / f"evaluation-{Path(settings.path).stem}"
    _make_folders(folder, card)
    if quote:
        _make_folders(folder / QUOTED_NAME, None)
    facts = None if card is None else _card_facts(Path(settings.path), run, cache, made_by, hardware, corpus=corpus)
    try:
        with interruptible():
            with late_progress("judging", "answers") as seen:
                evaluation = run_evaluation(settings, cases, folder, RunOptions(workers=workers, limit=limit), seen)
                if quote:
                    options = RunOptions(workers=workers)
                    quoted = run_evaluation(settings, quote, folder / QUOTED_NAME, options, seen)
                    evaluation = replace(evaluation, quotable=quoted.cases)
            if set_gate:
                evaluation = _gated(evaluation, wanted, is_certain=certain)
            evaluation = replace(
                evaluation, keystrokes=times, overlap=_overlap(cases, check_against, limit) if check_against else None
            )
            _write_scores(folder / SCORES_NAME, evaluation)
            if card is not None and facts is not None:
                _write_card(card, evaluation, facts)
    except KeyboardInterrupt as error:
        raise RunInterrupted(f"interrupted; what was answered is in {folder}: the same command goes on") from error
    if as_json:
        typer.echo(json.dumps(evaluation.to_json()))
    else:
        _tell(evaluation, folder)


def _make_folders(folder: Path, card: Path | None) -> None:
    """Before anything is asked; raises ExamplesUnwritable."""
    from training_export.errors import ExamplesUnwritable  # noqa: PLC0415 (when it is called)

    for path in (folder, *([] if card is None else [card.parent])):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExamplesUnwritable(f"cannot make the folder {path}: {error.strerror}") from error


def _settings(name: str, prompt_format: str, *, ranking: bool) -> Any:
    from daemon import paths, registry  # noqa: PLC0415 (when it is called)
    from daemon.engine.messages import ModelSettings  # noqa: PLC0415
    from daemon.engine.ways import default_threads  # noqa: PLC0415
    from daemon.errors import ModelNotFound  # noqa: PLC0415
    from daemon.settings_store import read_settings  # noqa: PLC0415
    from training_export.commands.settle import SMALL_MODEL_BYTES  # noqa: PLC0415

    path = registry.resolve(name, relative_to=Path.cwd()).path
    if not path.is_file():
        raise ModelNotFound(f"{path} does not exist; give the path of a GGUF file")
    gpu_layers = read_settings(paths.settings_path()).gpu_layers
    is_small = path.stat().st_size <= SMALL_MODEL_BYTES
    threads = 1 if is_small and not gpu_layers else default_threads()
    return ModelSettings(str(path), prompt_format, gpu_layers, threads, ranking=ranking)


def _gated(evaluation: Evaluation, wanted: float, *, is_certain: bool) -> Evaluation:
    """With the gate chosen and written into the model; raises NothingToEvaluate where there is none."""
    from training_export.errors import NothingToEvaluate  # noqa: PLC0415 (when it is called)
    from training_export.student.evaluation.evaluation import chosen_gate  # noqa: PLC0415
    from training_export.student.evaluation.gate import write_limit  # noqa: PLC0415

    gate = chosen_gate(evaluation.cases, wanted, is_certain=is_certain)
    if gate is None:
        raise NothingToEvaluate(
            f"at no limit is what {evaluation.model.name} shows right in {wanted:.0%} of the cases; its gate is left"
            f" at {evaluation.limit:.2f}: train it longer, ask for less with --wanted, or give more cases"
        )
    write_limit(evaluation.model, gate.limit)
    return replace(evaluation, limit=gate.limit, gate=gate)


def _overlap(cases: list[str], training: list[str], limit: int) -> Overlap:
    from itertools import islice  # noqa: PLC0415 (when it is called)

    from training_export.commands.late_progress import late_progress  # noqa: PLC0415
    from training_export.student.evaluation.overlap import overlap  # noqa: PLC0415

    with late_progress("comparing with the training set") as seen:
        return overlap(islice(_examples(cases), limit or None), _examples(training), seen)


def _examples(sources: list[str]) -> Any:
    from training_export.example_format.files import Loaded  # noqa: PLC0415 (when it is called)
    from training_export.running.sources import opened  # noqa: PLC0415

    return (found.example for found in opened(sources) if isinstance(found, Loaded))


def _write_scores(path: Path, evaluation: Evaluation) -> None:
    from training_export.example_format.files import replacing  # noqa: PLC0415 (when it is called)

    with replacing(path) as file:
        file.write(json.dumps(evaluation.to_json(), indent=1).encode() + b"\n")


def _card_facts(
    model: Path, run: Path | None, cache: Path | None, made_by: list[str] | None, hardware: str, *, corpus: bool
) -> CardFacts:
    """Read before anything is asked: what is missing is said at once."""
    from daemon.tuning.record import processor_name, usable_cores  # noqa: PLC0415 (when it is called)
    from training_export.student.evaluation.card import CardFacts  # noqa: PLC0415
    from training_export.student.evaluation.model_facts import read_model  # noqa: PLC0415
    from training_export.student.evaluation.run_facts import read_run  # noqa: PLC0415
    from training_export.student.sources.corpus import manifest_rows  # noqa: PLC0415
    from training_export.student.sources.fetch import corpus_folder  # noqa: PLC0415

    return CardFacts(
        model=read_model(model),
        run=None if run is None else read_run(run),
        commands=tuple(made_by or ()),
        hardware=hardware,
        machine=f"{processor_name()}, {usable_cores()} cores",
        origins=tuple(manifest_rows(cache or corpus_folder())) if corpus else (),
        evaluated_by=f"foretype {shlex.join(sys.argv[1:])}",
    )


def _write_card(path: Path, evaluation: Evaluation, facts: CardFacts) -> None:
    from training_export.student.evaluation.card import write_card  # noqa: PLC0415 (when it is called)

    for written in write_card(path, evaluation, facts):
        typer.echo(f"foretype: wrote {written}", err=True)


def _tell(evaluation: Evaluation, folder: Path) -> None:
    from rich.console import Console  # noqa: PLC0415 (when it is called)
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    scores = Table(
        "task", "cases", "student", "at gate", "ranked", "rule", "never", "beyond rule", "quiet", "shown right"
    )
    for row in [*evaluation.by_task, evaluation.total]:
        scores.add_row(*_cells(row))
    console.print(scores)
    goals = Table("goal", "wanted", "reached", "verdict")
    for goal in evaluation.goals:
        goals.add_row(goal.what, goal.wanted, goal.reached, goal.verdict)
    console.print(goals)
    left_out = "; ".join(f"{count:,} x {reason}" for reason, count in evaluation.left_out.most_common())
    for line in (
        f"gate {evaluation.limit:.2f}, {evaluation.latency.p50_ms:.0f} ms median in the worker, nothing reused",
        f"left out: {left_out}" if left_out else "",
        _overlap_line(evaluation.overlap),
        f"everything is in {folder / SCORES_NAME}",
    ):
        if line:
            typer.echo(line)


def _cells(row: Row) -> list[str]:
    shares = (row.alone, row.alone_gated, row.ranked_gated, row.rule, row.never, row.where_rule_fails)
    shown = [*shares, row.quiet, row.shown_right]
    return [row.name, f"{row.count:,}", *("-" if share is None else str(share) for share in shown)]


def _overlap_line(found: Overlap | None) -> str:
    if found is None:
        return ""
    return (
        f"of {found.case_count:,} cases {found.exact:,} stand in the {found.training_count:,} training examples word"
        f" for word, {found.near:,} nearly so"
    )
