"""Hypothesis without a time limit per example: a busy machine is no failure; and what the tests here share."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def planted_secrets():
    """The module that makes up secrets: `planted(kind, seed)` and `KINDS`."""
    path = Path(__file__).parent / "gate" / "planted_secrets.py"
    specification = importlib.util.spec_from_file_location("planted_secrets", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def faulty_disk(tmp_path_factory):
    """The library that makes a disk fail, built now."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("a disk that fails is played by a library preloaded on Linux, and needs a C compiler")
    library = tmp_path_factory.mktemp("faulty_disk") / "faulty_disk.so"
    source = Path(__file__).parent / "store" / "faulty_disk.c"
    subprocess.run([compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    return library
