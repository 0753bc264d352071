"""The gate: the confidence below which a student's edits are not shown, kept in its GGUF.

Chosen on one half of the cases and reported on the other; the half a case is in depends on its file alone. Knows
nothing of how confident a student is, or why.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from daemon.engine.messages import ModelSettings
from training_export.errors import ExtraMissing, ModelUnusable
from training_export.student.evaluation.shares import Share

KEY: Final = "foretype.min_confidence"  # the metadata that the engine reads
WANTED_RIGHT: Final = 0.8
STEPS: Final = 100  # a gate has two decimals, as it is shown


@dataclass(frozen=True, slots=True)
class Sure:
    """One edit that could be shown: how confident it is, and whether it is right."""

    confidence: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Gate:
    """``limit`` holds back what is less confident; ``shown`` says how much of the rest is right."""

    limit: float
    shown: Share


def shown_at(limit: float, edits: Sequence[Sure]) -> Share:
    """Of the edits that a limit lets through, those that are right."""
    return Share.of(edit.is_right for edit in edits if edit.confidence >= limit)


def lowest_gate(
    edits: Sequence[Sure],
    wanted: float = WANTED_RIGHT,
    *,
    estimate: Callable[[Share], float] = lambda share: share.value,
) -> Gate | None:
    """The lowest limit at which what is shown is right at least as often as ``wanted``; None where there is none.

    ``estimate`` says of the share in the sample what is compared; `Share.lower_bound` asks for more than luck. A limit
    at which nothing is shown is none.
    """
    for step in range(STEPS):
        limit = step / STEPS
        shown = shown_at(limit, edits)
        if shown.total and estimate(shown) >= wanted:
            return Gate(limit, shown)
    return None


def is_for_calibration(file: str) -> bool:
    """Which half the cases of a file are in; the same in every run."""
    return hashlib.blake2b(file.encode(), digest_size=8, person=b"gate").digest()[0] % 2 == 0


def read_limit(model: Path) -> float | None:
    """The limit in a GGUF; None where it has no such field. Raises ModelUnusable, ExtraMissing."""
    field = opened_gguf(model, "r").fields.get(KEY)
    return None if field is None else float(field.parts[field.data[0]][0])


def write_limit(model: Path, limit: float) -> None:
    """Set the limit in a GGUF, in place: four bytes change. Raises ModelUnusable, ExtraMissing."""
    reader = opened_gguf(model, "r+")
    field = reader.fields.get(KEY)
    if field is None:
        raise ModelUnusable(f"{model} has no field {KEY} to put a gate into; write the GGUF anew from its training run")
    field.parts[field.data[0]][0] = limit
    reader.data.flush()


@contextmanager
def ungated(model: ModelSettings) -> Iterator[ModelSettings]:
    """The model without its limit, for as long as the block runs: itself, or a copy where it has one."""
    path = Path(model.path)
    if not read_limit(path):
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="foretype-") as folder:
        copy = Path(folder) / path.name
        _copy(path, copy)
        write_limit(copy, 0.0)
        yield replace(model, path=str(copy))


def checksum_without_limit(model: Path) -> str:
    """The same for a model whatever its limit is: hexadecimal digits. Raises ModelUnusable, ExtraMissing."""
    field = opened_gguf(model, "r").fields.get(KEY)
    digest = hashlib.sha256(b"" if field is None else str(field.offset).encode())
    skipped = range(0) if field is None else _value_bytes(field)
    with model.open("rb") as file:
        digest.update(file.read(skipped.start))
        file.seek(skipped.stop)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _value_bytes(field: Any) -> range:
    """Where the four bytes of the value are in the file: the last part of the field."""
    end = field.offset + sum(part.nbytes for part in field.parts)
    return range(end - field.parts[field.data[0]].nbytes, end)


def opened_gguf(model: Path, mode: Literal["r", "r+"]) -> Any:
    """A `gguf.GGUFReader`; raises ModelUnusable, ExtraMissing."""
    try:
        import gguf  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ExtraMissing("reading a GGUF", "gguf", "train") from error
    try:
        return gguf.GGUFReader(model, mode)
    except (OSError, ValueError) as error:
        raise ModelUnusable(f"{model} cannot be read as a GGUF: {error}") from error


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise ModelUnusable(f"{source} cannot be copied to {target.parent}: {error.strerror}") from error
