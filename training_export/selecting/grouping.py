"""What examples are grouped by: the repository, a project in it, the file, or nothing. Knows no files on disk."""

from __future__ import annotations

import hashlib
from enum import Enum

from training_export.example import Example
from training_export.stage import ours


class GroupBy(Enum):
    """What keeps examples together; the values are those of ``--by``."""

    REPOSITORY = "repository"
    PROJECT = "project"
    PATH = "path"
    NONE = "none"


def group_key(example: Example, by: GroupBy) -> bytes:
    """The same for two examples of one group; it depends on the moment alone, not on what stages found out."""
    origin = repository_of(example)
    if by is GroupBy.REPOSITORY:
        parts = [origin]
    elif by is GroupBy.PROJECT:
        folder, slash, _ = example.cursor_path.partition("/")
        parts = [origin, folder + slash] if slash else [origin, ""]
    elif by is GroupBy.PATH:
        parts = [origin, example.cursor_path]
    else:
        parts = [origin, example.cursor_path, example.cursor_position, example.edit_history]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()


def repository_of(example: Example) -> str:
    """The repository's address, else the workspace a snapshot is from, else empty."""
    address = example.repository_url.strip().rstrip("/").removesuffix(".git")
    return address or str((ours(example, "snapshot") or {}).get("workspace_id") or "")
