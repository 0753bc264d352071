"""``foretype split-commit``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from training_export.commands.bundles import flattened
from training_export.commands.stage_options import AsJson, Force, Output

if TYPE_CHECKING:
    from training_export.importing.splitting import SplitSettings
    from training_export.running.runner import Summary

application = typer.Typer(add_completion=False, rich_markup_mode=None)


class TargetScope(Enum):
    """How much of what comes next is the target."""

    REGION = "region"
    EXCERPT = "excerpt"


Revisions = Annotated[
    list[str] | None,
    typer.Option("--rev", metavar="RANGE", help="What git log would list: `v1..v2`, `main`. Again for more. [HEAD]"),
]
MaxCommits = Annotated[int, typer.Option(min=0, help="Only the newest so many commits; 0: all.")]
Repositories = Annotated[
    str, typer.Option("--repos", metavar="DIR", help="Clones for a file of reordered commits: DIR/OWNER/NAME.")
]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        "-s",
        metavar="WHERE",
        help="A share (0.5), a number of changed lines (12), or fim, same-file-near, same-file-far, cross-file, also "
        "with a place among those (fim:0.5). Nothing: anywhere.",
    ),
]
Samples = Annotated[int, typer.Option(min=1, help="How many examples of one change.")]
Seed = Annotated[int, typer.Option(help="Another seed cuts at other places.")]
MinLines = Annotated[int, typer.Option("--min-changed-lines", min=1, help="Leave out changes of fewer lines.")]
MaxLines = Annotated[int, typer.Option("--max-changed-lines", min=1, help="Leave out changes of more lines.")]
Languages = Annotated[
    str, typer.Option(metavar="LIST", help="The cursor is in a file of these: `python,go` (LSP language ids).")
]
Scope = Annotated[
    TargetScope, typer.Option("--target", help="The target ends with the editable region, or with the excerpt.")
]
Groups = Annotated[
    int, typer.Option("--target-groups", min=0, help="The target is the next so many groups of lines; 0: all.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first change that gives no example.")]


@dataclass(frozen=True, slots=True)
class Cutting:
    """Which changes are cut where, and what becomes of the examples."""

    rev: Revisions = None
    max_commits: MaxCommits = 0
    repos: Repositories = "."
    split: Split = ""
    samples: Samples = 1
    seed: Seed = 0
    min_changed_lines: MinLines = 2
    max_changed_lines: MaxLines = 1000
    languages: Languages = ""
    target: Scope = TargetScope.REGION
    target_groups: Groups = 0
    strict: Strict = False
    force: Force = False
    as_json: AsJson = False


@application.command()
@flattened
def split_commit(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="Folders of git repositories, or `.jsonl` files of reordered commits."
        ),
    ],
    output: Output,
    *,
    cutting: Cutting,
) -> None:
    """Cut commits in two: what is done already is the history, what comes next the target. No model is asked.

    The lines of a commit are put in an order in which somebody may have typed them. At the cut a line is often half
    typed, as people leave it. Examples are the same for the same commit, options and seed. A .jsonl file has commits in
    an order of its own, one JSON object a line, as Zed's tools exchange them.

    For instance: foretype split-commit ~/src/shop --rev v1.0..v2.0 --samples 3 -o commits.jsonl
    """
    import_commits("split-commit", sources, output, cutting)


def split_settings(cutting: Cutting) -> SplitSettings:
    """What the options come to; raises BadArgument."""
    from capture.context.index.languages import LANGUAGES  # noqa: PLC0415 (when it is called)
    from daemon.errors import BadArgument  # noqa: PLC0415
    from training_export.importing.moment import TargetLimits  # noqa: PLC0415
    from training_export.importing.split_point import WantedSplit  # noqa: PLC0415
    from training_export.importing.splitting import SplitSettings  # noqa: PLC0415

    wanted = frozenset(name.strip() for name in cutting.languages.split(",") if name.strip())
    known = {language.name for language in LANGUAGES}
    if wanted - known:
        unknown = ", ".join(sorted(wanted - known))
        raise BadArgument(f"unknown language {unknown}; known are {', '.join(sorted(known))}")
    return SplitSettings(
        samples=cutting.samples,
        seed=cutting.seed,
        split=WantedSplit.read(cutting.split) if cutting.split else None,
        languages=wanted,
        min_lines=cutting.min_changed_lines,
        max_lines=cutting.max_changed_lines,
        limits=TargetLimits(groups=cutting.target_groups, whole_excerpt=cutting.target is TargetScope.EXCERPT),
    )


def import_commits(what: str, sources: list[str], output: str, cutting: Cutting) -> None:
    """Write the examples of all commits, one source after the other, and say what came of it."""
    from itertools import chain  # noqa: PLC0415 (when it is called)
    from pathlib import Path  # noqa: PLC0415

    from training_export.importing.commits import commits_of  # noqa: PLC0415
    from training_export.importing.reordered import reordered_commits  # noqa: PLC0415
    from training_export.importing.writing import write_changes  # noqa: PLC0415

    refuse_two_outputs(output, as_json=cutting.as_json)
    settings = split_settings(cutting)
    changes = chain.from_iterable(
        commits_of(Path(source), cutting.rev or ["HEAD"], max_count=cutting.max_commits)
        if Path(source).is_dir()
        else reordered_commits(source, Path(cutting.repos))
        for source in sources
    )
    written = write_changes(what, changes, settings, output, strict=cutting.strict, force=cutting.force)
    tell(written, as_json=cutting.as_json)


def refuse_two_outputs(output: str, *, as_json: bool) -> None:
    """Raises BadArgument where both the examples and the summary would go to standard output."""
    from daemon.errors import BadArgument  # noqa: PLC0415 (when it is called)

    if as_json and output == "-":
        raise BadArgument("--json and -o - both write to standard output; give -o a file")


def tell(summary: Summary, *, as_json: bool) -> None:
    """One line on standard error, or JSON on standard output."""
    from training_export.running.progress import report  # noqa: PLC0415 (when it is called)

    report(summary, as_json=as_json)
