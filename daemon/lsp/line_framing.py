"""Messages as lines: one JSON value a line, no header, parsed without I/O. This is how ACP is spoken.

Knows nothing of JSON-RPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from daemon.lsp.framing import MAX_BODY_BYTES, BadFrame

if TYPE_CHECKING:
    from collections.abc import Callable


class LineParser:
    """Turns arriving bytes into lines; owns the bytes that are not yet a whole line."""

    def __init__(self, max_line_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._buffer = bytearray()
        self._searched_bytes = 0  # of the buffer: no line ends there
        self._is_skipping = False  # what remains of a line that is too long

    def feed(self, data: bytes) -> list[bytes | BadFrame]:
        """Take ``data`` and return every line (or complaint) it completes, in order; empty lines are none."""
        self._buffer += data
        found: list[bytes | BadFrame] = []
        while (end := self._buffer.find(b"\n", self._searched_bytes)) >= 0:
            line = bytes(self._buffer[:end]).strip()
            del self._buffer[: end + 1]
            self._searched_bytes = 0
            if not self._is_skipping and len(line) > self._max_line_bytes:
                found.append(self._too_long())
            elif not self._is_skipping and line:
                found.append(line)
            self._is_skipping = False
        self._searched_bytes = len(self._buffer)
        if self._searched_bytes > self._max_line_bytes:
            if not self._is_skipping:
                found.append(self._too_long())
            self._is_skipping = True
            self._buffer.clear()
            self._searched_bytes = 0
        return found

    def _too_long(self) -> BadFrame:
        return BadFrame(f"the line is over {self._max_line_bytes} bytes")


def encode_line(message: dict[str, Any], unstructure: Callable[[Any], Any] | None = None) -> bytes:
    """One message as a line; ``unstructure`` makes JSON of the values that are none."""
    return orjson.dumps(message, unstructure, orjson.OPT_APPEND_NEWLINE)
