"""``foretype snapshots list|show|diff|export|rate|stats|purge``: what was captured, for the person whose code it is."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture.store import stored
from capture.store.choice import Choice
from capture.store.error import StorageError
from capture.store.stored import NoSuchSnapshot, PurgeRefused, SnapshotDamaged
from capture.upload.identity import InstallsUnusable
from daemon import paths
from daemon.commands import snapshot_view
from daemon.commands.snapshot_options import (
    AsJson,
    Id,
    Language,
    Model,
    RatingName,
    Since,
    TextAfter,
    TextBefore,
    WithOutcome,
    Workspace,
    choice,
    seconds,
    workspace_id,
)
from daemon.commands.upload import ask_deletions
from daemon.errors import BadArgument, SnapshotsRefused
from daemon.uploading import installs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from capture.store.sqlite import Database

application = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

NOTHING = "no snapshots are stored; nothing is captured without consent: see `foretype consent --help`"
INCOMPLETE = "another process is reading the store, so copies are left in its log; purge again"
LISTED = 20


@application.callback()
def _snapshots() -> None:
    """See, rate, export and delete what was captured with your consent."""


@application.command("list")
def list_snapshots(
    workspace: Workspace = "",
    since: Since = "",
    outcome: WithOutcome = None,
    language: Language = "",
    model: Model = "",
    limit: Annotated[int, typer.Option(min=0, help="At most so many, the newest; 0 for all.")] = LISTED,
    as_json: AsJson = False,
) -> None:
    """The newest snapshots, one a line."""
    wanted = choice(workspace, since, outcome, language, model)
    with _reading() as database:
        rows = [] if database is None else stored.summaries(database, wanted, limit or None, newest_first=True)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if not rows:
        typer.echo(NOTHING if database is None else "no snapshot matches")
        return
    for line in snapshot_view.table(rows):
        typer.echo(line)


@application.command()
def show(
    snapshot_id: Id,
    full: Annotated[bool, typer.Option("--full", help="All of the code and all earlier edits.")] = False,
    as_json: AsJson = False,
) -> None:
    """One moment: the code with the cursor, the edits before it, the prediction, and how the place settled.

    --json prints the snapshot as docs/snapshots.md describes it.
    """
    with _reading() as database:
        snapshot = stored.get(*_found(database, snapshot_id))
    if as_json:
        typer.echo(json.dumps(snapshot.to_json(), indent=2))
        return
    for line in snapshot_view.moment(snapshot, full=full):
        typer.echo(line)


@application.command()
def diff(
    snapshot_id: Id,
    old: Annotated[TextBefore, typer.Option("--from", help="The text to start from.")] = "predicted",
    new: Annotated[TextAfter, typer.Option("--to", help="The text it leads to.")] = "settled",
    as_json: AsJson = False,
) -> None:
    """What you made of a prediction, as a patch; nothing where you left it as it was.

    --from and --to compare other texts.
    """
    with _reading() as database:
        snapshot = stored.get(*_found(database, snapshot_id))
    patch = snapshot_view.difference(snapshot, old, new)
    if as_json:
        typer.echo(json.dumps({"id": snapshot.id, "from": old, "to": new, "diff": patch}, indent=2))
        return
    typer.echo(snapshot_view.visible(patch) if sys.stdout.isatty() else patch, nl=False)


@application.command()
def export(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here, not to standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    workspace: Workspace = "",
    since: Since = "",
    outcome: WithOutcome = None,
    language: Language = "",
    model: Model = "",
    limit: Annotated[int, typer.Option(min=0, help="At most so many, the oldest; 0 for all.")] = 0,
) -> None:
    """Write snapshots as JSON lines, the oldest first, byte for byte as they are stored.

    docs/snapshots.md says what a line holds: your code. The file can be read by you alone. What is damaged is left
    out and named on standard error, and the exit code is 1.
    """
    from daemon.commands.progress import working  # noqa: PLC0415 (rich only where it is used)

    if out is not None and (out.exists() or out.is_symlink()) and not force:
        raise BadArgument(f"{out} is there already; give another name, or --force")
    wanted = choice(workspace, since, outcome, language, model)
    damaged: list[str] = []
    with _reading() as database:
        ids = [] if database is None else [row.id for row in stored.summaries(database, wanted, limit or None)]
        lines = () if database is None else _lines(database, ids, damaged.append)
        # Where the lines themselves go to the terminal, a spinner between them would be in the way.
        with nullcontext() if out is None and sys.stdout.isatty() else working(f"writing {len(ids)} snapshots"):
            if out is None:
                sys.stdout.buffer.writelines(lines)
                sys.stdout.buffer.flush()
            else:
                _write_private(out, lines)
    if out is not None:
        typer.echo(f"wrote {len(ids) - len(damaged)} snapshots to {out}", err=True)
    for problem in damaged:
        typer.echo(f"left out: {problem}", err=True)
    if damaged:
        raise typer.Exit(1)


@application.command()
def rate(snapshot_id: Id, rating: RatingName, as_json: AsJson = False) -> None:
    """Say whether a prediction was good; `none` takes it back."""
    with _changing() as database:
        rated = stored.rate(*_found(database, snapshot_id), "" if rating == "none" else rating)
    if as_json:
        typer.echo(json.dumps({"id": rated.id, "rating": rating, "sha256": rated.sha256}, indent=2))
        return
    typer.echo(f"{rated.id}: {'not rated' if rating == 'none' else f'rated {rating}'}")


@application.command()
def stats(as_json: AsJson = False) -> None:
    """How many snapshots there are, of what kinds, and the room they take."""
    with _reading() as database:
        found = None if database is None else {"path": str(database.path), **stored.statistics(database)}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for line in [NOTHING] if found is None else snapshot_view.summary(found):
        typer.echo(line)


@application.command()
def purge(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="These alone.")] = None,
    workspace: Workspace = "",
    before: Annotated[str, typer.Option(metavar="TIME", help="Those settled before then: 30d ago, or a date.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every snapshot there is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete snapshots for good: their bytes are overwritten, and the store's files rewritten without them.

    Name them, or say --workspace, --before, both, or --all. It works while editors are open. Damaged stores that were
    set aside are removed too, whatever was in them. A collector they were uploaded to is asked to delete them too, now
    if it can be reached, else by the hub as soon as it can. Copies you exported, and what your file system or a backup
    keeps of old blocks, are out of its reach.
    """
    from daemon.commands.progress import working  # noqa: PLC0415 (rich only where it is used)

    if everything == bool(ids or workspace or before):
        raise BadArgument("say what to delete: ids, or --workspace, --before or both, or --all alone")
    with _explained():
        chosen = tuple(_purge_ids(ids)) if ids else None
        wanted = Choice(ids=chosen, workspace_id=workspace_id(workspace), before=seconds(before, "--before"))
        if not yes:
            _ask_purge(wanted)
        with working("purging"):
            purged = stored.purge_file(paths.snapshots_path(), wanted, installs().before_purge(wanted))
    elsewhere = ask_deletions()
    if as_json:
        typer.echo(json.dumps({**asdict(purged), "collector": elsewhere}, indent=2))
    else:
        also = f" and {purged.damaged_files} damaged stores" if purged.damaged_files else ""
        typer.echo(f"deleted {purged.snapshots} snapshots{also}")
        if elsewhere:
            typer.echo(elsewhere)
    if not purged.is_complete:
        raise SnapshotsRefused(INCOMPLETE)


def purge_workspaces(workspace_ids: Iterable[str]) -> int:
    """Delete what was captured in these workspaces; returns how many snapshots that were. Raises SnapshotsRefused."""
    snapshots = 0
    for one in workspace_ids:
        with _explained():
            wanted = Choice(workspace_id=one)
            purged = stored.purge_file(paths.snapshots_path(), wanted, installs().before_purge(wanted))
        if not purged.is_complete:
            raise SnapshotsRefused(INCOMPLETE)
        snapshots += purged.snapshots
    elsewhere = ask_deletions()
    if elsewhere:
        typer.echo(elsewhere, err=True)
    return snapshots


def _purge_ids(beginnings: Iterable[str]) -> Iterator[str]:
    with _reading() as database:
        for beginning in beginnings:
            yield _found(database, beginning)[1]


def _ask_purge(wanted: Choice) -> None:
    if not sys.stdin.isatty():
        raise SnapshotsRefused("nobody can be asked: standard input is no terminal; run it in one, or add --yes")
    try:
        with _reading() as database:
            number = 0 if database is None else len(stored.summaries(database, wanted))
    except SnapshotsRefused as error:
        typer.echo(str(error), err=True)  # a store too damaged to be counted can still be purged
        typer.confirm("Delete all of it?", abort=True, err=True)
        return
    typer.confirm(f"Delete {number} snapshots for good?", abort=True, err=True)


@contextmanager
def _reading() -> Iterator[Database | None]:
    with _explained(), stored.reading(paths.snapshots_path()) as database:
        yield database


@contextmanager
def _changing() -> Iterator[Database | None]:
    with _explained(), stored.changing(paths.snapshots_path()) as database:
        yield database


@contextmanager
def _explained() -> Iterator[None]:
    """What the store says becomes an error for the person."""
    try:
        yield
    except NoSuchSnapshot as error:
        raise SnapshotsRefused(f"snapshot {error} is gone") from error
    except (InstallsUnusable, PurgeRefused, SnapshotDamaged, StorageError) as error:
        raise SnapshotsRefused(str(error)) from error


def _found(database: Database | None, beginning: str) -> tuple[Database, str]:
    """The store, and the one id that begins so; raises SnapshotsRefused."""
    if database is None:
        raise SnapshotsRefused(NOTHING)
    found = stored.ids_starting(database, beginning)
    if not found:
        raise SnapshotsRefused(f"no snapshot's id begins with {beginning!r}; `foretype snapshots list` shows them")
    if len(found) > 1:
        raise SnapshotsRefused(
            f"{len(found)} ids begin with {beginning!r}; give more of it: {', '.join(found[:3])} ..."
        )
    return database, found[0]


def _lines(database: Database, ids: Iterable[str], damaged: Callable[[str], Any]) -> Iterator[bytes]:
    """The canonical bytes of each, those deleted meanwhile passed over."""
    for snapshot_id in ids:
        try:
            yield stored.content(database, snapshot_id) + b"\n"
        except NoSuchSnapshot:
            continue
        except SnapshotDamaged as error:
            damaged(str(error))


def _write_private(path: Path, lines: Iterable[bytes]) -> None:
    """All of it or nothing; raises SnapshotsRefused."""
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(lines)
        temporary.replace(path)
    except OSError as error:
        raise SnapshotsRefused(f"cannot write {path}: {error.strerror}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
