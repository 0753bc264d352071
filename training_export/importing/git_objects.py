"""Commits and file contents of a repository, from git processes: one lists what changed, one hands out contents.

Both run for as long as the repository is open. What a repository's configuration could make git start or fetch is
switched off, and the environment cannot point git to another one. Knows nothing of what is done with the contents.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from capture.snapshot.parts import public_url
from training_export.errors import RepositoryUnreadable

SUBMODULE_MODE: Final = "160000"
LINK_MODE: Final = "120000"
NO_MODE: Final = "000000"
_PIECE_BYTES: Final = 1 << 16
_COMMIT_MARK: Final = b"\x1e"
_HARMLESS: Final = (
    "--no-pager",
    "--no-optional-locks",
    "--literal-pathspecs",
    *("-c", "core.fsmonitor=false"),
    *("-c", "log.showSignature=false"),
    *("-c", "protocol.allow=never"),
)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One line of git's raw diff. ``status`` is its letter: A, D, M, R (renamed), T (another type)."""

    status: str
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str
    old_path: str
    new_path: str


@dataclass(frozen=True, slots=True)
class CommitEntry:
    """A commit with one parent, and the files that differ from it. ``parent`` is empty for a first commit."""

    sha: str
    parent: str
    files: tuple[FileEntry, ...]


class Repository:
    """An open repository; for one thread. Use `opened_repository`."""

    def __init__(self, folder: Path, contents: subprocess.Popen[bytes], url: str) -> None:
        self._folder = folder
        self._contents = contents
        self.url = url
        self.name = _name_of(url) or folder.resolve().name.removesuffix(".git") or "repository"

    def commits(self, revisions: Sequence[str], *, max_count: int = 0) -> Iterator[CommitEntry]:
        """The commits that these mean to ``git log`` (``A..B``, ``main``), the newest first; merges are passed over.

        ``max_count`` 0 means all. Raises RepositoryUnreadable where git knows no such revision.
        """
        count = [f"--max-count={max_count}"] if max_count else []
        listed = ["rev-list", "--no-merges", *count, "--end-of-options", *revisions, "--"]
        yield from self._entries(listed, root=True)

    def commit(self, sha: str) -> CommitEntry:
        """One commit by its name; raises RepositoryUnreadable where it is not there or a merge."""
        found = list(self._entries(["rev-list", "--no-walk", "--end-of-options", sha, "--"], root=True))
        if not found:
            raise RepositoryUnreadable(
                f"{sha} is a merge of {self.name}, and merges say nothing of how lines were typed"
            )
        return found[0]

    def content(self, blob: str, *, max_bytes: int) -> bytes | None:
        """The content of a file by its object name; at most one byte over ``max_bytes`` of it, None if it is missing.

        Raises RepositoryUnreadable where git has ended.
        """
        if self._contents.stdin is None or self._contents.stdout is None:
            raise RepositoryUnreadable("git's output was not piped")
        try:
            self._contents.stdin.write(f"{blob}\n".encode())
            self._contents.stdin.flush()
        except OSError as error:
            raise RepositoryUnreadable(f"git cat-file has ended: {error.strerror}") from error
        header = self._contents.stdout.readline().split()
        if len(header) != 3:
            if header[1:] == [b"missing"]:
                return None
            raise RepositoryUnreadable(f"git cat-file does not hand out {blob}")
        size = int(header[2])
        kept = self._contents.stdout.read(min(size, max_bytes + 1))
        left = size - len(kept) + 1  # a newline follows the content
        while left:
            piece = self._contents.stdout.read(min(left, _PIECE_BYTES))
            if not piece:
                raise RepositoryUnreadable(f"git cat-file ended in the middle of {blob}")
            left -= len(piece)
        return kept

    def _entries(self, listing: Sequence[str], *, root: bool) -> Iterator[CommitEntry]:
        diffing = ["diff-tree", "--stdin", "-r", "-z", "-M", "--raw", "--no-abbrev", "--no-ext-diff", "--no-textconv",
                   "--always", "--format=%x1e%H %P", *(["--root"] if root else [])]  # fmt: skip
        with tempfile.TemporaryFile() as complaints:
            listed = _start(self._folder, listing, stdin=subprocess.DEVNULL, stderr=complaints)
            differing = _start(self._folder, diffing, stdin=listed.stdout, stderr=complaints)
            if listed.stdout is not None:
                listed.stdout.close()  # it is the other one's now
            try:
                if differing.stdout is not None:
                    yield from _read_entries(differing.stdout)
                codes = [process.wait() for process in (listed, differing)]
            finally:
                for process in (differing, listed):
                    _end(process)
            if any(codes):
                complaints.seek(0)
                said = complaints.read(2000).decode(errors="replace").strip().splitlines()
                raise RepositoryUnreadable(f"git cannot list these commits of {self.name}: {' '.join(said[:1])}")


@contextmanager
def opened_repository(folder: Path) -> Iterator[Repository]:
    """A repository as long as the block lasts. Raises RepositoryUnreadable where the folder is in none."""
    found = _output(folder, "rev-parse", "--git-dir")
    if found is None:
        raise RepositoryUnreadable(f"{folder} is in no git repository that can be read, or git is not installed")
    url = public_url((_output(folder, "config", "--get", "remote.origin.url") or "").strip())
    contents = _start(folder, ["cat-file", "--batch"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield Repository(folder, contents, url)
    finally:
        _end(contents)


def _read_entries(stream: IO[bytes]) -> Iterator[CommitEntry]:
    sha, parents, files = "", list[str](), list[FileEntry]()
    fields = _fields(stream)
    for field in fields:
        text = field.lstrip(b"\n")
        if text.startswith(_COMMIT_MARK):
            if sha and len(parents) <= 1:
                yield CommitEntry(sha, "".join(parents), tuple(files))
            sha, *parents = text[1:].decode().split()
            files = []
        elif text.startswith(b":"):
            old_mode, new_mode, old_blob, new_blob, status = text[1:].decode().split(" ")
            # What is not UTF-8 keeps its bytes as surrogates, which no example takes.
            old_path = next(fields).decode(errors="surrogateescape")
            new_path = next(fields).decode(errors="surrogateescape") if status[0] in "RC" else old_path
            files.append(FileEntry(status[0], old_mode, new_mode, old_blob, new_blob, old_path, new_path))
    if sha and len(parents) <= 1:
        yield CommitEntry(sha, "".join(parents), tuple(files))


def _fields(stream: IO[bytes]) -> Iterator[bytes]:
    unread = b""
    while piece := stream.read(_PIECE_BYTES):
        *whole, unread = (unread + piece).split(b"\0")
        yield from whole
    if unread.strip():
        yield unread


def _start(
    folder: Path, arguments: Sequence[str], *, stdin: int | IO[bytes] | None, stderr: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["git", *_HARMLESS, "-C", str(folder), *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_environment(),
        )
    except OSError as error:
        raise RepositoryUnreadable(f"git cannot be started: {error.strerror}; install it") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """What is still running is not needed any more."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    if process.poll() is None:
        process.kill()
    process.wait()


def _output(folder: Path, *arguments: str) -> str | None:
    process = _start(folder, arguments, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    output, _ = process.communicate()
    return None if process.returncode else output.decode(errors="replace")


def _name_of(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2].removesuffix(".git")


def _environment() -> dict[str, str]:
    """Ours without what would point git to another repository, and without any way to ask somebody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
