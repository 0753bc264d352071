"""A user's machine on which everything is captured: consent given, a repository to type in, and a hub to be killed.

The hub is the real program with a script for a model (``scripted_hub.py``), so that it predicts as fast as one types.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capture.store import stored
from daemon import control, handshake
from tests.e2e.typing_window import TypingWindow, text_of_file

HERE = Path(__file__).parent
PATIENCE_SECONDS = 20.0
LOOK_AGAIN_SECONDS = 0.01
READY = b"foretype: ready\n"


class CapturingMachine:
    """Around the ``world`` of the process tests; ``files`` are the project's."""

    def __init__(self, world, *, files, settle_seconds=0.2, settings=""):
        self.world = world
        self.socket_path = world.runtime / "foretype" / f"hub-{handshake.VERSION}.sock"
        self.store_path = world.data / "foretype" / "snapshots" / "snapshots.sqlite3"
        self.store_folder = os.path.realpath(self.store_path.parent)
        self.log_path = world.state / "foretype" / "hub.log"
        self._processes = []
        world.write_settings(f'settle_seconds = {settle_seconds}\nwork_ahead = "off"\n{settings}')
        self.files = [world.project / f"part_{number}.py" for number in range(files)]
        for number, file in enumerate(self.files):
            file.write_text(text_of_file(number))
        for words in (
            ["init", "-q"],
            ["add", "."],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "-"],
        ):
            subprocess.run(["git", "-C", world.project, *words], check=True, env=world.env)
        granted = world.foretype("consent", "grant", "--yes", str(world.project))
        assert granted.returncode == 0, granted.stderr

    def start_hub(self, *words, **environment):
        """A hub that is ready, our child. ``words`` are those of ``scripted_hub.py``."""
        hub = self._start("scripted_hub.py", *words, **environment)
        await_ready(hub)
        return hub

    def start_nursery(self, **environment):
        """What starts hubs quickly."""
        return Nursery(self._start("hub_nursery.py", **environment))

    def _start(self, script, *words, **environment):
        process = subprocess.Popen(
            [sys.executable, HERE / script, *words],
            env={**self.world.env, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._processes.append(process)
        return process

    async def open_window(self, announcements):
        return await TypingWindow(self.socket_path, self.world.project, announcements).open()

    def status(self):
        """What the hub says of itself."""
        answer = control.ask(str(self.socket_path), "status")
        assert answer is not None
        return answer[1]

    async def decided(self, count):
        """What status says of capture once it is known of so many snapshots whether they are stored."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum((capture := self.status()["capture"])["counts"].values()) < count:  # noqa: ASYNC110 (what is not stored is announced to nobody)
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return capture

    def stop_hub(self):
        """In order, as `foretype stop` does."""
        control.stop(str(self.socket_path))

    def close(self):
        for process in self._processes:
            process.kill()
            process.communicate()


class Nursery:
    """See ``hub_nursery.py``; it has one hub at a time."""

    def __init__(self, process):
        self._process = process

    def start_hub(self, **environment):
        """A hub that is ready, in the nursery's environment and this one."""
        self._process.stdin.write(json.dumps(environment).encode() + b"\n")
        self._process.stdin.flush()
        await_ready(self._process)

    def ended(self):
        """The exit status of the hub, once it has ended."""
        return int(self._process.stdout.readline())


@pytest.fixture
def capturing(world):
    """``capturing(files=...)``: the test's machine."""
    made = []

    def make(**options):
        made.append(CapturingMachine(world, **options))
        return made[-1]

    yield make
    for machine in made:
        machine.close()


def await_ready(process):
    """Return once a hub that says so on the standard error of ``process`` accepts windows."""
    said = process.stderr.readline()
    assert said == READY, said + process.stderr.read()


def ended_quietly(hub):
    """The exit status of a hub that has ended, or is about to, and had nothing more to say."""
    status = hub.wait(timeout=PATIENCE_SECONDS)
    assert hub.stderr.read() == b""
    return status


def complaints_in(log_path):
    """The lines of the hub's log that tell of a mistake: errors, and where an exception came from."""
    lines = log_path.read_text().splitlines()
    return [line for line in lines if " ERROR " in line or " CRITICAL " in line or line.startswith("  ")]


def assert_there(store_path, announced):
    """The store is whole, and holds what was announced once each: with that SHA-256, and as a snapshot; all its ids."""
    if not store_path.exists():
        assert not announced
        return []
    with stored.reading(store_path) as database:
        with database.reading() as connection:
            assert [row[0] for row in connection.execute("PRAGMA integrity_check").fetchall()] == ["ok"]
        ids = [row.id for row in stored.summaries(database)]
        assert len(ids) == len(set(ids))
        assert {one: stored.get(database, one).sha256() for one in announced} == announced
    return ids
