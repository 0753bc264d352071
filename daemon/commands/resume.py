"""``foretype resume``: ends a pause."""

from __future__ import annotations

import typer

from daemon import control

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def resume() -> None:
    """Turn predictions on again after `foretype pause`."""
    control.ask_ours("resume")
    hub, status = control.ask_ours("status")
    if status["settings"]["enabled"]:
        typer.echo(f"predictions are on (hub, process {hub.pid})")
    else:
        typer.echo(f"no longer paused, but `enabled` is false in {status['settings']['path']}")
