"""``foretype lsp`` as ``--help`` lists it; the call itself never gets here (see ``daemon.main``)."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon import bridge

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def lsp(
    stdio: Annotated[bool, typer.Option("--stdio", help="Accepted and ignored: there is no other way.")] = True,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Run one session in this process instead of using the hub.")
    ] = False,
) -> None:
    """Speak LSP on standard input and output, for an editor."""
    words = [word for word, given in (("--stdio", stdio), ("--standalone", standalone)) if given]
    raise typer.Exit(bridge.main(words))
