"""When somebody last typed, in whatever window: what can wait does so meanwhile. Knows nothing of what was typed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Keyboard:
    """Shared by all windows of a hub; ``clock`` gives seconds that never go backwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_typed_at: float | None = None

    def typed(self) -> None:
        """A document has just changed."""
        self._last_typed_at = self._clock()

    def quiet_seconds(self) -> float:
        """Since the last change of a document; infinite before the first."""
        return float("inf") if self._last_typed_at is None else self._clock() - self._last_typed_at
