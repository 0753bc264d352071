"""``foretype record`` with a real hub, a real bridge and a person's answers: asks first, records one file, forgets."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import orjson
import pytest

from bench.client import OpenLoopClient, Typing
from bench.session import read_session, read_sessions
from capture.typing_session import sha256

MARKER = "xyzzy_marker_42"
TEXT = "total = 1\nprint(total)\n"


def command_line(*arguments):
    return [sys.executable, "-m", "daemon.main", "record", *map(str, arguments)]


class Recording:
    """A ``foretype record`` in the background; what it says comes line by line."""

    def __init__(self, world, *arguments):
        self.process = subprocess.Popen(
            command_line(*arguments), env=world.env, cwd=world.project,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def until(self, words):
        """The first line from now on that holds ``words``."""
        for line in self.process.stderr:
            if words in line:
                return line
        raise AssertionError(f"it never said {words!r}")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        """Exit code, standard output and the rest of standard error."""
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Writer:
    """An editor window in which somebody types into one file."""

    def __init__(self, editor, path, text, language_id="python"):
        self.editor, self.uri, self.version = editor, path.as_uri(), 1
        document = {"uri": self.uri, "languageId": language_id, "version": 1, "text": text}
        editor.initialize()
        editor.notify("textDocument/didOpen", {"textDocument": document})
        assert editor.is_served()

    def change(self, line, column, text, until=None):
        start = {"line": line, "character": column}
        end = {"line": line, "character": column if until is None else until}
        self.changes({"range": {"start": start, "end": end}, "text": text})

    def changes(self, *changes):
        self.version += 1
        identifier = {"uri": self.uri, "version": self.version}
        self.editor.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": list(changes)})

    def ask(self, line, column):
        identifier = {"uri": self.uri, "version": self.version}
        place = {"textDocument": identifier, "position": {"line": line, "character": column}}
        return self.editor.request("textDocument/copilotInlineEdit", place)

    def press(self, keystroke):
        if keystroke.change is not None:
            start, end = keystroke.change.range.start, keystroke.change.range.end
            where = {
                "start": {"line": start.line, "character": start.character_utf16},
                "end": {"line": end.line, "character": end.character_utf16},
            }
            self.changes({"range": where, "text": keystroke.change.text})
        self.ask(keystroke.cursor.line, keystroke.cursor.character_utf16)

    def type(self, text, line=0, column=0):
        for offset, character in enumerate(text):
            self.change(line, column + offset, character)
        assert self.editor.is_served()


@pytest.fixture
def record():
    """``record(world, arguments)``: a recording in the background."""
    begun = []

    def begin(world, *arguments):
        recording = Recording(world, *arguments)
        begun.append(recording)
        return recording

    yield begin
    for recording in begun:
        recording.close()


@pytest.fixture
def without_model(world):
    """A world whose model is not there: who asks gets an answer, and that soon."""
    world.write_settings('model = "/nowhere/none.gguf"\n')
    return world


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "main.py"
    path.write_text(TEXT)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "mine.jsonl"


# --- consent ---


def answered(world, answer, *arguments):
    """Run the command in a terminal, answer its question; exit code and everything it showed."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command_line(*arguments), env=world.env, cwd=world.project, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 4096):
            shown += chunk
            if answer and b"[y/N]" in shown:
                os.write(leader, answer)
                answer = b""
    except OSError:  # how Linux says that nobody has the terminal open any more
        pass
    finally:
        os.close(leader)
    return process.wait(20), shown.decode()


def test_it_says_what_is_recorded_and_asks_and_no_is_no(world, source, out):
    code, shown = answered(world, b"\n", out, "--file", source)
    assert code == 1
    for said in (str(source), str(out), "whole text", "nothing leaves this machine", "Look through", "Ctrl-C"):
        assert said in shown
    assert "nothing was recorded" in shown
    assert "no hub" not in shown  # it was not even looked for
    assert not out.exists()


def test_only_after_yes_the_hub_is_asked(world, source, out):
    code, shown = answered(world, b"y\n", out, "--file", source)
    assert code == 1
    assert "no hub is running; an editor starts it" in shown


def test_where_nobody_can_be_asked_it_refuses_and_says_how_to_agree(world, source):
    refused = world.foretype("record", "mine.jsonl", "--file", str(source), input_text="y\n")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("out", "name", "said"),
    [
        ("mine.jsonl", "none.py", "there is no file"),
        ("mine.json", "main.py", "does not end in .jsonl"),
        ("taken.jsonl", "main.py", "is there already"),
        ("nowhere/mine.jsonl", "main.py", "make it, or give a folder"),
        ("mine.jsonl", ".env", "the path matches the secret-file pattern **/.env*"),
        ("mine.jsonl", "harmless.txt", "the path matches the secret-file pattern **/.env*"),
        ("mine.jsonl", "kept_out.py", "the path matches an exclude pattern of your settings"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_anybody_is_asked(world, out, name, said):
    world.write_settings('exclude = ["kept_*"]\n')
    (world.project / "main.py").write_text("a\n")
    (world.project / "taken.jsonl").touch()
    (world.project / ".env").write_text("KEY=1\n")
    (world.project / "kept_out.py").write_text("a\n")
    (world.project / "harmless.txt").symlink_to(world.project / ".env")
    refused = world.foretype("record", out, "--file", name, "--yes")
    assert refused.returncode in (1, 2)
    assert said in refused.stderr
    assert "writes down" not in refused.stderr


def test_the_shortest_recording_has_two_keystrokes(world, source):
    refused = world.foretype("record", "mine.jsonl", "--file", str(source), "--keystrokes", "1", "--yes")
    assert refused.returncode == 2
    assert "'--keystrokes'" in refused.stderr


# --- recording ---


def test_a_session_that_is_typed_is_recorded_key_for_key(without_model, tmp_path, out, record):
    """What the typist made up, typed through a real client, comes back: changes, cursors, and the text it leads to."""
    [simulated] = read_sessions(["python_basket"])
    typed = simulated.first(60)
    path = tmp_path / "basket.py"
    path.write_text(typed.header.text)
    writer = Writer(without_model.editor(), path, typed.header.text)
    first = next(at for at, key in enumerate(typed.keystrokes) if key.change is not None)
    recording = record(
        without_model, out, "--file", path, "--yes", "--keystrokes", len(typed.keystrokes) - first, "--json"
    )
    recording.until("ready")
    for keystroke in typed.keystrokes:
        writer.press(keystroke)
    code, printed, _ = recording.end()
    assert code == 0
    session = read_session(out)
    assert [(key.change, key.cursor) for key in session.keystrokes] == [
        (key.change, key.cursor) for key in typed.keystrokes[first:]
    ]
    header = session.header
    assert (header.session, header.simulated, header.path, header.language_id) == ("mine", "", "basket.py", "python")
    assert header.text == typed.header.text
    summary = json.loads(printed)
    assert summary["written"] == str(out)
    assert summary["keystrokes"] == len(session.keystrokes) == sum(summary["kinds"].values())
    assert out.stat().st_mode & 0o077 == 0


async def test_a_recording_replays_in_the_benchmark_s_client_and_leads_to_its_text(
    without_model, source, out, record, tmp_path
):
    writer = Writer(without_model.editor(), source, TEXT)
    recording = record(without_model, out, "--file", source, "--yes", "--keystrokes", 6)
    recording.until("ready")
    writer.change(0, 0, "sub")
    writer.ask(0, 3)
    writer.ask(1, 6)
    writer.changes({"text": "subtotal = 1\nprint(subtotal)\n"})
    writer.change(1, 15, " \U0001f600")
    writer.changes({"range": None, "text": "subtotal = 1\r\nprint(subtotal) \U0001f600\r\n"})
    writer.change(0, 0, "", until=3)
    assert recording.end()[0] == 0
    [session] = read_sessions([str(out)])
    assert [key.kind for key in session.keystrokes] == ["type", "move", "type", "type", "type", "erase"]
    assert session.header.final_text_sha256 == sha256("total = 1\r\nprint(subtotal) \U0001f600\r\n")
    bridge = [sys.executable, "-m", "daemon.main", "lsp", "--stdio"]
    client = await OpenLoopClient.start(bridge, without_model.env, tmp_path / "log")
    try:
        typing = Typing(client, session)
        await typing.open()
        records = await typing.run()  # raises when it leads elsewhere
    finally:
        await client.leave()
    assert len(records) == 6


def test_ctrl_c_ends_and_writes(served, source, out, record):
    writer = Writer(served.editor(), source, TEXT)
    recording = record(served, out, "--file", source, "--yes")
    recording.until("ready")
    writer.type("abc")
    recording.until("recording main.py")
    recording.interrupt()
    code, printed, _ = recording.end()
    assert code == 0
    assert f"wrote {out}" in printed
    assert "3 keystrokes (3 type)" in printed
    assert "python -m bench.keystrokes --sessions" in printed
    assert read_session(out).header.final_text_sha256 == sha256("abc" + TEXT)


def test_a_second_ctrl_c_throws_the_recording_away(served, source, out, record):
    writer = Writer(served.editor(), source, TEXT)
    recording = record(served, out, "--file", source, "--yes")
    recording.until("ready")
    writer.type("abc")
    recording.until("recording main.py")
    recording.interrupt()
    recording.until("throws it away")
    recording.interrupt()
    code, printed, said = recording.end()
    assert (code, printed) == (130, "")
    assert "nothing was written" in said
    assert [path.name for path in source.parent.iterdir()] == ["main.py"]


def test_fewer_than_two_keystrokes_are_not_written(served, source, out, record):
    writer = Writer(served.editor(), source, TEXT)
    recording = record(served, out, "--file", source, "--yes")
    recording.until("ready")
    writer.type("a")
    recording.until("recording main.py")
    recording.interrupt()
    code, _, said = recording.end()
    assert code == 1
    assert "with 1 keystrokes; fewer than 2 are no session, so nothing was written" in said
    assert not out.exists()


def test_until_the_file_is_open_in_an_editor_it_waits_and_says_so(served, source, out, record):
    served.editor().initialize()
    recording = record(served, out, "--file", source, "--yes", "--keystrokes", 2)
    assert "open main.py in an editor that foretype serves" in recording.until("waiting")
    writer = Writer(served.editor(), source, TEXT)
    recording.until("ready")
    writer.type("ab")
    assert recording.end()[0] == 0


def test_a_hub_that_dies_loses_nothing_of_what_was_typed_before(world, source, out, record):
    writer = Writer(world.editor(), source, TEXT)
    recording = record(world, out, "--file", source, "--yes")
    recording.until("ready")
    writer.type("abc")
    world.hub().kill()
    code, printed, _ = recording.end()
    assert code == 0
    assert printed.startswith("the hub is gone; wrote ")
    assert read_session(out).header.final_text_sha256 == sha256("abc" + TEXT)


def test_a_pause_ends_a_recording_and_keeps_another_from_beginning(world, source, out, record):
    writer = Writer(world.editor(), source, TEXT)
    recording = record(world, out, "--file", source, "--yes")
    recording.until("ready")
    writer.type("abc")
    world.foretype("pause")
    writer.type(MARKER)
    code, printed, _ = recording.end()
    assert code == 0
    assert printed.startswith("predictions were paused; wrote ")
    assert MARKER not in out.read_text()
    refused = world.foretype("record", "more.jsonl", "--file", str(source), "--yes")
    assert refused.returncode == 1
    assert "foretype resume" in refused.stderr


def test_status_says_what_is_being_recorded_and_a_second_recording_is_refused(served, source, out, record):
    writer = Writer(served.editor(), source, TEXT)
    recording = record(served, out, "--file", source, "--yes", "--keystrokes", 2)
    recording.until("ready")
    assert served.status()["recording"] == str(source)
    assert f"recording  {source}" in served.foretype("status").stdout
    refused = served.foretype("record", "more.jsonl", "--file", str(source), "--yes")
    assert "is being recorded; end that first" in refused.stderr
    writer.type("ab")
    assert recording.end()[0] == 0
    assert served.status()["recording"] is None


def test_the_hub_writes_nothing_of_what_it_forwards_and_forwards_nothing_of_other_files(world, source, out, record):
    world.write_settings('log_level = "debug"\nmodel = "/nowhere/none.gguf"\n')
    writer = Writer(world.editor(), source, TEXT)
    other = world.project / "other.py"
    other.write_text("")
    elsewhere = Writer(world.editor(), other, "")
    recording = record(world, out, "--file", source, "--yes", "--keystrokes", len(MARKER))
    recording.until("ready")
    elsewhere.type("unseen_" + MARKER)
    writer.type(MARKER)
    assert recording.end()[0] == 0
    writer.type("afterwards")
    assert [path for path in world.written_files() if MARKER.encode() in path.read_bytes()] == []
    lines = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert "".join(line["text"] for line in lines[1:]) == MARKER
