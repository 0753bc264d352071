"""``foretype acp`` as ``--help`` lists it; the call itself never gets here (see ``daemon.main``)."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon import bridge, handshake

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def acp(
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Run one session in this process instead of using the hub.")
    ] = False,
) -> None:
    """Speak next edits of the Agent Client Protocol on standard input and output, one JSON value a line."""
    raise typer.Exit(bridge.main(["--standalone"] if standalone else [], handshake.PURPOSE_ACP))
