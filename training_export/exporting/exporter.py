"""From snapshots, wherever they were read, to the lines of an examples file: chosen, each once, in a fixed order.

The order is that of the predictions, then of the ids, so that the same snapshots give the same file whatever parts they
came in. Knows nothing of stores and of commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from capture.snapshot.snapshot import Snapshot
from training_export.errors import ExampleRejected, ExamplesUnwritable
from training_export.example_format.files import Rejected
from training_export.exporting.ordering import OrderedLines
from training_export.exporting.snapshot_example import example_of, is_for_evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from training_export.exporting.sources import Found
    from training_export.exporting.wanted import Wanted


@dataclass(slots=True)
class Counted:
    """What was read, and what became of it."""

    read: int = 0
    examples: int = 0
    rejected: int = 0
    not_wanted: int = 0
    twice: int = 0  # copies of a snapshot that is there already
    not_for_evaluation: int = 0

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {name: getattr(self, name) for name in self.__slots__}


class Exporter:
    """One export. ``counted`` says what became of the snapshots, once the lines were taken."""

    def __init__(self, wanted: Wanted, *, for_eval: bool = False, limit: int = 0) -> None:
        """``limit``: at most so many examples, the oldest; 0 for all."""
        self.counted = Counted()
        self._wanted = wanted
        self._for_eval = for_eval
        self._limit = limit

    def lines(
        self,
        snapshots: Iterable[Found | Rejected],
        folder: Path,
        *,
        on_read: Callable[[int], None] = lambda _count: None,
    ) -> Iterator[bytes | Rejected]:
        """First what cannot be read, as it is met, then the examples' lines in order, without line ends.

        ``folder`` has room for what waits to be put in order; ``on_read`` hears how many were read. Raises
        ExamplesUnwritable where there is no room.
        """
        try:
            with OrderedLines(folder) as ordered:
                for found in snapshots:
                    self.counted.read += 1
                    on_read(self.counted.read)
                    rejected = found if isinstance(found, Rejected) else self._take(found, ordered)
                    if rejected is not None:
                        self.counted.rejected += 1
                        yield rejected
                self.counted.twice = ordered.doubles
                for line in ordered.in_order(self._limit):
                    self.counted.examples += 1
                    yield line
        except OSError as error:
            raise ExamplesUnwritable(f"cannot put the examples in order in {folder}: {error.strerror}") from error

    def _take(self, found: Found, ordered: OrderedLines) -> Rejected | None:
        try:
            snapshot = Snapshot.from_json(orjson.loads(found.content))
        except ValueError as error:
            return Rejected(found.source, found.line, "", f"no snapshot that this foretype can read: {error}")
        if not self._wanted.matches(snapshot):
            self.counted.not_wanted += 1
            return None
        if self._for_eval and not is_for_evaluation(snapshot):
            self.counted.not_for_evaluation += 1
            return None
        try:
            line = example_of(snapshot, for_eval=self._for_eval).to_line().encode()
        except ExampleRejected as error:
            return Rejected(found.source, found.line, error.field, error.reason)
        # Rated after it was exported for the first time: the rated one says more.
        ordered.add(snapshot.created_at, bytes.fromhex(snapshot.id), line, rank=int(bool(snapshot.rating)))
        return None
