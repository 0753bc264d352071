"""Parts in an object store that fsspec reaches: one put for each, which is seen whole or not at all.

Knows nothing of the index, nor which store it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from fsspec.core import url_to_fs

from capture.collector.parts import FOLDER, PartMissing, compressing, decompressed_lines, is_name
from capture.collector.storage import StorageMisconfigured, StorageUnavailable

MARK = "belongs-with"
# Puts are seen whole or not at all in these; what fsspec knows besides writes files bit by bit.
PROTOCOLS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss", "memory")
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class PartsInObjectStore:
    """`Parts` below ``URL/parts/``. A part is held in memory, compressed, while it is put or read: one request each."""

    def __init__(self, url: str) -> None:
        """Raises StorageMisconfigured."""
        protocol = url.partition("://")[0]
        if protocol not in PROTOCOLS:
            raise StorageMisconfigured(
                f"{protocol}:// is no object store whose objects appear whole; --data takes a directory,"
                f" or one of {', '.join(f'{name}://' for name in PROTOCOLS[:-1])}"
            )
        try:
            self._store, path = url_to_fs(url)
        except ImportError as error:
            package = _PACKAGES.get(protocol, f"fsspec's package for {protocol}")
            raise StorageMisconfigured(
                f"{protocol}:// needs a package that is not there; install it beside foretype: pip install {package}"
            ) from error
        except ValueError as error:
            raise StorageMisconfigured(f"that {protocol}:// URL cannot be read; check it") from error
        self._root = f"{path.rstrip('/')}/{FOLDER}"

    def begin(self, name: str) -> ObjectPart:
        """See `Parts`."""
        return ObjectPart(self, name)

    def lines(self, name: str) -> Iterator[bytes]:
        """See `Parts`."""
        with _explained():
            try:
                content: bytes = self._store.cat_file(f"{self._root}/{name}")
            except FileNotFoundError as error:
                raise PartMissing(name) from error
        yield from decompressed_lines(name, io.BytesIO(content))

    def names(self) -> list[str]:
        """See `Parts`."""
        with _explained():
            self._store.invalidate_cache()
            paths: list[str] = self._store.find(self._root) if self._store.exists(self._root) else []
        # A store may show its paths with a slash before them.
        names = (path.lstrip("/").removeprefix(self._root.lstrip("/") + "/") for path in paths)
        return sorted(filter(is_name, names))

    def remove(self, name: str) -> None:
        """See `Parts`."""
        with _explained():
            self._store.invalidate_cache()
            if self._store.exists(f"{self._root}/{name}"):
                self._store.rm_file(f"{self._root}/{name}")

    def sweep(self) -> None:
        """See `Parts`. A put that broke off has left nothing that is seen."""

    def mark(self) -> str:
        """See `Parts`."""
        with _explained():
            self._store.invalidate_cache()
            try:
                content: bytes = self._store.cat_file(f"{self._root}/{MARK}")
            except FileNotFoundError:
                return ""
        return content.decode().strip()

    def set_mark(self, mark: str) -> None:
        """See `Parts`."""
        self.put(MARK, f"{mark}\n".encode())

    def put(self, name: str, content: bytes) -> None:
        """One object, whole; raises StorageUnavailable."""
        with _explained():
            self._store.pipe_file(f"{self._root}/{name}", content)


class ObjectPart:
    """A `PartBeingWritten`."""

    def __init__(self, parts: PartsInObjectStore, name: str) -> None:
        self._parts = parts
        self._name = name
        self._content = io.BytesIO()
        self._frame: Any = compressing(self._content)

    def add(self, lines: Iterable[bytes]) -> None:
        """See `PartBeingWritten`."""
        for line in lines:
            self._frame.write(line)
            self._frame.write(b"\n")

    def finish(self) -> None:
        """See `PartBeingWritten`."""
        self._frame.close()
        self._parts.put(self._name, self._content.getvalue())

    def let_go(self) -> None:
        """See `PartBeingWritten`."""
        self._content = io.BytesIO()


@contextmanager
def _explained() -> Iterator[None]:
    """A file system of fsspec raises whatever the library of its cloud does, so all of it is taken for that."""
    try:
        yield
    except PartMissing:
        raise
    except Exception as error:
        raise StorageUnavailable(f"the object store: {type(error).__name__}") from error
