"""Lines put in order that need not fit into memory: they wait, compressed, in a file that has no name.

So nothing is left of them when the process ends, however it ends, and nobody else can read them. Knows nothing of what
the lines say.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, NamedTuple, Self

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

LEVEL = 1  # read once, a moment later


class _Waiting(NamedTuple):
    moment: float
    id: bytes
    rank: int
    offset_bytes: int
    length_bytes: int


class OrderedLines:
    """Lines by moment, then by id. Of two with one id that of the higher rank stays, of equal ones the first."""

    def __init__(self, folder: Path) -> None:
        """``folder`` has the room for the lines. Raises OSError."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `__exit__`)
        self._waiting: dict[bytes, _Waiting] = {}
        self._end_bytes = 0
        self._compressor = zstandard.ZstdCompressor(LEVEL)
        self.doubles = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, moment: float, line_id: bytes, line: bytes, *, rank: int = 0) -> None:
        """Keep a line. Raises OSError where there is no room."""
        known = self._waiting.get(line_id)
        if known is not None:
            self.doubles += 1
            if known.rank >= rank:
                return
        compressed = self._compressor.compress(line)
        self._file.write(compressed)
        self._waiting[line_id] = _Waiting(moment, line_id, rank, self._end_bytes, len(compressed))
        self._end_bytes += len(compressed)

    def in_order(self, limit: int = 0) -> Iterator[bytes]:
        """The lines, at most ``limit`` of them unless it is 0."""
        decompressor = zstandard.ZstdDecompressor()
        for waiting in sorted(self._waiting.values())[: limit or None]:
            self._file.seek(waiting.offset_bytes)
            yield decompressor.decompress(self._file.read(waiting.length_bytes))
