"""Kept rate: how much of an edit is in the text that was wanted, and how much of what was wanted it covers.

Two edits of one base text, the candidate and the reference, are compared by units (identifiers, white space,
operators; `tokens.units`). What Zed calls characters are UTF-8 bytes here as there. The formula is that of
`edit_prediction_metrics` (kept_rate.rs at zed 09adbb01). Knows nothing of patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from operator import not_, or_
from typing import TYPE_CHECKING, Literal

from capture.metrics.common_subsequence import kept_mask, kept_masks
from capture.metrics.shared_text import shared_ends
from capture.metrics.tokens import tokens, units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Annotation = Literal["context", "kept", "discarded"]

# Where the two edits change the length so differently, the reference holds more than an answer to the candidate.
MAX_LENGTH_DIFFERENCE_BYTES = 512


@dataclass(frozen=True, slots=True)
class KeptRate:
    """Counts in bytes; the two rates are 0 to 1.

    ``candidate_units`` are the units of the candidate text in order, less ``head`` and ``tail``, which all three texts
    share; ``is_context`` says of each whether it was in the base already, ``is_kept`` of each that was not whether it
    is in the reference too.
    """

    candidate_new: int
    reference_new: int
    candidate_deleted: int
    reference_deleted: int
    kept: int
    correctly_deleted: int
    discarded: int
    context: int
    kept_rate: float
    recall_rate: float
    candidate_units: Sequence[str]
    is_context: Sequence[bool]
    is_kept: Sequence[bool]
    head: str = ""
    tail: str = ""

    def candidate_tokens(self) -> list[tuple[str, Annotation]]:
        """The candidate's tokens (`tokens.tokens`), each with what became of it."""
        fates = iter(self.is_kept)
        annotated: list[tuple[str, Annotation]] = [(token, "context") for token in tokens(self.head)]
        for unit, is_context in zip(self.candidate_units, self.is_context, strict=True):
            fate: Annotation = "context" if is_context else "kept" if next(fates) else "discarded"
            annotated.extend((token, fate) for token in tokens(unit))
        return annotated + [(token, "context") for token in tokens(self.tail)]


def kept_rate(base: str, candidate: str, reference: str) -> KeptRate:
    """Compare ``base`` to ``candidate`` with ``base`` to ``reference``.

    A unit new in both edits, in the same order, is kept; a unit of the base gone in both is correctly deleted.
    Of equal units the choice is that of `common_subsequence`. Both rates are 0 where the edits change the length
    of the text by amounts more than 512 bytes apart; the counts of new bytes are then mere length differences.
    """
    lengths = [_size(text) for text in (base, candidate, reference)]
    candidate_difference, reference_difference = (abs(length - lengths[0]) for length in lengths[1:])
    if abs(candidate_difference - reference_difference) > MAX_LENGTH_DIFFERENCE_BYTES:
        return _beyond_comparison(candidate_difference, reference_difference, units(candidate))
    start, tail_length = shared_ends(base, (candidate, reference))
    base_units, candidate_units, reference_units = (
        units(text[start : len(text) - tail_length]) for text in (base, candidate, reference)
    )
    in_base, kept_by_candidate = kept_masks(candidate_units, base_units)
    reference_in_base, kept_by_reference = kept_masks(reference_units, base_units)
    new_units, reference_new_units = _unmarked(candidate_units, in_base), _unmarked(reference_units, reference_in_base)
    new_in_both = kept_mask(new_units, reference_new_units)
    kept_by_any = list(map(or_, kept_by_candidate, kept_by_reference))

    candidate_new, reference_new = _total(new_units), _total(reference_new_units)
    candidate_deleted = _total(_unmarked(base_units, kept_by_candidate))
    reference_deleted = _total(_unmarked(base_units, kept_by_reference))
    kept = _total(compress(new_units, new_in_both))
    correctly_deleted = _total(_unmarked(base_units, kept_by_any))
    candidate_edit, reference_edit = candidate_new + candidate_deleted, reference_new + reference_deleted
    return KeptRate(
        candidate_new=candidate_new,
        reference_new=reference_new,
        candidate_deleted=candidate_deleted,
        reference_deleted=reference_deleted,
        kept=kept,
        correctly_deleted=correctly_deleted,
        discarded=candidate_new - kept,
        context=lengths[1] - candidate_new,
        kept_rate=_rate(kept + correctly_deleted, candidate_edit, reference_edit),
        recall_rate=_rate(kept + correctly_deleted, reference_edit, candidate_edit),
        candidate_units=candidate_units,
        is_context=in_base,
        is_kept=new_in_both,
        head=base[:start],
        tail=base[len(base) - tail_length :],
    )


def _beyond_comparison(
    candidate_difference: int, reference_difference: int, candidate_units: Sequence[str]
) -> KeptRate:
    return KeptRate(
        candidate_new=candidate_difference,
        reference_new=reference_difference,
        candidate_deleted=0,
        reference_deleted=0,
        kept=0,
        correctly_deleted=0,
        discarded=candidate_difference,
        context=0,
        kept_rate=0.0,
        recall_rate=0.0,
        candidate_units=candidate_units,
        is_context=[False] * len(candidate_units),
        is_kept=[False] * len(candidate_units),
    )


def _rate(matched: int, size: int, other_size: int) -> float:
    """Part of an edit that matched; an empty edit is right where the other one is empty too."""
    if size:
        return matched / size
    return 0.0 if other_size else 1.0


def _unmarked(parts: Sequence[str], mask: Sequence[bool]) -> list[str]:
    return list(compress(parts, map(not_, mask)))


def _total(parts: Iterable[str]) -> int:
    return _size("".join(parts))


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
