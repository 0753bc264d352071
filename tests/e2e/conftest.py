"""A real Neovim and real editor windows, to be driven from a test.

``world`` is the user's machine of the process tests: its own directories, and no process left at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from daemon import control
from tests.capture.conftest import faulty_disk  # noqa: F401  (a fixture)
from tests.capture.store.conftest import power_loss, samples  # noqa: F401  (fixtures)
from tests.daemon.process.conftest import PATIENCE_SECONDS, Editor, changed, world  # noqa: F401  (fixtures)
from tests.e2e.capturing_machine import capturing  # noqa: F401  (a fixture)
from tests.e2e.collecting import collector, join  # noqa: F401  (fixtures)
from tests.e2e.shop import Shop, Stored

HERE = Path(__file__).parent
EDITOR = HERE.parents[1] / "editors" / "neovim"
FIRST_PREDICTION_SECONDS = 60.0  # starting the hub and loading the model, on a busy machine


class Neovim:
    """One Neovim with a user's configuration and ``path`` open; typed at, looked at, asked in Lua."""

    def __init__(self, path, env, folder):
        socket_path = folder / "driver.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(socket_path))
        listener.listen()
        binary = shutil.which("nvim", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        assert binary, "no nvim; install the extra `system`"
        self.process = subprocess.Popen(
            [binary, "--headless", "--cmd", f"luafile {HERE / 'driver.lua'}", str(path)],
            env={**env, "FORETYPE_TEST_SOCKET": str(socket_path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        listener.settimeout(PATIENCE_SECONDS)
        self._connection, _ = listener.accept()
        listener.close()
        self._connection.settimeout(FIRST_PREDICTION_SECONDS + PATIENCE_SECONDS)
        self._lines = self._connection.makefile("rw")

    def lua(self, expression):
        """The value of a Lua expression, now."""
        return self._ask(lua=expression)

    def wait(self, condition, seconds=PATIENCE_SECONDS):
        """Return the value of a Lua expression once it is true."""
        value = self._ask(wait=condition, seconds=seconds)
        assert value, f"not within {seconds} s: {condition}\n{self._evidence()}"
        return value

    def type(self, keys):
        """Press keys one after the other; ``<Esc>`` and the like are one key."""
        while keys:
            key = keys[: keys.index(">") + 1] if keys.startswith("<") else keys[0]
            keys = keys[len(key) :]
            self._ask(keys=key)

    @property
    def text(self):
        return "\n".join(self.lua("vim.api.nvim_buf_get_lines(0, 0, -1, false)")) + "\n"

    @property
    def cursor(self):
        """Row from 1 and column in bytes from 0, as Neovim counts."""
        return tuple(self.lua("vim.api.nvim_win_get_cursor(0)"))

    def screen(self):
        """What a person sees, row by row."""
        return self.lua(
            "(function() vim.cmd.redraw(); return vim.tbl_map(function(row)"
            " local cells = {}"
            " for column = 1, vim.o.columns do cells[column] = vim.fn.screenstring(row, column) end"
            " return (table.concat(cells):gsub('%s+$', ''))"
            " end, vim.fn.range(1, vim.o.lines - 2)) end)()"
        )

    def marks(self):
        """Our extmarks: (row, column in bytes, details) from 0, in order."""
        return self.lua(
            "vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('foretype'), 0, -1, {details = true})"
        )

    def close(self):
        self._lines.close()
        self._connection.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def _evidence(self):
        """What helps to understand a failure: the screen, what the daemon said, the language client's log."""
        log = Path(self.lua("vim.lsp.get_log_path()"))
        status = self.lua("require('foretype').status")
        return "\n".join(
            [
                *(row for row in self.screen() if row != "~"),
                f"status: {status}",
                log.read_text() if log.exists() else "no log",
            ]
        )

    def _ask(self, **question):
        self._lines.write(json.dumps(question) + "\n")
        self._lines.flush()
        answer = json.loads(self._lines.readline())
        assert "error" not in answer, answer["error"]
        return answer["value"]


class Window(Editor):
    """An editor window without an editor: speaks through the pipes of a real bridge, and need not wait."""

    def __init__(self, world, text):  # noqa: F811
        super().__init__([sys.executable, "-m", "daemon.main", "lsp", "--stdio"], world.env, world.project)
        world.editors.append(self)
        self._answers = {}
        self._version = self._to_and_fro = 0
        self.uri = f"untitled:{self.process.pid}.py"
        self.initialize()
        self.notify(
            "textDocument/didOpen",
            {"textDocument": {"uri": self.uri, "languageId": "python", "version": 0, "text": text}},
        )

    def replace(self, row, start_utf16, end_utf16, text):
        """Type ``text`` over a part of a line."""
        span = {"start": {"line": row, "character": start_utf16}, "end": {"line": row, "character": end_utf16}}
        self._change([{"range": span, "text": text}])
        self._cursor = {"line": row, "character": start_utf16 + len(text)}

    def ask_edit(self, place=None):
        """Ask for the next edit, so that the model is needed; returns what ``edits`` takes.

        What was predicted for the same text and cursor is not computed again: so the cursor is at ``place`` (row and
        column), or moves to and fro by one where a rename began.
        """
        self._change([])
        self._last_id += 1
        if place is None:
            self._to_and_fro = 1 - self._to_and_fro
            place = (self._cursor["line"], self._cursor["character"] - self._to_and_fro)
        where = {"line": place[0], "character": place[1]}
        params = {"textDocument": {"uri": self.uri, "version": self._version}, "position": where}
        self.send({"id": self._last_id, "method": "textDocument/copilotInlineEdit", "params": params})
        return self._last_id

    def edits(self, asked):
        """The answer to ``ask_edit``."""
        while asked not in self._answers:
            message = self._messages.get(timeout=FIRST_PREDICTION_SECONDS)
            assert message is not None, f"the server ended: {self.process.stderr.read().decode()}"
            if "method" not in message:
                self._answers[message["id"]] = message
        return self._answers.pop(asked)["result"]["edits"]

    def _change(self, changes):
        self._version += 1
        document = {"uri": self.uri, "version": self._version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})


class Machine:
    """The hub and its worker, as an operator sees them."""

    def __init__(self, world):  # noqa: F811
        self._world = world
        self.hub = psutil.Process(self.status()["pid"])

    def status(self):
        """The hub's status now."""
        [path] = (self._world.runtime / "foretype").glob("hub-*.sock")
        answer = control.ask(str(path), "status")
        assert answer is not None
        return answer[1]

    def wait_for_engine(self, *, busy):
        """Return once the engine works on something, or on nothing: not on the edit after the one shown either."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.status()["predictions"]["model"]["busy"] is not busy:
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: busy {busy}"

    def wait_for_index(self):
        """Return once the one symbol index has read its whole folder."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while [index["state"] for index in self.status()["indexes"]] != ["ready"]:
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: the index is ready"

    def worker(self):
        """The one engine worker."""
        [worker] = [child for child in self.hub.children() if "daemon.engine.worker" in child.cmdline()]
        return worker


@pytest.fixture
def shop(world):  # noqa: F811
    """The workspace of the tests of capture."""
    return Shop(world.project)


@pytest.fixture
def stored(world):  # noqa: F811
    """What is stored."""
    return Stored(world)


@pytest.fixture
def window(world):  # noqa: F811
    """``window(text)``: a new editor window with ``text`` open in it."""
    return lambda text: Window(world, text)


@pytest.fixture
def machine(world):  # noqa: F811
    """``machine()``: the hub that runs now."""
    return lambda: Machine(world)


@pytest.fixture
def settings(world):  # noqa: F811
    """``settings(key=value)``: the settings file has these; ``FORETYPE_E2E_MODEL`` names another model to test."""

    def write(**values):
        if model := os.environ.get("FORETYPE_E2E_MODEL"):
            values["model"] = model
        world.write_settings("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))

    return write


@pytest.fixture
def neovim(world):  # noqa: F811
    """``neovim(path, init)``: Neovim, set up as the README says (or by ``init``), with the file open."""
    started = []

    def start(path, init=None):
        configuration = world.config / "nvim"
        (configuration / "lua").mkdir(parents=True)
        shutil.copy(EDITOR / "foretype.lua", configuration / "lua")
        (configuration / "init.lua").write_text(init or readme_configuration())
        search = f"{Path(sys.executable).parent}{os.pathsep}{world.env['PATH']}"
        assert shutil.which("foretype", path=search), "foretype is not installed in this environment"
        editor = Neovim(path, {**world.env, "PATH": search}, world.root)
        started.append(editor)
        editor.wait("(vim.lsp.get_clients({ name = 'foretype' })[1] or {}).initialized")
        return editor

    yield start
    for editor in started:
        editor.close()


@pytest.fixture
def readme():
    """The configuration that the client's README tells a user to write."""
    return readme_configuration()


def readme_configuration():
    """The first Lua block of the client's README: what a user is told to write."""
    _, _, rest = (EDITOR / "README.md").read_text().partition("```lua\n")
    return rest.partition("```")[0]
