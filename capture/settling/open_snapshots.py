"""Which snapshots are open, found by number, by document and by prediction, and which wait beside one that is open.

Knows nothing of time, and nothing of why one is opened or ended.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capture.editing.document import Document
    from capture.settling.open_snapshot import OpenSnapshot

PREDICTIONS_REMEMBERED = 256  # an editor may ask again for what has settled: that makes no second snapshot


class OpenSnapshots:
    """Each open one has a number of its own, in the order they were added."""

    def __init__(self) -> None:
        self._numbers = count()
        self._open: OrderedDict[int, OpenSnapshot] = OrderedDict()
        self._in_document: dict[Document, dict[int, OpenSnapshot]] = {}
        self._by_prediction: dict[str, OpenSnapshot] = {}  # those that wait too
        self._ended: deque[str] = deque(maxlen=PREDICTIONS_REMEMBERED)  # ids of predictions

    def __len__(self) -> int:
        return len(self._open)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of all, oldest first."""
        return tuple(self._open)

    @property
    def oldest(self) -> OpenSnapshot | None:
        """The one added first."""
        return next(iter(self._open.values()), None)

    def get(self, number: int) -> OpenSnapshot | None:
        """The open one of this number, None once it is gone."""
        return self._open.get(number)

    def find(self, prediction_id: str) -> OpenSnapshot | None:
        """The one of a prediction, open or waiting."""
        return self._by_prediction.get(prediction_id)

    def has_had(self, prediction_id: str) -> bool:
        """Whether the prediction has one or, as far as that is remembered, had one."""
        return bool(prediction_id) and (prediction_id in self._by_prediction or prediction_id in self._ended)

    def in_document(self, document: Document) -> tuple[tuple[int, OpenSnapshot], ...]:
        """Those about one document, with their numbers."""
        return tuple(self._in_document.get(document, {}).items())

    def meeting(self, snapshot: OpenSnapshot) -> dict[int, OpenSnapshot]:
        """Those whose region overlaps or touches this one's, by number."""
        where = snapshot.region.where
        return {number: other for number, other in self.in_document(snapshot.document) if other.region.meets(where)}

    def add(self, snapshot: OpenSnapshot) -> int:
        """Gives its number."""
        number = next(self._numbers)
        self._open[number] = snapshot
        snapshot.is_over = False  # it may have waited beside one that ended
        self._in_document.setdefault(snapshot.document, {})[number] = snapshot
        self._remember(snapshot)
        return number

    def let_wait(self, newer: OpenSnapshot, behind: OpenSnapshot) -> None:
        """``newer`` waits beside an open one, in place of what waited there."""
        self.stop_waiting(behind)
        behind.waiting = newer
        self._remember(newer)

    def stop_waiting(self, behind: OpenSnapshot) -> None:
        """What waits beside an open one is forgotten."""
        if behind.waiting is not None:
            self._by_prediction.pop(behind.waiting.prediction_id, None)
            behind.waiting.is_over = True
            behind.waiting = None

    def remove(self, number: int) -> OpenSnapshot:
        """An open one ends, and what waits beside it is forgotten. Raises KeyError when there is none."""
        snapshot = self._open.pop(number)
        snapshot.is_over = True
        in_document = self._in_document[snapshot.document]
        del in_document[number]
        if not in_document:
            del self._in_document[snapshot.document]
        self.stop_waiting(snapshot)
        if snapshot.prediction_id:
            del self._by_prediction[snapshot.prediction_id]
            self._ended.append(snapshot.prediction_id)
        return snapshot

    def _remember(self, snapshot: OpenSnapshot) -> None:
        if snapshot.prediction_id:
            self._by_prediction[snapshot.prediction_id] = snapshot
