"""Which files of a workspace the index may read.

Those in a language it knows, not too large, that git does not ignore and that the path gate lets pass; links are not
followed, so nothing outside the root is reached. Knows nothing of what the files hold.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from capture.context.index.disk import Stamp
from capture.context.index.ignoring import IgnoreRules
from capture.context.index.languages import language_of
from capture.context.index.messages import can_be_told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capture.context.index.messages import IndexLimits
    from capture.gate.exclude import PathGate

# Never the user's own text, whether git was told or not.
SKIPPED_FOLDERS: Final = frozenset({".git", ".hg", ".svn", ".jj", "node_modules", "__pycache__"})
MARK_OF_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"
MAX_ENTRIES = 20_000  # of one folder: more are data


@dataclass(frozen=True, slots=True)
class Listing:
    """What one folder holds: the folders to walk next, and the files to index with the state they are in."""

    folder: str
    folders: tuple[str, ...] = ()
    files: tuple[tuple[str, Stamp], ...] = ()


class WorkspaceFiles:
    """The files below ``root`` (absolute, as the editor names it) that ``gate`` and git's rules let pass."""

    def __init__(self, root: str, gate: PathGate, limits: IndexLimits) -> None:
        self.root = str(Path(root))
        self._real_root = os.path.realpath(root)
        self._gate = gate
        self._limits = limits
        self._rules = IgnoreRules(self.root)
        self._notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Why something is not indexed that one might expect to be; sentences for the status."""
        unreadable = tuple(
            f"{path} cannot be read or understood, so nothing it may speak of is indexed"
            for path in self._rules.unreadable
        )
        ignored = (f"git ignores {self.root} itself, so nothing in it is indexed",) if self._rules.ignores_root else ()
        return (*ignored, *unreadable, *self._notes)

    @property
    def folders_of_rules(self) -> tuple[str, ...]:
        """Folders outside the root whose files say what git ignores."""
        return self._rules.folders_of_rules

    def walk(self) -> Iterator[Listing]:
        """Every folder with its files, those near the root first, by rules that are read anew."""
        self._rules = IgnoreRules(self.root)
        self._notes = ()
        waiting = deque(() if self._rules.ignores_root else (self.root,))
        count = 0
        while waiting:
            count += 1
            if count > self._limits.folders:
                self._notes = (f"only the first {self._limits.folders} folders of {self.root} are indexed",)
                return
            folder = waiting.popleft()
            listing = self._list(folder)
            if listing is not None:
                waiting.extend(listing.folders)
                yield listing
            elif folder == self.root:
                self._notes = (f"{self.root} cannot be read, so nothing in it is indexed",)

    def admits(self, path: str) -> bool:
        """Whether the file at ``path`` may be read, by the rules of the last walk; it need not exist."""
        return (
            _is_indexable(path)
            and self.admits_folder(path.rpartition("/")[0])
            and not self._rules.ignores(path, is_folder=False)
            and self._gate.reason(path, self.root) is None
        )

    def admits_folder(self, folder: str) -> bool:
        """Whether files in ``folder`` may be read, as far as that depends on the folder and those above it."""
        below = os.path.relpath(folder, self.root)
        if self._rules.ignores_root or below.split("/", 1)[0] == "..":
            return False
        if os.path.realpath(folder) != os.path.normpath(f"{self._real_root}/{below}"):
            return False  # a link on the way: it leads elsewhere, or to what is indexed under its own name
        way = self.root
        for name in () if below == "." else below.split("/"):
            way = f"{way.rstrip('/')}/{name}"
            if name in SKIPPED_FOLDERS or self._rules.ignores(way, is_folder=True) or _is_environment(way):
                return False
        return True

    def _list(self, folder: str) -> Listing | None:
        """What is in a folder; None where it is gone meanwhile, or not ours to read."""
        try:
            with os.scandir(folder) as entries:
                found = sorted(islice(entries, MAX_ENTRIES), key=lambda entry: entry.name)
        except OSError:
            return None
        if any(entry.name == MARK_OF_VIRTUAL_ENVIRONMENT for entry in found):
            return Listing(folder)
        folders = (entry for entry in found if entry.is_dir(follow_symlinks=False) and self._may_enter(entry))
        files = ((entry.path, self._stamp(entry)) for entry in found if _is_indexable(entry.name))
        return Listing(
            folder,
            tuple(entry.path for entry in folders),
            tuple((path, stamp) for path, stamp in files if stamp is not None),
        )

    def _may_enter(self, entry: os.DirEntry[str]) -> bool:
        return (
            entry.name not in SKIPPED_FOLDERS
            and can_be_told(entry.name)
            and not self._rules.ignores(entry.path, is_folder=True)
        )

    def _stamp(self, entry: os.DirEntry[str]) -> Stamp | None:
        """The state of a file that may be read, None where it may not."""
        try:
            if not entry.is_file(follow_symlinks=False):
                return None
            stamp = Stamp.of(entry.stat(follow_symlinks=False))
        except OSError:  # gone meanwhile
            return None
        too_large = stamp.size_bytes > self._limits.file_bytes
        if too_large or self._rules.ignores(entry.path, is_folder=False):
            return None
        return stamp if self._gate.reason(entry.path, self.root) is None else None


def _is_indexable(name: str) -> bool:
    return language_of(name) is not None and can_be_told(name)


def _is_environment(folder: str) -> bool:
    return Path(folder, MARK_OF_VIRTUAL_ENVIRONMENT).exists()
