"""What is read of a GGUF without llama.cpp: its metadata and the types of its tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gguf

from daemon.engine.errors import ModelRefused
from daemon.engine.guard import check_file
from training_export.errors import ModelUnusable

_WHOLE: Final = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True)
class Matrix:
    """One matrix of a model: how many numbers a row has, and how they are kept (ggml's name, as ``Q4_K``)."""

    name: str
    row_numbers: int
    kind: str


def matrices_of(path: Path) -> tuple[Matrix, ...]:
    """Every tensor of two dimensions or more, as the file has them. Raises ModelUnusable, with the cure."""
    return tuple(
        Matrix(str(tensor.name), int(tensor.shape[0]), gguf.GGMLQuantizationType(tensor.tensor_type).name)
        for tensor in _opened(path).tensors
        if len(tensor.shape) > 1
    )


def is_whole(matrices: Sequence[Matrix]) -> bool:
    """Whether nothing has been quantised yet: only of such a file are quantisations made."""
    return all(matrix.kind in _WHOLE for matrix in matrices)


def kinds_of(matrices: Sequence[Matrix]) -> dict[str, int]:
    """How many matrices are of which kind, the most frequent first."""
    return dict(Counter(matrix.kind for matrix in matrices).most_common())


def _opened(path: Path) -> gguf.GGUFReader:
    try:
        check_file(path)
        return gguf.GGUFReader(path)
    except ModelRefused as error:
        raise ModelUnusable(str(error)) from error
    except (OSError, ValueError, IndexError, KeyError) as error:  # what the reader meets in a damaged file
        raise ModelUnusable(f"{path} cannot be read as a GGUF ({error}); write or download it again") from error
