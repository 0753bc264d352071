"""Which n of some numbers are the smallest, equal ones in the order in which Rust's standard library leaves them.

Zed picks the nearest diagnostics with `select_nth_unstable_by_key` and sorts those. Neither promises an order of
equal items, but both are deterministic, and which of two equally near diagnostics a prompt shows is part of the
prompt. So the selection takes the same steps: introselect, as in Rust since 1.81. Knows nothing of diagnostics.
"""

from __future__ import annotations

from collections.abc import Sequence

_SORTED_AT_ONCE = 16  # a slice up to this length is insertion sorted, which is stable
_MAX_PARTITIONS = 16
_RECURSIVE_MEDIAN_FROM = 64


def smallest(numbers: Sequence[int], count: int) -> list[int]:
    """Indices of the ``count`` smallest numbers, from the smallest on; all of them where there are no more.

    ``count`` is at most 20, the longest slice that Rust's unstable sort leaves in stable order.
    """
    places = list(range(len(numbers)))
    if len(places) > count:
        places = _partly_sorted(places, count, numbers)[:count]
    return sorted(places, key=numbers.__getitem__)


def _partly_sorted(places: list[int], nth: int, numbers: Sequence[int]) -> list[int]:
    """The places with the ``nth`` smallest at index ``nth`` and the smaller ones before it."""
    if nth == len(places) - 1:
        largest = max(range(len(places)), key=lambda index: numbers[places[index]])
        places[largest], places[nth] = places[nth], places[largest]
        return places
    before: list[int] = []
    lower: int | None = None  # the pivot that `places` are right of
    for _ in range(_MAX_PARTITIONS):
        if len(places) <= _SORTED_AT_ONCE:
            break
        wanted = nth - len(before)
        pivot = _pivot(places, numbers)
        value = numbers[places[pivot]]
        is_lowest = lower is not None and lower >= value
        places, middle = _partitioned(places, pivot, numbers, value + 1 if is_lowest else value)
        if middle < wanted:
            before, places = before + places[: middle + 1], places[middle + 1 :]
            lower = None if is_lowest else value
        elif is_lowest or middle == wanted:
            return before + places
        else:
            places = places[:middle]
    return before + sorted(places, key=numbers.__getitem__)


def _pivot(places: list[int], numbers: Sequence[int]) -> int:
    """Index of a median of three, or of recursive medians where there are many places."""
    eighth = len(places) // 8
    values = [numbers[place] for place in places]
    if len(places) < _RECURSIVE_MEDIAN_FROM:
        return _median(values, 0, eighth * 4, eighth * 7)
    return _recursive_median(values, 0, eighth)


def _recursive_median(values: list[int], start: int, length: int) -> int:
    """The median of three runs of ``length`` values, which lie at 0, 4 and 7 times that length from ``start``."""
    runs = [start, start + length * 4, start + length * 7]
    if length * 8 >= _RECURSIVE_MEDIAN_FROM:
        runs = [_recursive_median(values, run, length // 8) for run in runs]
    return _median(values, *runs)


def _median(values: list[int], first: int, second: int, third: int) -> int:
    is_below_second, is_below_third = values[first] < values[second], values[first] < values[third]
    if is_below_second != is_below_third:
        return first
    return third if (values[second] < values[third]) != is_below_second else second


def _partitioned(places: list[int], pivot: int, numbers: Sequence[int], bound: int) -> tuple[list[int], int]:
    """Places with numbers below ``bound``, then the pivot's place, then the others; and the pivot's index then.

    The moves are those of a cyclic Lomuto partition: one place is lifted out and put back last, so that every
    other one moves once.
    """
    moved = places.copy()
    moved[0], moved[pivot] = moved[pivot], moved[0]
    lifted = moved[1]
    gap = below = 1
    for at in range(2, len(moved) + 1):
        place = moved[at] if at < len(moved) else lifted
        moved[gap], moved[below] = moved[below], place
        gap = at
        below += numbers[place] < bound
    middle = below - 1
    moved[0], moved[middle] = moved[middle], moved[0]
    return moved, middle
