"""``foretype pause``: predictions off in all windows, until ``resume`` or the hub's end."""

from __future__ import annotations

import typer

from daemon import control

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def pause() -> None:
    """Turn predictions off in all windows, until `foretype resume` or until the hub leaves."""
    control.ask_ours("pause")
    typer.echo("paused; `foretype resume` turns predictions on again")
