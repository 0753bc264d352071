r"""Unified diffs in the dialect of Zed's `zeta_prompt` (udiff.rs at 09adbb01): read, apply, write, cursor.

A hunk is found by its text, line numbers only decide between equal places, so a patch survives edits
elsewhere. The cursor travels as ``<|user_cursor|>`` inside an added line. All offsets are UTF-8 bytes.

Limits of the dialect, kept so that files can be exchanged: lines end at ``\n`` and lose one ``\r`` before
it; the absence of a final newline is never written; a deleted line starting with ``-- `` and an added one
starting with ``++ `` are read back as file headers; equal places are looked for one behind the other, so that
in a run of blank lines the stated one may not be among them (`apply_patch` can be told to look there first).
Knows nothing of files or repositories.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

from capture.editing.histogram import Change, changes
from capture.editing.line_diff import TextEdit
from capture.inputs import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

CURSOR_MARKER = "<|user_cursor|>"
NO_PATH = "/dev/null"
CONTEXT_LINES = 3
_ASCII_WHITESPACE = " \t\n\r\x0c"
_WORD = re.compile(r"(?:\S|[\x1c-\x1f])+")  # Unicode's White_Space, unlike Python's, leaves these four out
_MAX_LINE_NUMBER = 2**32 - 1
_MAX_DIGITS = len(str(_MAX_LINE_NUMBER))


class PatchError(ValueError):
    """A hunk whose place in the text is not there or not unique."""


class FileStatus(Enum):
    """What a patch does to a file as a whole."""

    MODIFIED = "modified"
    CREATED = "created"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Hunk:
    """``context`` is the old text (unchanged and deleted lines), the edits' ranges are bytes of it.

    ``start_row`` is 0-based, None where the header does not say.
    """

    path: str
    status: FileStatus
    context: str
    edits: tuple[TextEdit, ...]
    start_row: int | None


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of one file's part; ``renamed_to`` is the new path where it differs from that of an old file.

    It is ``/dev/null`` for a deleted file, and empty where the ``+++`` line is missing.
    """

    renamed_to: str | None


PatchEvent = Hunk | FileEnd


def parse_patch(patch: str) -> list[PatchEvent]:
    """Hunks and file ends in order. Never fails: what is no diff line ends the current file."""
    return list(_events(patch))


def apply_patch(patch: str, text: str, *, trust_rows: bool = False) -> tuple[str, int | None]:
    """``text`` with every hunk applied, whatever file it names, and the byte offset of the first hunk.

    Each hunk is searched in the text as the hunks before it left it. With ``trust_rows``, meant for a patch made
    from this very text, the row its header says is tried first. Raises PatchError when a hunk's context is nowhere,
    or at several places none of which is on that row.
    """
    data = text.encode()
    first_hunk_offset: int | None = None
    row_delta = 0
    for event in parse_patch(patch):
        if isinstance(event, FileEnd):
            row_delta = 0
            continue
        start_row = None if event.start_row is None else event.start_row + row_delta
        offset, hunk = _locate(replace(event, start_row=start_row), data, trust_rows=trust_rows)
        if first_hunk_offset is None:
            first_hunk_offset = offset
        context = hunk.context.encode()
        for edit in reversed(hunk.edits):
            new = edit.text.encode()
            row_delta += new.count(b"\n") - context[edit.range.start : edit.range.end].count(b"\n")
            data = data[: offset + edit.range.start] + new + data[offset + edit.range.end :]
    return data.decode(), first_hunk_offset


def write_hunks(
    old: str,
    new: str,
    *,
    old_start_row: int = 0,
    new_start_row: int = 0,
    context_lines: int = CONTEXT_LINES,
) -> str:
    """The hunks that lead from ``old`` to ``new``, without file headers; empty when no line differs.

    The start rows are added to the line numbers of the headers, for texts cut from a larger file.
    """
    old_lines, new_lines = split_lines(old), split_lines(new)
    written: list[str] = []
    for group in _grouped(changes(old_lines, new_lines), context_lines):
        first, last = group[0], group[-1]
        lead = min(context_lines, first.old_start)
        tail = min(context_lines, len(old_lines) - last.old_end)
        old_from, old_to = first.old_start - lead, last.old_end + tail
        new_from, new_to = first.new_start - lead, last.new_end + tail
        written.append(
            f"@@ -{old_start_row + old_from + 1},{old_to - old_from} "
            f"+{new_start_row + new_from + 1},{new_to - new_from} @@\n"
        )
        at = old_from
        for change in group:
            written.extend(f" {line}\n" for line in old_lines[at : change.old_start])
            written.extend(f"-{line}\n" for line in old_lines[change.old_start : change.old_end])
            written.extend(f"+{line}\n" for line in new_lines[change.new_start : change.new_end])
            at = change.old_end
        written.extend(f" {line}\n" for line in old_lines[at:old_to])
    return "".join(written)


def with_file_headers(hunks: str, path: str, old_path: str | None = None) -> str:
    """A whole patch of one file from its hunks."""
    return f"--- a/{old_path or path}\n+++ b/{path}\n{hunks}"


def extract_cursor(patch: str) -> tuple[str, int | None]:
    r"""The patch without the cursor markers of its added lines, and the offset of the first of them.

    The offset counts added and context lines (content plus 1) from the first line on; it is not reset at hunks or
    files. Markers in other lines stay, and count. Lines end in ``\n`` afterwards; empty lines at the very start
    of the patch are lost.
    """
    offset: int | None = None
    passed = 0
    written: list[str] = []
    for line in split_lines(patch):
        parsed = _classify(line)
        content = parsed.text
        if parsed.kind is _Kind.ADDED:
            before, marker, _ = content.partition(CURSOR_MARKER)
            if marker and offset is None:
                offset = passed + len(before.encode())
            content = content.replace(CURSOR_MARKER, "")
        if parsed.kind in {_Kind.ADDED, _Kind.CONTEXT}:
            passed += len(content.encode()) + 1
        written.append(f"+{content}" if parsed.kind is _Kind.ADDED else line)
    cleaned = _rejoined(written)
    return (cleaned + "\n" if cleaned and patch.endswith("\n") else cleaned), offset


def encode_cursor(patch: str, cursor_offset: int | None) -> str:
    """The patch with the cursor marker put at ``cursor_offset``, counted as by `extract_cursor`.

    Markers that added lines carry already are taken out. No marker is put where the offset lies outside the added
    lines or inside a character; with None the patch stays as it is. Line ends are treated as by `extract_cursor`.
    """
    if cursor_offset is None:
        return patch
    passed = 0
    written: list[str] = []
    for line in split_lines(patch):
        parsed = _classify(line)
        content = parsed.text.encode()
        if parsed.kind is _Kind.ADDED:
            content = parsed.text.replace(CURSOR_MARKER, "").encode()
            written.append("+" + _with_cursor(content, cursor_offset - passed))
        else:
            written.append(line)
        if parsed.kind in {_Kind.ADDED, _Kind.CONTEXT}:
            passed += len(content) + 1
    return _rejoined(written) + ("\n" if patch.endswith("\n") else "")


def strip_metadata(patch: str) -> str:
    """Only file headers, hunk headers and hunk lines; ``diff --git``, ``index`` and the like are dropped."""
    return "".join(f"{line}\n" for line in split_lines(patch) if _classify(line).kind is not _Kind.GARBAGE)


def strip_path_prefix(patch: str, prefix: str) -> str:
    """The patch with the leading folder ``prefix`` taken off the paths of its file headers.

    The folder is named without a slash at its end. Where any path lies in it, all file headers are written anew
    (``/dev/null`` too gets its ``a/``) and all lines end in a newline; otherwise the patch stays as it is.
    """
    folder = prefix + "/"
    lines = [(line, _classify(line)) for line in split_lines(patch)]
    headers = {_Kind.OLD_PATH: "--- a/", _Kind.NEW_PATH: "+++ b/"}
    if not prefix or not any(parsed.kind in headers and parsed.text.startswith(folder) for _, parsed in lines):
        return patch
    return "".join(
        f"{headers[parsed.kind]}{parsed.text.removeprefix(folder)}\n" if parsed.kind in headers else f"{line}\n"
        for line, parsed in lines
    )


def split_lines(text: str) -> list[str]:
    r"""Lines without terminators: they end at ``\n`` only, and lose one ``\r`` before it."""
    lines = text.split("\n")
    last = lines.pop()
    lines = [line.removesuffix("\r") for line in lines]
    return [*lines, last] if last else lines


# Whoever checks, applies and scores a patch reads it a dozen times: that was 43 % of a score.
@lru_cache(maxsize=8)
def _events(patch: str) -> tuple[PatchEvent, ...]:
    reader = _PatchReader()
    events: list[PatchEvent] = []
    for line in split_lines(patch):
        events.extend(reader.feed(_classify(line)))
    events.extend(reader.close_file())
    return tuple(events)


class _Kind(Enum):
    OLD_PATH = auto()
    NEW_PATH = auto()
    HUNK_HEADER = auto()
    CONTEXT = auto()
    DELETED = auto()
    ADDED = auto()
    NO_NEWLINE = auto()
    GARBAGE = auto()


@dataclass(frozen=True, slots=True)
class _Line:
    kind: _Kind
    text: str = ""  # a path, or the line's content
    start_row: int | None = None  # of a hunk header


_GARBAGE = _Line(_Kind.GARBAGE)
_CONTENT_KINDS = {" ": _Kind.CONTEXT, "-": _Kind.DELETED, "+": _Kind.ADDED}


def _classify(line: str) -> _Line:
    for mark, kind, side in (("---", _Kind.OLD_PATH, "a/"), ("+++", _Kind.NEW_PATH, "b/")):
        path = _after_mark(line, mark)
        if path is not None:
            return _Line(kind, _header_path(path, side))
    header = _after_mark(line, "@@")
    if header is not None:
        return _hunk_header(header)
    if line.startswith("\\ No newline"):
        return _Line(_Kind.NO_NEWLINE)
    if not line:
        return _Line(_Kind.CONTEXT)
    kind_of_content = _CONTENT_KINDS.get(line[0])
    return _GARBAGE if kind_of_content is None else _Line(kind_of_content, line[1:])


def _after_mark(line: str, mark: str) -> str | None:
    """What follows the mark and the ASCII white space that must come after it."""
    if not line.startswith(mark):
        return None
    rest = line[len(mark) :]
    trimmed = rest.lstrip(_ASCII_WHITESPACE)
    return None if len(trimmed) == len(rest) else trimmed


def _hunk_header(header: str) -> _Line:
    if header.startswith("..."):
        return _Line(_Kind.HUNK_HEADER)
    old, new, *_ = [*_WORD.findall(header), "", ""]
    old_start, new_start = _range_start(old, "-"), _range_start(new, "+")
    if old_start is None or new_start is None:
        return _GARBAGE
    return _Line(_Kind.HUNK_HEADER, start_row=max(0, old_start - 1))


def _range_start(text: str, mark: str) -> int | None:
    """The first line of ``-12,3`` or ``-12``, None for what is no range."""
    start, _, count = text.removeprefix(mark).partition(",")
    if not text.startswith(mark) or _line_number(count if "," in text else "1") is None:
        return None
    return _line_number(start)


def _line_number(text: str) -> int | None:
    """An unsigned number of 32 bits, a plus sign allowed."""
    digits = text.removeprefix("+")
    if not digits.isascii() or not digits.isdecimal():
        return None
    significant = digits.lstrip("0")
    number = int(significant[:_MAX_DIGITS] or "0")
    return number if len(significant) <= _MAX_DIGITS and number <= _MAX_LINE_NUMBER else None


def _header_path(header: str, side: str) -> str:
    r"""Path of a header: up to white space outside quotes; ``\`` escapes, ``a/`` or ``b/`` is dropped."""
    path: list[str] = []
    quoted = False
    characters = iter(header)
    for character in characters:
        if character == '"':
            quoted = not quoted
        elif character == "\\":
            path.append(next(characters, ""))
        elif character in _ASCII_WHITESPACE and not quoted:
            break
        else:
            path.append(character)
    return "".join(path).removeprefix(side)


class _PatchReader:
    """Collects lines into hunks; hunks outside a file (before the first ``---``) are dropped."""

    def __init__(self) -> None:
        self._old_path: str | None = None
        self._new_path = ""
        self._start_row: int | None = None
        self._context: list[str] = []
        self._context_bytes = 0
        self._edits: list[TextEdit] = []
        self._last_kind = _Kind.GARBAGE  # of the lines of content since the last complete hunk
        self._no_newline_seen = False

    def feed(self, line: _Line) -> Iterator[PatchEvent]:
        if line.kind in {_Kind.OLD_PATH, _Kind.GARBAGE}:
            yield from self.close_file()
        elif line.kind is _Kind.HUNK_HEADER:
            yield from self._close_hunk()
        if line.kind is _Kind.OLD_PATH:
            self._old_path, self._new_path = line.text, ""
        elif line.kind is _Kind.NO_NEWLINE:
            self._drop_last_newline()
        elif line.start_row is not None:
            self._start_row = line.start_row
        elif self._old_path is not None:
            self._take(line)

    def close_file(self) -> Iterator[PatchEvent]:
        yield from self._close_hunk()
        if self._old_path is None:
            return
        renamed = self._old_path not in {self._new_path, NO_PATH}
        yield FileEnd(self._new_path if renamed else None)
        self._old_path = None

    def _close_hunk(self) -> Iterator[PatchEvent]:
        if self._old_path is None or not (self._context_bytes or self._edits):
            return
        status, path = FileStatus.MODIFIED, self._old_path
        if self._old_path == NO_PATH:
            status, path = FileStatus.CREATED, self._new_path
        elif self._new_path == NO_PATH:
            status = FileStatus.DELETED
        yield Hunk(path, status, "".join(self._context), tuple(self._edits), self._start_row)
        self._start_row = None  # kept until a hunk uses it, as the original does
        self._context, self._context_bytes, self._edits = [], 0, []
        self._last_kind, self._no_newline_seen = _Kind.GARBAGE, False

    def _take(self, line: _Line) -> None:
        if line.kind is _Kind.NEW_PATH:
            self._new_path = line.text
            return
        if line.kind not in {_Kind.CONTEXT, _Kind.DELETED, _Kind.ADDED}:
            return
        start = self._context_bytes
        if line.kind is not _Kind.ADDED:
            self._context.append(line.text + "\n")
            self._context_bytes += len(line.text.encode()) + 1
        if line.kind is not _Kind.CONTEXT:
            self._extend_edit(Span(start, self._context_bytes), line.text + "\n" if line.kind is _Kind.ADDED else "")
        self._last_kind = line.kind

    def _extend_edit(self, span: Span, text: str) -> None:
        last = self._edits[-1] if self._edits else None
        if last is not None and last.range.end == span.start:
            self._edits[-1] = TextEdit(Span(last.range.start, span.end), last.text + text)
        else:
            self._edits.append(TextEdit(span, text))

    def _drop_last_newline(self) -> None:
        """The last line of content says which side lacks its final newline; said twice, it counts once."""
        if self._no_newline_seen:
            return
        self._no_newline_seen = True
        if self._last_kind is _Kind.ADDED:
            last = self._edits[-1]
            self._edits[-1] = replace(last, text=last.text.removesuffix("\n"))
            return
        if self._context:
            self._context[-1] = self._context[-1].removesuffix("\n")
            self._context_bytes -= 1
        if self._last_kind is _Kind.DELETED:
            last = self._edits[-1]
            self._edits[-1] = replace(last, range=Span(last.range.start, self._context_bytes))


def _locate(hunk: Hunk, data: bytes, *, trust_rows: bool) -> tuple[int, Hunk]:
    """Byte offset of the hunk in ``data``, and the hunk, adapted where the text has no final newline."""
    context = hunk.context.encode()
    row_start = _row_start(data, hunk.start_row)
    if row_start is not None and data.startswith(context, row_start) and (trust_rows or not context):
        return row_start, hunk
    places = _occurrences(data, context)
    if not places and context.endswith(b"\n") and len(context) > 1 and data.endswith(context[:-1]):
        hunk = _without_final_newline(hunk, len(context) - 1)
        places = [offset for offset in _occurrences(data, context[:-1]) if offset + len(context) - 1 == len(data)]
    if len(places) > 1:
        places = [] if row_start is None else _on_row(places, data, row_start)[:1]
    if not places:
        raise PatchError("the hunk's context is not in the text, or not at one place only")
    return places[0], hunk


def _occurrences(data: bytes, wanted: bytes) -> list[int]:
    """Offsets of ``wanted``, not overlapping. Nothing is found only in nothing: it would be everywhere."""
    if not wanted:
        return [] if data else [0]
    places: list[int] = []
    at = data.find(wanted)
    while at >= 0:
        places.append(at)
        at = data.find(wanted, at + len(wanted))
    return places


def _on_row(offsets: list[int], data: bytes, row_start: int) -> list[int]:
    """Those offsets that lie on the row starting at ``row_start``, the place before its newline included."""
    row_end = data.find(b"\n", row_start)
    return [offset for offset in offsets if row_start <= offset and (row_end < 0 or offset <= row_end)]


def _row_start(data: bytes, row: int | None) -> int | None:
    """Offset of the start of a row, None where there is no such row."""
    if row is None or row < 0:
        return None
    offset = 0
    for _ in range(row):
        offset = data.find(b"\n", offset) + 1
        if offset == 0:
            return None
    return offset


def _without_final_newline(hunk: Hunk, length_bytes: int) -> Hunk:
    edits = []
    for edit in hunk.edits:
        text = edit.text.removesuffix("\n") if edit.range.end > length_bytes else edit.text
        span = Span(min(edit.range.start, length_bytes), min(edit.range.end, length_bytes))
        edits.append(TextEdit(span, text))
    return replace(hunk, edits=tuple(edits))


def _grouped(found: list[Change], context_lines: int) -> Iterator[list[Change]]:
    """Changes whose context lines touch or overlap share a hunk."""
    group: list[Change] = []
    for change in found:
        if group and change.old_start - group[-1].old_end > 2 * context_lines:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _rejoined(lines: list[str]) -> str:
    """The lines with newlines between them, none before the first that is not empty."""
    return "\n".join(lines).lstrip("\n")


def _with_cursor(content: bytes, column: int) -> str:
    """The line with the marker at a byte column, unchanged where that is outside it or inside a character."""
    inside = 0 <= column <= len(content) and (column == len(content) or content[column] & 0xC0 != 0x80)
    return f"{content[:column].decode()}{CURSOR_MARKER}{content[column:].decode()}" if inside else content.decode()
