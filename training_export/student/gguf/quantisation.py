"""The ways to quantise that are offered: llama.cpp's names and numbers, and what a row must be for them.

Those that need an importance matrix are not among them. Knows nothing of files or processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from daemon.errors import BadArgument
from training_export.student.gguf.metadata import Matrix, kinds_of

SUPER_BLOCK, BLOCK = 256, 32  # numbers of a row that are kept together (ggml/src/ggml-common.h)


class Quantisation(StrEnum):
    """By the names people know them by."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q6_K = "q6_k"
    Q5_K_M = "q5_k_m"
    Q5_K_S = "q5_k_s"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_K_M = "q4_k_m"
    Q4_K_S = "q4_k_s"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"
    IQ4_NL = "iq4_nl"
    IQ4_XS = "iq4_xs"
    Q3_K_M = "q3_k_m"
    Q2_K = "q2_k"


class _Facts(NamedTuple):
    file_type: int  # llama_ftype in llama.h
    block: int


_FACTS: Final = {
    Quantisation.F32: _Facts(0, 1),
    Quantisation.F16: _Facts(1, 1),
    Quantisation.BF16: _Facts(32, 1),
    Quantisation.Q8_0: _Facts(7, BLOCK),
    Quantisation.Q6_K: _Facts(18, SUPER_BLOCK),
    Quantisation.Q5_K_M: _Facts(17, SUPER_BLOCK),
    Quantisation.Q5_K_S: _Facts(16, SUPER_BLOCK),
    Quantisation.Q5_1: _Facts(9, BLOCK),
    Quantisation.Q5_0: _Facts(8, BLOCK),
    Quantisation.Q4_K_M: _Facts(15, SUPER_BLOCK),
    Quantisation.Q4_K_S: _Facts(14, SUPER_BLOCK),
    Quantisation.Q4_1: _Facts(3, BLOCK),
    Quantisation.Q4_0: _Facts(2, BLOCK),
    Quantisation.IQ4_NL: _Facts(25, BLOCK),
    Quantisation.IQ4_XS: _Facts(30, SUPER_BLOCK),
    Quantisation.Q3_K_M: _Facts(12, SUPER_BLOCK),
    Quantisation.Q2_K: _Facts(10, SUPER_BLOCK),
}
DEFAULT: Final = (
    Quantisation.F16,
    Quantisation.Q8_0,
    Quantisation.Q6_K,
    Quantisation.Q5_K_M,
    Quantisation.Q4_K_M,
    Quantisation.Q4_0,
)


def file_type(quantisation: Quantisation) -> int:
    """llama.cpp's number for it."""
    return _FACTS[quantisation].file_type


def read_names(names: str) -> tuple[Quantisation, ...]:
    """Names with commas between them, in this order, each once; raises BadArgument."""
    found: list[Quantisation] = []
    for name in filter(None, (part.strip().lower() for part in names.split(","))):
        try:
            quantisation = Quantisation(name)
        except ValueError as error:
            raise BadArgument(f"{name!r} is no quantisation; there are: {', '.join(Quantisation)}") from error
        if quantisation not in found:
            found.append(quantisation)
    if not found:
        raise BadArgument(f"name quantisations, with commas between them, of: {', '.join(Quantisation)}")
    return tuple(found)


def what_fell_back(quantisation: Quantisation, matrices: Sequence[Matrix]) -> str:
    """A sentence on the matrices whose rows do not fit the quantisation's blocks, and what they became; else empty."""
    block = _FACTS[quantisation].block
    misfits = [matrix for matrix in matrices if matrix.row_numbers % block]
    if not misfits:
        return ""
    rows = ", ".join(f"{number:,}" for number in sorted({matrix.row_numbers for matrix in misfits}))
    kinds = ", ".join(f"{count} {kind.lower()}" for kind, count in kinds_of(misfits).items())
    return (
        f"{len(misfits)} of {len(matrices)} matrices have rows of {rows} numbers, no multiple of {block}, and cannot"
        f" be {quantisation}: llama.cpp made them {kinds}"
    )
