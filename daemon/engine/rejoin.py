"""Early stop: when an answer that repeats a text with one change has come back to that text for good.

The rule: behind the first line that differs, the answer's last two complete lines stand in the text as two
consecutive lines, at exactly one place of the whole text, at or behind the line where the change began; one of
them holds a letter or a digit; and where the change has removed more lines than it wrote, as many further
lines agree as were lost. What the answer has begun of the next line must agree too. The rest of the text then
follows unread.

What it can get wrong: a second change further down is left out (one change an answer, by design: it is predicted
next), and inserted lines that repeat lines from further down, which occur there only, read as the replacement of
those between. Lines that occur twice never decide. Knows bytes only, nothing of tokens or models.
"""

from __future__ import annotations

import re

_WORD = re.compile(rb"[^\W_]|[\x80-\xff]")
JOINING_LINES = 2


class Rejoin:
    """Watches one answer against ``unchanged``, the whole answer that would change nothing (UTF-8)."""

    def __init__(self, unchanged: bytes) -> None:
        self._lines = unchanged.split(b"\n")
        self._complete = len(self._lines) - 1  # what stands behind the last newline is no complete line
        self._pairs: dict[tuple[bytes, bytes], list[int]] = {}
        for index in range(1, self._complete):
            self._pairs.setdefault((self._lines[index - 1], self._lines[index]), []).append(index)
        self._read = 0  # bytes of the answer that complete lines take
        self._written: list[bytes] = []
        self._parted: int | None = None  # the first line that differs

    def rest(self, answer: bytes | bytearray) -> tuple[int, bytes] | None:
        """Once the answer has re-joined: how many of its bytes count, and the bytes that follow them; else None.

        ``answer`` is all of it so far and only ever grows.
        """
        joined = None
        while (end := answer.find(b"\n", self._read)) >= 0:
            self._take(bytes(answer[self._read : end]))
            self._read = end + 1
        if self._parted is not None:
            joined = self._joined_line(self._parted)
        if joined is None or not self._lines[joined + 1].startswith(answer[self._read :]):
            return None
        return self._read, b"\n".join(self._lines[joined + 1 :])

    def _take(self, line: bytes) -> None:
        index = len(self._written)
        self._written.append(line)
        if self._parted is None and (index >= self._complete or line != self._lines[index]):
            self._parted = index

    def _joined_line(self, parted: int) -> int | None:
        """The line of the text that the answer's last complete line is, None while that is not certain."""
        fresh = self._written[parted:]
        if len(fresh) < JOINING_LINES:
            return None
        places = self._pairs.get((fresh[-2], fresh[-1]), [])
        if len(places) != 1 or not (_WORD.search(fresh[-2]) or _WORD.search(fresh[-1])):
            return None
        joined = places[0]
        if joined - 1 < parted:
            return None
        agreeing = 0
        while (
            agreeing < len(fresh)
            and joined - agreeing >= parted
            and fresh[-1 - agreeing] == self._lines[joined - agreeing]
        ):
            agreeing += 1
        lost = (joined + 1 - parted) - len(fresh)  # lines of the text without a counterpart in the answer
        return joined if agreeing >= JOINING_LINES + max(0, lost) else None
