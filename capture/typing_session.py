"""A typing session as data: one header line, then one keystroke a line, each with the time it is due (JSONL).

Positions are LSP's: rows from 0, columns in UTF-16 units. A keystroke changes the text (``type``, ``erase``, ``undo``,
and ``accept``: what the person takes as a whole, predicted or not) or only moves the cursor (``move``). Knows nothing
of files, of clients, of systems or of how a session was made.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import orjson

from capture.editing.positions import ContentChange, Position, Range

Kind = Literal["type", "erase", "undo", "accept", "move"]
KINDS: tuple[str, ...] = get_args(Kind)
CHARACTERS_PER_WORD = 5  # of ``words_per_minute``


@dataclass(frozen=True, slots=True)
class Keystroke:
    """One key: due ``at_ms`` after the session's start.

    ``change`` is None for a ``move``; ``cursor`` is where the key leaves the cursor.
    """

    at_ms: int
    kind: Kind
    change: ContentChange | None
    cursor: Position

    def to_json(self) -> dict[str, Any]:
        """One line of the file."""
        value: dict[str, Any] = {"at_ms": self.at_ms, "kind": self.kind}
        if self.change is not None and self.change.range is not None:
            start, end = self.change.range.start, self.change.range.end
            value["range"] = [[start.line, start.character_utf16], [end.line, end.character_utf16]]
            value["text"] = self.change.text
        return {**value, "cursor": [self.cursor.line, self.cursor.character_utf16]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Keystroke:
        """Read ``to_json``; raises KeyError, TypeError or ValueError when it is not one."""
        if value["kind"] not in KINDS:
            raise ValueError(f"{value['kind']!r} is no kind of keystroke; there are: {', '.join(KINDS)}")
        change = None
        if "range" in value:
            start, end = (Position(*place) for place in value["range"])
            change = ContentChange(Range(start, end), value["text"])
        return cls(value["at_ms"], value["kind"], change, Position(*value["cursor"]))


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line says; ``text`` is the file before.

    ``simulated`` is a sentence that says who made the session up (and ``seed`` with what); it is empty, and ``seed``
    is 0, where a person typed it. ``words_per_minute`` counts five characters a word and is the pace of consecutive
    typed keys: what was aimed at, or what a recording came to.
    """

    session: str
    simulated: str
    seed: int
    words_per_minute: int
    language_id: str
    path: str
    keystrokes: int
    final_text_sha256: str
    text: str


@dataclass(frozen=True, slots=True)
class Session:
    """One file."""

    header: Header
    keystrokes: tuple[Keystroke, ...]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.header.session

    @property
    def seconds(self) -> float:
        """When the last key is due."""
        return self.keystrokes[-1].at_ms / 1000

    def first(self, count: int) -> Session:
        """The session cut after ``count`` keystrokes."""
        return Session(self.header, self.keystrokes[:count])

    def to_bytes(self) -> bytes:
        """The file."""
        lines = [asdict(self.header), *(keystroke.to_json() for keystroke in self.keystrokes)]
        return b"".join(orjson.dumps(line) + b"\n" for line in lines)

    @classmethod
    def from_bytes(cls, content: bytes) -> Session:
        """Read ``to_bytes``; raises ValueError, KeyError or TypeError when it is not one."""
        header, *keystrokes = (orjson.loads(line) for line in content.splitlines())
        return cls(Header(**header), tuple(Keystroke.from_json(line) for line in keystrokes))


def sha256(text: str) -> str:
    """The fingerprint of a text that headers carry."""
    return hashlib.sha256(text.encode()).hexdigest()
