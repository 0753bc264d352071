"""Where two texts differ, in characters: the histogram line diff, spelled out as text.

Knows nothing of patches or scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from capture.editing.histogram import changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Edit:
    """``old`` at character ``start`` of the text before became ``new``."""

    start: int
    old: str
    new: str

    @property
    def end(self) -> int:
        """Where ``old`` ends in the text before."""
        return self.start + len(self.old)

    @property
    def growth(self) -> int:
        """How much further along the text after the edit is."""
        return len(self.new) - len(self.old)


def differences(old_parts: Sequence[str], new_parts: Sequence[str]) -> Iterator[Edit]:
    """Differing stretches, in order, of two texts given as consecutive parts that are compared whole."""
    starts = [0, *accumulate(map(len, old_parts))]
    for change in changes(old_parts, new_parts):
        yield Edit(
            starts[change.old_start],
            "".join(old_parts[change.old_start : change.old_end]),
            "".join(new_parts[change.new_start : change.new_end]),
        )


def terminated_lines(text: str) -> list[str]:
    r"""Lines with their ``\n``; the last one may have none. ``"".join`` is the inverse."""
    *terminated, last = text.split("\n")
    lines = [line + "\n" for line in terminated]
    return [*lines, last] if last else lines
