"""Myers' line diff in linear space, as the histogram diff falls back on it: which tokens are removed and added.

Details follow the Rust crate ``imara-diff`` 0.2, which follows git: tokens that cannot match are taken out first, the
rest is split where a search from both ends meets, and a search that becomes too long is cut short. Two habits of
that crate are kept because they shape its diffs: it looks for a meeting on the backward search only, and the window
of tokens looked at before a frequent one starts at a fixed index. Knows nothing of lines or files.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate, compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TOKENS = 20_000  # of both sequences: about a second of work
_MAX_COST = 256  # steps of a search before it is cut short
_MAX_FREQUENT = 1024
_NOISE_WINDOW = 100


def changed_tokens(before: Sequence[int], after: Sequence[int]) -> tuple[bytearray, bytearray]:
    """A flag for each token: removed (of ``before``), added (of ``after``). What is not flagged is equal in order.

    The sequences together have at most `MAX_TOKENS` tokens.
    """
    old_places, new_places = _matchable(before, Counter(after)), _matchable(after, Counter(before))
    removed, added = _all_but(old_places, len(before)), _all_but(new_places, len(after))
    old, new = [before[place] for place in old_places], [after[place] for place in new_places]
    pending = [_Box(0, len(old), 0, len(new), is_minimal=False)]
    while pending:
        box = pending.pop().without_common_ends(old, new)
        if box.old_start == box.old_end or box.new_start == box.new_end:
            for place in old_places[box.old_start : box.old_end]:
                removed[place] = 1
            for place in new_places[box.new_start : box.new_end]:
                added[place] = 1
            continue
        pending.extend(_split(old, new, box))
    return removed, added


def _all_but(places: list[int], length: int) -> bytearray:
    flags = bytearray(b"\1") * length
    for place in places:
        flags[place] = 0
    return flags


def _matchable(tokens: Sequence[int], elsewhere: Counter[int]) -> list[int]:
    """Places of the tokens that occur elsewhere, without frequent ones amid many that do not."""
    frequent = min(_root(len(tokens)), _MAX_FREQUENT)
    counts = [elsewhere[token] for token in tokens]
    unmatched = [0, *accumulate(count == 0 for count in counts)]
    rare = [place for place, count in enumerate(counts) if 0 < count < frequent]

    def is_noise(place: int) -> bool:
        """Judged by the tokens around it up to the next rare one; the token itself counts as after."""
        next_rare = bisect_left(rare, place)
        start = max(_NOISE_WINDOW if place > _NOISE_WINDOW else 0, rare[next_rare - 1] + 1 if next_rare else 0)
        end = min(place + _NOISE_WINDOW, rare[next_rare] if next_rare < len(rare) else len(tokens))
        unmatched_around = unmatched[end] - unmatched[start]
        is_between = unmatched[start] < unmatched[place] < unmatched[end]
        return is_between and unmatched_around > 3 * (end - start - unmatched_around)

    kept = (count > 0 and (count < frequent or not is_noise(place)) for place, count in enumerate(counts))
    return list(compress(range(len(tokens)), kept))


def _root(number: int) -> int:
    """A power of two near the square root."""
    return 1 << (number.bit_length() // 2)


@dataclass(frozen=True, slots=True)
class _Box:
    """The part of the two sequences that is compared; whether a shortest script is wanted at any cost."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int
    is_minimal: bool

    def without_common_ends(self, old: list[int], new: list[int]) -> _Box:
        old_start, old_end, new_start, new_end = self.old_start, self.old_end, self.new_start, self.new_end
        while old_start < old_end and new_start < new_end and old[old_start] == new[new_start]:
            old_start, new_start = old_start + 1, new_start + 1
        while old_start < old_end and new_start < new_end and old[old_end - 1] == new[new_end - 1]:
            old_end, new_end = old_end - 1, new_end - 1
        return _Box(old_start, old_end, new_start, new_end, self.is_minimal)

    def parts(self, split: tuple[int, int], *, minimal: tuple[bool, bool]) -> tuple[_Box, _Box]:
        """The parts before and after a split, given relative to the start."""
        old_at, new_at = self.old_start + split[0], self.new_start + split[1]
        return (
            _Box(self.old_start, old_at, self.new_start, new_at, minimal[0]),
            _Box(old_at, self.old_end, new_at, self.new_end, minimal[1]),
        )


def _split(old: list[int], new: list[int], box: _Box) -> tuple[_Box, _Box]:
    before, after = old[box.old_start : box.old_end], new[box.new_start : box.new_end]
    forward = _Frontier(before, after, diagonal=0, reached=0)
    backward = _Frontier(before, after, diagonal=len(before) - len(after), reached=len(before))
    steps = 0
    while box.is_minimal or steps <= _MAX_COST:
        forward.widen(outside=-len(before) - len(after) - 2)
        forward.advance()
        backward.widen(outside=2 * (len(before) + len(after)) + 2)
        meeting = backward.retreat(forward)
        if meeting is not None:
            return box.parts(meeting, minimal=(True, True))
        steps += 1
    farthest, nearest = forward.farthest(), backward.nearest()
    if sum(farthest) > len(before) + len(after) - sum(nearest):
        return box.parts(farthest, minimal=(True, False))
    return box.parts(nearest, minimal=(False, True))


class _Frontier:
    """How far a search has come on each diagonal: the index into ``before``, by that index minus the other one."""

    def __init__(self, before: list[int], after: list[int], *, diagonal: int, reached: int) -> None:
        self._before = before
        self._after = after
        self._low = self._high = diagonal
        # Diagonals below zero lie at the end of the list, where negative indices find them.
        self._reached = [0] * (len(before) + len(after) + 3)
        self._reached[diagonal] = reached

    def widen(self, *, outside: int) -> None:
        """Go on to the neighbouring diagonals; what lies beyond them counts as reached up to ``outside``."""
        if self._low > -len(self._after):
            self._low -= 1
            self._reached[self._low - 1] = outside
        else:
            self._low += 1
        if self._high < len(self._before):
            self._high += 1
            self._reached[self._high + 1] = outside
        else:
            self._high -= 1

    def advance(self) -> None:
        """One step towards the end, then along what is equal, on every second diagonal."""
        before, after, reached = self._before, self._after, self._reached
        for diagonal in range(self._high, self._low - 1, -2):
            below, above = reached[diagonal - 1], reached[diagonal + 1]
            at = below + 1 if below >= above else above
            new_at = at - diagonal
            while at < len(before) and new_at < len(after) and before[at] == after[new_at]:
                at, new_at = at + 1, new_at + 1
            reached[diagonal] = at

    def retreat(self, forward: _Frontier) -> tuple[int, int] | None:
        """One step towards the start on every second diagonal; where that meets the forward search, if it does."""
        before, after, reached = self._before, self._after, self._reached
        for diagonal in range(self._high, self._low - 1, -2):
            below, above = reached[diagonal - 1], reached[diagonal + 1]
            at = below if below < above else above - 1
            new_at = at - diagonal
            while at > 0 and new_at > 0 and before[at - 1] == after[new_at - 1]:
                at, new_at = at - 1, new_at - 1
            reached[diagonal] = at
            if forward._low <= diagonal <= forward._high and at <= forward._reached[diagonal]:
                return at, new_at
        return None

    def farthest(self) -> tuple[int, int]:
        """The place with the most tokens of both behind it; the first among equals, from the highest diagonal on."""
        places: list[tuple[int, int]] = []
        for diagonal in range(self._high, self._low - 1, -2):
            at = min(self._reached[diagonal], len(self._before), len(self._after) + diagonal)
            places.append((at, at - diagonal))
        return max(places, key=sum)

    def nearest(self) -> tuple[int, int]:
        """The place with the fewest tokens of both behind it; the first among equals, from the highest diagonal on."""
        places: list[tuple[int, int]] = []
        for diagonal in range(self._high, self._low - 1, -2):
            at = max(self._reached[diagonal], 0, diagonal)
            places.append((at, at - diagonal))
        return min(places, key=sum)
