"""``foretype uninstall``: lists everything foretype wrote outside its package, then removes it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from daemon import control, paths
from daemon.errors import PathRefused

if TYPE_CHECKING:
    from pathlib import Path

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def uninstall(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the hub and remove models, settings, logs, caches and sockets. The package itself stays."""
    found = [path for path in paths.written_paths() if path.exists() or path.is_symlink()]
    if not found:
        typer.echo("nothing of foretype's is left outside the package")
        return
    for path in found:
        typer.echo(f"{path}  ({_size(path) / 1e6:.1f} MB)")
    if not yes:
        typer.confirm("Remove all of this?", abort=True)
    for socket_path in paths.hub_sockets():
        control.stop(socket_path)
    for path in found:
        _remove(path)
    typer.echo("removed; remove the package itself with the tool that installed it (uv tool, pipx, pip, ...)")


def _size(path: Path) -> int:
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(inner.lstat().st_size for inner in path.rglob("*"))


def _remove(path: Path) -> None:
    """A link is removed, not what it points at."""
    try:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():  # it may lie in one that is removed already
            shutil.rmtree(path)
    except OSError as error:
        raise PathRefused(f"cannot remove {path}: {error.strerror}") from error
