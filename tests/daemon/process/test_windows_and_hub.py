"""Editor windows, their bridges and the hub, as real processes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys

import psutil

from daemon.handshake import VERSION

OLD_VERSION = "0.0.9"
# The same code under an older version number: what an upgrade leaves running.
AS_OLD = f"import daemon.handshake as handshake; handshake.VERSION = '{OLD_VERSION}'; "
OLD_HUB = AS_OLD + "from daemon.hub import main; raise SystemExit(main(['--report', '%d']))"
OLD_BRIDGE = [sys.executable, "-c", AS_OLD + "from daemon.bridge import main; raise SystemExit(main([]))"]


def ask_for_a_prediction(editor):
    """Open a buffer and wait for the answer, whatever it is."""
    document = {
        "uri": "untitled:1",
        "languageId": "python",
        "version": 1,
        "text": "def f(x):\n    return x\n",
    }
    editor.notify("textDocument/didOpen", {"textDocument": document})
    place = {"textDocument": {"uri": "untitled:1", "version": 1}, "position": {"line": 1, "character": 4}}
    return editor.request("textDocument/copilotInlineEdit", place)


def start_old_hub(world):
    """Start it as a bridge of its version would, and wait for its report."""
    report, reporter = os.pipe()
    subprocess.run(
        [sys.executable, "-c", OLD_HUB % reporter],
        env=world.env,
        pass_fds=(reporter,),
        start_new_session=True,
        check=True,
    )
    os.close(reporter)
    with os.fdopen(report) as lines:
        assert lines.readline() == "ready\n"


def test_two_windows_share_one_hub(served):
    before = set(served.status()["windows"])
    for editor in (served.editor(), served.editor()):
        editor.initialize()
    assert len(set(served.status()["windows"]) - before) == 2
    assert len(served.hubs()) == 1


def test_windows_that_start_at_the_same_moment_start_one_hub(world):
    editors = [world.editor() for _ in range(3)]
    for editor in editors:
        editor.initialize()
    assert len(world.hubs()) == 1


def test_killing_one_window_leaves_the_other_served(served, changed):
    killed, other = served.editor(), served.editor()
    killed.initialize()
    other.initialize()
    before = len(served.status()["windows"])
    killed.process.kill()
    assert other.is_served()
    changed(served.status, lambda status: len(status["windows"]) == before - 1)
    assert other.leave() == 0


def test_a_killed_hub_ends_its_bridges_at_once_with_a_failure(world, gone):
    editor = world.editor()
    editor.initialize()
    hub = world.hub()
    hub.kill()
    assert editor.wait() == 70
    assert f"process {hub.pid}" in editor.process.stderr.read().decode()
    assert gone(hub)


def test_a_window_after_a_killed_hub_gets_a_new_one(world, gone):
    editor = world.editor()
    editor.initialize()
    hub = world.hub()
    hub.kill()
    assert gone(hub)
    assert (world.runtime / "foretype" / f"hub-{VERSION}.sock").exists()  # stale
    again = world.editor()
    again.initialize()
    assert world.hub().pid != hub.pid


def test_the_bridge_ends_as_its_session_ended(served):
    polite, rude = served.editor(), served.editor()
    polite.initialize()
    rude.initialize()
    assert polite.leave() == 0
    rude.notify("exit")
    assert rude.wait() == 1


def test_an_editor_that_dies_takes_its_bridge_and_session_with_it(served, changed):
    editor = served.editor()
    editor.initialize()
    before = len(served.status()["windows"])
    assert editor.hang_up() != 70  # the session ended by itself; the hub was not lost
    changed(served.status, lambda status: len(status["windows"]) == before - 1)


def test_the_hub_is_no_descendant_of_the_bridge_that_started_it(served):
    """Editors end a server by killing all its descendants; the hub serves other windows too."""
    (starter,) = served.editors
    hub = served.hub()
    assert starter.process.pid not in [parent.pid for parent in hub.parents()]
    assert os.getsid(hub.pid) != os.getsid(starter.process.pid)


def test_a_hub_without_windows_leaves_and_takes_its_socket_away(world, gone):
    world.write_settings("exit_after_seconds = 0.2\n")
    editor = world.editor()
    editor.initialize()
    hub = world.hub()
    assert editor.leave() == 0
    assert gone(hub)
    assert not list((world.runtime / "foretype").glob("*.sock"))


def test_a_hub_with_a_window_stays(world):
    world.write_settings("exit_after_seconds = 0\n")
    editor = world.editor()
    editor.initialize()
    hub = world.hub()
    assert editor.is_served()
    assert hub.is_running()


def test_terminating_the_hub_cleans_up(world, gone):
    editor = world.editor()
    editor.initialize()
    hub = world.hub()
    hub.send_signal(signal.SIGTERM)
    assert editor.wait() == 1
    assert gone(hub)
    assert not list((world.runtime / "foretype").glob("*.sock"))


def test_an_upgrade_retires_the_old_hub_once_its_windows_are_gone(world, gone):
    start_old_hub(world)
    old_window = world.editor(command=OLD_BRIDGE)
    old_window.initialize()
    old_hub = psutil.Process(int((world.runtime / "foretype" / f"hub-{OLD_VERSION}.lock").read_text()))
    new_window = world.editor()
    new_window.initialize()
    assert world.status()["version"] == VERSION
    assert old_window.is_served()
    assert old_window.leave() == 0
    assert gone(old_hub)
    assert new_window.is_served()


def test_a_bridge_of_another_version_is_refused_with_both_versions_named(served):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(served.runtime / "foretype" / f"hub-{VERSION}.sock"))
        connection.sendall(f"foretype/1 {OLD_VERSION} lsp\n".encode())
        answer = connection.makefile().readline()
    assert " refused " in answer
    assert OLD_VERSION in answer
    assert VERSION in answer


def test_a_stranger_on_the_socket_is_hung_up_on_and_nobody_else_suffers(served):
    editor = served.editor()
    editor.initialize()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(served.runtime / "foretype" / f"hub-{VERSION}.sock"))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.settimeout(10)
        assert connection.recv(100) == b""
    assert editor.is_served()


def test_sockets_are_in_a_private_directory(served):
    directory = served.runtime / "foretype"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.glob("*.sock"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_runtime_directory_open_to_others_is_refused_with_its_cure(world):
    directory = world.runtime / "foretype"
    directory.mkdir()
    directory.chmod(0o755)
    editor = world.editor()
    assert editor.wait() == 1
    assert f"chmod 700 {directory}" in editor.process.stderr.read().decode()


def test_a_runtime_path_too_long_for_a_socket_is_passed_over(world):
    deep = world.root / ("d" * 90)
    deep.mkdir(mode=0o700)
    editor = world.editor(XDG_RUNTIME_DIR=str(deep), TMPDIR=str(world.runtime))
    editor.initialize()
    assert list((world.runtime / f"foretype-{os.getuid()}").glob("*.sock"))
    editor.close()
    world.foretype("stop", XDG_RUNTIME_DIR=str(deep), TMPDIR=str(world.runtime))


def test_a_session_of_its_own_needs_no_hub(world):
    editor = world.editor("--standalone")
    editor.initialize()
    assert editor.is_served()
    assert not world.hubs()
    assert editor.leave() == 0


def test_another_owner_of_our_package_is_named_and_nothing_starts(world, gone):
    """pip installs python-daemon over us without a word."""
    site = world.root / "site"
    record = site / "python_daemon-3.1.2.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: python-daemon\nVersion: 3.1.2\n")
    (record / "RECORD").write_text("daemon/__init__.py,,\ndaemon/daemon.py,,\n")
    env = {"PYTHONPATH": f"{world.env['PYTHONPATH']}{os.pathsep}{site}"}
    editor = world.editor(**env)
    assert editor.wait() == 1
    assert "python-daemon 3.1.2" in editor.process.stderr.read().decode()
    assert all(gone(hub) for hub in world.hubs())
    doctor = world.foretype("doctor", **env)
    assert doctor.returncode == 1
    assert "pip uninstall python-daemon" in doctor.stdout


def test_the_hub_stays_under_a_hundred_megabytes(served):
    """With a window that has a parsed document open."""
    editor = served.editor()
    editor.initialize()
    text = "def f(x):\n    return x\n" * 2000
    document = {"uri": "untitled:big", "languageId": "python", "version": 1, "text": text}
    editor.notify("textDocument/didOpen", {"textDocument": document})
    place = {"textDocument": {"uri": "untitled:big", "version": 1}, "position": {"line": 9, "character": 1}}
    assert editor.request("textDocument/copilotInlineEdit", place)["result"]["edits"] is not None
    assert served.status()["memory_bytes"] < 100e6


def test_two_windows_share_one_model_and_no_worker_outlives_a_killed_hub(world, gone):
    for editor in (world.editor(), world.editor()):
        editor.initialize()
        ask_for_a_prediction(editor)
    (worker,) = [process for process in world.processes() if "daemon.engine.worker" in process.cmdline()]
    assert world.status()["predictions"]["model"]["state"] == "ready"
    world.hub().kill()
    assert gone(worker)


def test_the_model_leaves_memory_when_nobody_asks_and_comes_back_when_somebody_does(world, changed):
    world.write_settings("unload_after_seconds = 0.2\n")
    editor = world.editor()
    editor.initialize()
    ask_for_a_prediction(editor)
    changed(world.status, lambda status: status["predictions"]["model"]["state"] == "unloaded")
    assert not [process for process in world.processes() if "daemon.engine.worker" in process.cmdline()]
    assert "result" in ask_for_a_prediction(editor)


def test_a_state_directory_that_cannot_be_made_is_named(world):
    world.state.write_text("a file where the directory should be")
    editor = world.editor()
    assert editor.wait() == 1
    said = editor.process.stderr.read().decode()
    assert str(world.state) in said
    assert "Traceback" not in said
