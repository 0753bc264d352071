"""Deadlines that move, in one heap: an entry comes up when it was due once, and goes back if it is due later by now.

So what moves a deadline costs nothing, and each entry costs one push and one pop for each time it comes up. Deadlines
may move later at will; only `again` takes in that they moved sooner. Knows nothing of clocks or of what is due.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Deadlines:
    """``due`` gives the time by now of an entry's number, None once it is gone. ``pushes`` and ``pops`` are counted."""

    def __init__(self, due: Callable[[int], float | None]) -> None:
        self._due = due
        self._heap: list[tuple[float, int]] = []
        self.pushes = 0
        self.pops = 0

    def add(self, number: int) -> None:
        """A new entry; one that is gone is let pass."""
        due = self._due(number)
        if due is not None:
            heapq.heappush(self._heap, (due, number))
            self.pushes += 1

    def next(self) -> float | None:
        """When something may be due next, None when there is nothing."""
        while self._heap and self._due(self._heap[0][1]) is None:
            self._pop()
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> Iterator[int]:
        """What is due, each once; whoever takes it lets it be gone or adds it again."""
        while self._heap and self._heap[0][0] <= now:
            number = self._pop()
            due = self._due(number)
            if due is not None and due <= now:
                yield number
            else:
                self.add(number)

    def again(self, numbers: Iterable[int]) -> None:
        """All entries anew."""
        self._heap.clear()
        for number in numbers:
            self.add(number)

    def _pop(self) -> int:
        self.pops += 1
        return heapq.heappop(self._heap)[1]
