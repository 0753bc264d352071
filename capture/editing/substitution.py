"""Substitutions: what a changed line says the user is replacing by what, and where else that text stands.

Works on words (identifier runs, white space runs, single other characters), so a half-typed name is still one
replacement of one name. Pure functions on text; knows nothing of prompts or models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import Indel

from capture.inputs import EditEvent

WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a changed line: ``removed`` was replaced by ``added``; equal where nothing changed."""

    removed: str
    added: str

    @property
    def changed(self) -> bool:
        """Whether the two sides differ."""
        return self.removed != self.added


@dataclass(frozen=True, slots=True)
class Substitution:
    """Text that was replaced by other text, on word boundaries."""

    removed: str
    added: str


def word_diff(old: str, new: str) -> list[Piece]:
    """The pieces of ``new`` against ``old``, in order; joined, each side gives its text back."""
    old_words = WORD.findall(old)
    new_words = WORD.findall(new)
    pieces: list[Piece] = []
    for operation in Indel.opcodes(old_words, new_words):
        removed = "".join(old_words[operation.src_start : operation.src_end])
        added = "".join(new_words[operation.dest_start : operation.dest_end])
        if pieces and pieces[-1].changed and operation.tag != "equal":
            pieces[-1] = Piece(pieces[-1].removed + removed, pieces[-1].added + added)
        else:
            pieces.append(Piece(removed, added))
    return pieces


def line_changes(diff: str) -> Iterator[tuple[list[str], list[str]]]:
    """The change groups of a unified diff's hunks: removed lines and added lines, in file order."""
    removed: list[str] = []
    added: list[str] = []
    for line in diff.split("\n"):
        if line.startswith("-"):
            if added:
                yield removed, added
                removed, added = [], []
            removed.append(line[1:])
        elif line.startswith("+"):
            added.append(line[1:])
        elif removed or added:
            yield removed, added
            removed, added = [], []
    if removed or added:
        yield removed, added


def substitution_of(old: str, new: str) -> Substitution | None:
    """The one replacement that turns ``old`` into ``new``, None if there are none or several.

    Only a replacement of something by something counts, and only one that holds a word character: replacing
    a lone bracket says nothing about the other brackets.
    """
    found = {(piece.removed, piece.added) for piece in word_diff(old, new) if piece.changed}
    if len(found) != 1:
        return None
    removed, added = found.pop()
    if not removed or not added or not re.search(r"\w", removed):
        return None
    return Substitution(removed, added)


def last_substitution(events: Sequence[EditEvent]) -> Substitution | None:
    """The newest replacement in the newest event that holds one (events are oldest first)."""
    found = (_last_substitution_in(event.diff) for event in reversed(events))
    return next((substitution for substitution in found if substitution is not None), None)


@lru_cache(maxsize=64)  # between two keystrokes only the newest event changes
def _last_substitution_in(diff: str) -> Substitution | None:
    for removed, added in reversed(list(line_changes(diff))):
        if len(removed) != len(added):
            continue
        for old, new in zip(reversed(removed), reversed(added), strict=True):
            substitution = substitution_of(old, new)
            if substitution is not None:
                return substitution
    return None


def occurrences(line: str, text: str) -> list[int]:
    """Character offsets where ``text`` stands in ``line`` on word boundaries, left to right, not overlapping."""
    if not text:
        return []
    found: list[int] = []
    start = line.find(text)
    while start >= 0:
        end = start + len(text)
        glued_left = start > 0 and _is_word(line[start - 1]) and _is_word(text[0])
        glued_right = end < len(line) and _is_word(line[end]) and _is_word(text[-1])
        if glued_left or glued_right:
            start = line.find(text, start + 1)
        else:
            found.append(start)
            start = line.find(text, end)
    return found


def substitute(line: str, removed: str, added: str) -> str:
    """``line`` with every occurrence of ``removed`` on word boundaries replaced by ``added``."""
    parts: list[str] = []
    position = 0
    for start in occurrences(line, removed):
        parts += [line[position:start], added]
        position = start + len(removed)
    return "".join(parts) + line[position:]


def shortest_unique_replacements(old: str, new: str) -> list[Substitution] | None:
    """Replacements that, applied one after the other to every occurrence, turn ``old`` into ``new``.

    Each changed piece grows by whole words to the left until it names one place only (equal pieces may share
    one replacement). None if no such list is found: then the whole line must be written.
    """
    pieces = word_diff(old, new)
    result: list[Substitution] = []
    for index, piece in enumerate(pieces):
        if not piece.changed:
            continue
        before = "".join(part.removed for part in pieces[:index])
        for extension in _extensions(before):
            candidate = Substitution(extension + piece.removed, extension + piece.added)
            if not candidate.removed:
                continue
            if candidate in result:
                break
            if _touches_only_changes(old, pieces, candidate):
                result.append(candidate)
                break
        else:
            return None
    text = old
    for candidate in result:
        text = substitute(text, candidate.removed, candidate.added)
    return result if result and text == new else None


def _touches_only_changes(old: str, pieces: Iterable[Piece], candidate: Substitution) -> bool:
    """Whether every occurrence of ``candidate.removed`` in ``old`` ends where an equal change ends."""
    ends: set[int] = set()
    offset = 0
    for piece in pieces:
        offset += len(piece.removed)
        if piece.changed and candidate.removed.endswith(piece.removed) and candidate.added.endswith(piece.added):
            ends.add(offset)
    found = occurrences(old, candidate.removed)
    return bool(found) and all(start + len(candidate.removed) in ends for start in found)


def _extensions(before: str) -> Iterator[str]:
    """Ever longer ends of ``before``, by whole words, starting with nothing."""
    words = WORD.findall(before)
    for count in range(min(len(words), 4) + 1):
        yield "".join(words[len(words) - count :])


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
