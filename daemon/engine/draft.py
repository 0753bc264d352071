"""Drafts: what an answer probably says next, read off texts that it is likely to repeat.

A ``Follower`` walks one such text: its pointer advances with every token of the answer that agrees, and after a
difference it is set anew, by the tokens just written or by the next line. ``Drafts`` has one for each source
and drafts from the one that has agreed the longest. Knows tokens only: a source may be wrong, empty or longer than
any context, which costs speed and never text, as every drafted token is verified.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_MATCH_TOKENS = 8  # how far back the answer is compared when the pointer is set anew
NEAR_TOKENS = 12  # a single equal token says something only this close behind the place where the two parted
MAX_PLACES = 12  # of one token in a source that are looked at, the nearest ones on each side


class Follower:
    """A pointer into one source text.

    ``run`` is how many tokens up to the pointer agree with the answer's last ones. Its state depends on the
    answer's tokens alone, never on how they were decoded.
    """

    def __init__(self, tokens: Sequence[int], ends_line: Callable[[int], bool]) -> None:
        self._tokens = tokens
        self._ends_line = ends_line
        self._places: dict[int, list[int]] | None = None
        self._position: int | None = 0
        self._parted_at = 0
        self._confirmed = 0  # tokens that agreed since the pointer was set
        self.run = 0

    @property
    def expected(self) -> int | None:
        """The token under the pointer; None while there is no pointer, and at the end of the source."""
        if self._position is None or self._position >= len(self._tokens):
            return None
        return self._tokens[self._position]

    def proposal(self, count: int) -> Sequence[int]:
        """At most ``count`` tokens from the pointer on."""
        return () if self._position is None else self._tokens[self._position : self._position + count]

    def advance(self, written: Sequence[int]) -> None:
        """The answer has grown by one token: the last of ``written``, which holds all of it."""
        token = written[-1]
        if token == self.expected and self._position is not None:
            self._position += 1
            self._confirmed += 1
            self.run += 1
            return
        if self._position is not None and self._confirmed:  # a pointer that never agreed was a bad guess
            self._parted_at = self._position
        self._set_anew(written)

    def _set_anew(self, written: Sequence[int]) -> None:
        self._confirmed = 0
        position, matched = self._best_place(written)
        if position is None and self._ends_line(written[-1]):
            position, matched = self._next_line(), 0
        self._position, self.run = position, matched

    def _best_place(self, written: Sequence[int]) -> tuple[int | None, int]:
        """Behind the longest stretch that equals the answer's end; of several the nearest, those ahead first."""
        best: int | None = None
        best_matched = 0
        for place in self._nearest_places(written[-1]):
            matched = self._matched(place, written)
            if matched > best_matched and (matched > 1 or 0 <= place - self._parted_at < NEAR_TOKENS):
                best, best_matched = place + 1, matched
        return best, best_matched

    def _nearest_places(self, token: int) -> list[int]:
        if self._places is None:
            self._places = {}
            for index, other in enumerate(self._tokens):
                self._places.setdefault(other, []).append(index)
        places = self._places.get(token)
        if places is None:
            return []
        ahead = bisect_left(places, self._parted_at)
        return places[ahead : ahead + MAX_PLACES] + places[max(0, ahead - MAX_PLACES) : ahead][::-1]

    def _matched(self, place: int, written: Sequence[int]) -> int:
        limit = min(LONGEST_MATCH_TOKENS, place + 1, len(written))
        for back in range(limit):
            if self._tokens[place - back] != written[-1 - back]:
                return back
        return limit

    def _next_line(self) -> int | None:
        """The start of the line below the one where the two parted."""
        for index in range(self._parted_at, len(self._tokens)):
            if self._ends_line(self._tokens[index]):
                return index + 1
        return None


@dataclass(frozen=True, slots=True)
class Draft:
    """Tokens to verify: from source number ``source``, which has agreed for ``run`` tokens (-1: at the start)."""

    tokens: Sequence[int]
    source: int
    run: int


class Drafts:
    """Several sources, the preferred first; also counts what each would have been worth (``outcomes``)."""

    def __init__(self, sources: Sequence[Sequence[int]], ends_line: Callable[[int], bool]) -> None:
        self._followers = [Follower(source, ends_line) for source in sources]
        self._written: list[int] = []

    def propose(self, count: int) -> Draft:
        """At most ``count`` tokens from the source with the longest run; the earlier source where runs are equal."""
        best, source = None, 0
        for index, follower in enumerate(self._followers):
            if follower.expected is not None and (best is None or follower.run > best.run):
                best, source = follower, index
        if best is None:
            return Draft((), 0, 0)
        return Draft(best.proposal(count), source, best.run if self._written else -1)

    def advance(self, token: int) -> tuple[Draft, bool]:
        """The answer goes on with ``token``. Says what would have been drafted, and whether that was right."""
        drafted = self.propose(1)
        self._written.append(token)
        for follower in self._followers:
            follower.advance(self._written)
        return drafted, bool(drafted.tokens) and drafted.tokens[0] == token
