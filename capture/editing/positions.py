r"""Positions as LSP counts them, line ends as LSP knows them, and the arithmetic between UTF-16 and UTF-8.

A line ends at ``\n``, ``\r\n`` or ``\r`` and nowhere else. A position inside a surrogate pair means the
place before that character. Knows nothing of documents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TERMINATED_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """0-based line, and UTF-16 code units from its start."""

    line: int
    character_utf16: int


@dataclass(frozen=True, slots=True)
class Range:
    """From ``start`` up to, not including, ``end``; a reversed range means the same as the swapped one."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class ContentChange:
    """Replace ``range`` by ``text``; without a range ``text`` is the whole new text."""

    range: Range | None
    text: str


def split_rows(text: str) -> list[str]:
    """Rows with their terminators; the last one has none and may be empty. ``"".join`` is the inverse."""
    if "\r" not in text:
        *terminated, last = text.split("\n")
        return [*(row + "\n" for row in terminated), last]
    rows = _TERMINATED_LINE.findall(text)
    return [*rows, text[sum(map(len, rows)) :]]


def content_of(row: str) -> str:
    """A row without its terminator."""
    if row.endswith("\r\n"):
        return row[:-2]
    return row[:-1] if row.endswith(("\n", "\r")) else row


def encodable(text: str) -> str:
    """``text`` with lone surrogates replaced by U+FFFD, one UTF-16 unit as well: columns still hold."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def utf8_length(text: str) -> int:
    """Length in UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode())


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def index_at_utf16(text: str, character_utf16: int) -> int:
    """Index into ``text`` of a UTF-16 offset, clamped to the text; inside a surrogate pair: before it."""
    wanted = max(0, character_utf16)
    if text.isascii():
        return min(wanted, len(text))
    # The decoder drops the first half of a pair that the slice cuts.
    return len(text.encode("utf-16-le")[: 2 * wanted].decode("utf-16-le", "ignore"))


def index_at_utf8(text: str, column_bytes: int) -> int:
    """Index into ``text`` of a UTF-8 offset, clamped to the text; inside a character: before it."""
    wanted = max(0, column_bytes)
    if text.isascii():
        return min(wanted, len(text))
    return len(text.encode()[:wanted].decode(errors="ignore"))


def common_prefix(first: str, second: str) -> int:
    """How many leading characters two texts share."""
    shorter = min(len(first), len(second))
    if first[:shorter] == second[:shorter]:
        return shorter
    return next(index for index in range(shorter) if first[index] != second[index])
