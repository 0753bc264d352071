"""``foretype consent grant|revoke|show``: allow capture in one workspace, take that back, see what is allowed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture.consent.book import CONSENT_TEXT, CONSENT_TEXT_VERSION, Consent, ConsentRefused, Scope
from daemon.command_line import fail
from daemon.consents import consent_book

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # Deletes what was captured in these workspaces, given by their ids, and returns how many snapshots that were.
    Purge = Callable[[Sequence[str]], int]

NOT_AGREED = "nothing is remembered"

_Folder = Annotated[Path, typer.Argument(metavar="PATH", help="The folder; without it the current one.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def build_application(purge: Purge | None = None) -> typer.Typer:
    """The commands. With ``purge``, taking consent back offers to delete what was captured under it."""
    application = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

    @application.callback()
    def consent() -> None:
        """Say in which workspaces foretype may remember how its predictions turned out. By default: in none."""

    application.command()(grant)

    @application.command()
    def revoke(
        path: _Folder = Path(),
        delete: Annotated[
            bool | None,
            typer.Option("--purge/--keep", help="Delete what was captured there, or keep it, without asking."),
        ] = None,
        as_json: _Json = False,
    ) -> None:
        """Take consent back for a folder and all folders in it. It counts at once, in running editors too."""
        _revoke(path, purge, as_json=as_json, delete=delete)

    application.command()(show)
    return application


def grant(
    path: _Folder = Path(),
    scope: Annotated[
        Scope, typer.Option(help="local: keep it on this machine; upload: also send it to your collector.")
    ] = "local",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for a person who knows the text.")] = False,
    as_json: _Json = False,
) -> None:
    """Show what would be remembered, ask, and record the answer.

    It holds for the folder and all folders in it, until `foretype consent revoke`. Granting again changes the scope.
    When the text changes in a later version you are asked again, and until then nothing is remembered.
    """
    folder = _absolute(path)
    book = consent_book()
    if book.policy_refusal(scope):
        fail(book.policy_refusal(scope))
    typer.echo(f"{CONSENT_TEXT}\nfolder  {folder}\nscope   {scope}\n", err=True)
    if not yes and not sys.stdin.isatty():
        fail("nobody can be asked: standard input is no terminal; run it in one, or agree with --yes")
    if not yes and not typer.confirm("Do you agree?", default=False, err=True):
        fail(NOT_AGREED)
    try:
        consent = book.grant(folder, scope)
    except ConsentRefused as error:
        fail(str(error))
    typer.echo(json.dumps(asdict(consent), indent=2) if as_json else f"agreed: {_line(consent)}")


def show(path: _Folder = Path(), as_json: _Json = False) -> None:
    """Show whether capture is allowed in a folder, why not, and every consent on record."""
    folder = _absolute(path)
    book = consent_book()
    decision = book.decide(folder)
    if as_json:
        value: dict[str, Any] = {
            "root": folder,
            "consent": None if decision.consent is None else asdict(decision.consent),
            "reason": decision.reason,
            "text_version": CONSENT_TEXT_VERSION,
            "path": str(book.path),
            "on_record": [{**asdict(consent), "outdated": consent.is_outdated} for consent in book.all()],
        }
        typer.echo(json.dumps(value, indent=2))
        return
    if decision.consent is None:
        typer.echo(f"not remembered here: {decision.reason}")
    else:
        typer.echo(f"remembered here: {_line(decision.consent)}")
    for consent in book.all():
        typer.echo(f"  on record: {_line(consent)}{'; its text has changed since' if consent.is_outdated else ''}")
    typer.echo("`foretype consent grant --help` says what is asked; the text itself comes before the question")


def _revoke(path: Path, purge: Purge | None, *, as_json: bool, delete: bool | None) -> None:
    folder = _absolute(path)
    if delete and purge is None:
        fail("there is no store to delete from")
    book = consent_book()
    try:
        ended = book.revoke(folder)
    except ConsentRefused as error:
        fail(str(error))
    if not as_json:
        for consent in ended:
            typer.echo(f"taken back: {_line(consent)}")
        if not ended:
            typer.echo(f"nothing is remembered in {folder}: {book.decide(folder).reason}")
    purged = _purged(ended, purge, may_ask=not as_json, delete=delete)
    if as_json:
        typer.echo(json.dumps({"root": folder, "ended": [asdict(one) for one in ended], "purged": purged}, indent=2))
    elif purged is not None:
        typer.echo(f"deleted {purged} snapshots")


def _purged(ended: Sequence[Consent], purge: Purge | None, *, may_ask: bool, delete: bool | None) -> int | None:
    """How many snapshots were deleted, None when none were to be."""
    if purge is None or not ended or delete is False:
        return None
    if delete is None and may_ask and sys.stdin.isatty():
        delete = typer.confirm("Delete what was captured there too?", default=True, err=True)
    elif delete is None:
        typer.echo("what was captured there is kept; `foretype snapshots purge` deletes it", err=True)
    return purge([consent.workspace_id for consent in ended]) if delete else None


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (takes out `..` and leaves links, as editors name folders)


def _line(consent: Consent) -> str:
    when = datetime.fromtimestamp(consent.granted_at, UTC).astimezone()
    return f"{consent.root}, scope {consent.scope}, since {when:%Y-%m-%d %H:%M}"


def _purge_snapshots(workspace_ids: Sequence[str]) -> int:
    from daemon.commands.snapshots import purge_workspaces  # noqa: PLC0415 (SQLite only where there is something to do)

    return purge_workspaces(workspace_ids)


application = build_application(_purge_snapshots)
