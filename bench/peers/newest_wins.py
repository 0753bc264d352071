"""A queue of one: the newest question waits, the one it replaces is turned away. Knows nothing of questions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Question = TypeVar("Question")


class NewestWins(Generic[Question]):
    """Between a thread that asks and a thread that answers.

    ``turn_away`` gets each question that a newer one replaced before its turn, in the asking thread.
    """

    def __init__(self, turn_away: Callable[[Question], None]) -> None:
        self._turn_away = turn_away
        self._changed = threading.Condition()
        self._newest: Question | None = None
        self._closed = False

    def put(self, question: Question) -> None:
        """Ask; never waits."""
        with self._changed:
            replaced, self._newest = self._newest, question
            self._changed.notify()
        if replaced is not None:
            self._turn_away(replaced)

    def take(self) -> Question | None:
        """Wait for a question; None after ``close``."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._newest is not None)
            question, self._newest = self._newest, None
            return None if self._closed else question

    @property
    def has_newer(self) -> bool:
        """Whether a question waits: then the one that was taken is no longer wanted."""
        return self._newest is not None

    def close(self) -> None:
        """Nothing more will be asked."""
        with self._changed:
            self._closed = True
            self._changed.notify()
