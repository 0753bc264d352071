"""The command line as a person meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from daemon.command_line import run
from daemon.commands import COMMANDS
from daemon.handshake import VERSION

MARKER = "xyzzy_marker_42"


def test_help_lists_every_command_and_imports_none(world):
    probe = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from daemon.main import main\n"
        "code = main()\n"
        "heavy = {'rich', 'asyncio', 'pygls', 'llama_cpp', 'huggingface_hub', 'numpy', 'daemon.commands.predict'}\n"
        "sys.stderr.write(f'{code} {sorted(heavy & set(sys.modules))}')"
    )
    found = subprocess.run([sys.executable, "-c", probe], env=world.env, capture_output=True, text=True, check=True)
    assert found.stderr == "0 []"
    for name, command in COMMANDS.items():
        line = next(line for line in found.stdout.splitlines() if line.split()[:1] == [name])
        assert line.endswith(command.help)


def test_the_bridge_imports_nothing_heavy(world):
    probe = (
        "import sys; sys.argv[1:] = ['lsp', '--version']\n"
        "from daemon.main import main\n"
        "main()\n"
        "heavy = {'typer', 'rich', 'asyncio', 'pygls', 'lsprotocol', 'json', 'pathlib', 'subprocess', 'logging'}\n"
        "sys.stderr.write(str(sorted(heavy & set(sys.modules))))"
    )
    found = subprocess.run([sys.executable, "-c", probe], env=world.env, capture_output=True, text=True, check=True)
    assert found.stderr == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    assert run([name, "--help"]) == 0
    assert f"foretype {name}" in capsys.readouterr().out


def test_the_version_is_printed(world):
    assert world.foretype("--version").stdout == f"foretype {VERSION}\n"
    assert world.foretype("lsp", "--version").stdout == f"foretype {VERSION}\n"


def test_a_slip_is_answered_with_the_command_that_was_meant(world):
    wrong = world.foretype("statsu")
    assert wrong.returncode == 2
    assert "'status'" in wrong.stderr


def test_without_a_hub_status_says_so_and_the_others_fail_with_a_cure(world):
    assert "no hub is running" in world.foretype("status").stdout
    assert world.foretype("stop").returncode == 0
    paused = world.foretype("pause")
    assert paused.returncode == 1
    assert "no hub is running" in paused.stderr


def test_pausing_holds_for_all_windows_until_resumed(world):
    editor = world.editor()
    editor.initialize()
    assert world.foretype("pause").returncode == 0
    assert world.status()["paused"]
    assert "foretype resume" in world.foretype("status").stdout
    editor.notify(
        "textDocument/didOpen",
        {"textDocument": {"uri": "untitled:1", "languageId": "python", "version": 1, "text": "a = 1\n"}},
    )
    answer = editor.request(
        "textDocument/copilotInlineEdit",
        {"textDocument": {"uri": "untitled:1", "version": 1}, "position": {"line": 0, "character": 1}},
    )
    assert answer["result"] == {"edits": []}
    assert "paused" in world.foretype("status").stdout
    assert world.foretype("resume").returncode == 0
    assert not world.status()["paused"]


def test_settings_are_followed_and_a_bad_file_is_named_with_key_and_line(world, changed):
    world.write_settings('model = "/nowhere/first.gguf"\n')
    world.editor().initialize()
    assert world.status()["settings"]["model"] == "/nowhere/first.gguf"
    world.write_settings('model = "/nowhere/second.gguf"\n')
    changed(world.status, lambda status: status["settings"]["model"] == "/nowhere/second.gguf")
    world.write_settings("# oops\nmodle = 'x'\n")
    status = changed(world.status, lambda status: status["settings"]["error"])
    assert status["settings"]["model"] == "/nowhere/second.gguf"
    assert "line 2" in status["settings"]["error"]
    assert "modle" in status["settings"]["error"]
    assert "line 2" in world.foretype("status").stdout
    doctor = world.foretype("doctor")
    assert doctor.returncode == 1
    assert "did you mean `model`" in doctor.stdout


def test_stopping_waits_until_the_hub_is_gone(world):
    world.editor().initialize()
    hub = world.hub()
    assert f"process {hub.pid}" in world.foretype("stop").stdout
    assert not world.hubs()
    assert not list((world.runtime / "foretype").glob("*.sock"))


def test_a_hub_that_hangs_can_be_stopped_by_force(world, gone):
    editor = world.editor()
    editor.initialize()
    hub = world.hub()
    hub.send_signal(signal.SIGSTOP)
    assert world.foretype("stop", "--force").returncode == 0
    assert gone(hub)
    assert editor.wait() == 70


def test_doctor_reports_what_is_missing_as_json_with_cures(world):
    world.write_settings('model = "/nowhere/none.gguf"\nexclude = ["*.secret"]\n')
    doctor = world.foretype("doctor", "--json")
    assert doctor.returncode == 1
    report = json.loads(doctor.stdout)
    assert not report["ok"]
    failed = [finding for finding in report["findings"] if finding["verdict"] == "failed"]
    assert [finding["subject"] for finding in failed] == ["model"]
    assert all(finding["cure"] for finding in failed)
    assert any("*.secret" in finding["text"] for finding in report["findings"])


def test_what_is_typed_never_reaches_a_file_of_ours(world):
    """The most talkative log, requests that work and requests that fail, and a hub that was killed."""
    world.write_settings('log_level = "debug"\nmodel = "/nowhere/none.gguf"\n')
    editor = world.editor()
    editor.initialize()
    uri = (world.project / "notes.py").as_uri()
    text = f"{MARKER} = 1\n"
    editor.notify(
        "textDocument/didOpen",
        {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": text}},
    )
    change = {
        "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}},
        "text": MARKER,
    }
    editor.notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [change]})
    place = {"textDocument": {"uri": uri, "version": 2}, "position": {"line": 0, "character": 3}}
    editor.request("textDocument/copilotInlineEdit", place)
    editor.request("textDocument/copilotInlineEdit", {**place, "position": MARKER})
    editor.request(f"foretype/{MARKER}", {"text": MARKER})
    editor.notify("textDocument/didChange", {"textDocument": MARKER, "contentChanges": MARKER})
    editor.process.stdin.write(b"Content-Length: %d\r\n\r\n{%s" % (len(MARKER) + 1, MARKER.encode()))
    editor.process.stdin.flush()
    assert editor.is_served()
    world.hub().kill()
    editor.wait()
    written = world.written_files()
    assert any(path.name == "hub.log" and path.stat().st_size for path in written)
    assert [path for path in written if MARKER.encode() in path.read_bytes()] == []


@pytest.mark.usefixtures("interruptible")
def test_logs_prints_the_log_and_follows_it(world):
    assert "no log yet" in world.foretype("logs").stderr
    world.editor().initialize()
    assert "serving" in world.foretype("logs").stdout
    follower = subprocess.Popen(
        [sys.executable, "-m", "daemon.main", "logs", "--follow", "--lines", "1"],
        env=world.env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert follower.stdout.readline()
        world.foretype("stop")
        seen = [follower.stdout.readline() for _ in range(2)]
        assert "stopping" in "".join(seen)
        follower.send_signal(signal.SIGINT)
        assert follower.wait(10) in (0, 130)
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def test_uninstall_removes_everything_that_was_written_and_nothing_else(world):
    world.write_settings("threads = 1\n")
    neighbour = world.data / "other" / "keep.txt"
    neighbour.parent.mkdir(parents=True)
    neighbour.write_text("not ours")
    (world.data / "foretype" / "models").mkdir(parents=True)
    (world.data / "foretype" / "models" / "some.gguf").write_bytes(b"GGUF")
    world.editor().initialize()
    refused = world.foretype("uninstall", input_text="n\n")
    assert refused.returncode == 1
    assert world.settings_path.exists()
    removed = world.foretype("uninstall", "--yes")
    assert removed.returncode == 0, removed.stderr
    for path in (world.settings_path.parent, world.state / "foretype", world.runtime / "foretype"):
        assert str(path) in removed.stdout
    assert world.written_files() == [neighbour]
    assert not world.hubs()
    assert "nothing of foretype's" in world.foretype("uninstall", "--yes").stdout


def test_uninstall_takes_a_settings_file_kept_elsewhere_but_not_its_folder(world):
    elsewhere = world.project / "my.toml"
    elsewhere.write_text("threads = 1\n")
    assert world.foretype("uninstall", "--yes", FORETYPE_CONFIG=str(elsewhere)).returncode == 0
    assert not elsewhere.exists()
    assert world.project.exists()
