"""Fetches the archives of a manifest into a folder: what is there and right is not asked for again.

A file is written beside its place, goes on where it was broken off, and takes its place only when its size and SHA-256
are the manifest's. Who has the files already, by whatever way, puts them into the folder, and nothing is fetched.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from capture.file_lock import FileLock
from daemon.paths import cache_directory
from training_export.errors import ExtraMissing, RunInterrupted, SourcesUnavailable
from training_export.running.interruption import interruptible
from training_export.student.sources.index import Registries, address_of, shown
from training_export.student.sources.manifest import Manifest, Pinned

if TYPE_CHECKING:
    import httpx2

ATTEMPTS: Final = 5
ANSWER_SECONDS: Final = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 20.0
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def corpus_folder() -> Path:
    """Where archives are kept unless another folder is named."""
    return cache_directory() / "corpus"


def missing(manifest: Manifest, folder: Path, *, with_earlier: bool = True) -> tuple[Pinned, ...]:
    """The files that are not in ``folder`` as the manifest names them; reads those that are there."""
    return tuple(pinned for pinned in manifest.files(with_earlier=with_earlier) if not _is_right(pinned, folder))


def fetch(
    manifest: Manifest,
    folder: Path,
    *,
    with_earlier: bool = True,
    registries: Registries | None = None,
    console: Console | None = None,
    first_pause_seconds: float = FIRST_PAUSE_SECONDS,
) -> int:
    """Fetch what is missing, and return how many files that were; afterwards every file is the manifest's.

    Raises SourcesUnavailable with the cause and what to do, RunInterrupted at Ctrl-C: what is complete is kept, and
    the next run goes on within the file that was begun.
    """
    with interruptible(), _one_at_a_time(folder):
        wanted = missing(manifest, folder, with_earlier=with_earlier)
        if not wanted:
            return 0
        try:
            with _client(registries or Registries.configured()) as (client, found), _progress(console) as progress:
                task = progress.add_task("", total=sum(pinned.bytes for pinned in wanted))
                for number, pinned in enumerate(wanted, start=1):
                    progress.update(task, description=f"{number}/{len(wanted)} {pinned.name}")
                    fetching = _Fetching(pinned, folder, client, found, lambda size: progress.advance(task, size))
                    _retrying(fetching, first_pause_seconds)
        except KeyboardInterrupt:
            raise RunInterrupted(
                f"interrupted; what was fetched is in {folder}, and the same command goes on where this one stopped"
            ) from None
    return len(wanted)


class _Fetching:
    """One file, in as many attempts as it takes."""

    def __init__(
        self,
        pinned: Pinned,
        folder: Path,
        client: httpx2.Client,
        registries: Registries,
        advance: Callable[[int], None],
    ) -> None:
        self.pinned = pinned
        self._place = pinned.path_in(folder)
        self._part = self._place.with_name(f"{self._place.name}.part")
        self._client = client
        self._registries = registries
        self._advance = advance
        self._told_bytes = 0

    def attempt(self) -> None:
        """Raises SourcesUnavailable for what another attempt does not mend, else what the client raises."""
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._receive()
            self._take_in()
        except OSError as error:
            cure = "make room" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "make it writable"
            raise SourcesUnavailable(
                f"cannot write {self._part}: {error.strerror}; {cure}, or name another folder, and run it again: "
                "what was fetched is kept"
            ) from error

    def _receive(self) -> None:
        begun_bytes = self._part.stat().st_size if self._part.exists() else 0
        if begun_bytes > self.pinned.bytes:
            self._part.unlink()
            begun_bytes = 0
        self._tell(begun_bytes)
        if begun_bytes == self.pinned.bytes:
            return
        address = address_of(self.pinned, self._registries, self._client)
        # Packed on the way, a range would count other bytes than those of the file.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begun_bytes}-"} if begun_bytes else {})
        with self._client.stream("GET", address, headers=headers) as response:
            if response.status_code in {401, 403, 404, 410}:
                raise SourcesUnavailable(
                    f"{shown(address)} answers {response.status_code}: the file was withdrawn, or the mirror does not "
                    f"hand it out; name another registry with {_variable(self.pinned)}"
                )
            if response.status_code == 416:  # the server has fewer bytes than we: they are another file's
                self._part.unlink()
                raise _BrokenOff("has fewer bytes than were received before")
            response.raise_for_status()
            goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {begun_bytes}-")
            self._write(response, begun_bytes if response.status_code == 206 and goes_on else 0)

    def _write(self, response: httpx2.Response, begun_bytes: int) -> None:
        self._tell(begun_bytes)
        with self._part.open("ab" if begun_bytes else "wb") as file:
            for chunk in response.iter_bytes():
                begun_bytes += len(chunk)
                if begun_bytes > self.pinned.bytes:
                    break  # it is another file: no need to see its end
                file.write(chunk)
                self._tell(begun_bytes)
        if begun_bytes > self.pinned.bytes:
            self._refuse(f"is larger than {self.pinned.bytes} bytes")

    def _take_in(self) -> None:
        size_bytes = self._part.stat().st_size
        if size_bytes < self.pinned.bytes:
            raise _BrokenOff(f"ended after {size_bytes} of {self.pinned.bytes} bytes")
        if _sha256(self._part) != self.pinned.sha256:
            self._refuse("has another SHA-256 than the manifest names")
        self._part.replace(self._place)

    def _refuse(self, what: str) -> None:
        self._part.unlink()
        raise SourcesUnavailable(
            f"{self.pinned.file} {what}: it was damaged on the way, or {self.pinned.registry} hands out another file; "
            f"it was thrown away, run it again, or name another registry with {_variable(self.pinned)}"
        )

    def _tell(self, size_bytes: int) -> None:
        self._advance(size_bytes - self._told_bytes)
        self._told_bytes = size_bytes


class _BrokenOff(Exception):
    """The answer ended before the file did."""


def _retrying(fetching: _Fetching, first_pause_seconds: float) -> None:
    import httpx2  # noqa: PLC0415 (when something is fetched)
    import tenacity  # noqa: PLC0415

    def is_worth_it(error: BaseException) -> bool:
        if isinstance(error, httpx2.HTTPStatusError):
            return error.response.status_code in _WORTH_ANOTHER_TRY
        return isinstance(error, httpx2.TransportError | _BrokenOff)

    try:
        tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_worth_it),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_random_exponential(first_pause_seconds, LONGEST_PAUSE_SECONDS),
            reraise=True,
        )(fetching.attempt)
    except httpx2.HTTPStatusError as error:
        raise SourcesUnavailable(
            f"{shown(str(error.request.url))} answers {error.response.status_code}; run it again later: "
            "what was fetched is kept"
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, _BrokenOff) as error:
        raise SourcesUnavailable(
            f"cannot fetch {fetching.pinned.file} from {fetching.pinned.registry}: {error}; see whether there is a "
            f"network, a proxy (HTTPS_PROXY) or a mirror ({_variable(fetching.pinned)}) to name, and run it again: "
            "what was fetched is kept"
        ) from error


@contextmanager
def _client(registries: Registries) -> Iterator[tuple[httpx2.Client, Registries]]:
    try:
        import httpx2  # noqa: PLC0415 (when something is fetched)
        import tenacity  # noqa: F401, PLC0415 (missed before anything is asked)
    except ImportError as error:
        raise ExtraMissing("fetching the corpus", str(error.name), "train") from error
    with httpx2.Client(follow_redirects=True, timeout=ANSWER_SECONDS, verify=registries.trust()) as client:
        yield client, registries


@contextmanager
def _progress(console: Console | None) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = console or Console(stderr=True)
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        disable=not console.is_terminal,
    ) as progress:
        yield progress


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two that append to the same file would spoil it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
    except OSError as error:
        raise SourcesUnavailable(
            f"cannot write into {folder}: {error.strerror}; make it writable, or name another folder"
        ) from error
    try:
        if not lock.take():
            raise SourcesUnavailable(f"another foretype fetches into {folder}; wait for it, or name another folder")
        yield
    finally:
        lock.close()


def _is_right(pinned: Pinned, folder: Path) -> bool:
    path = pinned.path_in(folder)
    return path.is_file() and path.stat().st_size == pinned.bytes and _sha256(path) == pinned.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _variable(pinned: Pinned) -> str:
    return "PIP_INDEX_URL" if pinned.registry == "pypi" else "NPM_CONFIG_REGISTRY"
