"""The LSP base protocol on bytes: header blocks and bodies, parsed leniently and without I/O.

pygls matches ``Content-Length`` case-sensitively, trusts any length and never finds its way back after a
bad header; this parser is used instead. It accepts headers in any case and order, packets split or merged
anywhere, and answers what it cannot use with ``BadFrame`` while it looks for the next plausible header.
Knows nothing of JSON-RPC beyond decoding one JSON value per body.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from capture.editing.positions import encodable

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BODY_BYTES = 64 * 1024 * 1024  # larger than any document we predict in, smaller than what hurts the machine
MAX_HEADER_BYTES = 8 * 1024  # a header block this long without an empty line is not a header block

_HEADER_END = re.compile(rb"\r?\n\r?\n")
# Where reading resumes after a bad header. Raw line ends do not occur inside a JSON string, so text of a
# document that mentions the header can not be taken for one.
_PLAUSIBLE_HEADER = re.compile(rb"content-length[ \t]*:[ \t]*\d{1,8}[ \t]*\r?\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Bytes that are no message; ``reason`` is fit for the error the peer gets."""

    reason: str


class FrameParser:
    """Turns arriving bytes into message bodies; owns the bytes that are not yet a whole message."""

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._body_bytes: int | None = None  # the length announced by the header already consumed
        self._resyncing = False

    def feed(self, data: bytes) -> list[bytes | BadFrame]:
        """Take ``data`` and return every body (or complaint) it completes, in order."""
        self._buffer += data
        found: list[bytes | BadFrame] = []
        while (item := self._next()) is not None:
            found.append(item)
        return found

    def _next(self) -> bytes | BadFrame | None:
        if self._resyncing and not self._resume():
            return None
        if self._body_bytes is None:
            complaint = self._read_header()
            if complaint is not None:
                # The block stays: after a body of the wrong length a good header can hide in it. One byte
                # goes, so that the same header is not found again.
                del self._buffer[:1]
                self._resyncing = True
                return complaint
        if self._body_bytes is None or len(self._buffer) < self._body_bytes:
            return None
        body = bytes(self._buffer[: self._body_bytes])
        del self._buffer[: self._body_bytes]
        self._body_bytes = None
        return body

    def _read_header(self) -> BadFrame | None:
        """Consume one header block and note the body's length; or complain, and ``_resume`` is next."""
        while self._buffer.startswith((b"\r", b"\n")):
            del self._buffer[:1]
        end = _HEADER_END.search(self._buffer, 0, MAX_HEADER_BYTES)
        if end is None:
            if len(self._buffer) < MAX_HEADER_BYTES:
                return None
            return BadFrame("the header block does not end")
        length: bytes | None = None
        for line in bytes(self._buffer[: end.start()]).splitlines():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = value.strip()
                break
        if length is None:
            return BadFrame("the header block has no Content-Length")
        if not length.isdigit():
            return BadFrame("Content-Length is not a number")
        # int() refuses thousands of digits with an exception of its own.
        if len(length) > 12 or int(length) > self._max_body_bytes:
            return BadFrame(f"Content-Length is over {self._max_body_bytes} bytes")
        del self._buffer[: end.end()]
        self._body_bytes = int(length)
        return None

    def _resume(self) -> bool:
        """Drop bytes up to the next plausible header; False while there is none yet."""
        header = _PLAUSIBLE_HEADER.search(self._buffer)
        if header is None:
            del self._buffer[:-64]  # the start of a header may already be here
            return False
        del self._buffer[: header.start()]
        self._resyncing = False
        return True


def decode_body(body: bytes) -> Any:
    """Decode one JSON value; raises ValueError when ``body`` is not JSON in UTF-8.

    JavaScript clients can send half of a surrogate pair as an escape; it becomes U+FFFD.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if b"\\ud" not in body.lower():
            raise
    try:
        return _without_lone_surrogates(json.loads(body))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def encode_message(message: dict[str, Any], unstructure: Callable[[Any], Any] | None = None) -> bytes:
    """One framed message; ``unstructure`` makes JSON of the values that are none."""
    body = orjson.dumps(message, unstructure)
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _without_lone_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {encodable(key): _without_lone_surrogates(item) for key, item in value.items()}
    return value
