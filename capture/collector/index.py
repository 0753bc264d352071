"""What a collector's index is asked: which snapshots there are, whose, in which part, and the bytes of those in none.

Two keep it: `sqlite_index.py` in one file, for one collector, and `postgres_index.py` in a database, for several. A
part goes through two steps, each committed: it is *begun* when snapshots are assigned to it, and *sealed* when it lies
where it belongs; only then the index lets go of their bytes. Knows nothing of how parts are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Protocol

from capture.collector.storage import InstallKey, Verdict, Wanted
from capture.store.payload import Payload

PAGE_SNAPSHOTS = 16  # read at once for a part: 16 MiB at the most, when each has 1 MiB


@dataclass(frozen=True, slots=True)
class Entry:
    """A snapshot to be stored; times in seconds since the epoch, ``sha256`` (32 bytes) that of the content."""

    id: str
    workspace_id: str
    schema_version: int
    finalised_at: float
    received_at: float
    sha256: bytes
    payload: Payload


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it was when it was looked up. ``last_deletion`` is the newest one that its bytes may not follow yet."""

    number: int
    name: str
    last_deletion: int


@dataclass(frozen=True, slots=True)
class Line:
    """A snapshot assigned to a part that is not sealed. Lines are read in the order of ``sequence``."""

    sequence: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class Sealing:
    """When a part is due: its snapshots have so many bytes, or its oldest came so long ago."""

    size_bytes: int = 32 << 20
    age_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Counts:
    """As in `storage.StorageState`."""

    waiting_snapshots: int
    waiting_bytes: int
    oldest_waiting_at: float | None
    sealed_parts: int
    parts_to_rewrite: int


class Round(Protocol):
    """The right to work on parts, which one process has at a time. Every method raises StorageUnavailable."""

    async def begun(self) -> list[Part]:
        """Parts that are not sealed yet."""
        ...

    async def changed(self) -> list[Part]:
        """Sealed parts that may still hold what was deleted."""
        ...

    async def assign(self, sealing: Sealing, now: float, name_of: Callable[[datetime], str]) -> Part | None:
        """Begin a part with the oldest snapshots that are in none, all of one day; None when none is due.

        ``now`` is in seconds since the epoch; ``name_of`` gives a part of that day (UTC) a name of its own.
        """
        ...

    async def lines(self, part: Part, after: int) -> list[Line]:
        """The next snapshots of a begun part, some at a time; the first have ``after=0``."""
        ...

    async def hashes(self, part: Part) -> set[bytes]:
        """The SHA-256 of each snapshot that belongs into the part."""
        ...

    async def still_ours(self) -> None:
        """Raise StorageUnavailable if another process may have the right by now."""
        ...

    async def sealed(self, part: Part) -> None:
        """It lies where it belongs and holds what `lines` gave: the index lets go of the bytes."""
        ...

    async def rewritten(self, part: Part) -> None:
        """What was deleted up to ``last_deletion`` is not in it any more."""
        ...

    async def gone(self, part: Part) -> None:
        """No snapshot belongs into it, and it is removed."""
        ...

    async def doubt(self, name: str) -> bool:
        """Have a sealed part rewritten as if something had been deleted; False when there is no part of that name."""
        ...


class Index(Protocol):
    """For one event loop. Every method but ``close`` raises StorageUnavailable."""

    async def belongs_with(self) -> tuple[str, bool]:
        """The id that the index has for life, and whether it knows of any part."""
        ...

    async def store(self, install: InstallKey, entries: Sequence[Entry]) -> list[Verdict]:
        """One verdict for each, in their order, all in one transaction; raises WrongSecret. No id comes twice."""
        ...

    async def delete(self, installs: Sequence[InstallKey], wanted: Wanted) -> int:
        """Delete in one transaction; returns how many were there. Raises WrongSecret."""
        ...

    async def parts_to_rewrite(self, installs: Sequence[InstallKey]) -> int:
        """How many parts may still hold what was deleted of these installs."""
        ...

    async def counts(self) -> Counts:
        """How it is now."""
        ...

    def round(self, within_seconds: float) -> AbstractAsyncContextManager[Round | None]:
        """Have the right to work on parts; None when another process has it all that time."""
        ...

    async def close(self) -> None:
        """Finish what has begun and close."""
        ...


def day_of(received_at: float) -> tuple[datetime, float, float]:
    """The day (UTC) of a time: its beginning, and that and its end in seconds since the epoch."""
    day = datetime.fromtimestamp(received_at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day, day.timestamp(), (day + timedelta(days=1)).timestamp()


def authors_of(installs: Sequence[InstallKey]) -> bytes:
    """32 bytes for these installs together, the same for the same ones: what they delete is remembered under it."""
    return sha256("".join(sorted({install.id for install in installs})).encode()).digest()
