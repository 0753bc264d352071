"""Files of examples: ``.jsonl`` (one a line), ``.json`` and ``.md`` (one a file), ``-`` (JSONL on standard input).

Each may be compressed (``.jsonl.gz``, ``.jsonl.zst``). Read as a stream, one bad line never costs the others, however
long it is; written whole or not at all. Reading is in two steps, so that the second can be done elsewhere: `read_raw`
finds the lines, `parsed` makes an example of one. An empty name becomes the file's stem, in a ``.jsonl`` the stem and
the line's index counted from 0, as Zed names them; an example is otherwise handed on as it was read. Knows nothing of
what is in an example.
"""

from __future__ import annotations

import dataclasses
import itertools
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
from training_export.example_format.json_line import LINE_BREAKERS, NOT_JSON
from training_export.example_format.markdown import from_markdown
from training_export.example_format.opening import Damaged, OpenFile, opened_for_reading, without_compression

STANDARD_INPUT: Final = "-"
STANDARD_INPUT_SHOWN: Final = "standard input"
NOT_UTF8: Final = "not UTF-8"
SUFFIXES: Final = (".jsonl", ".json", ".md")
MAX_LINE_BYTES: Final = 64 << 20
MAX_REJECTED_TEXT_BYTES: Final = 4096  # a longer line is found by its number
SKIPPED_PIECE_BYTES: Final = 1 << 20
# Zed replaces these in a file's name; control characters are ours.
_UNFIT_FOR_A_NAME: Final = str.maketrans(dict.fromkeys(' :~^?*[\\@{/<>|"', "-") | dict.fromkeys(range(32), "-"))
MAX_STEM_BYTES: Final = 240  # file systems allow 255 with the suffix
_READABLE_BY_ALL: Final = 0o666


@dataclass(frozen=True, slots=True)
class Raw:
    """The bytes of one example, not looked at yet. ``data`` has the line's end where the file has one.

    ``position_bytes`` is how far reading had got in the file on disk.
    """

    source: str
    line: int
    data: bytes
    suffix: str
    stem: str
    position_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """An example and its place: ``line`` counts from 1; ``ignored`` says what the file holds besides.

    ``text`` is the example's line as it was read, without its end, for those who pass examples on unchanged; where
    that would not do (Markdown, an empty name, bytes at which other programs break lines), it is written anew.
    """

    source: str
    line: int
    example: Example
    ignored: tuple[str, ...] = ()
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is no example, or would not survive; ``field`` is a path into it, empty for the whole.

    ``text`` is what was read, where that is not too long to be kept.
    """

    source: str
    line: int
    field: str
    reason: str
    text: bytes = dataclasses.field(default=b"", compare=False)

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {f'{self.field}: ' if self.field else ''}{self.reason}"


def read_examples(source: str, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Loaded | Rejected]:
    """Every example of a file, in order, and every line that is none. Blank lines are passed over.

    Raises ExamplesUnreadable where the file cannot be read at all.
    """
    for found in read_raw(source, max_line_bytes=max_line_bytes):
        yield found if isinstance(found, Rejected) else parsed(found)


def read_raw(source: str, *, max_line_bytes: int = MAX_LINE_BYTES, shown: str = "") -> Iterator[Raw | Rejected]:
    """The lines of a file, or the whole of it where it holds one example; what is longer than allowed is not kept.

    ``shown`` is what to call it where that is not its name. Raises ExamplesUnreadable where the file cannot
    be read at all.
    """
    if source == STANDARD_INPUT:
        yield from _lines(sys.stdin.buffer, STANDARD_INPUT_SHOWN, "stdin", max_line_bytes, None)
        return
    path = Path(source)
    suffix = suffix_of(path.name)
    if not suffix:
        endings = ", ".join(SUFFIXES)
        raise ExamplesUnreadable(
            f"{source} is no examples file: its name must end in {endings} (or that and .gz, .zst)"
        )
    stem = without_compression(path.name).removesuffix(suffix)
    try:
        with opened_for_reading(source) as file:
            if suffix == ".jsonl":
                yield from _lines(file.stream, shown or source, stem, max_line_bytes, file)
            else:
                yield _whole(file, shown or source, suffix, stem, max_line_bytes)
    except OSError as error:
        raise ExamplesUnreadable(f"cannot read {source}: {error.strerror or error}") from error


def suffix_of(name: str) -> str:
    """Which of `SUFFIXES` a file's name has, its compression aside; empty where it has none."""
    plain = without_compression(name)
    return next((suffix for suffix in SUFFIXES if plain.endswith(suffix)), "")


def parsed(raw: Raw) -> Loaded | Rejected:
    """The example in these bytes, or why they are none."""
    try:
        text = _decoded(raw.data)
        if raw.suffix == ".md":
            found = from_markdown(text)
            example, ignored, is_unchanged = found.example, found.ignored, False
        else:
            example, ignored, is_unchanged = Example.from_line(text), (), raw.suffix == ".jsonl"
    except ExampleRejected as error:
        return rejected(raw, error.field, _torn(raw, error.reason) or error.reason)
    if not example.name:
        name = f"{raw.stem}-{raw.line - 1}" if raw.suffix == ".jsonl" else raw.stem
        example, is_unchanged = example.with_fields(name=name), False
    is_unchanged = is_unchanged and not any(character in text for character in LINE_BREAKERS)
    kept = raw.data.strip() if is_unchanged else example.to_line().encode()
    return Loaded(raw.source, raw.line, example, ignored, kept)


def rejected(raw: Raw, field: str, reason: str) -> Rejected:
    """These bytes are no example."""
    text = raw.data.strip()
    return Rejected(raw.source, raw.line, field, reason, text if len(text) <= MAX_REJECTED_TEXT_BYTES else b"")


def _lines(
    stream: IO[bytes], source: str, stem: str, max_line_bytes: int, file: OpenFile | None
) -> Iterator[Raw | Rejected]:
    read_bytes = 0
    for number in itertools.count(1):
        try:
            data = stream.readline(max_line_bytes + 1)
            skipped_bytes = 0
            if len(data) > max_line_bytes and not data.endswith(b"\n"):
                skipped_bytes, data = len(data) + _skip_line(stream), b""
        except Damaged as error:
            yield Rejected(source, number, "", f"torn: {error}")
            return
        read_bytes += len(data) + skipped_bytes
        if skipped_bytes:
            yield _too_long(source, number, skipped_bytes, max_line_bytes)
        elif not data:
            return
        elif data.strip():
            yield Raw(source, number, data, ".jsonl", stem, file.position_bytes if file else read_bytes)


def _skip_line(stream: IO[bytes]) -> int:
    skipped_bytes = 0
    while True:
        piece = stream.readline(SKIPPED_PIECE_BYTES)
        skipped_bytes += len(piece)
        if not piece or piece.endswith(b"\n"):
            return skipped_bytes


def _whole(file: OpenFile, source: str, suffix: str, stem: str, max_bytes: int) -> Raw | Rejected:
    try:
        data = file.stream.read(max_bytes + 1)
    except Damaged as error:
        return Rejected(source, 1, "", f"torn: {error}")
    if len(data) > max_bytes:
        size_bytes = len(data)
        while piece := file.stream.read(SKIPPED_PIECE_BYTES):
            size_bytes += len(piece)
        return _too_long(source, 1, size_bytes, max_bytes)
    return Raw(source, 1, data, suffix, stem, file.position_bytes)


def _too_long(source: str, line: int, size_bytes: int, max_bytes: int) -> Rejected:
    return Rejected(source, line, "", f"too long: {size_bytes:,} bytes, more than the {max_bytes:,} allowed")


def _torn(raw: Raw, reason: str) -> str:
    """A last line without newline that cannot be parsed was not written to its end."""
    if raw.suffix != ".jsonl" or raw.data.endswith(b"\n") or not reason.startswith((NOT_JSON, NOT_UTF8)):
        return ""
    return f"torn: the file ends in the middle of this line ({reason})"


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ExampleRejected("", f"{NOT_UTF8}: byte {error.start} is 0x{data[error.start]:02x}") from error


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
