"""What git ignores in a workspace: `.gitignore` files, `.git/info/exclude` and the user's own excludes file.

The order of precedence is that of gitignore(5). Whatever cannot be read or understood ignores everything it might speak
of. A file that git tracks although a pattern matches it counts as ignored too. Knows nothing of languages or secrets.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pathspec

from capture.context.index.disk import read_file
from capture.gate.ignored import as_understood, decision

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_RULES_BYTES = 1024 * 1024
GIT_SECONDS = 5.0  # for `git config`, which reads a few small files
KEY_IS_NOT_SET = 1  # git-config(1)'s exit code
_VARIABLES_OF_HOOKS: Final = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"})
_EVERYTHING: Final = pathspec.GitIgnoreSpec.from_lines(["*"])
_NOTHING: Final = pathspec.GitIgnoreSpec.from_lines([])


class IgnoreRules:
    """The rules for the paths below ``root`` (absolute), read when they are needed and kept.

    ``root`` may be a folder inside a repository: rules of the folders above it hold as well.
    """

    def __init__(self, root: str) -> None:
        way_up = (Path(root), *Path(root).parents)
        top = next((folder for folder in way_up if os.path.lexists(folder / ".git")), Path(root))
        above = way_up[1 : way_up.index(top) + 1]
        self._top = str(top)
        self._specs: dict[str, Sequence[pathspec.GitIgnoreSpec]] = {}
        self._unreadable: set[str] = set()
        of_the_user = _excludes_file_of_the_user(root)
        if of_the_user is None:
            self._unreadable.add("git's configuration")
        self._of_the_user = _EVERYTHING if of_the_user is None else self._read(of_the_user)
        self.ignores_root = any(self.ignores(str(folder), is_folder=True) for folder in way_up[: len(above)])
        information = top / ".git" / "info"
        # Not below the root, and their files decide what is ignored there; those that can be watched.
        self.folders_of_rules = tuple(str(folder) for folder in (*above, information) if os.access(folder, os.R_OK))

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Rule files that could not be read or understood; what they might speak of is ignored."""
        return tuple(sorted(self._unreadable))

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether rules name ``path`` itself; that no folder above it is ignored is for the caller to see."""
        folder = path
        while folder != self._top:
            folder = folder.rpartition("/")[0] or "/"
            for spec in self._specs_of(folder):
                verdict = _verdict(spec, path, folder, is_folder=is_folder)
                if verdict is not None:
                    return verdict
        return bool(_verdict(self._of_the_user, path, self._top, is_folder=is_folder))

    def _specs_of(self, folder: str) -> Sequence[pathspec.GitIgnoreSpec]:
        """The rules that stand in ``folder``, those that matter more first."""
        specs = self._specs.get(folder)
        if specs is None:
            found = [self._read(Path(folder, ".gitignore"))]
            try:
                found.append(self._read(_exclude_file_of(folder)))
            except (OSError, UnicodeDecodeError):
                self._unreadable.add(f"{folder}/.git")
                found.append(_EVERYTHING)
            specs = self._specs[folder] = tuple(spec for spec in found if spec.patterns)
        return specs

    def _read(self, path: Path | None) -> pathspec.GitIgnoreSpec:
        """The rules in a file; none where there is no such file."""
        if path is None:
            return _NOTHING
        try:
            read = read_file(str(path), MAX_RULES_BYTES, follow_link=True)
            if read is not None:
                lines = os.fsdecode(read[0]).removeprefix("\ufeff").split("\n")
                return pathspec.GitIgnoreSpec.from_lines([as_understood(line) for line in lines])
        except (FileNotFoundError, NotADirectoryError):
            return _NOTHING
        except (OSError, ValueError, re.error):  # pathspec does not understand a pattern
            pass
        self._unreadable.add(str(path))
        return _EVERYTHING


def _verdict(spec: pathspec.GitIgnoreSpec, path: str, folder: str, *, is_folder: bool) -> bool | None:
    """Whether rules that stand in ``folder`` ignore ``path``, None where they do not speak of it."""
    return decision(spec, path.removeprefix(folder).lstrip("/") + ("/" if is_folder else ""))


def _exclude_file_of(folder: str) -> Path | None:
    """The `info/exclude` of the repository whose top is ``folder``, None where it is none.

    In a linked work tree `.git` is a file that names where the rest is (gitrepository-layout(5)). Raises OSError and
    UnicodeDecodeError.
    """
    git = Path(folder, ".git")
    if git.is_dir():
        return git / "info" / "exclude"
    try:
        own = Path(folder, git.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        shared = own / (own / "commondir").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        shared = own
    return shared / "info" / "exclude"


def _excludes_file_of_the_user(root: str) -> Path | None:
    """What `core.excludesFile` names, or where the file is by default; None where git does not say.

    Without git on this machine there may still be a file.
    """
    by_default = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config", "git", "ignore").expanduser()
    command = ["git", "config", "--type=path", "--get", "core.excludesFile"]
    try:
        told = subprocess.run(
            command,
            cwd=root,
            # A hook's GIT_DIR would name another repository.
            env={name: value for name, value in os.environ.items() if name not in _VARIABLES_OF_HOOKS},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return by_default
    except (OSError, subprocess.TimeoutExpired):
        return None
    if told.returncode == KEY_IS_NOT_SET:
        return by_default
    return Path(root, os.fsdecode(told.stdout).rstrip("\n")) if told.returncode == 0 else None
