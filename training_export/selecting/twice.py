"""Read inputs a second time beside what was decided about each example in the first; knows nothing of the decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from training_export.errors import InputsChanged
from training_export.example import Example
from training_export.example_format.files import Loaded, Rejected
from training_export.running.outputs import Rejections
from training_export.running.progress import ProgressLine
from training_export.running.sources import Sources

Decision = TypeVar("Decision")


def with_decisions(
    inputs: Sources, decisions: Sequence[Decision], rejections: Rejections
) -> Iterator[tuple[int, Loaded, Decision]]:
    """Every example with its number and what was decided; lines that are none go to ``rejections``.

    Raises InputsChanged where there are not as many examples as decisions.
    """
    number = 0
    for loaded in examples_of(inputs, rejections):
        if number == len(decisions):
            raise InputsChanged
        yield number, loaded, decisions[number]
        number += 1
    if number < len(decisions):
        raise InputsChanged


def examples_of(inputs: Iterable[Loaded | Rejected], rejections: Rejections | None = None) -> Iterator[Loaded]:
    """The examples alone."""
    for found in inputs:
        if isinstance(found, Loaded):
            yield found
        elif rejections is not None:
            rejections.add(found)


def examples_with_progress(what: str, inputs: Sources) -> Iterator[Example]:
    """The examples alone, and on standard error how far it has got."""
    with ProgressLine(what, inputs.total_bytes) as progress:
        for count, loaded in enumerate(examples_of(inputs), 1):
            yield loaded.example
            progress.update(inputs.read_bytes, {"examples": count, "reused": 0, "failed": 0, "rejected": 0}, {})
