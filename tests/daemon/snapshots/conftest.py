"""A user with a work tree, their consents and a store, all real, and a hub's keeper of snapshots between them."""

from __future__ import annotations

import importlib.util
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.gate.admission import Origins
from capture.gate.redaction import SecretScanner
from capture.inputs import EditEvent
from capture.store import stored
from capture.store.store import Store
from daemon.settings import Settings
from daemon.snapshot_keeper import Finished, SnapshotKeeper

ROOT = Path(__file__).parents[3]
# Made here, so that no scanner finds it in this file.
KEY = "AKIA" + "QX7JT2MWPLZC4VNB"


@pytest.fixture(scope="session")
def samples():
    """The snapshots of the store's own tests; test folders are no packages."""
    file = ROOT / "tests" / "capture" / "store" / "samples.py"
    specification = importlib.util.spec_from_file_location("store_samples", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def patient_scanner():
    """A real one, whose time does not end on a busy machine."""
    return SecretScanner(budget_seconds=10.0)


class WatchedStore(Store):
    """A real one that says when a snapshot is put in."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.got_one = threading.Event()

    def submit(self, *arguments):
        future = super().submit(*arguments)
        self.got_one.set()
        return future


class World:
    """A user with a home, a git work tree whose capture they may allow, and a hub's keeper of snapshots."""

    def __init__(self, folder, samples, scanner):
        self.samples = samples
        self.home = folder / "home"
        self.work = self.home / "shop"
        (self.work / "src").mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet"], cwd=self.work, check=True)
        self.write("src/sums.py", "total = 1\n")
        self.write("src/other.py", "count = 1\n")
        self.path = folder / "data" / "snapshots" / "snapshots.sqlite3"
        self.book = ConsentBook(folder / "config" / "consent.json", PolicyFile(folder / "no-policy.toml"))
        self.settings = Settings()
        self.new_scanner = lambda: scanner
        self.hidden = set()
        self.keepers = []

    def write(self, name, text):
        file = self.work / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def keeper(self, **options):
        self.store = WatchedStore(self.path, disk=lambda _: self.samples.LARGE_DISK)
        made = SnapshotKeeper(
            self.store, self.book, lambda: self.settings, **{"new_scanner": self.new_scanner, **options}
        )
        self.keepers.append(made)
        return made

    def may_be_seen(self, path):
        return Path(path).name not in self.hidden

    @property
    def workspace_id(self):
        """Of the consent there is now; some other where there is none."""
        consent = self.book.for_workspace(str(self.work))
        return "0" * 32 if consent is None else consent.workspace_id

    def finished(self, snapshot=None, *, may_be_seen=None, **changes):
        """A snapshot of ``src/sums.py`` that has ended, begun under the consent there is now."""
        snapshot = snapshot or self.samples.sample(**{"workspace_id": self.workspace_id, **changes})
        shown = {snapshot.path, *(path for event in snapshot.inputs.events for path in (event.path, event.old_path))}
        shown |= {related.path for related in snapshot.inputs.related_files or ()}
        origins = Origins(str(self.work), {path: frozenset({str(self.work / path)}) for path in shown})
        return Finished(snapshot, origins, may_be_seen or self.may_be_seen)

    def grant(self):
        return self.book.grant(str(self.work), "local")

    def rows(self):
        with stored.reading(self.path) as database:
            return [] if database is None else stored.summaries(database)

    def kept(self, snapshot_id):
        with stored.reading(self.path) as database:
            return stored.get(database, snapshot_id)


@pytest.fixture
def make_world(tmp_path_factory, samples, patient_scanner, monkeypatch):
    def make():
        folder = tmp_path_factory.mktemp("world")
        monkeypatch.setenv("HOME", str(folder / "home"))
        return World(folder, samples, patient_scanner)

    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return make


@pytest.fixture
async def world(make_world):
    made = make_world()
    yield made
    for keeper in made.keepers:
        await keeper.close()


@pytest.fixture
def allowed(world):
    """A world whose user agreed."""
    world.grant()
    return world


@pytest.fixture(scope="session")
def key():
    """What every scanner takes for a secret."""
    return KEY


@pytest.fixture
def with_secret(samples):
    """Makes a snapshot with the key in one of its texts."""

    def make(place, **changes):
        line = f'key = "{KEY}"\n'
        if place == "excerpt":
            return samples.sample(code=f"total = 1\n{line}", **changes)
        if place == "event":
            event = EditEvent("src/other.py", "src/other.py", f"@@ -1,1 +1,1 @@\n-x\n+{line}")
            return samples.sample(inputs=replace(samples.sample().inputs, events=(event,)), **changes)
        if place == "settled":
            return samples.sample(settled=line, **changes)
        return samples.sample(predicted=line, **changes)

    return make
