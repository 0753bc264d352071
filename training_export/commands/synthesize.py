"""``foretype synthesize``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training_export.commands.stage_options import AsJson, Workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from training_export.student.sources.source_file import SourceFile
    from training_export.student.synthesis.moment import Task
    from training_export.student.synthesis.synthesiser import Settings, Tally

application = typer.Typer(add_completion=False, rich_markup_mode=None)


class SideName(Enum):
    """Which of the files."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


@application.command()
def synthesize(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER...", help="Source trees; each is a project.")
    ] = None,
    *,
    output: Annotated[
        str, typer.Option("--output", "--out", "-o", metavar="OUT", help="`.jsonl`, `.jsonl.gz`, `.jsonl.zst`, or `-`.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, help="How many moments.")] = 10_000,
    corpus: Annotated[bool, typer.Option("--corpus", help="Also the pinned archives of packages.")] = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch what is missing of them first.")] = False,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Where the archives are. [foretype's cache]")
    ] = None,
    side: Annotated[
        SideName, typer.Option("--side", help="Files that are for training, or held out from it.")
    ] = SideName.TRAIN,
    whole_projects: Annotated[
        bool, typer.Option("--whole-projects", help="Of the archives, only projects that are on that side whole.")
    ] = False,
    tasks: Annotated[
        str, typer.Option("--tasks", metavar="LIST", help="`rename,quiet`, also weighted: `rename=2,quiet=1`. [all]")
    ] = "",
    languages: Annotated[
        str, typer.Option("--languages", metavar="LIST", help="`python,go`, also with weights. [all there are]")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="Another seed makes other moments.")] = 7,
    workers: Workers = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make editing moments of source code: what somebody had just done, and what comes next. No model is asked.

    Renames and repeated changes to go on with, lines and blocks to finish, moments in which nothing should change:
    examples as the rest of the pipeline reads them, with the history that an editor would have left. They are the same
    for the same files, options and seed, however many workers there are. Python, JavaScript, TypeScript, Go, Rust.

    For instance: foretype synthesize ~/src/shop --count 5000 -o moments.jsonl.zst
    """
    from daemon.errors import BadArgument  # noqa: PLC0415 (when it is called)
    from training_export.commands.split_commit import refuse_two_outputs  # noqa: PLC0415
    from training_export.student.synthesis.mixture import LANGUAGE_WEIGHTS, TASK_WEIGHTS  # noqa: PLC0415
    from training_export.student.synthesis.moment import Task  # noqa: PLC0415
    from training_export.student.synthesis.synthesiser import Settings, worker_count  # noqa: PLC0415

    if not folders and not corpus:
        raise BadArgument("name a folder with source code in it, or give --corpus")
    refuse_two_outputs(output, as_json=as_json)
    settings = Settings(
        count=count,
        seed=seed,
        tasks={Task(name): weight for name, weight in _weights("task", tasks, TASK_WEIGHTS).items()},
        languages=_weights("language", languages, LANGUAGE_WEIGHTS),
        workers=worker_count(workers),
    )
    archives = _corpus_files(cache, fetch=fetch, side=side, whole_projects=whole_projects) if corpus else None
    files = _files(folders or [], archives, settings, side)
    tally = _write(files, settings, output, force=force)
    _tell(tally, output, as_json=as_json)


def _weights(what: str, text: str, known: Mapping[Task, float] | Mapping[str, float]) -> dict[str, float]:
    """``rename=2,quiet`` as weights, those of the table where none is given; raises BadArgument."""
    from daemon.errors import BadArgument  # noqa: PLC0415 (when it is called)

    table = {str(name): weight for name, weight in known.items()}
    if not text.strip():
        return table
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, has_weight, weight = part.partition("=")
        if name not in table:
            raise BadArgument(f"there is no {what} {name}; there are {', '.join(sorted(table))}")
        try:
            found[name] = float(weight) if has_weight else table[name]
        except ValueError:
            raise BadArgument(f"{part} gives no number as the weight of the {what} {name}; say {name}=2") from None
        if not 0 <= found[name] < float("inf"):
            raise BadArgument(f"the weight of the {what} {name} must be 0 or more")
    if not any(found.values()):
        raise BadArgument(f"no {what} is left with a weight above 0")
    return found


def _files(
    folders: Iterable[Path], archives: Iterable[SourceFile] | None, settings: Settings, side: SideName
) -> list[SourceFile]:
    """All that is read; raises SourcesRefused where nothing of it is on the wanted side or in a wanted language."""
    from itertools import chain  # noqa: PLC0415 (when it is called)

    from training_export.commands.late_progress import late_progress  # noqa: PLC0415
    from training_export.errors import SourcesRefused  # noqa: PLC0415
    from training_export.student.sources.trees import read_tree  # noqa: PLC0415
    from training_export.student.synthesis.mixture import family_of  # noqa: PLC0415

    found: list[SourceFile] = []
    read = 0
    with late_progress("reading", "files") as done:
        trees = (file for folder in folders for file in read_tree(folder))
        for file in chain(trees, archives or ()):
            read += 1
            is_on_side = side is SideName.ALL or file.side.value == side.value
            if is_on_side and settings.languages.get(family_of(file.language), 0) > 0:
                found.append(file)
            done(read)
    if not found:
        raise SourcesRefused(
            f"none of {read:,} files is on the side {side.value} and in one of {', '.join(settings.languages)}; "
            "name other folders or languages, or give --side all"
        )
    return found


def _corpus_files(cache: Path | None, *, fetch: bool, side: SideName, whole_projects: bool) -> Iterable[SourceFile]:
    from training_export.student.sources.corpus import Corpus  # noqa: PLC0415 (when it is called)
    from training_export.student.sources.fetch import corpus_folder  # noqa: PLC0415
    from training_export.student.sources.fetch import fetch as fetch_archives  # noqa: PLC0415
    from training_export.student.sources.manifest import load_manifest  # noqa: PLC0415

    folder = cache if cache is not None else corpus_folder()
    manifest = load_manifest()
    if fetch:
        fetch_archives(manifest, folder, with_earlier=False)
    whole = {project.name for project in manifest.projects if project.side.value == side.value}
    files = Corpus(folder, manifest).files()
    return (file for file in files if not whole_projects or file.project in whole)


def _write(files: list[SourceFile], settings: Settings, output: str, *, force: bool) -> Tally:
    from training_export.commands.late_progress import late_progress  # noqa: PLC0415 (when it is called)
    from training_export.errors import SourcesRefused  # noqa: PLC0415
    from training_export.running.outputs import selection  # noqa: PLC0415
    from training_export.student.synthesis.synthesiser import Tally, synthesised  # noqa: PLC0415

    tally = Tally()
    with selection(output, force=force) as (lines, _), late_progress("synthesize", f"of {settings.count:,}") as done:
        for line in synthesised(files, settings, tally):
            lines.write(line)
            done(lines.count)
        if not lines.count:
            raise SourcesRefused(
                f"no moment could be made of {len(files):,} files, {tally.unparsed:,} of which have wrong syntax; "
                "name folders with more code"
            )
    return tally


def _tell(tally: Tally, output: str, *, as_json: bool) -> None:
    from training_export.running.progress import report  # noqa: PLC0415 (when it is called)
    from training_export.running.runner import Summary  # noqa: PLC0415

    summary = Summary(stage="synthesize", output=output, examples=tally.total, rejected=0, tallies=tally.flat())
    if not as_json:
        _show(tally)
        summary = Summary(stage="synthesize", output=output, examples=tally.total, rejected=0, tallies={})
    report(summary, as_json=as_json)
    if tally.total < tally.wanted:
        missing = tally.wanted - tally.total
        typer.echo(f"{missing:,} fewer than asked for: the files offer no more of some tasks", err=True)


def _show(tally: Tally) -> None:
    from rich.console import Console  # noqa: PLC0415 (when it is called)
    from rich.table import Table  # noqa: PLC0415

    from training_export.student.synthesis.moment import Task  # noqa: PLC0415

    families = sorted({family for family, _ in tally.made})
    table = Table("task", *families, "all", "rule fails", box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for task in Task:
        counts = [tally.made[family, task.value] for family in families]
        if any(counts):
            share = f"{tally.share_against_rule(task):.0%}"
            table.add_row(task.value, *(f"{count:,}" for count in counts), f"{sum(counts):,}", share)
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f"{tally.quiet_share:.1%} quiet; {tally.duplicates:,} duplicates dropped; {tally.files:,} files, "
        f"{tally.unparsed:,} with wrong syntax",
        highlight=False,
    )
