"""Storages in folders of their own, processes that use them, and a disk that fails on demand."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from capture.collector.index import Sealing
from capture.collector.indexed import Upkeep
from capture.collector.opening import open_from

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[3]


@cache
def load(name):
    """A module beside this file; test folders are no packages."""
    spec = importlib.util.spec_from_file_location(f"collector_storage_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def samples():
    return load("samples")


@pytest.fixture(scope="session")
def failing():
    return load("failing")


@pytest.fixture(scope="session")
def promises():
    return load("promises")


@pytest.fixture(scope="session")
def postgres_server():
    return load("postgres_server")


@pytest.fixture
def clock(samples):
    return samples.Clock()


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "data"


@pytest.fixture
async def open_at(clock):
    """Open storages; they are closed when the test ends."""
    opened = []

    async def open_one(*urls, **options):
        opened.append(await open_from([str(url) for url in urls], **{"clock": clock, "reserve_bytes": 0, **options}))
        return opened[-1]

    yield open_one
    for storage in opened:
        await asyncio.wait_for(storage.close(), 20)


@pytest.fixture
async def storage(open_at, directory):
    return await open_at(directory, upkeep=Upkeep(sealing=Sealing(2000, 3600.0)))


@pytest.fixture
def start_child():
    """Start a script beside this file; it is killed when the test ends, if it still runs."""
    started = []

    def start(script, *arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
