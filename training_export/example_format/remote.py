"""Files by URL (``s3://bucket/moments.jsonl.zst``, ``gs://``, ``hdfs://``, ``file://``), as pyarrow reads them.

pyarrow comes with the extra ``cluster``; keys and regions are where its file systems look for them (for S3 the AWS
environment variables and profiles). Knows nothing of what is in a file.
"""

from __future__ import annotations

import io
from fnmatch import fnmatchcase
from glob import has_magic
from typing import IO, TYPE_CHECKING, Any, Final, cast

from training_export.errors import ExtraMissing

if TYPE_CHECKING:
    from typing_extensions import Buffer

_SCHEME_END: Final = "://"


def is_remote(name: str) -> bool:
    """Whether that is a URL."""
    return _SCHEME_END in name


def opened_raw(url: str) -> IO[bytes]:
    """The file's bytes; raises OSError, and ExtraMissing without pyarrow."""
    system, path = _file_system(url)
    return cast("IO[bytes]", _Raw(system.open_input_file(path)))


def size_bytes(url: str) -> int:
    """Its length; raises OSError, and ExtraMissing without pyarrow."""
    system, path = _file_system(url)
    return int(system.get_file_info(path).size or 0)


def expanded(url: str) -> list[str]:
    """The files that a URL with wildcards means (``*`` goes across folders), or those directly in a folder; sorted."""
    base = url
    while has_magic(base):
        base = base.rpartition("/")[0]
    system, path = _file_system(base)
    # No stubs; and it is there, because `_file_system` asked.
    from pyarrow.fs import FileSelector, FileType  # noqa: PLC0415

    if base == url and system.get_file_info(path).type is not FileType.Directory:
        return [url]
    found = system.get_file_info(FileSelector(path, recursive=base != url))
    names = [f"{base.rstrip('/')}{one.path.removeprefix(path.rstrip('/'))}" for one in found if one.is_file]
    return sorted(name for name in names if base == url or fnmatchcase(name, url))


def _file_system(url: str) -> tuple[Any, str]:
    try:
        # 100 MB, only for URLs; it has no stubs.
        from pyarrow import ArrowException  # noqa: PLC0415
        from pyarrow.fs import FileSystem  # noqa: PLC0415
    except ImportError as error:
        raise ExtraMissing(f"reading {url}", "pyarrow", "cluster") from error
    try:
        system, path = FileSystem.from_uri(url)
    except ArrowException as error:
        raise OSError(0, str(error)) from error
    return system, path


class _Raw(io.RawIOBase):
    """What pyarrow opened, as io wants it."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        return int(self._file.readinto(buffer))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()
