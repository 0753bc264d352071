"""v0226Hashline: every line of the region carries a number and a hash, and the model answers with commands.

``<|set|>2:87`` or ``<|set|>1:46-3:4a`` replaces lines, ``<|insert|>1:46`` puts lines behind one, a bare
``<|insert|>`` before the first; the lines that follow are the new text. ``<|no_edits|>`` changes nothing. The
functions down to ``hashline_target`` are as trusting as Zed (`zeta_prompt` at 09adbb01): a command whose number
or hash is wrong is dropped, an ``<|insert|>`` nobody can read goes to the top, and a target counts lines from
the patch's first. ``Hashline.doubt`` and ``Hashline.write`` do better.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from capture.editing.histogram import Change, changes
from capture.editing.unified_diff import split_lines
from daemon.prompts.base import NoEditReason
from daemon.prompts.guards import is_boundary
from daemon.prompts.zed.format import CURSOR_MARKER, QWEN, SpecialTokens, ZetaFormat
from daemon.prompts.zed.layouts import CursorSectionLast, CursorText
from daemon.prompts.zed.markers import RUST_WHITESPACE, insert_cursor
from daemon.prompts.zed.truncation import drops_the_end

SET = "<|set|>"
INSERT = "<|insert|>"
NO_EDITS = "<|no_edits|>"

_INDEX = re.compile(r"\+?0*([0-9]{1,20})")
_HASH = re.compile(r"\+?0*([0-9a-fA-F]{1,2})")
_LARGEST_INDEX = 2**64 - 1


def hash_line(line: bytes) -> str:
    """Two hexadecimal digits: the sum of the line's bytes modulo 256."""
    return f"{_hash_value(line):02x}"


def strip_hashline_prefixes(text: str) -> str:
    """The lines of a shown region without what stands before their first ``|``."""
    plain = "\n".join(line.partition("|")[2] if "|" in line else line for line in split_lines(text))
    return plain + "\n" if text.endswith("\n") else plain


def apply_hashline_commands(region: str, output: str) -> tuple[str, bool]:
    r"""The region after the commands of an answer, as Zed reads them, and whether there are any.

    Lines come back with ``\n`` alone between them. Of sets that start at the same line the last one counts,
    and lines that a set has replaced start no other set.
    """
    has_commands = any(marker in output for marker in (SET, INSERT, NO_EDITS))
    if output.lstrip(RUST_WHITESPACE).startswith(NO_EDITS):
        return region, has_commands
    lines = split_lines(region)
    sets: dict[int, tuple[int, str]] = {}
    inserts: defaultdict[int, list[str]] = defaultdict(list)
    for command in _read_commands(output)[1]:
        if command.is_set:
            rows = command.rows(lines)
            if rows is not None:
                sets[rows[0]] = (rows[1], command.body)
        elif command.references()[0] is None:
            inserts[-1].append(command.body)
        elif (rows := command.rows(lines)) is not None:
            inserts[rows[0]].append(command.body)

    written = [_closed(body) for body in inserts[-1]]
    row = 0
    while row < len(lines):
        last, body = sets.get(row, (row, lines[row] + "\n"))
        written.append(_closed(body) if body else "")
        written += [_closed(inserted) for inserted in inserts[last]]
        row = last + 1
    text = "".join(written)
    return (text if region.endswith("\n") else text.removesuffix("\n")), has_commands


def hashline_target(old_text: str, patch: str, cursor_offset: int | None) -> str:
    """The answer that Zed writes for a patch of a region.

    Lines are counted from the first line of the patch, whatever its hunk headers say, so a patch must show the
    region from its start. A cursor is kept only in the last added line of a change.
    """
    writer = _PatchTarget([_hash_value(line.encode()) for line in split_lines(old_text)], cursor_offset)
    for line in _lines_with_ends(patch):
        writer.feed(line)
    writer.flush()
    written = "".join(writer.written).removesuffix("\n")
    return written or NO_EDITS


class Hashline:
    """The region as numbered and hashed lines; answers are commands."""

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The lines; the cursor only strictly inside one, counted as if every line end were one byte."""
        shown: list[bytes] = []
        line_start = 0
        for number, line in enumerate(split_lines(region.decode())):
            data = line.encode()
            column = cursor_offset - line_start
            while 0 < column < len(data) and not is_boundary(data, column):
                column -= 1
            marked = insert_cursor(data, column) if 0 < column < len(data) else data
            shown.append(f"\n{number}:{hash_line(data)}|".encode() + marked)
            line_start += len(data) + 1
        return b"".join(shown) + b"\n"

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The region after the commands; an answer without any is the new region."""
        del cursor_offset
        text, has_commands = apply_hashline_commands(region.decode(), answer.decode())
        return text.encode() if has_commands else answer

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """Every command must be readable, name lines that are there, and leave other commands' lines alone.

        None may lack new lines or stop before the end of what it replaces; nothing may stand before the first.
        """
        del cursor_offset
        text = answer.decode()
        if text.strip() == NO_EDITS:
            return NoEditReason.SAID_SO
        before, commands = _read_commands(text)
        if before.strip() or not commands or NO_EDITS in text or b"\r\n" in region:
            return NoEditReason.MALFORMED
        lines = split_lines(region.decode())
        return None if _are_sound(commands, lines) else NoEditReason.MALFORMED

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """One command for each run of changed lines; the cursor's line counts as changed.

        Lines that only go take a neighbour along that stays: a set without lines would look cut off.
        """
        if new_region == region:
            return NO_EDITS.encode()
        marked = new_region if cursor_offset is None else insert_cursor(new_region, cursor_offset)
        old_lines, new_lines = split_lines(region.decode()), split_lines(marked.decode())
        written = ""
        for change in _with_lines(changes(old_lines, new_lines), len(old_lines)):
            if change.old_start < change.old_end:
                last = change.old_end - 1
                range_end = f"-{_reference(old_lines, last)}" if last > change.old_start else ""
                written += f"{SET}{_reference(old_lines, change.old_start)}{range_end}\n"
            else:
                written += f"{INSERT}{_reference(old_lines, change.old_start - 1) if change.old_start else ''}\n"
            written += "".join(line + "\n" for line in new_lines[change.new_start : change.new_end])
        # A last line that is blank needs its newline: without it there would be no line.
        return (written if written.endswith("\n\n") else written.removesuffix("\n")).encode()


@dataclass(frozen=True, slots=True)
class _Command:
    """A set or an insert: its reference as written, and the text that follows."""

    is_set: bool
    reference: str
    body: str

    def references(self) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """The first and the last line it names, as number and hash; None where that cannot be read."""
        if not self.is_set:
            single = _read_reference(self.reference)
            return single, single
        first, dash, last = self.reference.partition("-")
        return _read_reference(first), _read_reference(last if dash else first)

    def rows(self, lines: list[str]) -> tuple[int, int] | None:
        """The first and the last row it names, None where the lines are not those."""
        first, last = self.references()
        if first is None or last is None or not first[0] <= last[0] < len(lines):
            return None
        hashes_match = all(_hash_value(lines[row].encode()) == value for row, value in (first, last))
        return (first[0], last[0]) if hashes_match else None


def _read_commands(output: str) -> tuple[str, list[_Command]]:
    """The text before the first command, and the commands, readable or not."""
    headers: list[tuple[bool, str]] = []
    texts = [""]
    for line in _lines_with_ends(output):
        trimmed = line.strip(RUST_WHITESPACE)
        marker = next((marker for marker in (SET, INSERT) if trimmed.startswith(marker)), None)
        if marker is None:
            texts[-1] += line
        else:
            headers.append((marker == SET, trimmed.removeprefix(marker)))
            texts.append("")
    return texts[0], [_Command(*header, body) for header, body in zip(headers, texts[1:], strict=True)]


def _are_sound(commands: list[_Command], lines: list[str]) -> bool:
    """Whether every command does what it says and none undoes another."""
    replaced: set[int] = set()  # rows
    kept_apart: set[int] = set()  # rows behind which a set holds its lines together
    behind: list[int] = []  # rows behind which lines are inserted, -1 for before the first
    for command in commands:
        if not command.body:
            return False
        if not command.is_set and not command.reference:
            behind.append(-1)
            continue
        rows = command.rows(lines)
        if rows is None:
            return False
        if command.is_set:
            wanted = set(range(rows[0], rows[1] + 1))
            old_text = "".join(lines[row] + "\n" for row in sorted(wanted))
            if replaced & wanted or drops_the_end(old_text, _closed(command.body)):
                return False
            replaced |= wanted
            kept_apart |= wanted - {rows[1]}
        else:
            behind.append(rows[0])
    return len(set(behind)) == len(behind) and not kept_apart.intersection(behind)


class _PatchTarget:
    """Turns the lines of a patch into commands as Zed does."""

    def __init__(self, hashes: list[int], cursor_offset: int | None) -> None:
        self.written: list[str] = []
        self._hashes = hashes
        self._cursor = cursor_offset
        self._before_first_hunk = True
        self._old_row = 0
        self._passed_bytes = 0  # of context and added lines
        self._last_context_row: int | None = None
        self._rows: tuple[int, int] | None = None  # of the change at hand, end exclusive
        self._added: list[str] = []
        self._cursor_in_last_added: int | None = None

    def feed(self, line: str) -> None:
        """Take the next line of the patch, with its line end."""
        if line.startswith("@@"):
            self.flush()
            if self._before_first_hunk:
                self._before_first_hunk, self._passed_bytes = False, 0
        elif line.startswith(("---", "+++", "\\ No newline")):
            return
        elif line.startswith("-"):
            self._rows = (self._rows[0] if self._rows else self._old_row, self._old_row + 1)
            self._old_row += 1
        elif line.startswith("+"):
            self._add(line[1:])
        else:
            self.flush()
            self._last_context_row = self._old_row
            self._old_row += 1
            self._passed_bytes += len(line.removeprefix(" ").encode())

    def flush(self) -> None:
        """Write the change at hand."""
        if self._rows is None:
            return
        first, end = self._rows
        if first == end:
            self.written.append(f"{INSERT}{self._reference(self._last_context_row)}\n")
        else:
            references = [self._reference(row) for row in dict.fromkeys((first, end - 1))]
            self.written.append(f"{SET}{'-'.join(references) if all(references) else ''}\n")
        if self._cursor_in_last_added is not None:
            marked = insert_cursor(self._added[-1].encode(), self._cursor_in_last_added)
            self._added[-1] = marked.decode()
        self.written += self._added
        self._rows, self._added, self._cursor_in_last_added = None, [], None

    def _add(self, added: str) -> None:
        data = added.encode()
        self._cursor_in_last_added = None
        if self._cursor is not None:
            column = self._cursor - self._passed_bytes
            if self._before_first_hunk or 0 <= column <= len(data):
                column = min(max(column, 0), len(data))
                while not is_boundary(data, column):
                    column -= 1
                self._cursor_in_last_added = column
        self._passed_bytes += len(data)
        self._rows = self._rows or (self._old_row, self._old_row)
        self._added.append(added)

    def _reference(self, row: int | None) -> str:
        return f"{row}:{self._hashes[row]:02x}" if row is not None and row < len(self._hashes) else ""


def _with_lines(found: list[Change], line_count: int) -> list[Change]:
    """The changes, each pure deletion widened by the line behind it; at the end of the region by the one before."""
    widened: list[Change] = []
    for change in found:
        start, end, new_start, new_end = change.old_start, change.old_end, change.new_start, change.new_end
        if new_start == new_end:
            if end < line_count:
                end, new_end = end + 1, new_end + 1
            elif widened and widened[-1].old_end == start:
                before = widened.pop()
                start, new_start = before.old_start, before.new_start
            elif start > 0:
                start, new_start = start - 1, new_start - 1
        widened.append(Change(start, end, new_start, new_end))
    return widened


def _lines_with_ends(text: str) -> list[str]:
    *lines, last = text.split("\n")
    return [line + "\n" for line in lines] + ([last] if last else [])


def _closed(body: str) -> str:
    return body if body.endswith("\n") else body + "\n"


def _hash_value(line: bytes) -> int:
    return sum(line) % 256


def _reference(lines: list[str], row: int) -> str:
    return f"{row}:{hash_line(lines[row].encode())}"


def _read_reference(text: str) -> tuple[int, int] | None:
    """The number and the hash of a reference; a plus sign, leading zeros and capitals are allowed."""
    index_text, _, hash_text = text.partition(":")
    index, value = _INDEX.fullmatch(index_text), _HASH.fullmatch(hash_text)
    if index is None or value is None or int(index[1]) > _LARGEST_INDEX:
        return None
    return int(index[1]), int(value[1], 16)


def _cursor_section(tokens: SpecialTokens, text: CursorText) -> str:
    after = _closed(text.after) if text.after else ""
    return (
        f"{tokens.prefix}\n{text.before}{tokens.middle}current{text.region}"
        f"{tokens.suffix}\n{after}{tokens.middle}updated\n"
    )


V0226_HASHLINE = ZetaFormat(
    name="v0226Hashline",
    editable_tokens=350,
    context_tokens=150,
    max_prompt_tokens=4096,
    tokens=QWEN,
    clash_tokens=(
        SET,
        "<|set_range|>",
        INSERT,
        NO_EDITS,
        CURSOR_MARKER,
        QWEN.file,
        QWEN.prefix,
        QWEN.suffix,
        QWEN.middle,
    ),
    zed_stop_tokens=(NO_EDITS,),  # no stop of ours: it would be cut off an answer that has commands as well
    end_marker="",
    instruction_part=QWEN.file,
    response_part=QWEN.middle + "updated",
    region=Hashline(),
    layout=CursorSectionLast(_cursor_section),
    patch_target=hashline_target,
)
