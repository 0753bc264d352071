"""``foretype editor``: what each editor needs, written into its file if wanted, and tried."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Annotated

import typer

from capture.whole_file import write_whole
from daemon.editors.checking import Tried, try_as
from daemon.editors.setups import Setup, setups
from daemon.editors.writing import difference, with_block
from daemon.errors import BadArgument

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def editor(
    name: Annotated[str | None, typer.Argument(help="An editor's name, or `check` and an editor's name.")] = None,
    to_check: Annotated[str | None, typer.Argument(metavar="[NAME]", help="After `check`.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put it into the editor's own file, after showing how.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --write: do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what an editor needs to show predictions, put it there, or try it.

    Without a name: the editors, what each gives, and how far it was checked. `check` starts the daemon as the editor
    would, in a project of its own, asks as the editor does, and says what works.

    For instance: foretype editor sidekick --write, and then foretype editor check sidekick
    """
    if name is None:
        _list(as_json=as_json)
    elif name == "check":
        _check(_setup(to_check), as_json=as_json)
    elif to_check is not None:
        raise BadArgument(f"`foretype editor {name} {to_check}`: one name at a time; `check` goes before it")
    elif write:
        _write(_setup(name), ask=not yes)
    else:
        _print(_setup(name), as_json=as_json)


def _setup(name: str | None) -> Setup:
    known = setups()
    if name not in known:
        asked = "which one?" if name is None else f"nothing is known of {name}."
        raise BadArgument(f"{asked} There are: {', '.join(known)}")
    return known[name]


def _list(*, as_json: bool) -> None:
    known = setups().values()
    if as_json:
        typer.echo(json.dumps([setup.to_json() for setup in known]))
        return
    width = max(len(setup.name) for setup in known)
    for setup in known:
        typer.echo(f"{setup.name:{width}}  {setup.title}: {setup.gives} ({setup.checked})")


def _print(setup: Setup, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(setup.to_json()))
        return
    typer.echo(f"{setup.title}: {setup.gives}. Checked: {setup.checked}.\n{setup.beside}\nIn {setup.file}:\n")
    typer.echo(setup.text)
    typer.echo(f"Keys: {setup.keys}")


def _write(setup: Setup, *, ask: bool) -> None:
    if setup.by_hand:
        _print(setup, as_json=False)
        raise BadArgument(f"{setup.file} is not written: {setup.by_hand}. Put the lines above there by hand")
    path = setup.path.resolve()
    before = path.read_bytes().decode() if path.exists() else ""
    try:
        after = with_block(before, setup.text, setup.language)
    except ValueError as error:
        raise BadArgument(f"{path}: {error}; leave one of each around foretype's lines, or none") from None
    if after == before:
        typer.echo(f"{path} has it already")
        return
    typer.echo(difference(before, after, str(path)))
    if ask and not typer.confirm("Write this?", default=False):
        raise typer.Exit(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, after)
    typer.echo(f"written: {path}\n{setup.beside}\nKeys: {setup.keys}")


def _check(setup: Setup, *, as_json: bool) -> None:
    tried = [*_programs(setup), *asyncio.run(try_as(setup))]
    if as_json:
        typer.echo(json.dumps({"name": setup.name, "tried": [each.to_json() for each in tried]}))
    else:
        for each in tried:
            verdict = "ok" if each.works else "FAILED" if each.is_needed else "missing"
            typer.echo(f"{verdict:7}  {each.what}: {each.text}")
    if not all(each.works for each in tried if each.is_needed):
        raise typer.Exit(1)


def _programs(setup: Setup) -> list[Tried]:
    program = shutil.which(setup.program)
    text = program or f"no {setup.program} on the PATH; what follows is tried without it"
    return [Tried("editor", program is not None, text, is_needed=False)]
