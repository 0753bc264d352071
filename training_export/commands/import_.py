"""``foretype import``."""

from __future__ import annotations

from typing import Annotated

import typer

from training_export.commands.bundles import flattened
from training_export.commands.split_commit import (
    Cutting,
    import_commits,
    refuse_two_outputs,
    split_settings,
    tell,
)
from training_export.commands.stage_options import Output

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command(name="import")
@flattened
def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Examples as Zed's tools write them (`.md`, `.json`, `.jsonl`, also `.gz` or `.zst`; globs, folders, "
            "`-`); with --commits repositories, with --releases releases, the oldest first.",
        ),
    ],
    output: Output,
    commits: Annotated[bool, typer.Option("--commits", help="The sources are git repositories.")] = False,
    releases: Annotated[
        bool, typer.Option("--releases", help="The sources are releases of one package: folders, sdists, wheels, zips.")
    ] = False,
    *,
    cutting: Cutting,
) -> None:
    """Make examples of what no editor of ours captured: Zed's files, commits, releases of a package.

    Examples keep every field they have; without a name they get the file's. Of commits and releases, what was done up
    to a place that is drawn is the history, what comes next the target: options from --rev on are for these.

    For instance: foretype import --releases shop-1.0.tar.gz shop-1.1.tar.gz -o releases.jsonl
    """
    from pathlib import Path  # noqa: PLC0415 (when it is called)

    from daemon.errors import BadArgument  # noqa: PLC0415
    from training_export.importing.releases import releases_of  # noqa: PLC0415
    from training_export.importing.writing import write_changes, write_files  # noqa: PLC0415

    if commits and releases:
        raise BadArgument("--commits and --releases say different things of the sources; give one of them")
    refuse_two_outputs(output, as_json=cutting.as_json)
    if commits:
        import_commits("import", sources, output, cutting)
        return
    if not releases:
        written = write_files("import", sources, output, strict=cutting.strict, force=cutting.force)
    elif len(sources) < 2:
        raise BadArgument("--releases needs two releases or more, the oldest first")
    else:
        changes = releases_of([Path(source) for source in sources])
        settings = split_settings(cutting)
        written = write_changes("import", changes, settings, output, strict=cutting.strict, force=cutting.force)
    tell(written, as_json=cutting.as_json)
