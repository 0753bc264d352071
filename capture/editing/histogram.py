"""The histogram line diff: which runs of two sequences differ.

The algorithm of JGit and of git's ``--diff-algorithm=histogram``: split at the longest common run that
contains the rarest token, then do the same on either side. Details follow the Rust crate ``imara-diff`` 0.2,
so that the diffs of edit events look like those Zed's models were trained on. Knows nothing of lines or
files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapidfuzz.distance import Indel

from capture.editing.myers import MAX_TOKENS, changed_tokens

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

MAX_OCCURRENCES = 63  # a token more frequent than this is no anchor


@dataclass(frozen=True, slots=True)
class Change:
    """``old[old_start:old_end]`` became ``new[new_start:new_end]``; either side may be empty."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def changes(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Change]:
    """The differing runs, in order; between them the sequences are equal."""
    prefix = _common_prefix(old, new)
    suffix = _common_prefix(old[prefix:][::-1], new[prefix:][::-1])
    old_end, new_end = len(old) - suffix, len(new) - suffix
    if prefix in (old_end, new_end):
        return [] if old_end == new_end else [Change(prefix, old_end, prefix, new_end)]
    between = _changes_between(old[prefix:old_end], new[prefix:new_end])
    return [
        Change(prefix + found.old_start, prefix + found.old_end, prefix + found.new_start, prefix + found.new_end)
        for found in between
    ]


def _changes_between(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Change]:
    """The same of sequences that neither begin nor end with the same item."""
    old_tokens, new_tokens = _intern(old, new)
    removed, added = bytearray(len(old)), bytearray(len(new))
    pending = [(0, len(old), 0, len(new))]
    while pending:
        old_start, old_end, new_start, new_end = pending.pop()
        before, after = old_tokens[old_start:old_end], new_tokens[new_start:new_end]
        search = _CommonRun(before, after)
        if search.too_frequent and len(before) + len(after) <= MAX_TOKENS:
            removed[old_start:old_end], added[new_start:new_end] = changed_tokens(before, after)
        elif search.too_frequent:
            _mark_shortest_script(before, after, _Marks(removed, old_start), _Marks(added, new_start))
        elif search.length == 0:
            _Marks(removed, old_start).mark(0, len(before))
            _Marks(added, new_start).mark(0, len(after))
        else:
            run_old, run_new = old_start + search.old_start, new_start + search.new_start
            pending.append((run_old + search.length, old_end, run_new + search.length, new_end))
            pending.append((old_start, run_old, new_start, run_new))
    return _runs(removed, added)


def _intern(old: Sequence[Hashable], new: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    numbers: dict[Hashable, int] = {}
    return (
        [numbers.setdefault(item, len(numbers)) for item in old],
        [numbers.setdefault(item, len(numbers)) for item in new],
    )


def _common_prefix(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    for index, (left, right) in enumerate(zip(first, second, strict=False)):
        if left != right:
            return index
    return min(len(first), len(second))


def _runs(removed: bytearray, added: bytearray) -> list[Change]:
    """Pair up marked runs by walking both sequences over their unmarked, hence equal, tokens."""
    found: list[Change] = []
    old_at = new_at = 0
    while True:
        old_start, new_start = removed.find(1, old_at), added.find(1, new_at)
        equal = min(
            (start - at for start, at in ((old_start, old_at), (new_start, new_at)) if start >= 0),
            default=None,
        )
        if equal is None:
            return found
        old_start, new_start = old_at + equal, new_at + equal
        old_at, new_at = _end_of_run(removed, old_start), _end_of_run(added, new_start)
        found.append(Change(old_start, old_at, new_start, new_at))


def _end_of_run(marks: bytearray, start: int) -> int:
    """First index from ``start`` on that is not marked."""
    end = marks.find(0, start)
    return len(marks) if end < 0 else end


@dataclass(frozen=True, slots=True)
class _Marks:
    """A flag for each token of a sequence, seen from ``offset`` on."""

    flags: bytearray
    offset: int

    def mark(self, start: int, end: int) -> None:
        self.flags[self.offset + start : self.offset + end] = b"\1" * (end - start)


def _mark_shortest_script(before: list[int], after: list[int], removed: _Marks, added: _Marks) -> None:
    """A shortest insert/delete script, which is found fast however long the sequences are."""
    for step in Indel.opcodes(before, after):
        if step.tag in {"delete", "replace"}:
            removed.mark(step.src_start, step.src_end)
        if step.tag in {"insert", "replace"}:
            added.mark(step.dest_start, step.dest_end)


class _CommonRun:
    """The common run to split at: the one with the rarest token, the longest among equals."""

    def __init__(self, before: list[int], after: list[int]) -> None:
        self.old_start = self.new_start = self.length = 0
        self._before = before
        self._after = after
        self._rarest = MAX_OCCURRENCES + 1
        self._places: dict[int, list[int]] = {}
        for index, token in enumerate(before):
            places = self._places.setdefault(token, [])
            if len(places) <= MAX_OCCURRENCES:  # later ones are neither counted nor tried
                places.append(index)
        found = False
        at = 0
        while at < len(after):
            occurrences = self._count(after[at])
            found = found or occurrences > 0
            at = self._try_anchor(at) if 0 < occurrences <= self._rarest else at + 1
        self.too_frequent = found and self._rarest > MAX_OCCURRENCES

    def _count(self, token: int) -> int:
        return len(self._places.get(token, ()))

    def _try_anchor(self, anchor: int) -> int:
        """Extend every match of ``after[anchor]`` both ways; returns where to look for the next anchor."""
        before, after = self._before, self._after
        resume = anchor + 1
        skip_to = -1
        for place in self._places[after[anchor]]:
            if place <= skip_to:
                continue
            rarest = self._count(after[anchor])
            old_start, new_start = place, anchor
            while old_start > 0 and new_start > 0 and before[old_start - 1] == after[new_start - 1]:
                old_start, new_start = old_start - 1, new_start - 1
                rarest = min(rarest, self._count(before[old_start]))
            old_end, new_end = place + 1, anchor + 1
            while old_end < len(before) and new_end < len(after) and before[old_end] == after[new_end]:
                rarest = min(rarest, self._count(before[old_end]))
                old_end, new_end = old_end + 1, new_end + 1
            resume = max(resume, new_end)
            if new_end - new_start > self.length or rarest < self._rarest:
                self._rarest = rarest
                self.old_start, self.new_start, self.length = old_start, new_start, new_end - new_start
            skip_to = new_end  # an index of the other sequence; imara-diff does so, and it shapes the diffs
        return resume
