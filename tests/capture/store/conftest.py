"""Stores in folders of their own, processes that use them, and a disk that fails on demand."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capture.store import stored
from capture.store.store import Store

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]


def load(name):
    """A module beside this file; test folders are no packages."""
    spec = importlib.util.spec_from_file_location(f"store_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def samples():
    return load("samples")


@pytest.fixture(scope="session")
def power_loss():
    return load("power_loss")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "snapshots" / "snapshots.sqlite3"


@pytest.fixture
def open_store(path, samples):
    """Make stores that are closed when the test ends; their disk is large and empty unless said otherwise."""
    stores = []

    def make(**options):
        stores.append(Store(path, **{"disk": lambda _: samples.LARGE_DISK, **options}))
        return stores[-1]

    yield make
    for store in stores:
        assert store.close(within_seconds=20)


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def put():
    """Put a snapshot in and wait for the answer."""
    return lambda store, snapshot: store.submit(snapshot).result(timeout=20)


@pytest.fixture
def read(path):
    """Call a function of ``stored`` with the store open for reading."""

    def call(function, *arguments, at=path, **options):
        with stored.reading(at) as database:
            return function(database, *arguments, **options)

    return call


@pytest.fixture
def integrity():
    """SQLite's own full check of a store."""

    def check(database):
        with database.reading() as connection:
            return [row[0] for row in connection.execute("PRAGMA integrity_check").fetchall()]

    return check


@pytest.fixture(scope="session")
def child_environment():
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture
def start_child(child_environment):
    """Start a script beside this file; it is killed when the test ends, if it still runs."""
    started = []

    def start(script, *arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            env={**child_environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
