"""``foretype serve``: the HTTP surface on or off, and what an editor must know to ask it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from daemon import bridge, control, handshake, paths
from daemon.errors import NotServed
from daemon.settings_store import read_settings, write_setting

application = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_PORT = 4711


@application.command()
def serve(
    port: Annotated[
        int | None, typer.Option("--port", min=1024, max=65535, help="Of 127.0.0.1. [the settings' own, else 4711]")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Serve no longer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Answer editors that ask over HTTP, as Zed does; on this machine alone, and only with the token.

    Writes `http_port` into the settings, starts the hub if none runs, and says where and how to ask: the URL, and the
    file with the token, which Zed takes from ZED_OPEN_AI_COMPATIBLE_EDIT_PREDICTION_API_KEY. While it is on the hub
    stays, with or without windows.

    For instance: foretype serve --port 4711
    """
    path = paths.settings_path()
    before = read_settings(path).http_port
    wanted = 0 if off else port or before or DEFAULT_PORT
    if wanted != before:
        write_setting(path, "http_port", wanted)
    if off:
        typer.echo(json.dumps({"http": None}) if as_json else "HTTP is off")
        return
    bridge.attach_or_start(handshake.PURPOSE_LSP).bytes_connection.close()
    _, served = control.ask_ours("serve")
    if served["problem"]:
        raise NotServed(served["problem"])
    if as_json:
        typer.echo(json.dumps({"http": served}))
        return
    typer.echo(f"serving    {served['url']}")
    typer.echo(f"token      in {served['token_file']}")
    typer.echo("model      foretype, or the name of the model in use; `prompt_format` is the model's own")
