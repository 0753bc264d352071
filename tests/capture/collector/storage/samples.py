"""Snapshots that are cheap to make, a clock, and a reading of everything that a collector's directory keeps."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

from capture.collector import sqlite_tables
from capture.collector.index import Sealing
from capture.collector.opening import INDEX_FILE
from capture.collector.parts import read_parts
from capture.collector.storage import Arrival, InstallKey
from capture.store import sqlite
from capture.store.payload import Payload, unpack

NOON = 1_795_435_200.0  # 2026-11-23, 12:00 UTC
EVERYTHING_NOW = Sealing(size_bytes=1 << 40, age_seconds=-1e12)


class Clock:
    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


def id_of(number):
    return f"{number:032x}"


def install_of(number):
    return InstallKey(id_of(0xA0 + number), hashlib.sha256(b"secret %d" % number).digest())


def arrival_of(number, *, variant="", workspace=0, finalised_at=1000.0, size_bytes=100):
    """A snapshot whose bytes follow from its arguments, and do not compress."""
    noise = random.Random(f"{number} {variant}").randbytes(size_bytes // 2).hex()
    content = json.dumps({"id": id_of(number), "noise": noise, "variant": variant}).encode()
    digest = hashlib.sha256(content).digest()
    return Arrival(id_of(number), id_of(0xF000 + workspace), 1, finalised_at, digest, content)


@dataclass
class Kept:
    """What a reader of the directory and of the index finds: each line of a part, each snapshot in no part."""

    in_parts: Counter = field(default_factory=Counter)  # content -> times
    waiting: Counter = field(default_factory=Counter)
    begun: int = 0
    rows: dict = field(default_factory=dict)  # id -> (install, sha256, part)

    def contents(self):
        return self.in_parts + self.waiting

    def check(self):
        """Nothing is doubled, nothing lies about: what the index says is there is there, and nothing else is."""
        assert not self.begun
        contents = self.contents()
        assert set(contents.values()) <= {1}
        assert {json.loads(content)["id"]: hashlib.sha256(content).digest() for content in contents} == {
            snapshot_id: sha256 for snapshot_id, (_, sha256, _) in self.rows.items()
        }
        assert len(self.in_parts) == sum(part is not None for _, _, part in self.rows.values())
        return contents


def kept_in(directory, parts_url=""):
    kept = Kept(in_parts=Counter(read_parts(parts_url or str(directory))))
    if not (directory / INDEX_FILE).exists():
        return kept
    with (
        closing(sqlite.open_for_reading(directory / INDEX_FILE, sqlite_tables.SCHEMA)) as database,
        database.reading() as connection,
    ):
        assert [row[0] for row in connection.execute("PRAGMA integrity_check").fetchall()] == ["ok"]
        rows = connection.execute(
            "SELECT snapshot.*, compressed, is_sealed FROM snapshot LEFT JOIN payload USING (sequence)"
            " LEFT JOIN part ON part = number"
        ).fetchall()
        kept.begun = connection.execute("SELECT count(*) FROM part WHERE NOT is_sealed").fetchone()[0]
    for row in rows:
        kept.rows[row["id"]] = (row["install"], row["sha256"], row["part"])
        assert (row["compressed"] is None) == bool(row["is_sealed"])
        if row["part"] is None:
            kept.waiting[unpack(Payload(row["compressed"], row["length_bytes"], row["sha256"].hex()))] += 1
    return kept


def lying_arrival(number, content):
    return Arrival(id_of(number), id_of(0xF000), 1, 1000.0, hashlib.sha256(b"truth").digest(), content)
