"""How many snapshots one message holds: exact sizes of an UploadBatchRequest before it is made. Pure.

What the collector's policy says bounds them, and what the wire allows bounds the policy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.wire import snapshots_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from capture.upload.identity import Install
    from capture.upload.outbox import Outgoing

MAX_SNAPSHOTS = 64
MAX_MESSAGE_BYTES = 1024 * 1024
ID_CHARACTERS = 32
# Room for a snapshot's fields besides its content, with all tags and lengths: 34 + 6 + 34 + 4 + 4 bytes at most.
SNAPSHOT_OVERHEAD_BYTES = 82
INSTALL_BYTES = 70  # 2 + 34 + 34


@dataclass(frozen=True, slots=True)
class Limits:
    """What a collector takes.

    ``schema_versions`` None: it did not say. Of what may be sent in a minute, 0 is no limit.
    """

    schema_versions: frozenset[int] | None = None
    max_snapshots: int = MAX_SNAPSHOTS
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_content_bytes: int = MAX_MESSAGE_BYTES
    max_snapshots_per_minute: int = 0
    max_bytes_per_minute: int = 0

    @classmethod
    def of(cls, policy: wire.PolicyReply) -> Limits:
        """A policy within what the wire allows; what it leaves out is as the wire has it."""
        per_minute = policy.max_snapshots_per_minute
        return cls(
            schema_versions=frozenset(policy.schema_versions) or None,
            max_snapshots=min(policy.max_batch_snapshots or MAX_SNAPSHOTS, per_minute or MAX_SNAPSHOTS, MAX_SNAPSHOTS),
            max_message_bytes=min(policy.max_batch_bytes or MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
            max_content_bytes=min(policy.max_snapshot_bytes or MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
            max_snapshots_per_minute=per_minute,
            max_bytes_per_minute=policy.max_bytes_per_minute,
        )

    @property
    def lease_bytes(self) -> int:
        """So much content fits into one message, however many snapshots it is."""
        fits = self.max_message_bytes - INSTALL_BYTES - self.max_snapshots * SNAPSHOT_OVERHEAD_BYTES
        return max(1, min(fits, self.max_bytes_per_minute or fits))

    def seconds_for(self, snapshots: int, content_bytes: int) -> float:
        """How much of a minute these use up of what may be sent in one."""
        shares = [0.0]
        if self.max_snapshots_per_minute:
            shares.append(snapshots / self.max_snapshots_per_minute)
        if self.max_bytes_per_minute:
            shares.append(content_bytes / self.max_bytes_per_minute)
        return 60.0 * max(shares)

    def takes(self, snapshot: Outgoing) -> bool:
        """Whether its size is one that the collector takes, alone in a message."""
        alone = INSTALL_BYTES + _entry_bytes(snapshot)
        return len(snapshot.content) <= self.max_content_bytes and alone <= self.max_message_bytes


def batches(snapshots: Iterable[Outgoing], limits: Limits) -> list[list[Outgoing]]:
    """The snapshots, each of which `Limits.takes`, in as few messages as their order allows."""
    found: list[list[Outgoing]] = []
    message_bytes = 0
    for snapshot in snapshots:
        entry_bytes = _entry_bytes(snapshot)
        is_full = message_bytes + entry_bytes > limits.max_message_bytes
        if not found or is_full or len(found[-1]) == limits.max_snapshots:
            found.append([])
            message_bytes = INSTALL_BYTES
        found[-1].append(snapshot)
        message_bytes += entry_bytes
    return found


def request_of(install: Install, snapshots: Sequence[Outgoing]) -> wire.UploadBatchRequest:
    """The message: of the install's secret it holds the hash."""
    return wire.UploadBatchRequest(
        install=wire.Install(id=install.id, secret_sha256=hashlib.sha256(install.secret).digest()),
        snapshots=[
            wire.Snapshot(
                id=one.id,
                schema_version=one.schema_version,
                sha256=bytes.fromhex(one.sha256),
                content=one.content,
            )
            for one in snapshots
        ],
    )


def _entry_bytes(snapshot: Outgoing) -> int:
    """What one snapshot adds to the message."""
    content = len(snapshot.content)
    fields = (2 + ID_CHARACTERS) + (1 + _varint_bytes(snapshot.schema_version)) + (2 + 32) + _prefixed(content)
    return _prefixed(fields)


def _prefixed(length: int) -> int:
    """Bytes of a field of that length with its tag and length; an empty field is not written."""
    return 1 + _varint_bytes(length) + length if length else 0


def _varint_bytes(value: int) -> int:
    return max(1, (value.bit_length() + 6) // 7)
