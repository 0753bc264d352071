"""``foretype collect``: run a team's collector; ``foretype collect token add|list|revoke``: say who may send to it."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from capture.collector.clients import Clients, Token, TokenBook, TokensRefused
from capture.collector.settings import (
    MEBIBYTES_PER_MINUTE,
    SNAPSHOTS_PER_MINUTE,
    Address,
    CertificateFiles,
    Quota,
    Settings,
    SettingsRefused,
)
from capture.collector.storage import StorageMisconfigured, StorageUnavailable, open_storage
from daemon import collector_log, paths
from daemon.command_line import fail
from daemon.errors import BadArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.collector.server import Listening

EXTRA = "pip install 'foretype[collector]'"
HELP = f"""Receive the snapshots of a team's editors over gRPC, and keep each exactly once.

It needs more than the daemon does: {EXTRA}

To try it on this machine (the first command prints alice's token, once):

    foretype collect token add alice

    foretype collect --listen 127.0.0.1:7400 --data ./snapshots --plain-text

For a team: --listen [::]:7400 --certificate chain.pem --key key.pem. With --client-ca, clients must show a certificate
of that authority, whose common name is the client's name; with --tokens as well, a token of the same name too. Tokens
and certificates that change count without a restart. Ctrl-C and SIGTERM let calls in progress end.
"""

_TokensFile = Annotated[
    Path | None, typer.Option("--tokens", metavar="FILE", help="The tokens file; by default in the data directory.")
]
_PemFile = Annotated[Path | None, typer.Option(metavar="FILE", help="PEM.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Limit = Annotated[int, typer.Option(min=0, help="What one client may send; 0 is no limit.")]
_Level = Annotated[
    Literal["debug", "info", "warning", "error"], typer.Option(help="Of the log, JSON lines on standard error.")
]

application = typer.Typer(add_completion=False, rich_markup_mode=None)
token_application = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
application.add_typer(token_application, name="token", help="Make, list and revoke the tokens of clients.")


@application.callback(invoke_without_command=True, help=HELP)
def collect(
    context: typer.Context,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Such as [::]:7400; port 0 is any.")] = "",
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A directory; or s3://... (or a directory) and postgresql://..., one each."),
    ] = None,
    certificate: _PemFile = None,
    key: _PemFile = None,
    client_ca: _PemFile = None,
    plain_text: Annotated[bool, typer.Option("--plain-text", help="Without TLS, on this machine only.")] = False,
    tokens: _TokensFile = None,
    metrics: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Show Prometheus metrics there, on this machine only.")
    ] = "",
    snapshots_per_minute: _Limit = SNAPSHOTS_PER_MINUTE,
    mebibytes_per_minute: _Limit = MEBIBYTES_PER_MINUTE,
    log_level: _Level = "info",
    as_json: _Json = False,
) -> None:
    """Run the collector, where none of the commands below is called."""
    if context.invoked_subcommand is not None:
        if tokens is not None:
            raise BadArgument("write --tokens behind the command it is for: foretype collect token list --tokens FILE")
        return
    if not listen or not data:
        raise BadArgument("say where to listen and where to keep: --listen 127.0.0.1:7400 --data ./snapshots")
    if (certificate is None) != (key is None) or (certificate is None) != plain_text:
        raise BadArgument("give --certificate and --key, or --plain-text for this machine alone")
    if client_ca is not None and certificate is None:
        raise BadArgument("--client-ca needs --certificate and --key")
    files = None if certificate is None or key is None else CertificateFiles(certificate, key, client_ca)
    try:
        quota = Quota(snapshots_per_minute, mebibytes_per_minute << 20)
        settings = Settings(Address.read(listen), files, Address.read(metrics) if metrics else None, quota)
    except SettingsRefused as error:
        raise BadArgument(str(error)) from error
    collector_log.to_standard_error(log_level)
    book = _book(tokens) if tokens is not None or client_ca is None else None
    clients = Clients(book, certificates=client_ca is not None)
    try:
        if book is not None and not book.all():
            typer.echo("nobody has a token yet; `foretype collect token add NAME` makes one", err=True)
        asyncio.run(_serve(settings, data, clients, as_json=as_json))
    except ModuleNotFoundError as error:
        fail(f"the collector needs {error.name}, which is not installed; run: {EXTRA}")
    except (SettingsRefused, TokensRefused, StorageMisconfigured, StorageUnavailable) as error:
        fail(str(error))


@token_application.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Whom it is for, as the collector's log will say.")],
    days: Annotated[float | None, typer.Option(help="How long it is good for; without it until revoked.")] = None,
    tokens: _TokensFile = None,
    as_json: _Json = False,
) -> None:
    """Make a token and print it; it is kept nowhere, so hand it over now."""
    try:
        token = _book(tokens).add(name, days=days)
    except TokensRefused as error:
        fail(str(error))
    typer.echo(json.dumps({"name": name, "token": token}) if as_json else token)


@token_application.command("list")
def list_tokens(tokens: _TokensFile = None, as_json: _Json = False) -> None:
    """Who has a token, since when, and whether it is good."""
    try:
        known = _book(tokens).all()
    except TokensRefused as error:
        fail(str(error))
    now = datetime.now(UTC).timestamp()
    if as_json:
        typer.echo(json.dumps([_row(token, now) for token in known], indent=2))
        return
    for token in known:
        until = "" if token.expires_at is None else f", until {_day(token.expires_at)}"
        typer.echo(f"{token.name:<24} {token.state(now):<8} since {_day(token.made_at)}{until}")
    if not known:
        typer.echo("nobody has a token; `foretype collect token add NAME` makes one")


@token_application.command("revoke")
def revoke_tokens(
    name: Annotated[str, typer.Argument(help="Whose tokens.")],
    keep_newest: Annotated[bool, typer.Option("--keep-newest", help="All but the one that was made last.")] = False,
    tokens: _TokensFile = None,
) -> None:
    """Make a client's tokens worthless, in running collectors too, with their next call."""
    try:
        revoked = _book(tokens).revoke(name, keep_newest=keep_newest)
    except TokensRefused as error:
        fail(str(error))
    if not revoked and not keep_newest:
        fail(f"{name} has no token that could be revoked; `foretype collect token list` shows who has one")
    typer.echo(f"revoked {revoked} {'token' if revoked == 1 else 'tokens'} of {name}")


async def _serve(settings: Settings, data: Sequence[str], clients: Clients, *, as_json: bool) -> None:
    from capture.collector.server import serving  # noqa: PLC0415 (gRPC and what else is of the extra)

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    storage = await open_storage(*data)
    try:
        async with serving(settings, storage, clients) as listening:
            _say(listening, as_json=as_json)
            waiting = asyncio.ensure_future(stopped.wait())
            await asyncio.wait((waiting, listening.failed), return_when=asyncio.FIRST_COMPLETED)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)  # asked twice, it ends at once
            waiting.cancel()
            if listening.failed.done():
                listening.failed.result()
    finally:
        await storage.close()


def _say(listening: Listening, *, as_json: bool) -> None:
    address = str(listening.address)
    metrics = None if listening.metrics is None else str(listening.metrics)
    if as_json:
        typer.echo(json.dumps({"listening": address, "metrics": metrics}))
    else:
        typer.echo(f"listening on {address}" + ("" if metrics is None else f", metrics at http://{metrics}/metrics"))


def _book(tokens: Path | None) -> TokenBook:
    return TokenBook(tokens or paths.data_directory() / "collector" / "tokens.json")


def _row(token: Token, now: float) -> dict[str, object]:
    times = {"made_at": token.made_at, "expires_at": token.expires_at, "revoked_at": token.revoked_at}
    return {"name": token.name, "state": token.state(now), **times}


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d}"
