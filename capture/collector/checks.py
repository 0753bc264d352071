"""What a collector takes: the form of requests, and whether a snapshot is one, and the one it says it is.

Pure functions. Nothing that is said here, to clients or into a log, quotes what came: a snapshot that is refused may
hold anything. Knows nothing of clients, of storage, or of gRPC.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from capture.collector.settings import MAX_BATCH_BYTES, MAX_BATCH_SNAPSHOTS
from capture.collector.storage import Arrival, InstallKey, Wanted
from capture.snapshot.snapshot import SCHEMA_VERSIONS, Snapshot
from capture.wire import snapshots_pb2 as wire

MAX_SNAPSHOT_BYTES = MAX_BATCH_BYTES - 1024  # room for the message around it, and for an install that grows
MAX_DELETE_INSTALLS = 256
MAX_DELETE_SNAPSHOT_IDS = 10_000
MAX_DELETE_WORKSPACE_IDS = 1_000
SHA256_BYTES = 32
SECRET_BYTES = 32

_ID = re.compile("[0-9a-f]{32}")


class Malformed(Exception):
    """A request that no client of ours makes; the message says what is wrong with it, for whoever wrote the client."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one snapshot is not taken: a `Rejection.Reason`, and words."""

    reason: wire.Rejection.Reason
    explanation: str


def read_install(request: wire.UploadBatchRequest) -> InstallKey:
    """Check a batch as a whole, without looking into its snapshots; who sends it. Raises Malformed."""
    install, snapshots = request.install, request.snapshots
    if len(snapshots) > MAX_BATCH_SNAPSHOTS:
        raise Malformed(f"a batch holds at most {MAX_BATCH_SNAPSHOTS} snapshots, this one {len(snapshots)}")
    if not request.HasField("install"):
        raise Malformed("the batch does not say which install it is from")
    _check_id(install.id, "install.id")
    if len(install.secret_sha256) != SHA256_BYTES:
        raise Malformed(f"install.secret_sha256 must be {SHA256_BYTES} bytes")
    for snapshot in snapshots:
        _check_id(snapshot.id, "the id of each snapshot")
        if len(snapshot.sha256) != SHA256_BYTES:
            raise Malformed(f"the sha256 of each snapshot must be {SHA256_BYTES} bytes")
    if len({snapshot.id for snapshot in snapshots}) != len(snapshots):
        raise Malformed("a snapshot's id is in the batch twice")
    return InstallKey(install.id, install.secret_sha256)


def read_deletion(request: wire.DeleteRequest) -> tuple[list[InstallKey], Wanted]:
    """Whose snapshots are to be deleted, by the secrets that were shown, and which. Raises Malformed."""
    installs, selection = request.installs, request.selection
    if not 1 <= len(installs) <= MAX_DELETE_INSTALLS:
        raise Malformed(f"a deletion names 1 to {MAX_DELETE_INSTALLS} installs, this one {len(installs)}")
    for install in installs:
        _check_id(install.id, "the id of each install")
        if len(install.secret) != SECRET_BYTES:
            raise Malformed(f"the secret of each install must be {SECRET_BYTES} bytes")
    if len({install.id for install in installs}) != len(installs):
        raise Malformed("an install's id is in the deletion twice")
    keys = [InstallKey(install.id, hashlib.sha256(install.secret).digest()) for install in installs]
    return keys, _read_selection(selection)


def check_snapshots(snapshots: Iterable[wire.Snapshot]) -> tuple[list[Arrival], list[tuple[str, Refusal]]]:
    """Those that may be stored, and the ids of the others with the reason."""
    arrivals, refused = [], []
    for snapshot in snapshots:
        checked = check_snapshot(snapshot)
        if isinstance(checked, Arrival):
            arrivals.append(checked)
        else:
            refused.append((snapshot.id, checked))
    return arrivals, refused


def check_snapshot(message: wire.Snapshot) -> Arrival | Refusal:
    """One snapshot of a batch that `read_install` has passed."""
    content = message.content
    if message.schema_version not in SCHEMA_VERSIONS:
        versions = ", ".join(map(str, SCHEMA_VERSIONS))
        return Refusal(wire.Rejection.SCHEMA_VERSION, f"this collector reads schema version {versions}")
    if len(content) > MAX_SNAPSHOT_BYTES:
        return Refusal(wire.Rejection.TOO_LARGE, f"this collector takes {MAX_SNAPSHOT_BYTES} bytes and no more")
    if not hmac.compare_digest(hashlib.sha256(content).digest(), message.sha256):
        return Refusal(wire.Rejection.WRONG_SHA256, "the content does not have the SHA-256 that came with it")
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return Refusal(wire.Rejection.MALFORMED, "the content is no JSON in UTF-8")
    try:
        snapshot = Snapshot.from_json(value)
    except ValueError:
        named = message.schema_version
        return Refusal(wire.Rejection.MALFORMED, f"the content is no snapshot of schema version {named}")
    if snapshot.id != message.id or snapshot.schema_version != message.schema_version:
        return Refusal(wire.Rejection.MALFORMED, "the content is another snapshot than the one named beside it")
    if snapshot.canonical_bytes() != content:
        return Refusal(wire.Rejection.MALFORMED, "the content is a snapshot, but not in its canonical bytes")
    if snapshot.state != "settled":
        return Refusal(wire.Rejection.NOT_SETTLED, "the snapshot is not settled")
    return Arrival(
        snapshot.id, snapshot.workspace_id, snapshot.schema_version, snapshot.finalised_at, message.sha256, content
    )


def _read_selection(selection: wire.Selection) -> Wanted:
    before = selection.finalised_before if selection.HasField("finalised_before") else None
    conditions = bool(selection.snapshot_ids or selection.workspace_ids or before is not None)
    if selection.everything == conditions:
        raise Malformed("a deletion selects everything, or by one condition or several")
    if len(selection.snapshot_ids) > MAX_DELETE_SNAPSHOT_IDS:
        raise Malformed(f"a deletion names at most {MAX_DELETE_SNAPSHOT_IDS} snapshots")
    if len(selection.workspace_ids) > MAX_DELETE_WORKSPACE_IDS:
        raise Malformed(f"a deletion names at most {MAX_DELETE_WORKSPACE_IDS} workspaces")
    for identifier in selection.snapshot_ids:
        _check_id(identifier, "each of snapshot_ids")
    for identifier in selection.workspace_ids:
        _check_id(identifier, "each of workspace_ids")
    if before is not None and not math.isfinite(before):
        raise Malformed("finalised_before must be a finite number of seconds")
    return Wanted(
        selection.everything,
        tuple(dict.fromkeys(selection.snapshot_ids)),
        tuple(dict.fromkeys(selection.workspace_ids)),
        before,
    )


def _check_id(value: str, what: str) -> None:
    if not _ID.fullmatch(value):
        raise Malformed(f"{what} must be 32 hexadecimal digits in lower case")
