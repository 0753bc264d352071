"""Plays a power cut: from the record of a faulty disk, what the files may hold when the power comes back.

Certain is only what was synced: a file's bytes by its own sync, its name by its folder's. Of what came later, any part may
have reached the disk, in any order, a write torn between two sectors included. An index of shared memory (``-shm``)
is gone.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

HEAD = struct.Struct("=qqqq")
WRITE, TRUNCATE, SYNC, UNLINK = 1, 2, 3, 4
SECTOR_BYTES = 512


@dataclass
class File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list = field(default_factory=list)  # (offset, data), or a length
    has_durable_name: bool = False
    is_unlinked: bool = False

    def sync(self):
        for change in self.pending:
            apply(self.durable, change)
        self.pending.clear()


def operations(log):
    """(operation, name, offset, length, data); the last may have been cut off by the kill."""
    at = 0
    while at + HEAD.size <= len(log):
        operation, name_bytes, offset, length = HEAD.unpack_from(log, at)
        at += HEAD.size
        name = log[at : at + name_bytes].decode()
        at += name_bytes
        data = log[at : at + length] if operation == WRITE else b""
        at += len(data)
        if operation == WRITE and len(data) < length:
            return
        yield operation, name, offset, length, data


def apply(content, change):
    if isinstance(change, int):
        content[change:] = bytes(max(0, change - len(content)))
        return
    offset, data = change
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


def restore(log, folder: Path, numbers):
    """Write into ``folder`` one of the states that the disk may be in; ``numbers`` (random) chooses it."""
    for name, file in files_of(log).items():
        has_certain_name = file.has_durable_name and not file.is_unlinked
        if has_certain_name or numbers.random() < 0.5:
            (folder / name).write_bytes(survivors(file, numbers))


def files_of(log):
    """Each file by its name, with what is certain of it and what is not."""
    files = {}
    for operation, name, offset, length, data in operations(log):
        if operation == SYNC and not name:
            files = {known: file for known, file in files.items() if not file.is_unlinked}
            for file in files.values():
                file.has_durable_name = True
        elif operation == UNLINK:
            files.setdefault(name, File()).is_unlinked = True
        elif not name.endswith("-shm"):
            if name not in files or files[name].is_unlinked:
                files[name] = File()
            change(files[name], operation, offset, length, data)
    return files


def change(file, operation, offset, length, data):
    if operation == SYNC:
        file.sync()
    else:
        file.pending.append((offset, data) if operation == WRITE else length)


def survivors(file, numbers):
    content = bytearray(file.durable)
    kept_share = numbers.choice((0.0, 0.5, 0.9, 1.0))
    for change in file.pending:
        if numbers.random() >= kept_share:
            continue
        if not isinstance(change, int) and kept_share < 1.0 and numbers.random() < 0.3:
            offset, data = change
            for start in range(0, len(data), SECTOR_BYTES):
                if numbers.random() < 0.5:
                    apply(content, (offset + start, data[start : start + SECTOR_BYTES]))
            continue
        apply(content, change)
    return bytes(content)
