"""What every sending process does: say that it is ready, wait for the word, send, say what came of it, wait again.

So starting up is not measured, and what the process took can be read before it is gone. Words are lines on standard
input and output. Knows nothing of wires.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable


def send_when_told(send: Callable[[], int]) -> None:
    """``send`` returns how many snapshots the other side has acknowledged."""
    _say({"ready": True})
    sys.stdin.readline()
    started = time.perf_counter()
    acknowledged = send()
    _say({"acknowledged": acknowledged, "seconds": time.perf_counter() - started})
    sys.stdin.readline()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
    sys.stdout.buffer.flush()
