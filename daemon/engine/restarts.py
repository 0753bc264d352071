"""When to restart a worker that died, and when to stop trying. Pure: it is told the time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Pauses before the first, second, ... restart in a row; this many deaths in the window end it."""

    back_off_seconds: tuple[float, ...] = (1.0, 2.0, 4.0)
    fatal_deaths: int = 3
    window_seconds: float = 60.0


class Restarts:
    """The deaths of one engine's workers."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._recent: deque[float] = deque()  # times of the deaths in the window
        self._in_a_row = 0  # deaths, none a whole window after the one before

    def record(self, now: float) -> float | None:
        """A worker died: the seconds to wait before the next is started, None when there should be none."""
        start = now - self._policy.window_seconds
        if not self._recent or self._recent[-1] < start:
            self._in_a_row = 0
        self._in_a_row += 1
        self._recent.append(now)
        while self._recent[0] < start:
            self._recent.popleft()
        if len(self._recent) >= self._policy.fatal_deaths:
            return None
        pauses = self._policy.back_off_seconds
        return pauses[min(self._in_a_row, len(pauses)) - 1]

    def forget(self) -> None:
        """Start afresh: the user changed something."""
        self._recent.clear()
        self._in_a_row = 0
