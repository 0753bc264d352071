"""The inputs of a stage: files, globs, folders and standard input as one stream of lines, and how far it has got.

Memory does not grow with the input. Knows nothing of stages and outputs.
"""

from __future__ import annotations

import glob
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from training_export.errors import ExamplesUnreadable
from training_export.example_format import remote
from training_export.example_format.files import (
    MAX_LINE_BYTES,
    STANDARD_INPUT,
    STANDARD_INPUT_SHOWN,
    SUFFIXES,
    Loaded,
    Raw,
    Rejected,
    parsed,
    read_raw,
    rejected,
    suffix_of,
)
from training_export.example_format.json_line import kind_of
from training_export.example_format.opening import COMPRESSIONS, opened_for_reading
from training_export.example_format.remote import is_remote
from training_export.stage import FAILURES, OURS, STAGES

REJECTED_SUFFIX: Final = ".rejected.jsonl"
SPOOL_NAME: Final = "stdin.jsonl"  # an example without a name is named after it, as when standard input is read at once


class Sources:
    """Files in order. Iterating reads them, standard input once only."""

    def __init__(
        self, names: Sequence[str], *, max_line_bytes: int = MAX_LINE_BYTES, shown: Mapping[str, str] | None = None
    ) -> None:
        """``shown``: what to call a file where that is not its name."""
        self.names = tuple(names)
        self._shown = dict(shown or {})
        self.max_line_bytes = max_line_bytes
        self._done_bytes = 0
        self._position_bytes = 0
        self._standard_input_is_read = False

    @property
    def total_bytes(self) -> int | None:
        """Size of all files on disk; None where standard input is one of them."""
        if STANDARD_INPUT in self.names:
            return None
        return sum(map(_size_bytes, self.names))

    @property
    def read_bytes(self) -> int:
        """How much of that has been read by the newest iteration, what is read ahead included."""
        return self._done_bytes + self._position_bytes

    def raw(self) -> Iterator[Raw | Rejected]:
        """Lines that are not looked at yet, and those too long to be kept. Raises ExamplesUnreadable."""
        self._done_bytes = self._position_bytes = 0
        for name in self.names:
            if name == STANDARD_INPUT:
                self._take_standard_input()
            for found in read_raw(name, max_line_bytes=self.max_line_bytes, shown=self._shown.get(name, "")):
                if isinstance(found, Raw):
                    self._position_bytes = found.position_bytes
                yield found
            self._done_bytes += self._position_bytes if name == STANDARD_INPUT else _size_bytes(name)
            self._position_bytes = 0

    def __iter__(self) -> Iterator[Loaded | Rejected]:
        """Every example, and every line that is none. Raises ExamplesUnreadable."""
        for found in self.raw():
            yield found if isinstance(found, Rejected) else read(found)

    def is_among(self, path: Path) -> bool:
        """Whether this file is one of them."""
        files = (name for name in self.names if name != STANDARD_INPUT and not is_remote(name))
        return any(Path(name).resolve() == path.resolve() for name in files)

    def _take_standard_input(self) -> None:
        if self._standard_input_is_read:
            raise RuntimeError("standard input can be read once; use rereadable()")
        self._standard_input_is_read = True


def opened(sources: Sequence[str], *, max_line_bytes: int = MAX_LINE_BYTES) -> Sources:
    """What the user named, globs and folders replaced by the files in them, in order of their names.

    Each file is checked to be there and to have a name that says what it is; ``*.rejected.jsonl`` counts only where it
    is named itself. Raises ExamplesUnreadable.
    """
    names: list[str] = []
    for source in sources:
        found = _expanded(source)
        names += found if found == [source] else [name for name in found if name not in names]
    if names.count(STANDARD_INPUT) > 1:
        raise ExamplesUnreadable("standard input (-) can be read only once")
    for name in names:
        _check(name)
    return Sources(names, max_line_bytes=max_line_bytes)


def read(raw: Raw) -> Loaded | Rejected:
    """The example in these bytes, or why they are none; our own part of it is of the form that stages rely on."""
    found = parsed(raw)
    if isinstance(found, Rejected) or OURS not in found.example.value:
        return found
    mine = found.example.value[OURS]
    if not isinstance(mine, dict):
        return rejected(raw, OURS, f"must be an object and is {kind_of(mine)}")
    for member in (STAGES, FAILURES):
        if not isinstance(mine.get(member, {}), dict):
            return rejected(raw, f"{OURS}.{member}", f"must be an object and is {kind_of(mine[member])}")
    return found


@contextmanager
def rereadable(sources: Sequence[str], *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Sources]:
    """The same, to be read as often as need be: standard input is copied to a private file for as long as it takes."""
    found = opened(sources, max_line_bytes=max_line_bytes)
    if STANDARD_INPUT not in found.names:
        yield found
        return
    with tempfile.TemporaryDirectory(prefix="foretype-") as folder:
        spool = Path(folder) / SPOOL_NAME
        with spool.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        names = [str(spool) if name == STANDARD_INPUT else name for name in found.names]
        yield Sources(names, max_line_bytes=max_line_bytes, shown={str(spool): STANDARD_INPUT_SHOWN})


def _expanded(source: str) -> list[str]:
    if source == STANDARD_INPUT or (not is_remote(source) and Path(source).is_file()):
        return [source]
    if is_remote(source):
        return _expanded_url(source)
    if Path(source).is_dir():
        endings = [f".jsonl{compression}" for compression in ("", *COMPRESSIONS)]
        found = [str(path) for path in Path(source).iterdir() if path.name.endswith(tuple(endings))]
        what = f"the folder {source} holds no {', '.join(f'*{ending}' for ending in endings)}"
    elif glob.has_magic(source):
        names = glob.glob(source, recursive=True)  # noqa: PTH207 (a Path has no glob for absolute and relative ones)
        found = [name for name in names if suffix_of(Path(name).name)]
        what = f"no examples file matches {source} (names end in {', '.join(SUFFIXES)}, or that and .gz or .zst)"
    else:
        return [source]
    found = sorted(name for name in found if not name.endswith(REJECTED_SUFFIX) and Path(name).is_file())
    if not found:
        raise ExamplesUnreadable(what)
    return found


def _expanded_url(url: str) -> list[str]:
    try:
        found = remote.expanded(url)
    except OSError as error:
        raise ExamplesUnreadable(f"cannot read {url}: {error.strerror or error}") from error
    names = [name for name in found if name == url or (suffix_of(name) and not name.endswith(REJECTED_SUFFIX))]
    if not names:
        raise ExamplesUnreadable(f"no examples file is there, or matches: {url}")
    return names


def _size_bytes(name: str) -> int:
    return remote.size_bytes(name) if is_remote(name) else Path(name).stat().st_size


def _check(name: str) -> None:
    """Fail before any work is done where a file cannot be read; what else is wrong shows when it is."""
    if name == STANDARD_INPUT:
        return
    if not suffix_of(Path(name).name):
        next(read_raw(name), None)  # says what names there are
    try:
        with opened_for_reading(name):
            pass
    except OSError as error:
        raise ExamplesUnreadable(f"cannot read {name}: {error.strerror or error}") from error
