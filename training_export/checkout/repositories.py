"""Checkouts of commits in folders of our own, made from clones that are there, a few kept at a time.

A clone is only read: a checkout is a repository of its own that borrows the clone's objects, so nothing is left in the
clone when we are killed. No program that a repository or its attributes name is run, and nothing is fetched unless that
was asked for. Knows nothing of examples.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import OrderedDict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from capture.snapshot.parts import public_url
from training_export.checkout.failure import ContextNotFound

if TYPE_CHECKING:
    from types import TracebackType

GIT_SECONDS: Final = 300.0
FETCH_SECONDS: Final = 1800.0
MAX_CHECKOUTS: Final = 4
_QUIET: Final = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Repositories:
    """Owns the checkouts. ``place`` is one repository, used for every example, or a folder of OWNER/NAME clones."""

    def __init__(self, place: Path, *, fetch: bool = False, most: int = MAX_CHECKOUTS) -> None:
        """``fetch``: clone what is missing in ``place``, and fetch commits that are missing in a clone."""
        self._place = place
        self._fetch = fetch
        self._most = most
        self._opened = ExitStack()
        self._folder = Path()
        self._checkouts: OrderedDict[tuple[Path, str], Path] = OrderedDict()
        self._commits: dict[tuple[Path, str], str] = {}  # what revisions were found to be

    def __enter__(self) -> Self:
        self._folder = Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="foretype-checkouts-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def checkout(self, url: str, revision: str) -> Path:
        """A folder with the files of that commit; not to be written to. Raises ContextNotFound.

        It may be gone after the next calls: only so many are kept.
        """
        if not revision:
            raise ContextNotFound("the example names no revision")
        repository = self._repository(url)
        if (repository, revision) not in self._commits:
            self._commits[repository, revision] = self._commit(repository, revision)
        key = repository, self._commits[repository, revision]
        if key not in self._checkouts:
            while len(self._checkouts) >= self._most:
                shutil.rmtree(self._checkouts.popitem(last=False)[1])
            self._checkouts[key] = self._made(*key)
        self._checkouts.move_to_end(key)
        return self._checkouts[key]

    def _repository(self, url: str) -> Path:
        if is_repository(self._place):
            return self._place
        owner_and_name = _owner_and_name(url)
        if not owner_and_name:
            raise ContextNotFound("the example's repository_url names no OWNER/NAME to look for")
        for name in (owner_and_name, f"{owner_and_name}.git"):
            if is_repository(self._place / name):
                return self._place / name
        if not self._fetch:
            raise ContextNotFound(
                f"there is no clone of {owner_and_name} where --repos points; clone it, or add --fetch", is_final=False
            )
        if public_url(url) != url:
            raise ContextNotFound("the example's repository_url is none that may be fetched: https, ssh or git")
        target = self._place / f"{owner_and_name}.git"
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            cloned = _git(
                ".", "clone", "--quiet", "--bare", "--template=", "--", url, str(beside), seconds=FETCH_SECONDS
            )
            if cloned.returncode:
                raise ContextNotFound(f"{url} could not be cloned: {_reason(cloned)}", is_final=False)
            beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return target

    def _commit(self, repository: Path, revision: str) -> str:
        commit = _resolved(repository, revision)
        if not commit and self._fetch:
            _git(repository, "fetch", "--quiet", "--no-tags", "origin", seconds=FETCH_SECONDS)
            named = _COMMIT.match(revision)
            if not _resolved(repository, revision) and named is not None:  # not on any branch, say
                _git(repository, "fetch", "--quiet", "--no-tags", "origin", named[0], seconds=FETCH_SECONDS)
            commit = _resolved(repository, revision)
        if not commit:
            hint = "fetching did not bring it" if self._fetch else "fetch it, or add --fetch"
            raise ContextNotFound(f"the clone does not have revision {revision}; {hint}", is_final=False)
        return commit

    def _made(self, repository: Path, commit: str) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            _make(folder, repository, commit)
        except BaseException:
            shutil.rmtree(folder)
            raise
        return folder


def is_repository(folder: Path) -> bool:
    """Whether a folder is a working tree or a bare repository."""
    return (folder / ".git").exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


def _owner_and_name(url: str) -> str:
    """The last two parts of a URL's path, empty where they cannot be a folder's."""
    path = urlsplit(url).path if "://" in url else url.rpartition(":")[2]
    parts = path.strip("/").removesuffix(".git").split("/")[-2:]
    return "" if any(part in {"", ".", ".."} or part.startswith("-") for part in parts) else "/".join(parts)


def _resolved(repository: Path, revision: str) -> str:
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return found.stdout.decode().strip() if found.returncode == 0 else ""


def _make(folder: Path, repository: Path, commit: str) -> None:
    """The files of a commit in an empty folder, and a repository around them that has the commit's history."""
    found = _git(repository, "rev-parse", "--show-object-format", "--git-path", "objects", "--git-path", "shallow")
    if found.returncode:
        raise ContextNotFound(f"the clone cannot be read: {_reason(found)}", is_final=False)
    object_format, *paths = os.fsdecode(found.stdout).splitlines()
    objects, shallow = ((repository / path).resolve() for path in paths)
    _must(folder, "init", "--quiet", "--template=", f"--object-format={object_format}")
    (folder / ".git" / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (folder / ".git" / "objects" / "info" / "alternates").write_bytes(os.fsencode(objects) + b"\n")
    if shallow.exists():
        shutil.copyfile(shallow, folder / ".git" / "shallow")
    _must(folder, "checkout", "--quiet", "--detach", commit)


def _must(folder: Path, *arguments: str) -> None:
    done = _git(folder, *arguments, is_ours=True)
    if done.returncode:
        raise ContextNotFound(f"the commit could not be checked out: {_reason(done)}", is_final=False)


def _git(
    folder: Path | str, *arguments: str, seconds: float = GIT_SECONDS, is_ours: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run git to its end. ``is_ours``: without the user's configuration, which may name filters to run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", "GIT_NO_LAZY_FETCH": "1"}
    if is_ours:
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
    try:
        return subprocess.run(
            [*_QUIET, "-C", str(folder), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise ContextNotFound(f"git could not be run: {error.strerror}", is_final=False) from error
    except subprocess.TimeoutExpired as error:
        raise ContextNotFound(f"git took longer than {seconds:g} s", is_final=False) from error


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"git ended with status {done.returncode}"
