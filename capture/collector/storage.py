"""What a collector keeps snapshots in, as the rest of the collector sees it: the values, the errors, the promise.

A snapshot that `Storage.store` answered ``accepted`` is durable, there exactly once and byte for byte what came; what
`Storage.delete` removed does not come back. Knows nothing of gRPC, nor of what a snapshot's bytes mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Verdict = Literal["accepted", "duplicate", "id_taken", "deleted"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One checked snapshot. ``content`` is one line (no line feed in it) that holds ``id``; ``sha256`` is its 32 bytes.

    ``finalised_at`` is in seconds since the epoch.
    """

    id: str
    workspace_id: str
    schema_version: int
    finalised_at: float
    sha256: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class InstallKey:
    """Who sends. The first hash seen with an id (32 bytes) binds it; another is a `WrongSecret` from then on."""

    id: str
    secret_sha256: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to delete: all, or what meets every condition given. Nothing given matches nothing."""

    everything: bool = False
    snapshot_ids: tuple[str, ...] = ()
    workspace_ids: tuple[str, ...] = ()
    finalised_before: float | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many snapshots were there and are gone, and how many sealed parts still hold bytes of deleted ones."""

    snapshots: int
    parts_to_rewrite: int


@dataclass(frozen=True, slots=True)
class StorageState:
    """What is in it now. ``waiting`` are those that stand in no sealed part yet; their bytes are those of the content.

    ``oldest_waiting_at`` is when the oldest of them came, in seconds since the epoch; ``trouble`` says in words why the
    last round of maintenance broke off, and is empty when it did not.
    """

    waiting_snapshots: int
    waiting_bytes: int
    oldest_waiting_at: float | None
    sealed_parts: int
    parts_to_rewrite: int
    trouble: str


class WrongSecret(Exception):
    """An install is bound to another secret. Nothing was done."""

    def __init__(self, install_id: str) -> None:
        self.install_id = install_id
        super().__init__("the install is bound to another secret")


class StorageUnavailable(Exception):
    """It cannot be written or read now, and may be later; nothing was done by halves. ``reason`` is for people."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class StorageMisconfigured(Exception):
    """What was given to keep snapshots in cannot be used as it is; the message says why and what to change."""


class Storage(Protocol):
    """For one event loop. Every method but `close` raises StorageUnavailable."""

    async def store(self, install: InstallKey, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """One verdict for each, in their order; durable when it returns. Raises WrongSecret.

        Raises ValueError where an id comes twice or what an `Arrival` promises does not hold.
        """
        ...

    async def delete(self, installs: Sequence[InstallKey], wanted: Wanted) -> Deleted:
        """Forget what these installs sent and ``wanted`` matches; durable when it returns. Raises WrongSecret.

        Named ids that never came are refused when they come, from these installs. Called again it says how many parts
        are left to be rewritten.
        """
        ...

    async def maintain(self) -> None:
        """Seal parts and rewrite them, for ever; ends only by being cancelled. Troubles are logged and tried again."""
        ...

    async def state(self) -> StorageState:
        """For metrics and for the health service."""
        ...

    async def close(self) -> None:
        """Finish what has begun and let go of everything; cancel `maintain` first."""
        ...


async def open_storage(*urls: str) -> Storage:
    """What ``--data`` names, once or twice: where the parts go, and a PostgreSQL database that has the index.

    A directory alone has both: `open_storage("DIRECTORY")`. An object store needs a database beside it, and a
    directory may have one: `open_storage("s3://bucket/prefix", "postgresql://host/database")`, in any order. Raises
    StorageMisconfigured, and StorageUnavailable.
    """
    from capture.collector.opening import open_from  # noqa: PLC0415 (it imports this module)

    return await open_from(urls)
