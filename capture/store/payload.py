"""A snapshot as bytes in the store: compressed, and known again by the SHA-256 of what went in.

Knows nothing of what the bytes mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import zstandard

COMPRESSION_LEVEL = 3
LIMIT_BYTES = 4 << 20  # of a snapshot before compression; one of a full prompt with its diffs has about 200 kB


class PayloadDamaged(Exception):
    """The bytes are not those that were stored."""


class PayloadTooLarge(Exception):
    """More bytes than one snapshot may have."""


@dataclass(frozen=True, slots=True)
class Payload:
    """``length_bytes`` and ``sha256`` (64 hex digits) are those of the bytes before compression."""

    compressed: bytes
    length_bytes: int
    sha256: str


def pack(content: bytes) -> Payload:
    """Compress; raises PayloadTooLarge."""
    if len(content) > LIMIT_BYTES:
        raise PayloadTooLarge(f"{len(content)} bytes are more than the {LIMIT_BYTES} of a snapshot")
    compressor = zstandard.ZstdCompressor(COMPRESSION_LEVEL, write_checksum=True)
    return Payload(compressor.compress(content), len(content), sha256(content).hexdigest())


def unpack(payload: Payload) -> bytes:
    """The bytes that were packed; raises PayloadDamaged when they are not the same."""
    try:
        promised_bytes = zstandard.get_frame_parameters(payload.compressed).content_size
        if not promised_bytes == payload.length_bytes <= LIMIT_BYTES:  # before that much memory is taken
            raise PayloadDamaged(f"{promised_bytes} bytes instead of {payload.length_bytes}")
        content = zstandard.ZstdDecompressor().decompress(payload.compressed)
    except zstandard.ZstdError as error:
        raise PayloadDamaged("it cannot be decompressed") from error
    if sha256(content).hexdigest() != payload.sha256:
        raise PayloadDamaged("its SHA-256 is another")
    return content
