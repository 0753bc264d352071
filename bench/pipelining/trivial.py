"""A stage that adds a field and does nothing else, run over a file: ``python -m bench.pipelining.trivial IN OUT``.

What remains is what the pipeline costs itself: reading, checking, keys, processes, the work file, writing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from training_export.example import Example
from training_export.running.progress import report
from training_export.running.runner import run_stage
from training_export.stage import Concurrency, Findings, Work

FIELD = "zed_version"


@dataclass(frozen=True, slots=True)
class AddsField:
    """The stage."""

    name: ClassVar[str] = "trivial"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("name",)
    writes: ClassVar[tuple[str, ...]] = (FIELD,)
    concurrency: ClassVar[Concurrency] = Concurrency.PROCESSES

    def settings(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def opened(self) -> AbstractContextManager[Work]:
        """Nothing to open."""
        return nullcontext(added)


def added(example: Example) -> Findings:
    """The field, as `datasets_map` adds it."""
    return Findings(fields={FIELD: text_for(example.name)})


def text_for(name: str) -> str:
    """What is added."""
    return f"0.{len(name)}"


if __name__ == "__main__":
    from bench.pipelining.trivial import AddsField as Stage  # by its name, which worker processes find

    report(run_stage(Stage(), [sys.argv[1]], sys.argv[2]), as_json=True)
