"""Captures the session that docs/tutorial.md begins with: what ``foretype snapshots export`` gives after it.

    python -m bench.captured_session docs/tutorial/captured.jsonl.zst

``captured_session.toml`` says what is typed. The program is the real one, with the embedded student, on a machine of
its own in a temporary folder, where somebody agreed to be captured. Nobody ever typed this session. Run again, it
gives a session of the same kind: ids and times differ, and with another build of llama.cpp perhaps predictions.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from bench.client import OpenLoopClient
from daemon import control, handshake

SCRIPT = Path(__file__).with_suffix(".toml")
SETTLE_SECONDS = 1.0
DEADLINE_MS = 60_000  # the first question loads the model
LOOK_AGAIN_SECONDS = 0.2
PATIENCE_SECONDS = 60.0
REMOTE = "https://example.org/ada/library.git"
FORETYPE = (sys.executable, "-m", "daemon.main")
REPOSITORY = Path(__file__).parents[1]


class Pane:
    """One open file: its text and the cursor, a character offset. The files are ASCII, so characters are units."""

    def __init__(self, client: OpenLoopClient, path: Path) -> None:
        self.text = path.read_text(encoding="ascii")
        self.at = 0
        self._client = client
        self._uri = path.as_uri()
        self._version = 1
        document = {"uri": self._uri, "languageId": "python", "version": 1, "text": self.text}
        client.notify("textDocument/didOpen", {"textDocument": document})

    def replace(self, old: str, new: str, occurrence: int = 1) -> None:
        """Erase a word and type another one, key by key."""
        self.at = self._place(old, occurrence).end()
        for _ in old:
            self._change(self.at - 1, self.at, "")
        self.type(new)

    def type_behind(self, place: str, text: str, occurrence: int = 1) -> None:
        """Go behind a text and type."""
        self.at = self._place(place, occurrence).end()
        self.type(text)

    def type(self, text: str) -> None:
        """Key by key; Enter brings the indentation along."""
        for key in re.findall(r"\n[ \t]*|[^\n]", text):
            self._change(self.at, self.at, key)

    def rename(self, old: str, new: str) -> None:
        """What is left of a rename, by hand."""
        while _word(old).search(self.text):
            self.replace(old, new)

    def report(self, word: str, message: str) -> None:
        """A language server found something wrong with a word, and with nothing else."""
        place = self._place(word, 1)
        where = {"start": self._position(place.start()), "end": self._position(place.end())}
        self._report([{"range": where, "severity": 1, "message": message}])

    def report_nothing(self) -> None:
        """It finds nothing wrong any more."""
        self._report([])

    async def ask(self) -> list[dict[str, Any]]:
        """The edits that are predicted now."""
        document = {"uri": self._uri, "version": self._version}
        asked = {"textDocument": document, "position": self._position(self.at)}
        edits: list[dict[str, Any]] = (await self._client.request("textDocument/copilotInlineEdit", asked))["edits"]
        return edits

    async def accept(self, edit: Mapping[str, Any]) -> None:
        """Take an edit over."""
        start, end = (self._offset(edit["range"][side]) for side in ("start", "end"))
        self._change(start, end, edit["text"])
        await self._client.request("workspace/executeCommand", edit["command"])

    def _place(self, text: str, occurrence: int) -> re.Match[str]:
        places = list(_word(text).finditer(self.text))
        if len(places) < occurrence:
            raise ValueError(f"{text!r} stands {len(places)} times in {self._uri}, not {occurrence}")
        return places[occurrence - 1]

    def _report(self, diagnostics: list[dict[str, Any]]) -> None:
        said = {"uri": self._uri, "version": self._version, "diagnostics": diagnostics}
        self._client.notify("foretype/didChangeDiagnostics", said)

    def _change(self, start: int, end: int, text: str) -> None:
        where = {"start": self._position(start), "end": self._position(end)}
        self.text = self.text[:start] + text + self.text[end:]
        self.at = start + len(text)
        self._version += 1
        document = {"uri": self._uri, "version": self._version}
        change = {"range": where, "text": text}
        self._client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def _position(self, offset: int) -> dict[str, int]:
        before = self.text[:offset]
        return {"line": before.count("\n"), "character": offset - (before.rfind("\n") + 1)}

    def _offset(self, position: Mapping[str, int]) -> int:
        lines = self.text.split("\n")[: position["line"]]
        return sum(len(line) + 1 for line in lines) + position["character"]


class Window:
    """An editor window in the project."""

    def __init__(self, client: OpenLoopClient) -> None:
        self._client = client
        self._panes: dict[str, Pane] = {}

    async def spend(self, moment: Mapping[str, Any]) -> str:
        """Do what a moment of the script says; one line about what was predicted."""
        name = moment["file"]
        if name not in self._panes:
            self._panes[name] = Pane(self._client, self._client.root / name)
        pane = self._panes[name]
        _do(pane, moment)
        if "problem" in moment:
            pane.report(*moment["problem"])
        edits = await pane.ask()
        answer = moment["answer"] if edits else "hidden"
        if edits and answer != "hidden":
            self._client.notify("textDocument/didShowInlineEdit", {"item": {"command": edits[0]["command"]}})
        if answer == "accept":
            await pane.accept(edits[0])
        elif answer == "reject":
            said = {"uuid": edits[0]["command"]["arguments"][0]}
            self._client.notify("notifyNextEditRejected", said)
        for change in moment.get("then", ()):
            _do(pane, change)
        if "everywhere" in moment:
            pane.rename(*moment["everywhere"])
        if "problem" in moment:
            pane.report_nothing()
        predicted = repr(edits[0]["text"]) if edits else "no edit"
        return f"{moment['round']} {name}: {moment['answer']} {predicted}"


class Machine:
    """A machine of somebody's own: directories, settings, a project under git, and consent to capture it."""

    def __init__(self, root: Path, files: Mapping[str, str]) -> None:
        self.project = root / "library"
        folders = {name: root / name.lower() for name in ("CONFIG", "DATA", "STATE", "CACHE")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETYPE_", "XDG_"))}
        private = {f"XDG_{name}_HOME": str(path) for name, path in folders.items()}
        self.env = {**kept, **private, "HOME": str(root), "XDG_RUNTIME_DIR": str(root / "run")}
        (root / "run").mkdir(mode=0o700)
        self._socket_path = root / "run" / "foretype" / f"hub-{handshake.VERSION}.sock"
        settings = folders["CONFIG"] / "foretype" / "settings.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(
            f'settle_seconds = {SETTLE_SECONDS}\ndeadline_ms = {DEADLINE_MS}\neagerness = "eager"\nwork_ahead = "off"\n'
        )
        for name, text in files.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.removeprefix("\n"), encoding="ascii")
        person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        for words in (
            ("init", "-q"),
            ("remote", "add", "origin", REMOTE),
            ("add", "."),
            (*person, "commit", "-qm", "A small library"),
        ):
            self.run("git", *words)
        self.foretype("consent", "grant", "--yes", str(self.project))

    async def settled(self, count: int) -> None:
        """Return once so many snapshots are stored or were dropped."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._finished() < count:  # noqa: ASYNC110  (what is dropped is announced to nobody)
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def _finished(self) -> int:
        answer = control.ask(str(self._socket_path), "status")
        counts: Mapping[str, int] = answer[1]["capture"]["counts"] if answer is not None else {}
        return sum(counts.values())

    def foretype(self, *words: str) -> None:
        """Run one of the program's commands; raises CalledProcessError."""
        self.run(*FORETYPE, *words)

    def run(self, *words: str) -> None:
        """Run something in the project; raises CalledProcessError."""
        env = {**self.env, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(words, cwd=self.project, env=env, check=True, stdout=subprocess.DEVNULL)


async def capture(machine: Machine, moments: Sequence[Mapping[str, Any]], log: Path) -> None:
    """Type the session, a round at a time; every moment has settled when this returns."""
    client = await OpenLoopClient.start((*FORETYPE, "lsp", "--stdio"), machine.env, log, machine.project)
    window = Window(client)
    done = 0
    try:
        for number in sorted({moment["round"] for moment in moments}):
            for moment in _of_round(moments, number):
                print(await window.spend(moment))
                done += 1
            await machine.settled(done)
    finally:
        await client.leave()


def _of_round(moments: Iterable[Mapping[str, Any]], number: int) -> list[Mapping[str, Any]]:
    return [moment for moment in moments if moment["round"] == number]


def _do(pane: Pane, change: Mapping[str, Any]) -> None:
    occurrence = change.get("occurrence", 1)
    if "replace" in change:
        old, new = change["replace"]
        pane.replace(old, new, occurrence)
    if "at" in change:
        pane.type_behind(change["at"], change["type"], occurrence)


def _word(text: str) -> re.Pattern[str]:
    before = r"(?<!\w)" if text[0].isalnum() else ""
    after = r"(?!\w)" if text[-1].isalnum() else ""
    return re.compile(before + re.escape(text) + after)


def main() -> None:
    """Capture and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output.absolute()
    script = tomllib.loads(SCRIPT.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), script["files"])
        try:
            asyncio.run(capture(machine, script["moment"], Path(folder) / "log"))
            exported = Path(folder) / "exported.jsonl"
            machine.foretype("snapshots", "export", "--out", str(exported))
            output.write_bytes(zstandard.ZstdCompressor(level=19).compress(exported.read_bytes()))
        finally:
            machine.foretype("stop")


if __name__ == "__main__":
    main()
