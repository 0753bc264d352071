"""What tests of all rooms share."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture
def interruptible():
    """Processes started in the background of a script ignore Ctrl-C, and so would those that a test starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
