"""``foretype stop``: ends the hub (of this version, or every one) and waits until it is gone."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from daemon import control, paths
from daemon.errors import HubUnreachable

application = typer.Typer(add_completion=False, rich_markup_mode=None)

FORCE_AFTER_SECONDS = 1.0  # whoever forces has waited already


@application.command()
def stop(
    every: Annotated[
        bool, typer.Option("--all", help="Also stop hubs of other versions that still serve a window.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Kill a hub that does not answer.")] = False,
) -> None:
    """Stop the hub. Its windows lose their session; an editor that restarts its server starts a new hub."""
    stopped = 0
    for path in paths.hub_sockets() if every else [paths.socket_path()]:
        try:
            hub = control.stop(path, greeting_seconds=FORCE_AFTER_SECONDS) if force else control.stop(path)
        except HubUnreachable:
            if not force:
                raise
            typer.echo(f"killed the hub that did not answer (process {_kill(path)})")
            stopped += 1
            continue
        if hub is not None:
            typer.echo(f"stopped the hub (process {hub.pid}, version {hub.version})")
            stopped += 1
    if not stopped:
        typer.echo("no hub was running")


def _kill(socket_path: str) -> int:
    """Kill the hub whose process id stands in the lock file beside its socket."""
    lock = Path(socket_path).with_suffix(".lock")
    try:
        pid = int(lock.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise HubUnreachable(f"{lock} does not say which process the hub is; find and end it by hand") from error
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid
