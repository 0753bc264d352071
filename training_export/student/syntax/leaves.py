"""The words of a file from the leaves of its tree: one for each row that a leaf reaches into, nothing left out.

Knows rows and bytes; nothing of syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training_export.student.syntax.binding import Mention, Role
from training_export.student.syntax.parsed import Word, WordKind


@dataclass(slots=True)
class Leaf:
    """A token's bytes; ``mention`` where it is a name."""

    kind: WordKind
    start: int
    end: int
    scope: int
    mention: Mention | None = None


_Piece = tuple[WordKind, str, int, int, int, Mention | None]  # of one row: its text, row, column and scope


class Words:
    """Puts the leaves of one text into its rows."""

    def __init__(self, source: bytes, lines: Sequence[str]) -> None:
        self._source = source
        self._lines = lines
        self._is_ascii = source.isascii()
        self._encoded = source.split(b"\n")
        self._starts = [0]
        for line in self._encoded:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def of(self, leaves: Sequence[Leaf]) -> tuple[list[Word], list[tuple[int, Mention]]]:
        """The words in the order of the text, and the mentions by the index of their word.

        What stands between two leaves, though no grammar should leave anything out, is a word as well.
        """
        pieces = self._pieces(leaves)
        words: list[Word] = []
        mentions: list[tuple[int, Mention]] = []
        last = len(pieces) - 1
        previous = ""
        for index, (kind, text, row, start, scope, mention) in enumerate(pieces):
            following = pieces[index + 1][1] if index < last else ""
            end = start + len(text)
            if mention is None:
                words.append(Word(kind, text, row, start, end, previous, following, scope))
            else:
                role = mention.role
                is_definition = role in (Role.DEFINITION, Role.MEMBER)
                mentions.append((index, mention))
                words.append(
                    Word(
                        kind, text, row, start, end, previous, following, scope,
                        role.is_attribute, is_definition, mention.is_shorthand,
                    )
                )  # fmt: skip
            previous = text
        return words, mentions

    def _pieces(self, leaves: Sequence[Leaf]) -> list[_Piece]:
        found: list[_Piece] = []
        source, starts = self._source, self._starts
        at = row = 0
        for leaf in [*leaves, Leaf(WordKind.OPERATOR, len(source), len(source), 0)]:
            if at < leaf.start and source[at : leaf.start].strip():
                row = self._put(found, Leaf(WordKind.OPERATOR, at, leaf.start, leaf.scope), row)
            while starts[row + 1] <= leaf.start:
                row += 1
            row = self._put(found, leaf, row)
            at = max(at, leaf.end)
        return found

    def _put(self, found: list[_Piece], leaf: Leaf, row: int) -> int:
        """Puts the leaf's part in each row, without the white space around it; returns the row in which it ends."""
        starts, start = self._starts, leaf.start
        while starts[row + 1] <= start:
            row += 1
        while True:
            end = min(leaf.end, starts[row + 1] - 1)
            text = self._source[start:end]
            kept = text.strip()
            if kept:
                first = self._column(row, start + len(text) - len(text.lstrip()))
                found.append((leaf.kind, kept.decode(), row, first, leaf.scope, leaf.mention))
            if leaf.end < starts[row + 1]:
                return row
            row += 1
            start = starts[row]
            if start >= leaf.end or row + 2 > len(starts):
                return row

    def _column(self, row: int, byte: int) -> int:
        """The character column of a byte in a row."""
        offset = byte - self._starts[row]
        if self._is_ascii or self._lines[row].isascii():
            return offset
        return len(self._encoded[row][:offset].decode())
