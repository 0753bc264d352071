r"""How much of several texts is the same at both ends, cut between lines: what metrics need not look at.

A text is cut only behind a ``\n`` that is followed by something other than white space, so neither a token nor a
run of white space is cut. Knows nothing of metrics.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from capture.metrics.characters import WHITE_SPACE
from capture.metrics.common_subsequence import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE_START: Final = re.compile(f"(?<=\n)[^{WHITE_SPACE}]")
_VISIBLE: Final = re.compile(f"[^{WHITE_SPACE}]")
_MAX_PLACES_TRIED: Final = 64  # a cut that is not found in so many lines is not worth a longer search


def shared_ends(base: str, others: Sequence[str], margin_visible: int = 0) -> tuple[int, int]:
    """Characters at the start and at the end that ``base`` and all ``others`` share.

    At least ``margin_visible`` more characters that are no white space are the same beyond either cut. The two ends
    overlap in no pair of ``base`` with another text, however long their common start is.
    """
    prefixes = [common_prefix(base, other) for other in others]
    start = _last_cut(base, min(prefixes, default=0), margin_visible)
    suffixes = [
        min(common_prefix(base[::-1], other[::-1]), min(len(base), len(other)) - prefix)
        for other, prefix in zip(others, prefixes, strict=True)
    ]
    end = _first_cut(base, len(base) - min(suffixes, default=0), margin_visible)
    return start, len(base) - end


def _last_cut(text: str, limit: int, margin_visible: int) -> int:
    """The last place for a cut before ``limit`` with the margin between, 0 where there is none near it."""
    place = limit
    for _ in range(_MAX_PLACES_TRIED):
        place = text.rfind("\n", 0, max(0, place - 1)) + 1
        if not place:
            return 0
        if place < limit and _LINE_START.match(text, place) and _holds(text, place, limit, margin_visible):
            return place
    return 0


def _first_cut(text: str, limit: int, margin_visible: int) -> int:
    """The first place for a cut behind ``limit`` with the margin between, else the end of the text."""
    for _, found in zip(range(_MAX_PLACES_TRIED), _LINE_START.finditer(text, limit + 1), strict=False):
        if _holds(text, limit, found.start(), margin_visible):
            return found.start()
    return len(text)


def _holds(text: str, start: int, end: int, visible: int) -> bool:
    """Whether so many characters between are no white space."""
    return visible == 0 or sum(1 for _ in islice(_VISIBLE.finditer(text, start, end), visible)) == visible
