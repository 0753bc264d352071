"""A text as 128 numbers, of which two texts share the more the more they have in common (MinHash).

The tokens are those of a word diff: identifiers, runs of white space, single other characters. Five in a row are a
shingle, and what is estimated is the part of the shingles of two texts that both have (Jaccard). Knows nothing of
examples or files.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capture.editing.substitution import WORD
from training_export.errors import ExtraMissing

if TYPE_CHECKING:
    from datasketch import MinHash

Signature = NDArray[np.uint32]  # (HASHES,)

HASHES = 128
SHINGLE_TOKENS = 5
SEED = 1  # of the permutations: the same text has the same signature in every run
FIRST_ROWS = 1024
# Odd, without a pattern in their bits: they make a shingle's number of those of its five tokens.
MULTIPLIERS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F], np.uint64
)


def shingles(text: str) -> NDArray[np.uint32]:
    """Every run of five tokens as a number, each once; a text with fewer is one run."""
    tokens = [zlib.crc32(token.encode()) for token in WORD.findall(text)]
    tokens += [0] * (SHINGLE_TOKENS - len(tokens))
    windows = np.lib.stride_tricks.sliding_window_view(np.array(tokens, np.uint64), SHINGLE_TOKENS)
    mixed = (windows * MULTIPLIERS).sum(axis=1, dtype=np.uint64)
    mixed ^= mixed >> np.uint64(29)
    return np.unique(((mixed * MULTIPLIERS[0]) >> np.uint64(32)).astype(np.uint32))


class Signer:
    """Makes signatures; raises ExtraMissing where datasketch is not installed."""

    def __init__(self) -> None:
        try:
            from datasketch import MinHash  # noqa: PLC0415 (an extra)
        except ImportError as error:
            raise ExtraMissing("finding near-duplicates", "datasketch", "data") from error
        self._empty: MinHash = MinHash(num_perm=HASHES, seed=SEED, hashfunc=int)  # shingles are hashes already

    def signature(self, text: str) -> Signature:
        """The signature of one text."""
        found = self._empty.copy()
        found.update_batch(shingles(text).tolist())
        values: Signature = found.hashvalues.astype(np.uint32)
        return values


class Signatures:
    """Many signatures in one table that grows: 512 bytes each, 49 MiB for 100,000."""

    def __init__(self) -> None:
        self._table: NDArray[np.uint32] = np.empty((FIRST_ROWS, HASHES), np.uint32)
        self._count = 0

    def add(self, signature: Signature) -> None:
        """Put one more behind the others."""
        if self._count == len(self._table):
            grown: Any = np.empty((2 * self._count, HASHES), np.uint32)
            grown[: self._count] = self._table
            self._table = grown
        self._table[self._count] = signature
        self._count += 1

    def table(self) -> NDArray[np.uint32]:
        """All of them: (count, HASHES)."""
        return self._table[: self._count]
