"""Which files are committed together with a file, from git's own history; and how such a file begins.

git runs in a process of its own, with a time limit (``git_output``). What was read serves until HEAD moves. Where there
is no git, no repository or no history there are no neighbours, and nothing is ever raised. Nothing is written. Knows
nothing of which files may be seen.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from capture.context.git_output import git_output
from capture.context.related import Candidate, Group, first_rows_within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

# Commits and neighbours as in Zed (`crates/edit_prediction_context/src/editable_context.rs` at zed 09adbb01).
MAX_COMMITS = 5000
MAX_NEIGHBOURS = 10
MAX_SHOWN = 4  # how each begins is all that is known of where it helps
MAX_LOOKED_FOR = 100  # on disk: many of a long history are gone
LEAST_COMMITS_TOGETHER = 2  # once may be chance
MAX_FILES_OF_A_COMMIT = 40  # a larger one moved or reformatted everything and says nothing
LIMIT_SECONDS = 10.0
MAX_REPOSITORIES = 8
HEAD_BYTES = 512  # of a neighbour

_COMMIT_MARK = b"\x1e"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A file that changed together with another one: its path, and the path it must really have to be read."""

    path: str
    real_path: str


@dataclass(frozen=True, slots=True)
class _Repository:
    """``top`` is its folder as git names it; ``shown_top`` the same as the editor does, links unresolved."""

    top: str
    shown_top: str
    head: str


@dataclass(slots=True)
class _History:
    """The files of each commit, the newest commit first, and the commits of each file."""

    files: list[list[str]] = field(default_factory=list)
    commits_of: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, names: list[str]) -> None:
        if 1 < len(names) <= MAX_FILES_OF_A_COMMIT:
            for name in names:
                self.commits_of[name].append(len(self.files))
            self.files.append(names)

    def together_with(self, name: str) -> list[str]:
        """The most often first, of those the one changed latest, then by name."""
        counts: Counter[str] = Counter()
        latest: dict[str, int] = {}
        for commit in self.commits_of.get(name, ()):
            for other in self.files[commit]:
                counts[other] += 1
                latest.setdefault(other, commit)
        del counts[name]
        often = [other for other, count in counts.items() if count >= LEAST_COMMITS_TOGETHER]
        return sorted(often, key=lambda other: (-counts[other], latest[other], other))


class CoChange:
    """Owns the histories that were read. ``git`` is the program, ``limit_seconds`` how long it may read one."""

    def __init__(self, git: str = "git", *, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._git = git
        self._limit_seconds = limit_seconds
        self._histories: OrderedDict[str, tuple[str, _History]] = OrderedDict()  # by top: the head, and its history
        self._reading = asyncio.Lock()  # two documents of one repository read it once

    async def neighbours(self, path: str) -> tuple[Neighbour, ...]:
        """Files that changed with the one at ``path`` (absolute), the most often first; those that are there still."""
        folder, name = os.path.split(path)
        if not folder.startswith("/"):  # git would look around in a folder of ours
            return ()
        async with self._reading:
            repository, prefix = await self._repository(folder)
            if repository is None:
                return ()
            history = await self._history(repository)
        names = history.together_with(prefix + name)[:MAX_LOOKED_FOR]
        return await asyncio.to_thread(_present, repository, names)

    async def candidates(self, path: str, *, wanted: Callable[[str], Awaitable[bool]]) -> tuple[Candidate, ...]:
        """How the first of the neighbours begin that are ``wanted``, by their absolute paths, and can be read."""
        found: list[Candidate] = []
        for rank, neighbour in enumerate(await self.neighbours(path)):
            text = await asyncio.to_thread(first_rows, neighbour) if await wanted(neighbour.path) else ""
            if text:
                found.append(Candidate(Group.CHANGES_TOGETHER, rank, neighbour.path, 0, text, "git_log"))
            if len(found) == MAX_SHOWN:
                break
        return tuple(found)

    async def _repository(self, folder: str) -> tuple[_Repository | None, str]:
        """The repository ``folder`` is in, and the folder's path in it, ended with a slash where there is one."""
        output = bytearray()
        async for data in self._output("-C", folder, "rev-parse", "--show-toplevel", "--show-prefix", "HEAD"):
            output += data
        try:
            lines = output.decode().split("\n")
        except UnicodeDecodeError:  # a folder whose name no editor can have told us
            return None, ""
        if len(lines) != 4 or not all((lines[0], lines[2])):
            return None, ""
        top, prefix, head = lines[:3]
        shown_top = folder
        if prefix:
            shown_top = folder.removesuffix("/" + prefix.rstrip("/"))
            shown_top = top if shown_top == folder else shown_top
        return _Repository(top, shown_top, head), prefix

    def _output(self, *arguments: str) -> AsyncIterator[bytes]:
        return git_output(self._git, arguments, limit_seconds=self._limit_seconds)

    async def _history(self, repository: _Repository) -> _History:
        known = self._histories.get(repository.top)
        if known is not None and known[0] == repository.head:
            self._histories.move_to_end(repository.top)
            return known[1]
        history = _History()
        unread = b""
        names: list[str] = []
        async for data in self._output(
            *("-C", repository.top, "log", "-z", f"--max-count={MAX_COMMITS}", "--name-only", "--no-renames"),
            *("--no-ext-diff", "--no-textconv", "--no-show-signature", "--format=%x1e", repository.head),
        ):
            *parts, unread = (unread + data).split(b"\0")
            for part in parts:
                if part.startswith(_COMMIT_MARK):
                    history.add(names)
                    names = []
                else:
                    names += _name(part)
        history.add(names)
        self._histories[repository.top] = (repository.head, history)
        if len(self._histories) > MAX_REPOSITORIES:
            self._histories.popitem(last=False)
        return history


def _present(repository: _Repository, names: Iterable[str]) -> tuple[Neighbour, ...]:
    """The first of the files that are there still."""
    neighbours = (Neighbour(f"{repository.shown_top}/{name}", f"{repository.top}/{name}") for name in names)
    return tuple(islice((each for each in neighbours if Path(each.real_path).is_file()), MAX_NEIGHBOURS))


def first_rows(neighbour: Neighbour) -> str:
    """The rows the file begins with, empty where it cannot be read as text or is reached through a link.

    Reads the disk: not for the event loop.
    """
    if os.path.realpath(neighbour.real_path) != neighbour.real_path:
        return ""
    try:
        descriptor = os.open(neighbour.real_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        data = file.read(HEAD_BYTES + 1)
    if b"\0" in data:
        return ""
    if len(data) > HEAD_BYTES:
        data = data[: data.rfind(b"\n", 0, HEAD_BYTES) + 1]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return first_rows_within(text.replace("\r\n", "\n"), HEAD_BYTES)


def _name(part: bytes) -> list[str]:
    """The file's name, or none: git puts a newline before the first of a commit."""
    try:
        name = part.removeprefix(b"\n").decode()
    except UnicodeDecodeError:  # no editor could name it, and no prompt show it
        return []
    return [name] if name else []
