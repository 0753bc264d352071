"""What git says of a workspace: the remote's URL, the commit checked out, and what a few files hold beyond it.

Asked of the user's own git, in processes with a time limit; programs that a repository names for showing differences
are not run. Never raises: what git does not say is left empty, with the reason. Knows nothing of who may have it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.snapshot.parts import MAX_DIFF_BYTES, FileDiff, Repository, path_problem, public_url

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIME_LIMIT_SECONDS = 2.0
MAX_ANSWER_BYTES = 1 << 20  # of git, where it is no diff
_GIT = ("git", "--no-pager", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
_DIFF = (
    "diff",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--unified=3",
    "--relative",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_NOTHING = "/dev/null"


@dataclass(frozen=True, slots=True)
class _Answer:
    """``status`` is git's exit status; ``is_whole`` is false where more came than was asked for."""

    status: int
    output: bytes
    is_whole: bool

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace")


async def repository_of(
    workspace: Path, paths: Sequence[str], *, time_limit_seconds: float = TIME_LIMIT_SECONDS
) -> Repository | None:
    """The repository a workspace folder lies in; None where it lies in none, or git is missing or too slow to tell.

    ``paths`` are the touched files, relative to the workspace; only of these, as they are on disk now, are there
    diffs. Files git ignores have none. All diffs are left out where they are too long together, or too slow: the time
    limit holds for them anew.
    """
    try:
        async with asyncio.timeout(time_limit_seconds):
            place = await _git(workspace, "rev-parse", "--show-prefix")
            if place.status != 0:
                return None
            head = await _git(workspace, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
            url = await _remote_url(workspace)
    except OSError:  # a TimeoutError is one too
        return None
    prefix = place.text.removesuffix("\n")
    if prefix and path_problem(prefix):
        return None
    revision = head.text.strip() if head.status == 0 else ""
    if not revision:
        return Repository(url=url, prefix=prefix, diffs_left_out="there is no commit yet")
    try:
        async with asyncio.timeout(time_limit_seconds):
            diffs, left_out = await _diffs(workspace, prefix, [path for path in paths if not path_problem(path)])
    except TimeoutError:
        diffs, left_out = (), f"git took longer than {time_limit_seconds:g} s"
    except OSError as error:
        diffs, left_out = (), f"git could not be run: {error.strerror}"
    return Repository(url=url, revision=revision, prefix=prefix, diffs=diffs, diffs_left_out=left_out)


async def _remote_url(workspace: Path) -> str:
    """Of the remote ``origin``, else of the first one named."""
    answer = await _git(workspace, "config", "--null", "--get-regexp", r"^remote\..*\.url$")
    urls = dict(reversed([entry.partition("\n")[::2] for entry in answer.text.split("\0") if "\n" in entry]))
    found = urls.get("remote.origin.url") or next(reversed(urls.values()), "")
    return public_url(found)


async def _diffs(workspace: Path, prefix: str, paths: Sequence[str]) -> tuple[tuple[FileDiff, ...], str]:
    """The diffs, and why they are left out if they are."""
    if not paths:
        return (), ""
    answer = await _git(
        workspace,
        "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all",
        "--", *paths,
    )  # fmt: skip
    if answer.status != 0 or not answer.is_whole:
        return (), "git did not say which files changed"
    found: list[FileDiff] = []
    left_bytes = MAX_DIFF_BYTES
    for entry in answer.output.split(b"\0"):
        if not entry:
            continue
        is_untracked = entry.startswith(b"??")
        try:
            path = entry[3:].decode().removeprefix(prefix)
        except UnicodeDecodeError:
            return (), "a file's name is not UTF-8"
        if is_untracked:
            diff = await _git(workspace, *_DIFF, "--no-index", "--", _NOTHING, path, limit_bytes=left_bytes)
        else:
            diff = await _git(workspace, *_DIFF, "HEAD", "--", path, limit_bytes=left_bytes)
        if not diff.is_whole:
            return (), f"the diffs are longer than {MAX_DIFF_BYTES} bytes together"
        if diff.status != (1 if is_untracked else 0):
            return (), "git did not say what changed"
        try:
            text = diff.output.decode()
        except UnicodeDecodeError:
            return (), "a file is not UTF-8"
        left_bytes -= len(diff.output)
        found.append(FileDiff(path, text))
    return tuple(found), ""


async def _git(workspace: Path, *arguments: str, limit_bytes: int = MAX_ANSWER_BYTES) -> _Answer:
    """Run git to its end, or until it has written more than ``limit_bytes``. Raises OSError when it cannot be run."""
    process = await asyncio.create_subprocess_exec(
        *_GIT,
        *arguments,
        cwd=workspace,
        env=_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    output = bytearray()
    try:
        if process.stdout is None:
            raise OSError("git's output was not piped")
        while len(output) <= limit_bytes:
            part = await process.stdout.read(limit_bytes + 1 - len(output))
            if not part:
                return _Answer(await process.wait(), bytes(output), is_whole=True)
            output += part
        return _Answer(0, b"", is_whole=False)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):  # it ended just now
                os.killpg(process.pid, signal.SIGKILL)  # what git started holds its output open
            await process.communicate()


def _environment() -> dict[str, str]:
    """The user's, without what points git elsewhere; git asks nothing, takes no locks and speaks English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
