"""What hub and index worker tell each other, as far as it has a shape of its own. Knows nothing of pipes.

A message is one line of JSON. To the worker: ``start`` (first, once), ``open``, ``close`` and ``find``; from it:
``progress`` and ``found``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

Answer = dict[str, list[tuple[str, int, str, str]]]  # for each name the path, start row, text and kind of definitions


def can_be_told(text: str) -> bool:
    """Whether JSON has a place for ``text``: a file's name may hold bytes that are no Unicode."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


class Request(StrEnum):
    """What the hub asks; the member ``op`` of a message to the worker."""

    START = "start"  # root, exclude_globs, limits
    OPEN = "open"  # path, text: the editor's text is what counts for this file
    CLOSE = "close"  # path: the disk counts again
    FIND = "find"  # id, path, names


class Reply(StrEnum):
    """What the worker says; the member ``kind`` of a message to the hub."""

    PROGRESS = "progress"  # value: an ``IndexProgress``
    FOUND = "found"  # id, value: an ``Answer``


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """What bounds the index of one workspace."""

    files: int = 20_000
    folders: int = 8_000  # each costs a watch of inotify's, of which older kernels give a user 8,192
    file_bytes: int = 256 * 1024  # larger ones are mostly generated, and take longer than 50 ms to read again
    table_bytes: int = 96 * 1024 * 1024
    open_bytes: int = 16 * 1024 * 1024  # texts of open documents, all together

    def to_json(self) -> dict[str, int]:
        """The wire form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far the index is; ``notes`` are sentences about what is not indexed, and why.

    ``files_given_up`` took too long to parse and count as done. It is ready once nothing waits and changes on disk are
    heard of (or never will be: then a note says so).
    """

    files_done: int = 0
    files_total: int = 0
    symbols: int = 0
    table_bytes: int = 0
    is_ready: bool = False
    is_watching: bool = False
    notes: tuple[str, ...] = ()
    files_given_up: int = 0

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> IndexProgress:
        """Read the wire form; raises TypeError when a member is not known."""
        return cls(**{**value, "notes": tuple(value["notes"])})
