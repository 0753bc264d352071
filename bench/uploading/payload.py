"""What is sent, written down once: canonical snapshots one a line, their fingerprints, and a store that holds them.

Every sender begins with the same bytes, and none keeps more of them in memory than it is sending. Knows nothing of how
they are sent.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from bench.uploading.samples import WORKSPACE, snapshots
from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.snapshot.snapshot import SCHEMA_VERSION
from capture.store.answers import Refused
from capture.store.store import QUEUE_CAPACITY, Store
from capture.store.writer import Disk, Limits
from capture.upload.batches import INSTALL_BYTES, MAX_MESSAGE_BYTES, MAX_SNAPSHOTS, SNAPSHOT_OVERHEAD_BYTES
from capture.upload.outbox import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from capture.snapshot.snapshot import Snapshot

LARGE_DISK = Disk(1 << 50, 1 << 50)
NO_CAP = Limits(cap_bytes=1 << 50)
STORE, CONSENT, PROJECT, POLICY = "snapshots.sqlite3", "consent.json", "project", "policy.toml"


@dataclass(frozen=True, slots=True)
class Payload:
    """The files in one folder."""

    folder: Path
    snapshots: int
    content_bytes: int

    @property
    def batch(self) -> int:
        """How many of them fit into a message of ours, in the mean."""
        each_bytes = self.content_bytes // self.snapshots + SNAPSHOT_OVERHEAD_BYTES
        return max(1, min(MAX_SNAPSHOTS, (MAX_MESSAGE_BYTES - INSTALL_BYTES) // each_bytes))

    @classmethod
    def made_in(cls, folder: Path, count: int, size_bytes: int) -> Payload:
        """Make the snapshots and write everything; the same every time but for the folder's own path."""
        folder.mkdir()
        made = snapshots(count, size_bytes)
        total_bytes = 0
        with (folder / "lines").open("wb") as lines, (folder / "names").open("w", encoding="ascii") as names:
            for snapshot in made:
                content = snapshot.canonical_bytes()
                total_bytes += len(content)
                lines.write(content + b"\n")
                names.write(f"{snapshot.id} {sha256(content).hexdigest()}\n")
        _fill_store(folder / STORE, made)
        _agree(folder)
        return cls(folder, count, total_bytes)

    @property
    def lines(self) -> Path:
        """Canonical bytes, one snapshot a line."""
        return self.folder / "lines"

    def copy_store(self, home: Path) -> None:
        """The store as it was before anything was sent, with the consent, into an empty folder."""
        for name in (STORE, CONSENT):
            shutil.copyfile(self.folder / name, home / name)
            (home / name).chmod(0o600)

    def digests(self) -> set[bytes]:
        """The SHA-256 of each snapshot."""
        return {bytes.fromhex(line.split()[1]) for line in self._names()}

    def outgoing(self) -> Iterator[Outgoing]:
        """The snapshots as our client takes them, read as they are asked for."""
        with self.lines.open("rb") as lines:
            for line, name in zip(lines, self._names(), strict=True):
                snapshot_id, fingerprint = name.split()
                yield Outgoing(snapshot_id, WORKSPACE, SCHEMA_VERSION, fingerprint, line[:-1])

    def _names(self) -> Iterator[str]:
        with (self.folder / "names").open(encoding="ascii") as names:
            yield from names


def consents_in(home: Path) -> ConsentBook:
    """The consent that `Payload.copy_store` put there."""
    return ConsentBook(home / CONSENT, PolicyFile(home / POLICY))


def _fill_store(path: Path, made: list[Snapshot]) -> None:
    store = Store(path, limits=NO_CAP, disk=lambda _: LARGE_DISK)
    for start in range(0, len(made), QUEUE_CAPACITY):
        answers = [store.submit(snapshot) for snapshot in made[start : start + QUEUE_CAPACITY]]
        refused = [answer for one in answers if isinstance(answer := one.result(), Refused)]
        if refused:
            raise OSError(f"the store took {refused[0].id} not: {refused[0].explanation}")
    store.close(within_seconds=60.0)


def _agree(folder: Path) -> None:
    """Consent to upload for a folder of its own, since long ago, under the id that the snapshots have."""
    (folder / PROJECT).mkdir()
    book = ConsentBook(folder / CONSENT, PolicyFile(folder / POLICY), clock=lambda: 0.0)
    consent = book.grant(str(folder / PROJECT), "upload")
    text = book.path.read_text(encoding="utf-8")
    book.path.write_text(text.replace(consent.workspace_id, WORKSPACE), encoding="utf-8")
