"""Files of examples: ``.jsonl`` (one a line), ``.json`` and ``.md`` (one a file), ``-`` (JSONL on standard input).

Read as a stream, one bad line never costs the others; written whole or not at all. An empty name becomes the
file's stem, in a ``.jsonl`` the stem and the line's index counted from 0, as Zed names them; an example is
otherwise handed on as it was read. Knows nothing of what is in an example.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from training_export.errors import ExampleRejected, ExamplesUnreadable, ExamplesUnwritable
from training_export.example import Example
from training_export.example_format.json_line import NOT_JSON
from training_export.example_format.markdown import from_markdown

STANDARD_INPUT: Final = "-"
NOT_UTF8: Final = "not UTF-8"
SUFFIXES: Final = (".jsonl", ".json", ".md")
# Zed replaces these in a file's name; control characters are ours.
_UNFIT_FOR_A_NAME: Final = str.maketrans(dict.fromkeys(' :~^?*[\\@{/<>|"', "-") | dict.fromkeys(range(32), "-"))
MAX_STEM_BYTES: Final = 240  # file systems allow 255 with the suffix
_READABLE_BY_ALL: Final = 0o666


@dataclass(frozen=True, slots=True)
class Loaded:
    """An example and its place: ``line`` counts from 1; ``ignored`` says what the file holds besides."""

    source: str
    line: int
    example: Example
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is no example, or would not survive; ``field`` is a path into it, empty for the whole."""

    source: str
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {f'{self.field}: ' if self.field else ''}{self.reason}"


def read_examples(source: str) -> Iterator[Loaded | Rejected]:
    """Every example of a file, in order, and every line that is none. Blank lines are passed over.

    Raises ExamplesUnreadable where the file cannot be read at all.
    """
    if source == STANDARD_INPUT:
        yield from _read_lines(sys.stdin.buffer, "standard input", "stdin")
        return
    path = Path(source)
    if path.suffix not in SUFFIXES:
        raise ExamplesUnreadable(f"{source} is no examples file: its name must end in {', '.join(SUFFIXES)}")
    try:
        with path.open("rb") as file:
            if path.suffix == ".jsonl":
                yield from _read_lines(file, source, path.stem)
            else:
                yield _read_whole(file.read(), source, path)
    except OSError as error:
        raise ExamplesUnreadable(f"cannot read {source}: {error.strerror}") from error


def _read_lines(file: IO[bytes], source: str, stem: str) -> Iterator[Loaded | Rejected]:
    for index, line in enumerate(file):
        if not line.strip():
            continue
        try:
            example = Example.from_line(_decoded(line))
        except ExampleRejected as error:
            yield Rejected(source, index + 1, error.field, _torn(line, error.reason) or error.reason)
            continue
        yield Loaded(source, index + 1, _named(example, f"{stem}-{index}"))


def _torn(line: bytes, reason: str) -> str:
    """A last line without newline that cannot be parsed was not written to its end."""
    if line.endswith(b"\n") or not reason.startswith((NOT_JSON, NOT_UTF8)):
        return ""
    return f"torn: the file ends in the middle of this line ({reason})"


def _read_whole(data: bytes, source: str, path: Path) -> Loaded | Rejected:
    try:
        if path.suffix == ".md":
            found = from_markdown(_decoded(data))
            return Loaded(source, 1, _named(found.example, path.stem), found.ignored)
        return Loaded(source, 1, _named(Example.from_line(_decoded(data)), path.stem))
    except ExampleRejected as error:
        return Rejected(source, 1, error.field, error.reason)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ExampleRejected("", f"{NOT_UTF8}: byte {error.start} is 0x{data[error.start]:02x}") from error


def _named(example: Example, name: str) -> Example:
    return example if example.name else example.with_fields(name=name)


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write JSONL, LF line ends; returns how many lines. The file appears, or is replaced, at the very end."""
    count = 0
    with replacing(path) as file:
        for example in examples:
            file.write(f"{example.to_line()}\n".encode())
            count += 1
    return count


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` when the block ends well, and is gone when it does not.

    A link stays a link: what it points to is replaced. The permissions of a file that was there are kept.
    Raises ExamplesUnwritable where the system refuses.
    """
    try:
        with _temporary_beside(path.resolve()) as file:
            yield file
    except OSError as error:
        raise ExamplesUnwritable(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _temporary_beside(target: Path) -> Iterator[IO[bytes]]:
    mode = target.stat().st_mode & 0o777 if target.exists() else _READABLE_BY_ALL & ~_umask()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".examples-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def markdown_name(example: Example) -> str:
    """The file name for an example's Markdown: its name, what file systems or shells mind replaced by ``-``."""
    stem = example.name.translate(_UNFIT_FOR_A_NAME).encode()[:MAX_STEM_BYTES].decode(errors="ignore")
    return f"{'-' + stem[1:] if stem.startswith('.') else stem or '-'}.md"


def _umask() -> int:
    """The process's mask for new files; reading it means setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
