"""Which quantisation to use, from what was measured of each. A rule that can be read, and a sentence why.

1. Out goes what is larger than the limit, where there is one.
2. Out goes what is worse than the first, which is the yardstick: a perplexity of the right answers more than 2 %
   higher, or more than one percentage point fewer cases exactly right. Perplexity sees what a few hundred cases cannot.
3. Of the rest, those count as equally fast that take at most a tenth longer than the fastest; the smallest file of
   them is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from training_export.student.gguf.quantisation import Quantisation

PERPLEXITY_RISE: Final = 0.02
EXACT_LOSS: Final = 0.01
AS_FAST: Final = 1.10


@dataclass(frozen=True, slots=True)
class Candidate:
    """``exact`` is a share of cases, ``case_ratio`` the time of a case against that of the first candidate."""

    quantisation: Quantisation
    size_bytes: int
    perplexity: float
    exact: float
    case_ratio: float


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, None where nothing is small enough; ``why`` is for people, ``left_out`` says why by name."""

    quantisation: Quantisation | None
    why: str
    left_out: Mapping[Quantisation, str]


def choose(candidates: Sequence[Candidate], largest_bytes: int = 0) -> Choice:
    """The best of at least one candidate; ``largest_bytes`` 0: any size."""
    first = candidates[0]
    left_out: dict[Quantisation, str] = {}
    for candidate in candidates:
        fault = _fault(candidate, first, largest_bytes)
        if fault:
            left_out[candidate.quantisation] = fault
    rest = [candidate for candidate in candidates if candidate.quantisation not in left_out]
    if not rest:
        why = f"none is both as good as {first.quantisation} and at most {largest_bytes / 1e6:.1f} MB large"
        return Choice(None, why, left_out)
    fastest = min(rest, key=lambda candidate: candidate.case_ratio)
    fast = [candidate for candidate in rest if candidate.case_ratio <= fastest.case_ratio * AS_FAST]
    chosen = min(fast, key=lambda candidate: candidate.size_bytes)
    return Choice(chosen.quantisation, _why(chosen, first, fastest, rest), left_out)


def _fault(candidate: Candidate, first: Candidate, largest_bytes: int) -> str:
    if largest_bytes and candidate.size_bytes > largest_bytes:
        return f"{candidate.size_bytes / 1e6:.1f} MB, and {largest_bytes / 1e6:.1f} MB are allowed"
    rise = candidate.perplexity / first.perplexity - 1
    if rise > PERPLEXITY_RISE:
        return f"perplexity of the right answers {rise:.1%} above that of {first.quantisation}"
    # Shares of whole cases: the tolerance is for what float64 makes of them.
    if first.exact - candidate.exact > EXACT_LOSS + 1e-9:
        return f"{100 * (first.exact - candidate.exact):.1f} points fewer cases exactly right"
    return ""


def _why(chosen: Candidate, first: Candidate, fastest: Candidate, rest: Sequence[Candidate]) -> str:
    if chosen is first and len(rest) == 1:
        return f"all others are worse than {first.quantisation}, or too large"
    speed = "the fastest" if chosen is fastest else f"within a tenth of the fastest ({fastest.quantisation})"
    return (
        f"as good as {first.quantisation} (perplexity {chosen.perplexity / first.perplexity - 1:+.1%}, exact"
        f" {100 * (chosen.exact - first.exact):+.1f} points), {speed}, and the smallest of these:"
        f" {chosen.size_bytes / 1e6:.1f} MB"
    )
