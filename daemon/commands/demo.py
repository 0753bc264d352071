"""``foretype demo``: replays a recorded editing session against the daemon and shows what a person would see."""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from capture.editing.positions import Range
from capture.editing.unified_diff import write_hunks
from daemon import registry
from daemon.commands.progress import working
from daemon.demo.client import DemoEditor, Shown
from daemon.demo.recording import Action, Recording, read_recording
from daemon.settings_store import SettingsStore

if TYPE_CHECKING:
    from daemon.assembly import Parts

application = typer.Typer(add_completion=False, rich_markup_mode=None)

MAX_ACCEPTS = 8  # in a row; a model that never stops predicting must not keep the demo going


@dataclass(slots=True)
class Tally:
    """What the demo sums up."""

    keystrokes: int = 0
    accepted: int = 0
    milliseconds: list[float] = field(default_factory=list)


@application.command()
def demo(
    model: Annotated[str, typer.Option(help="A name from `foretype model list`, or a GGUF's path.")] = "embedded",
    session: Annotated[Path | None, typer.Option(help="Another recorded session (TOML).")] = None,
) -> None:
    """Replay a recorded editing session and show every keystroke, the predicted edit, latency and counters.

    Each prediction is computed now, by the model; your settings and your editor are not touched.
    """
    recording = read_recording() if session is None else read_recording(session)
    chosen = registry.resolve(model, relative_to=Path.cwd())
    asyncio.run(_replay(recording, str(chosen.path)))


async def _replay(recording: Recording, model: str) -> None:
    from daemon.assembly import build_parts  # noqa: PLC0415 (pygls is slow to import; --help does without)

    settings = SettingsStore(Path(os.devnull))
    parts = build_parts(settings, replace(settings.current, model=model))
    console = Console(highlight=False)
    try:
        with working("loading the model"):
            await parts.engine.ready()
        await _converse(recording, parts, console)
    finally:
        await parts.close()


async def _converse(recording: Recording, parts: Parts, console: Console) -> None:
    from daemon.lsp.session import serve  # noqa: PLC0415

    ours, theirs = socket.socketpair()
    served = asyncio.create_task(serve(*await asyncio.open_connection(sock=theirs), parts.services))
    uri = f"untitled:/{recording.path}"
    editor = DemoEditor(*await asyncio.open_connection(sock=ours), uri)
    await editor.start(recording.text.lstrip("\n"), "untitled:/")
    info = parts.engine.model
    if info is not None:
        console.print(f"[bold]{recording.path}[/], predicted by {info.name} ({info.parameters / 1e6:.1f} M parameters)")
    tally = Tally()
    for action in recording.actions:
        console.print(f"\n[bold cyan]{action.note}[/]")
        await (_accept_all(editor, console, tally) if action.accept else _type(editor, action, console, tally))
    await editor.close()
    await served
    _sum_up(console, tally)


async def _type(editor: DemoEditor, action: Action, console: Console, tally: Tally) -> None:
    """One request for each keystroke, as an editor without a debounce would ask."""
    if action.at:
        offset = editor.document.text.index(action.at) + len(action.at)
        editor.cursor = editor.document.position_at(len(editor.document.text[:offset].encode()))
    keys = ["\b"] * action.erase + list(action.type)
    for key in keys:
        if key == "\b":
            start = editor.document.position_at(editor.document.offset_bytes(editor.cursor) - 1)
            editor.change(Range(start, editor.cursor), "")
        else:
            editor.change(Range(editor.cursor, editor.cursor), key)
        shown = await editor.ask()
        tally.keystrokes += 1
        tally.milliseconds.append(shown.milliseconds)
        _show(console, editor, key, shown)


async def _accept_all(editor: DemoEditor, console: Console, tally: Tally) -> None:
    for _ in range(MAX_ACCEPTS):
        shown = await editor.ask()
        if shown.text_after is None:
            _show(console, editor, "Tab", shown)
            return
        _show(console, editor, "Tab", shown)
        await editor.accept(shown)
        tally.accepted += 1


def _show(console: Console, editor: DemoEditor, key: str, shown: Shown) -> None:
    """A line with the key, the line being typed and the cost; below it the edit, if there is one."""
    names = {"\b": "⌫", "\n": "⏎", " ": "␣"}
    last = shown.status.get("last") or {}
    counters = last.get("counters") or {}
    cost = "" if not last.get("reused") else f"no model asked: {last['reused']}"
    if counters and not cost:
        cost = (
            f"{counters['prompt_tokens']:3} tokens, {counters['tokens_reused']:3} known, "
            f"{counters['answer_tokens']:2} answered"
        )
    line = Text(f"{names.get(key, key):>4}  ", style="bold")
    line.append(f"{shown.milliseconds:6.1f} ms  ", style="green")
    line.append(cost, style="dim")
    if shown.text_after is None:
        line.append(f"  {shown.status.get('reason', '')}", style="yellow")
    console.print(line, soft_wrap=True)
    if shown.text_after is not None:
        hunks = write_hunks(editor.document.text, shown.text_after, context_lines=0)
        console.print(Syntax(hunks.rstrip("\n"), "diff", theme="ansi_dark", background_color="default"))


def _sum_up(console: Console, tally: Tally) -> None:
    times = sorted(tally.milliseconds)
    p95 = times[int(0.95 * (len(times) - 1))]
    console.print(
        f"\n[bold]{tally.keystrokes} keystrokes, {tally.accepted} predictions accepted; "
        f"{statistics.median(times):.1f} ms median, {p95:.1f} ms at the 95th percentile, "
        "from the key to the answer.[/]"
    )
