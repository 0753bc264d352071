"""Parts: files of sealed snapshots, in a directory or in an object store, and how they are read again.

``parts/date=YYYY-MM-DD/part-RANDOM.jsonl.zst`` is one zstd frame with one snapshot a line; the day is that of receipt,
UTC. A part appears under its name whole and durable, and is replaced or removed in one step. Knows nothing of the
index, nor of what a line means.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import IO, Protocol

import zstandard

from capture.store.payload import COMPRESSION_LEVEL

FOLDER = "parts"
READ_BYTES = 1 << 16
_NAME = re.compile(r"date=\d{4}-\d\d-\d\d/part-[0-9a-f]{16}\.jsonl\.zst")


class PartDamaged(Exception):
    """A part is missing, broken off, or not the one that was written; the message names it and the cure."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"part {name} {detail}; bring it back from a backup")


class PartMissing(PartDamaged):
    """There is no part of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "is not there")


class PartBeingWritten(Protocol):
    """Nothing is to be seen of it before `finish`. Every method blocks; the first two raise StorageUnavailable."""

    def add(self, lines: Iterable[bytes]) -> None:
        """Write lines, without their line feeds."""
        ...

    def finish(self) -> None:
        """It lies under its name, durable, in the place of what was there before."""
        ...

    def let_go(self) -> None:
        """Always the last: what was not finished is gone."""
        ...


class Parts(Protocol):
    """A place for parts. Every method blocks and raises StorageUnavailable; names are relative to the place."""

    def begin(self, name: str) -> PartBeingWritten:
        """Write one part."""
        ...

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a part, without their line feeds; raises PartDamaged, at the latest when it ends."""
        ...

    def names(self) -> list[str]:
        """All parts, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Remove a part, if it is there."""
        ...

    def sweep(self) -> None:
        """Remove what writers that died have left; nobody writes meanwhile."""
        ...

    def mark(self) -> str:
        """What `set_mark` wrote, or nothing."""
        ...

    def set_mark(self, mark: str) -> None:
        """Write down whose parts these are."""
        ...


def new_name(day: datetime) -> str:
    """A name for a part of that day that no other has."""
    return f"date={day:%Y-%m-%d}/part-{secrets.token_hex(8)}.jsonl.zst"


def is_name(text: str) -> bool:
    """Whether that is the name of a part; what else lies there is nobody's business."""
    return _NAME.fullmatch(text) is not None


def compressing(file: IO[bytes]) -> zstandard.ZstdCompressionWriter:
    """Writes one frame into ``file``, which stays open when the frame is closed."""
    compressor = zstandard.ZstdCompressor(COMPRESSION_LEVEL, write_checksum=True)
    return compressor.stream_writer(file, closefd=False)


def decompressed_lines(name: str, file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a part's file; raises PartDamaged. Closing the file is the caller's."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    rest: list[bytes] = []
    try:
        while not decompressor.eof and (compressed := file.read(READ_BYTES)):
            first, *others = decompressor.decompress(compressed).split(b"\n")
            rest.append(first)
            if others:
                yield b"".join(rest)
                yield from others[:-1]
                rest = [others[-1]]
    except zstandard.ZstdError as error:
        raise PartDamaged(name, "cannot be decompressed") from error
    if not decompressor.eof or any(rest) or decompressor.unused_data:
        raise PartDamaged(name, "is broken off")


def read_parts(url: str) -> Iterator[bytes]:
    """The lines of every sealed part at ``url`` (as in ``--data``), part by part in the order of their names.

    Parts that a collector removes meanwhile are passed over. Raises StorageMisconfigured for a URL that cannot be
    read, StorageUnavailable, and PartDamaged.
    """
    from capture.collector.opening import parts_at  # noqa: PLC0415 (it imports this module)

    parts = parts_at(url)
    for name in parts.names():
        with suppress(PartMissing):
            yield from parts.lines(name)
