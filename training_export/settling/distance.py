"""How far samples are from the text that settled, as shares of the way that the user went.

The region that settled is the snapshot's, a sample's is that of the format it was drawn with. Both replace a stretch of
the same excerpt, so both become the text of the smallest stretch that holds the two, and these texts are compared.
Therefore what a sample changes outside the settled region counts as wrong (nothing says that it was right), and what
settled outside the sample's region counts as missed. Knows nothing of models or of what distances mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rapidfuzz.distance import Levenshtein

from capture.inputs import Span

SHORT_WAY: Final = 8  # times as long is the text
DIGITS: Final = 6  # of a distance; regions are kilobytes, so that no difference is rounded away


@dataclass(frozen=True, slots=True)
class CommonGround:
    """A stretch of an excerpt, in bytes, and its text before anything happened and as it settled."""

    span: Span
    before: str
    settled: str

    def with_region(self, region: Span, text: str) -> str:
        """The stretch's text with ``text`` in the place of ``region`` (bytes of the excerpt, inside the stretch)."""
        before = self.before.encode()
        start, end = region.start - self.span.start, region.end - self.span.start
        return before[:start].decode() + text + before[end:].decode()

    @property
    def way(self) -> int:
        """How many characters the user inserted, deleted or replaced, at least 1: what distances are shares of."""
        return max(1, Levenshtein.distance(self.before, self.settled))

    def changed(self) -> Span:
        """The bytes of the excerpt that did not stay, where they are fewest; empty where text was only inserted."""
        old, new = self.before.encode(), self.settled.encode()
        start = _equal_bytes(old, new)
        end = _equal_bytes(old[start:][::-1], new[start:][::-1])
        return Span(self.span.start + start, self.span.end - end)


def common_ground(excerpt: bytes, settled_region: Span, settled: str, sample_region: Span) -> CommonGround:
    """The smallest stretch of ``excerpt`` with both regions in it; raises ValueError for one that cuts a character."""
    span = Span(min(settled_region.start, sample_region.start), max(settled_region.end, sample_region.end))
    before = excerpt[span.start : span.end].decode()
    after = (
        excerpt[span.start : settled_region.start].decode() + settled + excerpt[settled_region.end : span.end].decode()
    )
    return CommonGround(span, before, after)


def distances(ground: CommonGround, texts: Iterable[str]) -> list[float]:
    """Of each text of the stretch: 0 where it is the settled one, 1 where it is no nearer than no edit, or farther."""
    way = ground.way
    # Most samples stay within a short way: comparing in a band of that width first takes half the time. Of texts that
    # were rewritten the band would be too narrow, and the work done twice.
    hint = way if way * SHORT_WAY < len(ground.settled) else None
    return [round(Levenshtein.distance(text, ground.settled, score_hint=hint) / way, DIGITS) for text in texts]


def _equal_bytes(one: bytes, other: bytes) -> int:
    """How many bytes at the start are the same."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
