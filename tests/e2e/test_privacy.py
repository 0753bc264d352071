"""What is on the disk after a day's work with a real hub: looked for in every byte, with consent and without.

A workspace full of words that occur nowhere else is opened, edited and predicted in; workers crash, the hub is killed.
Then whatever foretype may have written, its names and links included, is searched for these words in many spellings.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import string
import sys
import time
from pathlib import Path

import psutil
import pytest

from capture.context.gathering import PAUSE_SECONDS, QUIET_SECONDS
from capture.store import stored
from capture.store.choice import EVERYTHING
from capture.store.payload import pack
from daemon import control
from tests.capture.gate.planted_secrets import KINDS, Planter
from tests.daemon.process.conftest import PATIENCE_SECONDS, Editor, wait_until_gone
from tests.e2e.marked_workspace import EXCLUDE, FORBIDDEN, ORDINARY, Workspace
from tests.e2e.markers import every_byte_under

SETTINGS = f"""\
log_level = "debug"
deadline_ms = 60000
exclude = {EXCLUDE}
"""
KINDS_AT_ONCE = 14
USED = [f"part_{letter}" for letter in string.ascii_lowercase[:KINDS_AT_ONCE]]
SEED = 1  # of secrets that are all found; how many are is measured in tests/capture/gate/test_redaction.py
QUIET = f"def first(items):\n    return use({', '.join(USED)})\n\n\nfor index in range(10):\n    print(index)\n"


class Window(Editor):
    """One editor window with the workspace as its folder."""

    def __init__(self, world, folder):
        super().__init__([sys.executable, "-m", "daemon.main", "lsp", "--stdio"], world.env, world.root)
        world.editors.append(self)
        self._versions = {}
        hears = {"experimental": {"foretype": {"snapshotStored": True}}}
        folders = [{"uri": folder.as_uri(), "name": "project"}]
        who = {"name": "an honest editor"}
        params = {"processId": None, "clientInfo": who, "capabilities": hears, "workspaceFolders": folders}
        self.request("initialize", params)
        self.notify("initialized")

    def open(self, uri, text, language="python"):
        self._versions[uri] = 1
        document = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def replace(self, uri, row, start, end, text):
        """Type over a part of a row."""
        self._apply(uri, {"start": {"line": row, "character": start}, "end": {"line": row, "character": end}}, text)

    def edits(self, uri, row, character):
        """The next edit, as Copilot's clients ask for it."""
        document = {"uri": uri, "version": self._versions[uri]}
        place = {"line": row, "character": character}
        answer = self.request("textDocument/copilotInlineEdit", {"textDocument": document, "position": place})
        return answer["result"]["edits"]

    def accept(self, uri, edit):
        self._apply(uri, edit["range"], edit["text"])
        self.notify("workspace/executeCommand", edit["command"])

    def complete(self, uri, row, character):
        place = {"line": row, "character": character}
        asked = {"textDocument": {"uri": uri}, "position": place, "context": {"triggerKind": 2}}
        return self.request("textDocument/inlineCompletion", asked)["result"]

    def diagnose(self, uri, *messages):
        where = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 6}}
        said = [{"range": where, "severity": 1, "message": message} for message in messages]
        self.notify("foretype/didChangeDiagnostics", {"uri": uri, "diagnostics": said})

    def close_document(self, uri):
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def _apply(self, uri, where, text):
        self._versions[uri] += 1
        document = {"uri": uri, "version": self._versions[uri]}
        change = {"textDocument": document, "contentChanges": [{"range": where, "text": text}]}
        self.notify("textDocument/didChange", change)


class Day:
    """One world with its workspace, and what is done and seen in it."""

    def __init__(self, world):
        self.world = world
        self.temporary = world.root / "tmp"
        self.temporary.mkdir(mode=0o700)
        world.env["TMPDIR"] = str(self.temporary)
        self.workspace = Workspace(world.project, world.root / "elsewhere")
        self.markers = self.workspace.markers

    def window(self):
        return Window(self.world, self.world.project)

    def status(self):
        [path] = (self.world.runtime / "foretype").glob("hub-*.sock")
        answer = control.ask(str(path), "status")
        assert answer is not None
        return answer[1]

    def until(self, wanted):
        """The hub's status once ``wanted`` is true of it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not wanted(status := self.status()):
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {status}"
            time.sleep(0.02)  # the hub has other things to do than to answer
        return status

    def until_settled(self):
        """The hub's status once no snapshot is open or on its way."""

        def is_settled(status):
            sessions = status["predictions"]["sessions"].values()
            return not status["capture"]["under_way"] and not any(one["open_snapshots"] for one in sessions)

        return self.until(is_settled)

    def counts_of(self, number):
        """What became of so many snapshots."""
        return self.until(lambda status: sum(status["capture"]["counts"].values()) >= number)["capture"]["counts"]

    def work(self, window):
        """Open everything, be told of everything, type in everything, ask everywhere."""
        workspace, main = self.workspace, self.workspace.uri("main.py")
        self.begin(window, "main.py")
        window.edits(main, 11, 0)
        self.until(lambda status: [index["state"] for index in status["indexes"]] == ["ready"])
        self.type_at(window, "main.py")  # with what the disk alone says of the other files
        for name in workspace.texts:
            if name != "main.py":
                self.begin(window, name)
        # The forbidden files first: their edits are then what the ordinary ones might be shown.
        for name in (*FORBIDDEN, *ORDINARY):
            uri = workspace.uri(name)
            window.replace(uri, 11, 0, 0, f"# {self.markers[f'typed in {name}']}\n")
            window.edits(uri, 11, 2)
        window.complete(main, 11, 2)
        self.rename(window, main)
        self.type_at(window, "main.py")
        self.say_nonsense(window)

    def begin(self, window, name):
        """A file is opened, and the client says what it knows."""
        uri = self.workspace.uri(name)
        window.open(uri, self.workspace.texts[name])
        window.diagnose(uri, f"undefined: {self.markers[f'diagnosed in {name}']}")
        window.notify("foretype/didChangeDefinitions", {"uri": uri, "definitions": self.workspace.definitions()})

    def type_at(self, window, name):
        """Two keys, each with a rest and a question, so that what becomes known meanwhile is in the second."""
        uri = self.workspace.uri(name)
        for _ in range(2):
            window.replace(uri, 11, 0, 0, "#")
            time.sleep(1.2 * QUIET_SECONDS)
            window.edits(uri, 11, 1)

    def rename(self, window, uri):
        """Begin it by hand, accept what the student makes of it, and jump to the next place."""
        window.replace(uri, 5, 4, 9, "amount")
        for _ in range(3):
            for edit in window.edits(uri, 5, 10)[:1]:
                window.accept(uri, edit)

    def say_nonsense(self, window):
        """Messages that are wrong in some way, each with words of an ordinary file in it."""
        word, uri = self.markers["in main.py"], self.workspace.uri("main.py")
        window.notify("textDocument/didOpen", {"textDocument": {"uri": 5, "text": word}})
        window.notify(f"foretype/{word}", {"uri": word})
        window.notify("foretype/didChangeDefinitions", {"uri": uri, "definitions": word})
        window.notify("foretype/didChangeDiagnostics", {"uri": uri, "diagnostics": {"message": word}})
        window.notify(
            "workspace/didChangeConfiguration", {"settings": {"foretype": {word: word, "exclude": [5, word]}}}
        )
        window.notify("textDocument/didFocus", {"textDocument": {"uri": f"file:///{word}"}})
        assert "error" in window.request("workspace/executeCommand", {"command": word, "arguments": [word]})
        assert "error" in window.request("foretype/consent", {"action": word, "workspace": word})
        broken = f'{{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": "{word}'.encode()
        window.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(broken), broken))
        window.process.stdin.flush()
        assert window.is_served()

    def work_with_secrets(self, window, *, typed_at_once):
        """Secrets of all kinds are typed, stand in edits of other files, and come with diagnostics and definitions.

        Returns the names of the files that have to do with one; one more file, the first, is quiet.
        """
        with self._quiet(window, "quiet.py") as uri:
            window.edits(uri, 2, 0)
        kinds = {kind: planted(kind) for kind in KINDS}
        self.markers.words.update({f"a secret: {kind}": part.lower() for kind, (_, part) in kinds.items()})
        texts = [text for text, _ in kinds.values()]
        names = []
        for number, some in enumerate(chunks(texts, KINDS_AT_ONCE)):
            names += [f"defined_{number}.py", f"diagnosed_{number}.py"]
            self._ask_with_definitions(window, names[-2], some)
            with self._quiet(window, names[-1]) as uri:
                window.diagnose(uri, *some)
                window.edits(uri, 2, 0)
        for number, some in enumerate(chunks(texts, KINDS_AT_ONCE // 2)):
            for part, few in enumerate(chunks(some, typed_at_once)):
                names.append(f"typed_{number}_{part}.py")
                with self._quiet(window, names[-1]) as uri:
                    for text in few:
                        window.replace(uri, 5, 0, 0, f"{text}\n")
                    window.edits(uri, 5, 0)
            names.append(f"beside_{number}.py")
            with self._quiet(window, names[-1]) as uri:
                window.edits(uri, 2, 0)
        return names

    def _ask_with_definitions(self, window, name, texts):
        """Ask about a file, at one place after the other, until the client's definitions must be known."""
        said = []
        for row, (called, text) in enumerate(zip(USED, texts, strict=False)):
            start, end = {"line": 100 * row, "character": 0}, {"line": 100 * row + 1, "character": 0}
            library = self.workspace.uri("shop/keys.py")
            said.append({"name": called, "uri": library, "range": {"start": start, "end": end}, "text": text})
        with self._quiet(window, name) as uri:
            window.notify("foretype/didChangeDefinitions", {"uri": uri, "definitions": said})
            until, places = time.monotonic() + 5 * PAUSE_SECONDS, iter(range(len(QUIET)))
            while time.monotonic() < until:
                window.edits(uri, 1, next(places))

    @contextlib.contextmanager
    def _quiet(self, window, name):
        """A file in which nothing looks like a secret; what is open of it ends with it."""
        uri = self.workspace.uri(name)
        window.open(uri, QUIET)
        yield uri
        window.close_document(uri)

    def crash_workers(self):
        """The engine worker and the index worker each meet a signal that prints a traceback."""
        hub = psutil.Process(self.status()["pid"])
        workers = [child for child in hub.children() if any(".worker" in word for word in child.cmdline())]
        assert len(workers) == 2
        for worker in workers:
            worker.send_signal(signal.SIGSEGV)
        assert all(map(wait_until_gone, workers))

    def kill_hub(self):
        hub = psutil.Process(self.status()["pid"])
        hub.kill()
        assert wait_until_gone(hub)

    def run(self, *words):
        """A command, which succeeds."""
        done = self.world.foretype(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self):
        """End the hub in the proper order."""
        hub = psutil.Process(self.status()["pid"])
        self.run("stop")
        assert wait_until_gone(hub)

    @property
    def folders(self):
        """Wherever something may be written, the programs' own temporary files included."""
        return (self.world.home, self.world.runtime, self.temporary)

    def found(self, names=None):
        """Which words are on the disk outside of the workspace, and where."""
        searched = every_byte_under(*self.folders)
        found = {where: self.markers.found_in(data, names) for where, data in searched}
        return {where: words for where, words in found.items() if words}

    def holds(self, pieces):
        """Whether one of these bytes is on the disk outside of the workspace."""
        return any(piece in data for _, data in every_byte_under(*self.folders) for piece in pieces)

    def written_elsewhere(self):
        """What our processes have open for writing that is not searched."""
        inside = tuple(str(folder) for folder in self.folders)
        return [
            file.path
            for process in self.world.processes()
            for file in process.open_files()
            if file.mode != "r" and not file.path.startswith(inside)
        ]

    def snapshots(self):
        """What is stored: the canonical bytes of each snapshot."""
        with stored.reading(self.store_path) as database:
            assert database is not None
            return [stored.content(database, row.id) for row in stored.summaries(database, EVERYTHING)]

    @property
    def store_path(self):
        return self.world.data / "foretype" / "snapshots" / "snapshots.sqlite3"


class RecordingPlanter(Planter):
    """Knows the random parts of the secrets that it makes."""

    def __init__(self, seed):
        super().__init__(seed)
        self.made = []

    def of(self, alphabet, length):
        return self._noted(super().of(alphabet, length))

    def base64(self, length_bytes):
        return self._noted(super().base64(length_bytes))

    def urlsafe(self, length_bytes):
        return self._noted(super().urlsafe(length_bytes))

    def password(self):
        return self._noted(super().password())

    def plain_password(self):
        return self._noted(super().plain_password())

    def _noted(self, made):
        self.made.append(made)
        return made


def planted(kind):
    """Lines with a secret of a kind, and a part of that secret which is random."""
    planter = RecordingPlanter(SEED)
    text = KINDS[kind](planter)
    made = [one for one in planter.made if len(one) >= 12 and one[:12] in text]
    if made:
        return text, max(made, key=len)[:12]
    return text, max(re.findall(r"[A-Za-z0-9-]{12,}", text), key=len)[-12:]


def chunks(items, length):
    return [items[first : first + length] for first in range(0, len(items), length)]


@pytest.fixture
def day(world):
    world.write_settings(f"{SETTINGS}settle_seconds = 0.2\n")
    return Day(world)


def test_without_consent_no_word_of_the_workspace_is_anywhere_on_the_disk(day):
    window = day.window()
    day.work(window)
    day.crash_workers()
    window.edits(day.workspace.uri("main.py"), 11, 2)
    day.run("status")
    day.run("doctor")
    assert day.written_elsewhere() == []
    assert day.found() == {}
    day.kill_hub()
    second = day.window()
    day.begin(second, "main.py")
    day.type_at(second, "main.py")
    day.until_settled()
    assert day.found() == {}
    assert second.leave() == 0
    day.stop()
    assert day.found() == {}
    assert not day.store_path.parent.exists()
    log = (day.world.state / "foretype" / "hub.log").read_text()
    assert log.count("Fatal Python error: Segmentation fault") >= 2


def test_with_consent_ordinary_words_are_kept_and_none_of_a_forbidden_file_until_all_is_purged(day):
    project = str(day.world.project)
    day.run("consent", "grant", project, "--yes")
    window = day.window()
    day.work(window)
    status = day.until_settled()
    forbidden = day.workspace.words_of(FORBIDDEN)
    assert len(forbidden) == 3 * len(FORBIDDEN)
    assert status["capture"]["counts"]["excluded"] > 0
    assert day.found(forbidden) == {}
    kept = day.snapshots()
    ordinary = day.markers.found_in(b"\n".join(kept)) & day.workspace.words_of(ORDINARY)
    assert {"in main.py", "typed in main.py", "diagnosed in main.py", "typed in shop/prices.py"} <= ordinary
    beside = [one["inputs"]["related_files"] for one in map(json.loads, kept) if one["path"] == "main.py"]
    assert day.markers["in shop/prices.py"] in json.dumps(beside)
    assert day.markers.found_in(b"\n".join(kept), forbidden) == set()
    assert not [name for name in FORBIDDEN if f'{Path(name).name}"'.encode() in b"\n".join(kept)]
    assert any(json.loads(one)["left_out"] for one in kept)  # there was something to leave out
    pieces = [pack(one).compressed[32:64] for one in kept]
    assert day.holds(pieces)
    day.kill_hub()
    assert day.found(forbidden) == {}
    again = day.window()
    day.begin(again, "main.py")
    day.type_at(again, "main.py")  # one is open when consent ends
    day.run("consent", "revoke", project, "--purge")
    day.until_settled()
    day.type_at(again, "main.py")
    assert day.found() == {}
    assert not day.holds(pieces)
    assert again.leave() == 0
    day.stop()
    assert day.found() == {}


def test_a_secret_that_is_found_is_nowhere_on_the_disk_and_what_held_it_is_counted(day):
    day.world.write_settings(f"{SETTINGS}settle_seconds = 60\n")
    day.run("consent", "grant", str(day.world.project), "--yes")
    names = day.work_with_secrets(day.window(), typed_at_once=3)
    counts = day.counts_of(len(names) + 1)
    [kept] = day.snapshots()
    assert json.loads(kept)["path"] == "quiet.py"
    assert day.found() == {}
    assert counts["secret"] > 0
    assert counts == {"stored": 1, "secret": counts["secret"], **too_slow(len(names) - counts["secret"])}
    assert f"{counts['secret']} secret" in day.run("status")


def test_with_the_setting_it_is_masked_wherever_it_stood_and_the_rest_is_kept(day):
    day.world.write_settings(f'{SETTINGS}settle_seconds = 60\nsecrets = "mask"\n')
    day.run("consent", "grant", str(day.world.project), "--yes")
    names = day.work_with_secrets(day.window(), typed_at_once=KINDS_AT_ONCE)
    counts = day.counts_of(len(names) + 1)
    kept = day.snapshots()
    assert day.found() == {}
    assert day.markers.found_in(b"\n".join(kept)) == set()
    assert counts == {"stored": len(kept), **too_slow(len(names) + 1 - len(kept))}
    redactions = {one["path"]: one["redactions"] for one in map(json.loads, kept)}
    assert redactions.pop("quiet.py") == 0
    assert {name.partition("_")[0] for name in redactions} == {"defined", "diagnosed", "typed", "beside"}
    assert redactions.keys() <= set(names)
    assert all(redactions.values())


def too_slow(number):
    """What is counted where a busy machine took too long to search some; nothing of these is kept either."""
    return {"scan_too_long": number} if number else {}
