"""A world of its own for each test: directories, environment, editors that start real bridges, real hubs."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 20.0  # how long a test waits for something that should happen soon


class Editor:
    """An editor window: starts the language server as editors do and speaks JSON-RPC with it."""

    def __init__(self, command, env, cwd):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd
        )
        self._messages = queue.Queue()
        self._last_id = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            while True:
                length = 0
                while (line := self.process.stdout.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                if not line:
                    return
                self._messages.put(json.loads(self.process.stdout.read(length)))
        finally:
            self._messages.put(None)

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def notify(self, method, params=None):
        self.send({"method": method, "params": params or {}})

    def request(self, method, params=None):
        self._last_id += 1
        self.send({"id": self._last_id, "method": method, "params": params or {}})
        while True:
            message = self._messages.get(timeout=PATIENCE_SECONDS)
            assert message is not None, f"the server ended: {self.process.stderr.read().decode()}"
            if message.get("id") == self._last_id and "method" not in message:
                return message

    def initialize(self):
        answer = self.request("initialize", {"processId": None, "capabilities": {}, "rootUri": None})
        assert "capabilities" in answer["result"]
        self.notify("initialized")
        return answer

    def is_served(self):
        """A request of a method nobody has is still answered by a live session."""
        return "error" in self.request("foretype/nothingOfThatName")

    def leave(self):
        """Shut the session down in the proper order; returns the exit code."""
        self.request("shutdown")
        self.notify("exit")
        return self.wait()

    def hang_up(self):
        self.process.stdin.close()
        return self.wait()

    def wait(self):
        return self.process.wait(PATIENCE_SECONDS)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(PATIENCE_SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                continue


class World:
    """One user's machine: a home, its directories, and what is started in it."""

    def __init__(self, root, mark):
        self.root = root
        self.mark = mark
        self.home = root / "home"
        self.runtime = root / "run"
        self.project = root / "project"
        for directory in (self.home, self.runtime, self.project):
            directory.mkdir(mode=0o700)
        self.config = self.home / "config"
        self.data = self.home / "data"
        self.state = self.home / "state"
        self.cache = self.home / "cache"
        self.settings_path = self.config / "foretype" / "settings.toml"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FORETYPE_", "HF_", "XDG_")) and name != "TMPDIR"
        }
        self.env = {
            **kept,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CONFIG_HOME": str(self.config),
            "XDG_DATA_HOME": str(self.data),
            "XDG_STATE_HOME": str(self.state),
            "XDG_CACHE_HOME": str(self.cache),
            "PYTHONPATH": str(REPOSITORY),
            "FORETYPE_TEST_MARK": mark,
        }
        self.editors = []

    def write_settings(self, text):
        self.settings_path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.settings_path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.settings_path)

    def editor(self, *arguments, command=None, **env):
        words = command or [sys.executable, "-m", "daemon.main", "lsp", "--stdio", *arguments]
        editor = Editor(words, {**self.env, **env}, self.project)
        self.editors.append(editor)
        return editor

    def foretype(self, *arguments, input_text=None, timeout=60, **env):
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "daemon.main", *arguments],
            env={**self.env, **env},
            cwd=self.project,
            input=input_text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def status(self):
        return json.loads(self.foretype("status", "--json").stdout)["hub"]

    def hub(self):
        """The running hub's process."""
        return psutil.Process(self.status()["pid"])

    def processes(self):
        """Every live process that was started in this world, however it was detached since."""
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get("FORETYPE_TEST_MARK") == self.mark
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def hubs(self):
        return [process for process in self.processes() if "daemon.hub" in process.cmdline()]

    def written_files(self):
        """Every file in the home and in the runtime directory."""
        return [path for top in (self.home, self.runtime) for path in top.rglob("*") if path.is_file()]


@contextlib.contextmanager
def new_world():
    """A world that must be empty of processes once its editors are closed and its hubs are stopped."""
    root = Path(tempfile.mkdtemp(prefix="ft-", dir="/tmp"))  # short: the kernel limits a socket's path
    made = World(root, f"{os.getpid()}-{root.name}")
    yield made
    for editor in made.editors:
        editor.close()
    left = made.processes()
    try:
        if any((made.runtime / "foretype").glob("hub-*.sock")):
            made.foretype("stop", "--all")
        orphans = [" ".join(process.cmdline()) for process in left if not wait_until_gone(process)]
        assert not orphans, orphans
    finally:
        for process in made.processes():
            process.kill()
        shutil.rmtree(root)


@pytest.fixture
def world():
    """A world for one test."""
    with new_world() as made:
        yield made


@pytest.fixture(scope="module")
def _served_world():
    with new_world() as made:
        made.editor().initialize()
        yield made


@pytest.fixture
def served(_served_world):
    """A world in which a hub runs and serves one window already; shared by tests that harm nobody."""
    yield _served_world
    for editor in _served_world.editors[1:]:
        editor.close()
    del _served_world.editors[1:]


def wait_until_gone(process, seconds=PATIENCE_SECONDS):
    """Whether a process that is no child of ours has ended; one that only waits to be reaped has."""
    if not hasattr(os, "pidfd_open"):
        return not psutil.wait_procs([process], timeout=seconds)[1]
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


@pytest.fixture
def gone():
    return wait_until_gone


@pytest.fixture
def changed():
    """Wait until a command's answer is what is asked for; each try is a whole process, so this never spins."""

    def wait(ask, wanted, tries=40):
        for _ in range(tries):
            answer = ask()
            if wanted(answer):
                return answer
        raise AssertionError(f"still {answer}")

    return wait


@pytest.fixture(scope="session")
def samples():
    """The snapshots of the store's own tests; test folders are no packages."""
    file = Path(__file__).parents[2] / "capture" / "store" / "samples.py"
    spec = importlib.util.spec_from_file_location("store_samples", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
