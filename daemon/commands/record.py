"""``foretype record``: a person types in one file, and it becomes a session for the benchmark. Asks first."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol

import typer
from rich.markup import escape

from capture.gate.exclude import PathGate
from capture.whole_file import write_whole
from daemon import control, paths
from daemon.commands.progress import working
from daemon.errors import BadArgument, NotRecorded
from daemon.recording.events import Begun, Ended, Opened, from_line
from daemon.recording.recorder import Recorder
from daemon.settings_store import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capture.typing_session import Session

application = typer.Typer(add_completion=False, rich_markup_mode=None)

MIN_KEYSTROKES = 2  # fewer have no pace
SECOND_THOUGHT_SECONDS = 2.0  # after Ctrl-C, for a second one
INTERRUPTED_EXIT_CODE = 130
REQUEST = "record"
SUFFIX = ".jsonl"
HUB_GONE = "the hub is gone"
ENDED_BY_PERSON = "ended with Ctrl-C"

CONSENT = """\
foretype record writes down how you type in one file, so that predictions can be measured on it.

  recorded      {file}: its whole text as it is when you first change it, then each
                change you make in it and each place the cursor goes, with the times; its language; its
                path in the workspace
  not recorded  other files, other windows, predictions you do not take
  until         {until}
  written to    {out}, when the recording ends; only you can read it
  sent to       nobody: nothing leaves this machine, and the hub keeps nothing

Look through {name} before you share it: it holds all that stood in the file and all that was
typed, what you deleted again included.
"""


class _Show(Protocol):
    def __call__(self, text: str, *, lasting: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of it: the recording, if anything was changed at all, and why it ended."""

    recorder: Recorder | None
    reason: str
    discarded: bool = False

    @property
    def count(self) -> int:
        """How many keystrokes there are."""
        return 0 if self.recorder is None else len(self.recorder.keystrokes)


@application.command()
def record(
    out: Annotated[Path, typer.Argument(metavar="OUT.jsonl", help="The session's file; it must not be there yet.")],
    file: Annotated[Path, typer.Option("--file", help="The file you are going to type in.")],
    keystrokes: Annotated[
        int | None, typer.Option(min=MIN_KEYSTROKES, help="End after so many; without it Ctrl-C ends the recording.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for scripts of the person who types.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Record how you type in one file, as a session that the benchmark can replay.

    It first says what will be recorded and where that goes, and asks; nothing is recorded before you agree. Then
    open the file in an editor that foretype serves, if it is not open, and work in it as you always do. The recording
    begins with your first change and ends with Ctrl-C here, after --keystrokes, when the file is closed, or with
    `foretype pause`. A second Ctrl-C throws it away.

    Where several windows have the file open, the one that changes it first is recorded. Files that foretype does not
    predict in (secrets, your `exclude` patterns) are not recorded either. Several changes that the editor reports at
    once are one keystroke, and an undo is recorded as typing or erasing: the editor does not tell.

    Replay it, in a checkout of foretype's repository, with: python -m bench.keystrokes --sessions OUT.jsonl
    """
    source, target = _source(file), _target(out)
    _explain(source, target, keystrokes)
    _ask_consent(yes=yes)
    recorded = _listen(source, keystrokes)
    if recorded.recorder is None or recorded.count < MIN_KEYSTROKES or recorded.discarded:
        _fail_unwritten(recorded)
    session = recorded.recorder.session(target.stem)
    try:
        write_whole(target, session.to_bytes().decode())
    except OSError as error:
        raise NotRecorded(f"cannot write {target}: {error.strerror}; the recording is lost") from error
    summary = _summary(session, recorded, target)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary["kinds"].items())
    pace = f"{session.header.words_per_minute} words a minute"
    typer.echo(f"{recorded.reason}; wrote {target}")
    typer.echo(f"{recorded.count} keystrokes ({kinds}) in {session.seconds:.0f} s, {pace}")
    typer.echo(f"look through it before you share it; replay it with: python -m bench.keystrokes --sessions {out}")


def _source(file: Path) -> Path:
    """The absolute path of the file to record; raises BadArgument, NotRecorded for an excluded one."""
    path = Path(os.path.abspath(file))  # noqa: PTH100 (takes out `..` and leaves links, as editors name files)
    if not path.is_file():
        raise BadArgument(f"there is no file {path}; save it once, then record")
    gate = PathGate(read_settings(paths.settings_path()).exclude)
    for way in (path, path.resolve()):
        reason = gate.reason(str(way), str(Path.cwd()))
        if reason:
            raise NotRecorded(f"{path} is not recorded: {reason}; choose another file")
    return path


def _target(out: Path) -> Path:
    """The absolute path to write to, checked now: nobody wants to hear of it after an hour's typing."""
    path = out.absolute()
    if path.suffix != SUFFIX:
        raise BadArgument(f"{out} does not end in {SUFFIX}; the benchmark knows a session by that ending")
    if path.exists() or path.is_symlink():
        raise BadArgument(f"{path} is there already; remove it, or give another name")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadArgument(f"cannot write in {path.parent}; make it, or give a folder that you may write in")
    return path


def _explain(source: Path, target: Path, keystrokes: int | None) -> None:
    until = "Ctrl-C" if keystrokes is None else f"{keystrokes} keystrokes, or Ctrl-C before that"
    typer.echo(CONSENT.format(file=source, until=until, out=target, name=target.name), err=True)


def _ask_consent(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotRecorded("nobody can be asked: standard input is no terminal; run it in one, or agree with --yes")
    if not typer.confirm("Record?", default=False, err=True):
        raise NotRecorded("nothing was recorded")


def _listen(source: Path, limit: int | None) -> Recorded:
    """Record until it ends, whoever ends it; raises HubUnreachable or HubRefused when it can not begin."""
    recorder, reason = None, HUB_GONE
    with control.follow(REQUEST, path=str(source)) as following, _progress() as show:
        try:
            with _first_interrupt(following.hang_up) as interrupted:
                for line in following.lines():
                    event = from_line(line)
                    if isinstance(event, Opened) and recorder is None:
                        show(_state(source.name, event.windows), lasting=True)
                    elif isinstance(event, Begun):
                        recorder = Recorder(event)
                        show(f"recording {source.name}", lasting=True)
                    elif isinstance(event, Ended):
                        reason = event.reason
                    elif recorder is not None:
                        recorder.take(event)
                        show(f"recording {source.name}: {_so_far(recorder)} (Ctrl-C ends)")
                        if limit is not None and len(recorder.keystrokes) >= limit:
                            return Recorded(recorder, f"{limit} keystrokes are recorded")
                if interrupted.is_set():
                    reason = ENDED_BY_PERSON
                if interrupted.is_set() and recorder is not None and len(recorder.keystrokes) >= MIN_KEYSTROKES:
                    show(f"Ctrl-C again within {SECOND_THOUGHT_SECONDS:g} seconds throws it away", lasting=True)
                    time.sleep(SECOND_THOUGHT_SECONDS)
        except KeyboardInterrupt:
            return Recorded(recorder, ENDED_BY_PERSON, discarded=True)
    return Recorded(recorder, reason)


@contextmanager
def _first_interrupt(hang_up: Callable[[], None]) -> Iterator[threading.Event]:
    """The first Ctrl-C in the block only sets the event and hangs up; the next is a KeyboardInterrupt."""
    interrupted = threading.Event()

    def interrupt(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupted.set()
        hang_up()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress() -> Iterator[_Show]:
    """A spinner in a terminal; elsewhere a line for each ``lasting`` state."""
    with working("asking the hub") as update:

        def show(text: str, *, lasting: bool = False) -> None:
            update(escape(text))
            if lasting and not sys.stderr.isatty():
                typer.echo(text, err=True)

        yield show


def _state(name: str, windows: int) -> str:
    if not windows:
        return f"waiting: open {name} in an editor that foretype serves (Ctrl-C gives up)"
    which = "in the editor" if windows == 1 else f"in one of the {windows} windows that have it open"
    return f"ready: the recording begins with your first change of {name} {which} (Ctrl-C gives up)"


def _so_far(recorder: Recorder) -> str:
    keystrokes = recorder.keystrokes
    return f"{len(keystrokes)} keystrokes, {keystrokes[-1].at_ms / 1000:.0f} s" if keystrokes else "nothing yet"


def _fail_unwritten(recorded: Recorded) -> NoReturn:
    if recorded.discarded:
        typer.echo("thrown away; nothing was written", err=True)
        raise typer.Exit(INTERRUPTED_EXIT_CODE)
    raise NotRecorded(
        f"{recorded.reason}, with {recorded.count} keystrokes; fewer than {MIN_KEYSTROKES} are no session, so nothing"
        " was written; change the file in an editor that foretype serves while this runs"
    )


def _summary(session: Session, recorded: Recorded, target: Path) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "written": str(target),
        "ended": recorded.reason,
        "keystrokes": recorded.count,
        "kinds": Counter(keystroke.kind for keystroke in session.keystrokes),
        "seconds": round(session.seconds, 3),
        "words_per_minute": session.header.words_per_minute,
        "language_id": session.header.language_id,
        "path": session.header.path,
    }
