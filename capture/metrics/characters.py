"""Characters and numbers as Zed's Rust code sees them.

White space is the Unicode property White_Space, which Python's ``str.isspace`` widens by U+001C to U+001F. The
scores `delta_chr_f` and `reversal_ratio` are single-precision numbers in Zed; kept so, files agree digit for
digit. Knows nothing of patches or scores.
"""

from __future__ import annotations

import struct

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

_SINGLE = struct.Struct("<f")


def is_blank(text: str) -> bool:
    """Whether ``text`` is empty or all white space."""
    return not text.strip(WHITE_SPACE)


def single_precision(number: float) -> float:
    """The nearest number that 32 bits can hold."""
    rounded: float = _SINGLE.unpack(_SINGLE.pack(number))[0]
    return rounded


def shortest_single(number: float) -> float:
    """The number with the fewest digits that is ``number`` in single precision: what JSON should show."""
    rounded = single_precision(number)
    for digits in range(1, 9):
        shorter = float(f"{rounded:.{digits}g}")
        if single_precision(shorter) == rounded:
            return shorter
    return float(f"{rounded:.9g}")
