"""Stages that do next to nothing, for tests of what runs them; a module that other processes can import.

Each call is one line in a file of the test's, appended in one write, so that calls can be counted across processes.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from training_export.example import Example
from training_export.stage import Concurrency, Findings, Work


@dataclass(frozen=True)
class Shout:
    """Writes the reversed name to ``foretype.shout``; names say what else happens."""

    calls: str
    kind: Concurrency = Concurrency.ALONE
    seconds: float = 0.0
    loudness: int = 1
    is_healed: bool = False

    name = "shout"
    version = 1
    reads = ("name", "cursor_position")
    writes = ("foretype.shout", "tags")

    @property
    def concurrency(self) -> Concurrency:
        return self.kind

    def settings(self) -> Mapping[str, Any]:
        return {"loudness": self.loudness}

    @contextmanager
    def opened(self) -> Iterator[Work]:
        self._note("opened")
        try:
            yield self._find
        finally:
            self._note("closed")

    def _find(self, example: Example) -> Findings:
        if self.seconds:
            # By content, so that a slow one may stand before fast ones.
            time.sleep(self.seconds * (hashlib.blake2b(example.name.encode()).digest()[0] / 255))
        if "dies" in example.name:
            os.kill(os.getpid(), 9)
        if "breaks" in example.name:
            raise ValueError(f"cannot shout {example.name}")
        self._note(example.name)
        if "fails" in example.name and not self.is_healed:
            return Findings(failure="it would not be shouted", tallies={"sighs": 1})
        if "waits" in example.name and not self.is_healed:
            return Findings(failure="nobody answers now", is_final=False)
        if "poisons" in example.name:
            return Findings(fields={"tags": "no list"})
        return Findings(
            fields={"tags": ["shouted"]},
            ours={"shout": example.name[::-1].upper() * self.loudness},
            tallies={"letters": len(example.name)},
        )

    def _note(self, what: str) -> None:
        descriptor = os.open(self.calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{what}\n".encode())
        os.close(descriptor)


@dataclass(frozen=True)
class SlowFirst:
    """Sets a tag; the first example is done only when so many others are, or no more can come."""

    kind: Concurrency
    others: int

    name = "slow"
    version = 1
    reads = ("name",)
    writes = ("tags",)

    @property
    def concurrency(self) -> Concurrency:
        return self.kind

    def settings(self) -> Mapping[str, Any]:
        return {}

    @contextmanager
    def opened(self) -> Iterator[Work]:
        done = threading.Semaphore(0)

        def find(example: Example) -> Findings:
            if example.name == "m0":
                for _ in range(self.others):
                    if not done.acquire(timeout=1.0):
                        break
            elif self.others:
                done.release()
            return Findings(fields={"tags": ["x"]})

        yield find
