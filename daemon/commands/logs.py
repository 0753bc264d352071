"""``foretype logs``: prints the hub's log, and goes on printing with ``--follow``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from daemon import paths

if TYPE_CHECKING:
    from pathlib import Path

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines from the end; 0: all.")] = 100,
) -> None:
    """Print the hub's log. It holds no text of your files."""
    path = paths.hub_log_path()
    if not path.exists() and not follow:
        typer.echo(f"there is no log yet; it will be {path}", err=True)
        return
    end = _print_from(path, 0, lines)
    if follow:
        _follow(path, end)


def _print_from(path: Path, start: int, last_lines: int = 0) -> int:
    """Print the file from byte ``start`` (0 once it was rotated); returns where it ended."""
    try:
        with path.open("rb") as log:
            if log.seek(0, 2) < start:
                start = 0
            log.seek(start)
            text = log.read()
    except FileNotFoundError:
        return 0
    shown = text.splitlines(keepends=True)[-last_lines:] if last_lines else [text]
    sys.stdout.write(b"".join(shown).decode(errors="replace"))
    sys.stdout.flush()
    return start + len(text)


def _follow(path: Path, end: int) -> None:
    from watchfiles import watch  # noqa: PLC0415 (only --follow needs it)

    path.parent.mkdir(parents=True, exist_ok=True, mode=paths.PRIVATE_MODE)
    for _ in watch(path.parent, watch_filter=lambda _change, changed: changed == str(path), recursive=False):
        end = _print_from(path, end)
