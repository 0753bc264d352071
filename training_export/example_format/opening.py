"""Opens a file as bytes: plain, gzip or Zstandard by its name, never more in memory than a read asks for.

A compressed file that ends too early, or is damaged, raises `Damaged` after all that could be read; the libraries would
take the first for the end of the file. Knows nothing of lines or examples.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

import zstandard

from training_export.example_format.remote import is_remote, opened_raw

if TYPE_CHECKING:
    from typing_extensions import Buffer

COMPRESSIONS: Final = (".gz", ".zst")
ZSTD_LEVEL: Final = 6
# A few bytes of Zstandard can stand for a block of 128 KiB: fed in pieces of this size, one piece is at most 64 MiB.
ZSTD_PIECE_BYTES: Final = 1024


class Damaged(Exception):
    """The compressed data cannot be read further."""


@dataclass(slots=True)
class OpenFile:
    """``stream`` gives the content; ``position_bytes`` says how much of the file on disk was taken for that."""

    stream: IO[bytes]
    _on_disk: IO[bytes]

    @property
    def position_bytes(self) -> int:
        """Compressed bytes where the file is compressed; reading ahead is counted."""
        return self._on_disk.tell()


def without_compression(name: str) -> str:
    """The file name without ``.gz`` or ``.zst``."""
    return next((name.removesuffix(ending) for ending in COMPRESSIONS if name.endswith(ending)), name)


@contextmanager
def opened_for_reading(name: str) -> Iterator[OpenFile]:
    """The content of a file, or of what a URL names. Raises OSError; reading ``stream`` raises Damaged."""
    with opened_raw(name) if is_remote(name) else Path(name).open("rb", buffering=0) as on_disk:
        if name.endswith(".gz"):
            with io.BufferedReader(_Gzip(on_disk)) as stream:
                yield OpenFile(stream, on_disk)
        elif name.endswith(".zst"):
            with io.BufferedReader(_Zstandard(on_disk)) as stream:
                yield OpenFile(stream, on_disk)
        else:
            with io.BufferedReader(on_disk) as stream:  # type: ignore[type-var]  # raw
                yield OpenFile(stream, on_disk)


@contextmanager
def compressing(file: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """A stream into ``file`` that compresses as ``name`` says; ``file`` stays open, and is whole when the block ends.

    The same content gives the same bytes: no name and no date is written into them.
    """
    if name.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream:
            yield cast("IO[bytes]", stream)
    elif name.endswith(".zst"):
        compressor = zstandard.ZstdCompressor(ZSTD_LEVEL, write_checksum=True)
        with compressor.stream_writer(file, closefd=False) as writer:
            yield writer
    else:
        yield file


class _Gzip(io.RawIOBase):
    """Members of gzip one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._content = gzip.GzipFile(fileobj=io.BufferedReader(file), mode="rb")  # type: ignore[type-var]  # raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        try:
            return self._content.readinto(buffer)
        except EOFError as error:
            raise Damaged("the gzip data ends in the middle; what came behind is lost") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise Damaged(f"the gzip data is damaged ({error}); what was read before may be wrong") from error


class _Zstandard(io.RawIOBase):
    """Frames of Zstandard one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = io.BufferedReader(file)  # type: ignore[type-var]  # raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._frame_is_begun = False
        self._waiting = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        with memoryview(buffer) as view:
            while not self._waiting:
                piece = self._file.read(ZSTD_PIECE_BYTES)
                if not piece:
                    if self._frame_is_begun:
                        raise Damaged("the Zstandard data ends in the middle; what came behind is lost")
                    return 0
                self._waiting = memoryview(b"".join(self._decompressed(piece)))
            count = min(len(view), len(self._waiting))
            view[:count] = self._waiting[:count]
            self._waiting = self._waiting[count:]
            return count

    def _decompressed(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            try:
                yield self._frame.decompress(piece)
            except zstandard.ZstdError as error:
                raise Damaged(f"the Zstandard data is damaged ({error}); what was read before may be wrong") from error
            self._frame_is_begun = not self._frame.eof
            piece = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
