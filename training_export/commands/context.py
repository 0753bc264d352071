"""``foretype context``: what stands around an example, found anew in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.errors import BadArgument
from training_export.commands.bundles import flattened
from training_export.commands.stage_options import Output, Running, Sources, run_and_report

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
@flattened
def context(
    sources: Sources,
    output: Output,
    checkout: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder with the code as it was at the examples' commit. Only read."),
    ] = None,
    repos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A clone, or a folder of clones as OWNER/NAME; what is checked out goes to a folder of ours.",
        ),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Clone into --repos what is missing there, and fetch missing commits.")
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:KEY=VALUE,...",
            help="A context of its own in `foretype.contexts.NAME`. Keys: related (definitions, recent, co_change,"
            " joined by +; all, none), diagnostics (syntax, server, none), max_bytes. Repeat for more; without it there"
            " is one, as the daemon finds it.",
        ),
    ] = None,
    use: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Which goes into prompt_inputs, the first by default; `recorded`: none does."
        ),
    ] = "",
    *,
    run: Running,
) -> None:
    """Find related files and diagnostics in the repository as it was, and make `prompt_inputs` where there are none.

    Nothing is fetched without --fetch. Where the commit is missing, the edits do not apply or the code around the
    cursor is not there, the example says why and goes on. diagnostics=server runs the language servers that your
    settings name, in the checkouts: some of them run what a project tells them to.

    For instance: foretype context examples.jsonl -o out.jsonl --repos ~/src --setting plain:diagnostics=none
    """
    from training_export.checkout.places import fingerprint  # noqa: PLC0415 (when it is called)
    from training_export.checkout.settings import DAEMON, RECORDED, SERVER, read_setting  # noqa: PLC0415
    from training_export.stages.context import ContextStage  # noqa: PLC0415

    if (checkout is None) == (repos is None):
        raise BadArgument("say where the code is: --checkout DIR, or --repos DIR with clones")
    place = checkout or repos or Path()
    if not place.is_dir():
        raise BadArgument(f"there is no folder {place}")
    if fetch and repos is None:
        raise BadArgument("--fetch goes with --repos")
    chosen = tuple(map(read_setting, setting or ())) or (DAEMON,)
    names = [each.name for each in chosen]
    if len(set(names)) < len(names):
        raise BadArgument(f"two settings have one name: {', '.join(names)}")
    if use and use not in {*names, RECORDED}:
        raise BadArgument(f"--use {use}: there is no such setting; there are {', '.join([*names, RECORDED])}")
    stage = ContextStage(
        chosen=chosen,
        use=use or names[0],
        checkout="" if checkout is None else str(checkout.resolve()),
        fingerprint="" if checkout is None else fingerprint(checkout),
        repositories="" if repos is None else str(repos.resolve()),
        fetch=fetch,
        servers=_servers() if any(each.diagnostics == SERVER for each in chosen) else (),
    )
    run_and_report(stage, sources, output, run)


def _servers() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Those of ``[languages.ID]`` in the user's settings; raises SettingsError."""
    from daemon import paths  # noqa: PLC0415 (only where a setting asks for servers)
    from daemon.settings_store import read_settings  # noqa: PLC0415

    languages = read_settings(paths.settings_path()).languages
    return tuple(sorted((name, language.server) for name, language in languages.items() if language.server))
