"""Quantises a GGUF with llama.cpp's own code, in a process of its own, which ends at once when nobody waits any more.

Only whole models (float) are quantised: what was quantised before has lost too much. Knows nothing of what a model is
for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from training_export.errors import ConversionRefused, ModelUnusable
from training_export.student.gguf.files import appearing, unwritable
from training_export.student.gguf.metadata import is_whole, kinds_of, matrices_of
from training_export.student.gguf.quantisation import Quantisation, file_type, what_fell_back

_WORKER: Final = "training_export.student.gguf.quantising_worker"


@dataclass(frozen=True, slots=True)
class Quantised:
    """A file that was made: how many matrices became which kind, and a sentence where some could not be made so."""

    path: Path
    quantisation: Quantisation
    size_bytes: int
    kinds: dict[str, int]
    fell_back: str

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "path": str(self.path)}


def quantise(source: Path, target: Path, quantisation: Quantisation, *, threads: int = 0) -> Quantised:
    """Write ``target``, which appears when it is complete; ``threads`` 0 uses every core.

    Raises ConversionRefused for a source that is quantised already, ModelUnusable for one llama.cpp does not read,
    ModelUnwritable for a full disk.
    """
    before = matrices_of(source)
    if not is_whole(before):
        raise ConversionRefused(
            f"{source} is quantised already ({_counted(kinds_of(before))}); quantise the f32 or f16 file it was made of"
        )
    with appearing(target) as part:
        _run(source, part, target, quantisation, threads or os.cpu_count() or 1)
        after = matrices_of(part)
        size_bytes = part.stat().st_size
    return Quantised(target, quantisation, size_bytes, kinds_of(after), what_fell_back(quantisation, after))


def _run(source: Path, part: Path, target: Path, quantisation: Quantisation, threads: int) -> None:
    # -P: the folder somebody works in is no place to import from.
    command = [sys.executable, "-P", "-m", _WORKER, str(source), str(part), str(file_type(quantisation)), str(threads)]
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env=environment, check=False)
    if done.returncode == 0:
        return
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        why = f"by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else f"with {done.returncode}"
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ModelUnusable(f"llama.cpp's quantising of {source} to {quantisation} ended {why}: {last}") from None
    if answer["is_write_error"]:
        raise unwritable(target, "the system did not take all of it")
    raise ModelUnusable(f"llama.cpp cannot quantise {source} to {quantisation}: {answer['reason']}")


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind.lower()}" for kind, count in kinds.items())
