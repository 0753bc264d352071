"""Where snapshots are read from: the store of this machine, a collector's sealed parts, files of snapshots.

Each is read as a stream; what cannot be read is handed on as such and costs nothing else. Knows nothing of examples.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from capture.collector.opening import directory_of, parts_at
from capture.collector.parts import FOLDER, PartDamaged, PartMissing
from capture.collector.storage import StorageMisconfigured, StorageUnavailable
from capture.store import stored
from capture.store.error import StorageError
from capture.store.stored import NoSuchSnapshot, SnapshotDamaged
from training_export.errors import ExamplesUnreadable
from training_export.example_format.files import Rejected, read_raw, suffix_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_export.exporting.wanted import Wanted


class Found(NamedTuple):
    """One snapshot's JSON, not looked at yet. ``line`` counts from 1."""

    source: str
    line: int
    content: bytes


def from_store(path: Path, wanted: Wanted) -> Iterator[Found | Rejected]:
    """Those that are wanted, while others may write the store; nothing where there is none.

    What is deleted meanwhile is passed over. Raises ExamplesUnreadable.
    """
    with _explained(str(path)), stored.reading(path) as database:
        if database is None:
            return
        chosen = [row.id for row in stored.summaries(database) if wanted.matches(row)]
        for index, snapshot_id in enumerate(chosen):
            try:
                yield Found("the snapshot store", index + 1, stored.content(database, snapshot_id))
            except NoSuchSnapshot:
                continue
            except SnapshotDamaged as error:
                yield Rejected("the snapshot store", index + 1, "", str(error))


def from_place(place: str) -> Iterator[Found | Rejected]:
    """Everything in a file of snapshots or at a collector's ``--data``; raises ExamplesUnreadable."""
    directory = directory_of(place)
    if directory is not None and not directory.is_dir():
        if suffix_of(directory.name) != ".jsonl":
            raise ExamplesUnreadable(
                f"{place} is neither a collector's folder nor a file of snapshots (.jsonl, .jsonl.zst, .jsonl.gz)"
            )
        for raw in read_raw(str(directory)):
            yield raw if isinstance(raw, Rejected) else Found(raw.source, raw.line, raw.data)
        return
    if directory is not None and not (directory / FOLDER).is_dir():
        raise ExamplesUnreadable(
            f"{place} is no collector's folder: it has no {FOLDER}/ in it; name what the collector has as --data,"
            " or files of snapshots"
        )
    yield from _sealed(place)


def _sealed(place: str) -> Iterator[Found | Rejected]:
    with _explained(place):
        parts = parts_at(place)
        for name in parts.names():
            line = 0
            try:
                for line, content in enumerate(parts.lines(name), start=1):
                    yield Found(name, line, content)
            except PartMissing:  # a collector put another in its place meanwhile
                continue
            except PartDamaged as error:
                yield Rejected(name, line + 1, "", f"{error}; what comes behind this line is lost")


@contextmanager
def _explained(place: str) -> Iterator[None]:
    try:
        yield
    except (StorageError, StorageMisconfigured, StorageUnavailable) as error:
        raise ExamplesUnreadable(f"cannot read snapshots from {place}: {error}") from error
