"""What became of a session's snapshots, in numbers. Knows nothing of when they are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# How an open snapshot ends; only the first two are handed on.
End = Literal["settled", "unsettled", "replaced", "too_old", "too_large", "text_unknown", "discarded"]


@dataclass(slots=True)
class Counts:
    """``opened`` is the sum of the open ones and of the ends that follow it; one that only waited counts nowhere.

    ``refused`` were not opened: ``Settling.last_refusal`` says why. ``events_left_out`` were later events of files
    that may not be held. ``wake_ups`` are calls of ``Settling.wake``.
    """

    opened: int = 0
    settled: int = 0
    unsettled: int = 0
    replaced: int = 0
    too_old: int = 0
    too_large: int = 0
    text_unknown: int = 0
    discarded: int = 0
    refused: int = 0
    events_left_out: int = 0
    wake_ups: int = 0
