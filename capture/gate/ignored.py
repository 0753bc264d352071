"""Whether git ignores a file, by the same lists of patterns that git reads, without asking git for each file.

The lists, the most binding first: the `.gitignore` of the file's folder and of each folder around it up to the working
tree's root, the repository's `info/exclude`, the excludes file that git's configuration names (or git's own default for
it). A folder that is ignored takes everything in it along, whatever a later pattern says. So much is gitignore(5);
what differs errs to the safe side: a file that is tracked although a pattern matches counts as ignored, and so does
every file of which something cannot be found out. Knows nothing of what is excluded for other reasons.
"""
# Asked for each part of a snapshot, of every folder around it; and a Path would lose the name that is no link.
# ruff: noqa: PTH100, PTH116, PTH118, PTH120

from __future__ import annotations

import os
import re
import subprocess
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import pathspec

from capture.rereading import Rereading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_LISTS = 4096  # pattern lists that are kept, and as many repositories
GIT_SECONDS = 10.0
# They tell git of another repository than the one asked about; hooks and `git rebase --exec` set them.
_REPOSITORY_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX")


class Standing(Enum):
    """How a file stands to git."""

    SEEN = "seen"
    IGNORED = "ignored"
    OUTSIDE = "outside"  # of any repository: git has no say


class _Unknown(Exception):
    """Something that may make git ignore a file cannot be read."""


@dataclass(frozen=True, slots=True)
class _Repository:
    """A working tree and the lists that hold in all of it, the most binding first."""

    root: str
    lists: tuple[str, ...]


class GitIgnored:
    """Asks how files stand to git; what was read is kept until it changes.

    ``environment`` is git's, this process's own unless given. The first question about a repository starts git once
    (some milliseconds): ask where nobody waits. Not thread-safe.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        base = os.environ if environment is None else environment
        self._environment = {name: value for name, value in base.items() if name not in _REPOSITORY_VARIABLES}
        self._lists: OrderedDict[str, Rereading[pathspec.GitIgnoreSpec]] = OrderedDict()
        self._repositories: OrderedDict[str, tuple[tuple[object, ...], _Repository]] = OrderedDict()

    def standing(self, path: str, workspace: str = "") -> Standing:
        """How the file at ``path`` (absolute; it need not exist) stands to git. Never raises.

        Where a link leads elsewhere, both names are asked about, and the stricter answer counts. git's own folder
        counts as ignored. A repository has its own lists; but inside of the folder ``workspace``, if that is given, it
        is ignored as a whole where the repository around it ignores its folder.
        """
        try:
            names = dict.fromkeys((os.path.abspath(path), os.path.realpath(path)))
        except ValueError:  # a NUL, or half of a surrogate pair: no file can have the name
            return Standing.IGNORED
        found = {self._standing(name) for name in names}
        trees = {tree for name in names for tree in _working_trees_between(name, workspace)}
        found.update(self._standing(tree, is_folder=True) for tree in trees)
        return next(standing for standing in (Standing.IGNORED, Standing.OUTSIDE, Standing.SEEN) if standing in found)

    def _standing(self, path: str, *, is_folder: bool = False) -> Standing:
        if ".git" in Path(path).parts:
            return Standing.IGNORED
        try:
            root = _working_tree(path)
            if root is None:
                return Standing.OUTSIDE
            return (
                Standing.IGNORED if self._matches(self._repository(root), path, is_folder=is_folder) else Standing.SEEN
            )
        except _Unknown:
            return Standing.IGNORED

    def _matches(self, repository: _Repository, path: str, *, is_folder: bool) -> bool:
        """Whether a pattern ignores the file or one of the folders it is in; the outermost first, as git looks."""
        parts = Path(path).relative_to(repository.root).parts
        for depth in range(1, len(parts) + 1):
            ending = "/" if is_folder or depth < len(parts) else ""
            if self._decided(repository, parts[:depth], ending):
                return True
        return False

    def _decided(self, repository: _Repository, parts: tuple[str, ...], ending: str) -> bool:
        for around in range(len(parts) - 1, -1, -1):
            below = "/".join(parts[around:]) + ending
            decided = decision(self._list(os.path.join(repository.root, *parts[:around], ".gitignore")), below)
            if decided is not None:
                return decided
        whole = "/".join(parts) + ending
        for name in repository.lists:
            decided = decision(self._list(name), whole)
            if decided is not None:
                return decided
        return False

    def _list(self, path: str) -> pathspec.GitIgnoreSpec:
        reading = self._lists.get(path)
        if reading is None:
            reading = self._lists[path] = Rereading(Path(path), _read_list)
        self._lists.move_to_end(path)
        if len(self._lists) > MAX_LISTS:
            self._lists.popitem(last=False)
        return reading.current()

    def _repository(self, root: str) -> _Repository:
        configuration = _stamps(self._configuration_files(root))
        known = self._repositories.get(root)
        if known is None or known[0] != configuration:
            lists = (os.path.join(_common_directory(root), "info", "exclude"), self._excludes_file(root))
            known = (configuration, _Repository(root, lists))
        self._repositories[root] = known
        self._repositories.move_to_end(root)
        if len(self._repositories) > MAX_LISTS:
            self._repositories.popitem(last=False)
        return known[1]

    def _excludes_file(self, root: str) -> str:
        """The excludes file of the configuration that holds in ``root``, or git's default for it."""
        asked = ["git", "-C", root, "config", "--type=path", "--null", "--get", "core.excludesFile"]
        try:
            answer = subprocess.run(
                asked, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=GIT_SECONDS,
                check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _Unknown from error
        if answer.returncode == 1:  # the key is not set
            return os.path.join(self._configuration_home(), "git", "ignore")
        if answer.returncode != 0:
            raise _Unknown
        named = os.fsdecode(answer.stdout.rstrip(b"\0"))
        return os.path.join(root, named) if named else os.devnull

    def _configuration_files(self, root: str) -> Iterator[str]:
        """Where the excludes file may be named. What these include is read with them, but not watched."""
        yield "/etc/gitconfig"
        yield self._environment.get("GIT_CONFIG_GLOBAL") or os.path.join(self._home(), ".gitconfig")
        yield os.path.join(self._configuration_home(), "git", "config")
        yield os.path.join(_common_directory(root), "config")

    def _configuration_home(self) -> str:
        return self._environment.get("XDG_CONFIG_HOME") or os.path.join(self._home(), ".config")

    def _home(self) -> str:
        return self._environment.get("HOME") or os.sep


def _working_tree(path: str) -> str | None:
    """The root of the innermost working tree that ``path`` is in, None outside of any."""
    folder = os.path.dirname(path)
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def _working_trees_between(path: str, folder: str) -> Iterator[str]:
    """The roots of the working trees that ``path`` is in and that lie inside of ``folder``; none without one."""
    outer = {os.path.abspath(folder), os.path.realpath(folder)} if folder else set()
    root = _working_tree(path) if outer else None
    while root is not None and any(root.startswith(name.rstrip(os.sep) + os.sep) for name in outer):
        yield root
        root = _working_tree(root)


def _common_directory(root: str) -> str:
    """Where the repository of the working tree ``root`` keeps what its working trees share; raises _Unknown."""
    entry = Path(root, ".git")
    try:
        if entry.is_dir():
            if not Path(entry, "HEAD").exists():  # git would go on looking further out, where other lists hold
                raise _Unknown
            return str(entry)
        # A file stands there in a submodule and in a further working tree (gitrepository-layout(5)).
        named = entry.read_text(encoding="utf-8", errors="surrogateescape")
        if not named.startswith("gitdir: "):
            raise _Unknown
        directory = Path(root, named.removeprefix("gitdir: ").rstrip("\n"))
        shared = directory / "commondir"
        if not shared.exists():
            return str(directory)
        return str(directory / shared.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n"))
    except OSError as error:
        raise _Unknown from error


def _read_list(path: Path) -> pathspec.GitIgnoreSpec:
    """The patterns in one file, none when it is missing; raises _Unknown when it cannot be read or understood."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")  # as names of files are decoded
    except (FileNotFoundError, NotADirectoryError):
        return pathspec.GitIgnoreSpec([])
    except OSError as error:
        raise _Unknown from error
    lines = [as_understood(line) for line in text.removeprefix("\ufeff").split("\n")]
    try:
        return pathspec.GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error) as error:  # some ranges that git passes over
        raise _Unknown from error


def as_understood(line: str) -> str:
    """A line of a pattern list in the spelling that pathspec takes as git does."""
    line = line.removesuffix("\r")
    # The same to git, and the library takes the first for the folder itself.
    return re.sub(r"/\*\*/ *$", "/**/*/", line)


def decision(patterns: pathspec.GitIgnoreSpec, path: str) -> bool | None:
    """Whether the last pattern that matches ``path`` ignores it, None when none matches; a folder ends in a slash.

    The library's own answer is about files alone: it guesses at the folders around them, to which we come one by one.
    """
    for pattern in reversed(patterns.patterns):
        if pattern.include is not None and pattern.regex is not None and _is_match(pattern.regex, path):
            return pattern.include
    return None


def _is_match(regex: re.Pattern[str], path: str) -> bool:
    """Whether a pattern matches the path itself, and not only a folder it is in.

    The library's expressions name a group at the slash behind a folder that a pattern matched. A pattern that ends in
    `/**` has none: it matches what is in a folder, and not the folder.
    """
    for found in regex.finditer(path):
        folder_end = found.end("ps_d") if "ps_d" in regex.groupindex else -1
        is_what_is_in_it = folder_end < 0 and path.endswith("/") and found.end() == len(path)
        if folder_end == len(path) or (folder_end < 0 and not is_what_is_in_it):
            return True
    return False


def _stamps(paths: Iterator[str]) -> tuple[object, ...]:
    found: list[object] = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            found.append(error.errno)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(found)
