"""Hypothesis without a time limit per example: a busy machine is no failure; and what the tests here share."""

import importlib.util
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
