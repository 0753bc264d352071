"""Parts in a directory: written beside their name, synced, renamed, the folder synced. For nobody else to read.

Knows nothing of the index.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from capture.collector.parts import FOLDER, PartMissing, compressing, decompressed_lines, is_name
from capture.collector.storage import StorageUnavailable
from capture.store.error import StorageError, system_errors_explained
from capture.store.files import PRIVATE_DIRECTORY_MODE, sync_directory
from capture.whole_file import write_whole

UNFINISHED_SUFFIX = ".unfinished"
MARK = "belongs-with"


class PartsInDirectory:
    """`Parts` below ``directory/parts``."""

    def __init__(self, directory: Path) -> None:
        self._root = directory / FOLDER

    def begin(self, name: str) -> FilePart:
        """See `Parts`."""
        path = self._root / name
        with _explained(path):
            _make_private_folder(path.parent)
            descriptor, unfinished = tempfile.mkstemp(UNFINISHED_SUFFIX, f".{path.name}.", path.parent)
        return FilePart(os.fdopen(descriptor, "wb"), Path(unfinished), path)

    def lines(self, name: str) -> Iterator[bytes]:
        """See `Parts`."""
        path = self._root / name
        with _explained(path):
            try:
                file = path.open("rb")
            except FileNotFoundError as error:
                raise PartMissing(name) from error
            with file:
                yield from decompressed_lines(name, file)

    def names(self) -> list[str]:
        """See `Parts`."""
        with _explained(self._root):
            paths = (path.relative_to(self._root).as_posix() for path in self._root.glob("date=*/part-*"))
            return sorted(filter(is_name, paths))

    def remove(self, name: str) -> None:
        """See `Parts`."""
        path = self._root / name
        with _explained(path):
            if path.exists():
                path.unlink()
                sync_directory(path.parent)

    def sweep(self) -> None:
        """See `Parts`."""
        with _explained(self._root):
            for path in self._root.glob(f"date=*/.part-*{UNFINISHED_SUFFIX}"):
                path.unlink(missing_ok=True)

    def mark(self) -> str:
        """See `Parts`."""
        path = self._root / MARK
        with _explained(path):
            return path.read_text(encoding="utf-8").strip() if path.exists() else ""

    def set_mark(self, mark: str) -> None:
        """See `Parts`."""
        with _explained(self._root):
            _make_private_folder(self._root)
            write_whole(self._root / MARK, f"{mark}\n", durably=True)


class FilePart:
    """A `PartBeingWritten`."""

    def __init__(self, file: IO[bytes], unfinished: Path, path: Path) -> None:
        self._file = file
        self._unfinished = unfinished
        self._path = path
        self._frame: Any = compressing(file)  # its `close` has no types

    def add(self, lines: Iterable[bytes]) -> None:
        """See `PartBeingWritten`."""
        with _explained(self._path):
            for line in lines:
                self._frame.write(line)
                self._frame.write(b"\n")

    def finish(self) -> None:
        """See `PartBeingWritten`."""
        with _explained(self._path):
            self._frame.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._unfinished.replace(self._path)
            sync_directory(self._path.parent)

    def let_go(self) -> None:
        """See `PartBeingWritten`."""
        with suppress(OSError):  # a part that is finished was synced; of another one nothing has to stay
            self._file.close()
        with suppress(OSError):  # `sweep` removes it
            self._unfinished.unlink(missing_ok=True)


def _make_private_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_private_folder(folder.parent)
        with suppress(FileExistsError):  # another collector made it just now
            folder.mkdir(mode=PRIVATE_DIRECTORY_MODE)
        sync_directory(folder.parent)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        with system_errors_explained(path):
            yield
    except StorageError as error:
        raise StorageUnavailable(f"the parts: {error.explanation}") from error
