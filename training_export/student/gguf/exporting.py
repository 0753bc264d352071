"""From a trained model to one finished GGUF: written whole, and quantised where that was asked for."""

from __future__ import annotations

import tempfile
from pathlib import Path

from training_export.student.gguf.files import unwritable
from training_export.student.gguf.metadata import kinds_of, matrices_of
from training_export.student.gguf.quantisation import Quantisation
from training_export.student.gguf.quantising import Quantised, quantise
from training_export.student.gguf.writing import About, Precision, Step, Trained, write_gguf


def export(
    trained: Trained, path: Path, about: About, quantisation: Quantisation, step: Step = lambda _what: None
) -> Quantised:
    """Write ``path``, which appears when it is complete; what lies between is written beside it and removed.

    What lies between is float32, so that there is one rounding between training and the file. Raises what
    `write_gguf` and `quantise` raise.
    """
    if quantisation.value in set(Precision):
        write_gguf(trained, path, about, precision=Precision(quantisation.value), step=step)
        return Quantised(path, quantisation, path.stat().st_size, kinds_of(matrices_of(path)), "")
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.resolve().parent) as folder:
            whole = Path(folder) / "whole.gguf"
            write_gguf(trained, whole, about, precision=Precision.F32, step=step)
            step(f"quantising to {quantisation}")
            return quantise(whole, path, quantisation)
    except OSError as error:
        raise unwritable(path, error) from error
