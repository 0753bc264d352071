r"""The rest of the project that a session is typed in: files on disk, and a git history with something to say.

One TOML file a session in ``bench/sessions/workspaces``. ``files`` are texts by their paths in the project; the
session's own file is not among them, it is as the session begins. ``commits`` are lists of paths, the oldest first:
a file that is in several grows by an equal part of its rows with each and is whole with the last. Whatever is not in
any commit is there and not committed. A session without a workspace, a recorded one say, gets an empty folder: what
somebody typed is not ours to write to a disk.

Every text begins behind the newline that follows its quotes. Knows nothing of who reads the files.
"""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bench.session import FOLDER as SESSIONS

if TYPE_CHECKING:
    from bench.session import Session

FOLDER = SESSIONS / "workspaces"
FIRST_COMMIT_SECONDS = 1_760_000_000  # since 1970; what follows comes a day later each: the same hashes every time
SECONDS_BETWEEN_COMMITS = 24 * 60 * 60
WHO = "Ada Example"


@dataclass(frozen=True, slots=True)
class Workspace:
    """``files`` are all texts by their paths in the project, the session's own included."""

    files: dict[str, str]
    commits: tuple[tuple[str, ...], ...] = ()

    def to_bytes(self) -> bytes:
        """The same for the same workspace: what a measurement depends on."""
        return orjson.dumps([self.files, self.commits], option=orjson.OPT_SORT_KEYS)

    def write(self, folder: Path) -> None:
        """Write everything below ``folder``, which is empty or not there yet; raises OSError where git fails."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.commits:
            _git(folder, 0, "init", "--quiet", "--initial-branch=main")
        times = Counter(path for commit in self.commits for path in commit)
        done: Counter[str] = Counter()
        for number, commit in enumerate(self.commits):
            for path in commit:
                done[path] += 1
                _write(folder / path, _part(self.files[path], done[path], times[path]))
            _git(folder, number, "add", "--", *commit)
            _git(folder, number, "commit", "--quiet", "--message", f"Change {number + 1}")
        for path, text in self.files.items():
            _write(folder / path, text)


def workspace_of(session: Session, folder: Path = FOLDER) -> Workspace:
    """The workspace of a session, an empty one where ``folder`` has none; raises ValueError for one that is wrong.

    A session that somebody recorded has none, whatever its name.
    """
    path = folder / f"{session.name}.toml"
    if not session.header.simulated or not path.is_file():
        return Workspace({})
    described = tomllib.loads(path.read_text(encoding="utf-8"))
    own = session.header.path
    if own in described["files"]:
        raise ValueError(f"{path} holds {own}, which is the session's own to say")
    files = {**described["files"], own: session.header.text}
    unknown = {name for commit in described["commits"] for name in commit} - files.keys()
    if unknown:
        raise ValueError(f"{path} commits what it does not hold: {', '.join(sorted(unknown))}")
    return Workspace(files, tuple(map(tuple, described["commits"])))


def _part(text: str, number: int, of: int) -> str:
    rows = text.splitlines(keepends=True)
    return "".join(rows[: max(1, len(rows) * number // of)])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def _git(folder: Path, number: int, *arguments: str) -> None:
    """Run git as nobody in particular: whatever the user set it to do is not our concern."""
    at = f"{FIRST_COMMIT_SECONDS + number * SECONDS_BETWEEN_COMMITS} +0000"
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {f"GIT_{role}_NAME": WHO for role in ("AUTHOR", "COMMITTER")}
    env |= {f"GIT_{role}_EMAIL": "ada@example.org" for role in ("AUTHOR", "COMMITTER")}
    env |= {f"GIT_{role}_DATE": at for role in ("AUTHOR", "COMMITTER")}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"git {arguments[0]} failed in {folder}: {done.stderr.strip()}")
