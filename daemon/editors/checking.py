"""Starts the daemon as an editor would, asks as it does, and says what works.

A rename in a small project of its own, which the embedded model predicts; another model may predict nothing, which is
no failure of the editor's. Knows nothing of how an editor draws.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.editing.positions import Position, Range
from daemon.demo.client import DemoEditor
from daemon.demo.recording import read_recording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.editors.setups import Setup

START_SECONDS = 30.0  # the hub, and the model's first answer
MENUS_OPENED = 40
METHODS = {
    "inline edit": "textDocument/copilotInlineEdit",
    "ghost text": "textDocument/inlineCompletion",
    "code action": "textDocument/codeAction",
}
ACCEPT = "foretype.didAccept"


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that was tried; what is not needed may be missing."""

    what: str
    works: bool
    text: str
    is_needed: bool = True

    def to_json(self) -> dict[str, Any]:
        """The form of ``--json``."""
        return asdict(self)


async def try_as(setup: Setup) -> list[Tried]:
    """What came of each step, up to the first that failed. The daemon is ended with it, also when this is cancelled."""
    if setup.asks == "http":
        return [Tried("request", False, "Zed asks over HTTP: `foretype serve` says where, and whether it can", False)]
    try:
        process = await asyncio.create_subprocess_exec(
            *setup.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
    except OSError as error:
        return [Tried("start", False, f"{' '.join(setup.command)}: {error.strerror}; install foretype anew")]
    tried = [Tried("start", True, " ".join(setup.command))]
    try:
        async with asyncio.timeout(START_SECONDS):
            await _converse(setup, process, tried)
    except TimeoutError:
        tried.append(Tried("answer", False, f"none within {START_SECONDS:.0f} seconds; `foretype doctor` says why"))
    except RuntimeError as error:  # the daemon's own error response
        tried.append(Tried("answer", False, f"{error}; `foretype doctor` says why"))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return tried


async def _converse(setup: Setup, process: asyncio.subprocess.Process, tried: list[Tried]) -> None:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process was started without pipes")
    session = read_recording()
    rename, text = session.actions[0], session.text
    with tempfile.TemporaryDirectory(prefix="foretype-") as folder:
        uri = (Path(folder) / "prices.py").as_uri()
        client = DemoEditor(process.stdout, process.stdin, uri)
        await client.start(text, Path(folder).as_uri())
        tried.append(Tried("initialize", True, "the daemon speaks LSP"))
        before = text[: text.index(rename.at) + len(rename.at)]
        row, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        client.change(Range(Position(row, column - rename.erase), Position(row, column)), rename.type)
        method = METHODS[setup.asks]
        answer = await client.request(method, _params(setup, uri, client))
        for _ in range(MENUS_OPENED):  # a menu does not wait for a model that is still loading; a person asks again
            if setup.asks != "code action" or answer:
                break
            answer = await client.request(method, _params(setup, uri, client))
        status = await client.request("foretype/status", {})
        tried.append(_judged(setup, answer, status["reason"]))
        tried.append(await _accepted(setup, answer, client))
        await client.close()


def _params(setup: Setup, uri: str, client: DemoEditor) -> dict[str, Any]:
    """As the editor asks."""
    cursor = {"line": client.cursor.line, "character": client.cursor.character_utf16}
    if setup.asks == "inline edit":
        return {"textDocument": {"uri": uri, "version": client.document.version}, "position": cursor}
    if setup.asks == "ghost text":
        return {"textDocument": {"uri": uri}, "position": cursor, "context": {"triggerKind": 2}}
    context = {"diagnostics": [], "triggerKind": 1}
    return {"textDocument": {"uri": uri}, "range": {"start": cursor, "end": cursor}, "context": context}


def _items(setup: Setup, answer: Any) -> list[Mapping[str, Any]]:
    if setup.asks == "inline edit":
        return list(answer["edits"])
    return list(answer["items"] if setup.asks == "ghost text" else answer)


def _judged(setup: Setup, answer: Any, reason: str) -> Tried:
    items = _items(setup, answer)
    if items:
        return Tried(METHODS[setup.asks], True, "answered, with a prediction")
    return Tried(METHODS[setup.asks], True, f"answered, with none here: {reason or 'not drawable at the cursor'}")


async def _accepted(setup: Setup, answer: Any, client: DemoEditor) -> Tried:
    what = "acceptance"
    if setup.accepts == "nothing":
        return Tried(what, True, "this editor does not tell; the daemon sees it in the text")
    items = _items(setup, answer)
    if not items:
        return Tried(what, True, "nothing to accept here")
    command = items[0]["command"]
    if command["command"] != ACCEPT:
        return Tried(what, False, f"the prediction came with {command['command']}; install one version of foretype")
    if setup.accepts == "request":
        await client.request("workspace/executeCommand", command)
    else:
        client.notify("workspace/executeCommand", command)
    await client.request("getVersion", {})  # whatever came before has been dealt with
    return Tried(what, True, f"told as a {setup.accepts}, and the daemon goes on")
