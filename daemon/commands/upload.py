"""``foretype upload``: send what may be sent, now; see beforehand what that would be; take a new name for it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture.store.error import StorageError
from capture.upload.identity import InstallsUnusable
from capture.upload.outgoing import CheckBroken
from daemon import paths, uploading
from daemon.commands.progress import working
from daemon.consents import consent_book
from daemon.errors import BadArgument, SettingsError, UploadFailed
from daemon.settings_store import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from capture.upload.outbox import Outgoing
    from capture.upload.uploader import Summary
    from daemon.settings import Settings

application = typer.Typer(add_completion=False, rich_markup_mode=None)

NOBODY_AGREED = "nobody agreed to upload anything: `foretype consent grant --scope upload PATH` asks"
LOOK_SECONDS = 1.0
MAX_SNAPSHOTS, MAX_BYTES = 64, 1 << 20  # read at once for --dry-run; as much as one batch holds


@application.command()
def upload(
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left, or with the first failure.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")] = False,
    rotate: Annotated[bool, typer.Option("--rotate", help="Send under a new random id from now on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send settled snapshots of workspaces that agreed to it to the collector named in [upload] of the settings.

    The hub does that by itself while you do not type; this does it now, and goes on until Ctrl-C, or with --once until
    nothing is left. --dry-run prints what would be sent on standard output, byte for byte and a snapshot a line, and
    on standard error what would not, and why. docs/upload.md says what goes and what never does.
    """
    if sum((once, dry_run, rotate)) > 1:
        raise BadArgument("--once, --dry-run and --rotate: one of them")
    settings = read_settings(paths.settings_path())
    try:
        if rotate:
            _rotate(settings, as_json=as_json)
        elif dry_run:
            asyncio.run(_show(settings, as_json=as_json))
        else:
            _send(settings, once=once, as_json=as_json)
    except (CheckBroken, InstallsUnusable, StorageError) as error:
        raise UploadFailed(str(error)) from error


def ask_deletions() -> str:
    """Ask the collector for what is still to be deleted there, and say what came of it; empty where nothing was."""
    known = uploading.installs()
    try:
        pending = [address for address in known.addresses() if known.deletions(address)]
        if not pending:
            return ""
        settings = read_settings(paths.settings_path())
        collector = settings.upload.collector
        if collector not in pending:
            cure = "name it there, and the hub asks it to delete them"
            return (
                f"snapshots were sent to {', '.join(pending)}, which [upload] in the settings does not name now; {cure}"
            )
        with working(f"asking {collector} to delete them too"):
            summary = asyncio.run(_delete_alone(settings))
        left = len(known.deletions(collector))
    except (CheckBroken, InstallsUnusable, SettingsError, StorageError) as error:
        return f"the collector could not be asked to delete them yet: {error}"
    if summary.failure:
        return f"the collector could not be asked to delete them yet, the hub goes on trying: {summary.failure}"
    if left:
        return "the collector has begun to delete them; the hub goes on asking until it is done"
    return f"the collector deleted {summary.tally.deleted}"


async def _delete_alone(settings: Settings) -> Summary:
    outbox = uploading.command_outbox(settings)
    try:
        return await uploading.uploader_of(outbox, lambda: settings).once(deletions_alone=True)
    finally:
        outbox.close()


def _rotate(settings: Settings, *, as_json: bool) -> None:
    address = settings.upload.collector
    if not address:
        raise UploadFailed(uploading.NO_COLLECTOR)
    uploading.installs().rotate(address)
    typer.echo(json.dumps({"collector": address}) if as_json else f"what is sent to {address} next has a new id")


async def _show(settings: Settings, *, as_json: bool) -> None:
    if not consent_book().uploads():
        typer.echo(NOBODY_AGREED, err=True)
    sent: list[dict[str, Any]] = []
    withheld: dict[str, str] = {}
    total_bytes = 0
    outbox = uploading.command_outbox(settings)
    try:
        after: int | None = 0
        while after is not None:
            preview = await outbox.preview(MAX_SNAPSHOTS, MAX_BYTES, after=after)
            withheld |= preview.withheld
            for snapshot in preview.snapshots:
                total_bytes += len(snapshot.content)
                sent.append(_described(snapshot))
                if not as_json:
                    sys.stdout.buffer.write(snapshot.content + b"\n")
            after = preview.after
        backlog = await outbox.backlog()
    finally:
        outbox.close()
    if as_json:
        collector = settings.upload.collector or None
        value = {"collector": collector, "snapshots": sent, "withheld": withheld, "backlog": asdict(backlog)}
        typer.echo(json.dumps(value, indent=2))
        return
    sys.stdout.buffer.flush()
    where = settings.upload.collector or "nowhere, because no collector is named"
    typer.echo(f"{len(sent)} snapshots, {total_bytes} bytes, would go to {where}", err=True)
    for line in _not_going(Counter(withheld.values()), backlog.held_back):
        typer.echo(line, err=True)


def _described(snapshot: Outgoing) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "workspace_id": snapshot.workspace_id,
        "schema_version": snapshot.schema_version,
        "sha256": snapshot.sha256,
        "length_bytes": len(snapshot.content),
        "content": json.loads(snapshot.content),
    }


def _not_going(withheld: Mapping[str, int], held_back: int) -> Iterator[str]:
    for reason, number in sorted(withheld.items()):
        yield f"{number} would stay here: {reason.replace('_', ' ')}"
    if held_back:
        yield f"{held_back} stay here: they are older than the consent to upload"


def _send(settings: Settings, *, once: bool, as_json: bool) -> None:
    if not settings.upload.collector:
        raise UploadFailed(uploading.NO_COLLECTOR)
    if not consent_book().uploads():
        typer.echo(NOBODY_AGREED, err=True)
    with working(f"sending to {settings.upload.collector}") as say:
        sending = _once(settings, say) if once else _until_told(settings, say)
        done = asyncio.run(sending)
    failure, withheld, left = done.pop("failure"), done.pop("withheld"), done["left"]
    if as_json:
        typer.echo(json.dumps({**done, "failure": failure, "withheld": withheld}, indent=2))
    else:
        typer.echo(_in_words(done["sent"], done["duplicates"], left["waiting"]))
        for line in (*_not_going(done["parked"], left["held_back"]), *filter(None, [withheld])):
            typer.echo(line)
    if failure:
        raise UploadFailed(failure)


async def _once(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    where = settings.upload.collector

    def progress(summary: Summary) -> None:
        say(f"sending to {where}: {summary.tally.sent + summary.tally.duplicates} done")

    outbox = uploading.command_outbox(settings)
    try:
        summary = await uploading.uploader_of(outbox, lambda: settings).once(progress)
    finally:
        outbox.close()
    return {
        **asdict(summary.tally),
        "left": asdict(summary.left),
        "failure": summary.failure,
        "withheld": summary.withheld,
    }


async def _until_told(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Send what is there and what comes, until Ctrl-C."""
    outbox = uploading.command_outbox(settings)
    uploader = uploading.uploader_of(outbox, lambda: settings)
    running = asyncio.ensure_future(uploader.run())
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    stopping = asyncio.ensure_future(stopped.wait())
    both: set[asyncio.Future[Any]] = {running, stopping}
    try:
        while not (await asyncio.wait(both, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED))[0]:
            uploader.wake()  # another process stores
            status = uploader.status()
            say(f"{status['state']}: {_in_words(status['sent'], status['duplicates'], status['backlog']['waiting'])}")
        await uploader.close()
        await running
    finally:
        stopping.cancel()
        outbox.close()
    status = uploader.status()
    kept = {name: status[name] for name in ("sent", "duplicates", "deleted", "parked", "last_success")}
    return {**kept, "left": status["backlog"], "failure": "", "withheld": status["last_error"]}


def _in_words(sent: int, duplicates: int, waiting: int) -> str:
    again = f" ({duplicates} were there already)" if duplicates else ""
    return f"{sent + duplicates} sent{again}, {waiting} wait"
